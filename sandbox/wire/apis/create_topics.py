"""CreateTopics, key 19, versions 2 to 7.

Differs from a real broker: a manual assignment gives the number of partitions; every replica is node 1, so a
replication factor above 1 is refused as a cluster of one broker refuses it.
"""

from typing import Any

from sandbox.errors import CODE, BrokerError
from sandbox.topic_settings import TOPIC_SETTINGS
from sandbox.wire.node import Answer, Request

DEFAULT_CONFIG, TOPIC_CONFIG = 5, 1


def handle(request: Request) -> Answer:
    """Create each topic, or say why not; one that is named twice is refused."""
    names = [topic.name for topic in request.body.topics]
    return {"topics": [_create(request, topic, names.count(topic.name) > 1) for topic in request.body.topics]}


def _create(request: Request, wanted: Any, twice: bool) -> Answer:
    broker = request.node.broker
    try:
        if twice:
            raise BrokerError("INVALID_REQUEST", "Duplicate topic name.")
        partitions, replication = wanted.num_partitions, wanted.replication_factor
        if wanted.assignments:
            if partitions != -1 or replication != -1:
                raise BrokerError(
                    "INVALID_REQUEST",
                    "A manual partition assignment was specified, but numPartitions or replicationFactor was not "
                    "set to -1.",
                )
            partitions = _assigned_partitions(wanted.assignments)
        topic = broker.create_topic(
            wanted.name,
            request.node.now_ms(),
            partitions=partitions,
            replication_factor=replication,
            settings={config.name: config.value for config in wanted.configs},
            validate_only=request.body.validate_only,
        )
    except BrokerError as error:
        return {
            "name": wanted.name,
            "error_code": error.code,
            "error_message": error.detail,
            "num_partitions": -1,
            "replication_factor": -1,
            "configs": None if error.code != CODE["NONE"] else [],
        }
    count = len(topic.partitions) if topic else max(partitions, 1)
    overrides = topic.settings if topic else {config.name: config.value for config in wanted.configs}
    return {
        "name": wanted.name,
        "topic_id": topic.topic_id if topic else None,
        "error_code": 0,
        "num_partitions": count,
        "replication_factor": 1,
        "configs": [
            {
                "name": setting.name,
                "value": overrides.get(setting.name, setting.default),
                "read_only": False,
                "config_source": TOPIC_CONFIG if setting.name in overrides else DEFAULT_CONFIG,
                "is_sensitive": False,
            }
            for setting in TOPIC_SETTINGS
        ],
    }


def _assigned_partitions(assignments: list[Any]) -> int:
    indexes = sorted(assignment.partition_index for assignment in assignments)
    if indexes != list(range(len(indexes))):
        raise BrokerError("INVALID_REPLICA_ASSIGNMENT", "Partitions should be a consecutive 0-based integer sequence.")
    for assignment in assignments:
        if list(assignment.broker_ids) != [1]:
            raise BrokerError("INVALID_REPLICA_ASSIGNMENT", "The sandbox has one broker, whose id is 1.")
    return len(indexes)
