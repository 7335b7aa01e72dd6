"""CreateTopics, key 19, versions 2 to 7.

Differs from a real broker: nothing known. A topic has at most one replica per broker; there is one broker, unless
`sandbox up --brokers` simulates more.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sandbox.broker.reply import Reply
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.wire.node import Answer, Handled, Request

DEFAULT_CONFIG, TOPIC_CONFIG = 5, 1

SLICE_TOPICS = 50
"""The number of topics of one partition that take about 15 ms to create."""


def handle(request: Request) -> Handled:
    """Create each topic or return its error; a topic that is named twice is refused."""
    asked = Counter(topic.name for topic in request.body.topics)

    def create(some: Sequence[Any]) -> Sequence[Answer]:
        return [_create(request, topic, asked[topic.name] > 1) for topic in some]

    topics, long_writes = request.body.topics, request.node.long_writes
    if not long_writes.wants(None, len(topics), SLICE_TOPICS):
        return {"topics": create(topics)}
    reply: Reply[Answer] = Reply()
    written = long_writes.run(None, topics, create, _not_created, SLICE_TOPICS)
    written.on_done(lambda found: reply.set({"topics": found}))
    return reply


def _not_created(wanted: Any) -> Answer:
    return _refused(wanted, BrokerError("KAFKA_STORAGE_ERROR"))


def _refused(wanted: Any, error: BrokerError) -> Answer:
    return {
        "name": wanted.name,
        "error_code": error.code,
        "error_message": error.detail,
        "num_partitions": -1,
        "replication_factor": -1,
        "configs": [],
    }


def _create(request: Request, wanted: Any, twice: bool) -> Answer:
    broker = request.node.broker
    try:
        if twice:
            raise BrokerError("INVALID_REQUEST", "Duplicate topic name.")
        partitions, replication = wanted.num_partitions, wanted.replication_factor
        assignments: list[tuple[int, ...]] = []
        if wanted.assignments:
            for name, number in (("replication factor", replication), ("numPartitions", partitions)):
                if number != -1:
                    raise BrokerError(
                        "INVALID_REQUEST",
                        f"A manual partition assignment was specified, but {name} was not set to -1.",
                    )
            assignments = _assignments(wanted.assignments)
            broker.cluster.check_assignment(assignments)
            partitions, replication = len(assignments), len(assignments[0])
        topic = broker.create_topic(
            wanted.name,
            request.node.now_ms(),
            partitions=partitions,
            replication_factor=replication,
            settings={config.name: config.value for config in wanted.configs},
            validate_only=request.body.validate_only,
        )
        if topic is not None and assignments:
            broker.assign(topic.partitions, assignments)
    except BrokerError as error:
        return _refused(wanted, error)
    count = len(topic.partitions) if topic else max(partitions, 1)
    overrides = topic.settings if topic else {config.name: config.value for config in wanted.configs}
    return {
        "name": wanted.name,
        "topic_id": topic.topic_id if topic else None,
        "error_code": 0,
        "error_message": None,
        "num_partitions": count,
        "replication_factor": topic.replication_factor if topic else max(replication, 1),
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


def _assignments(assignments: list[Any]) -> list[tuple[int, ...]]:
    """Return the replicas of each partition, in the order of the partitions."""
    found: dict[int, tuple[int, ...]] = {}
    for assignment in assignments:
        number = assignment.partition_index
        if number in found:
            raise BrokerError(
                "INVALID_REPLICA_ASSIGNMENT", f"Found multiple manual partition assignments for partition {number}"
            )
        found[number] = tuple(assignment.broker_ids)
    if sorted(found) != list(range(len(assignments))):
        raise BrokerError("INVALID_REPLICA_ASSIGNMENT", "partitions should be a consecutive 0-based integer sequence")
    return [found[number] for number in range(len(found))]
