"""Creates, enlarges and deletes topics."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sandbox.kafka.errors import CODE, NO_TOPIC, NO_TOPIC_ID, BrokerError
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.wire.node import Answer, Handled, Request, topic_of

DEFAULT_CONFIG, TOPIC_CONFIG = 5, 1

CREATE_TOPICS_SLICE_TOPICS = 50
"""The number of topics of one partition that take about 15 ms to create."""


def create_topics(request: Request) -> Handled:
    """CreateTopics, key 19, versions 2 to 7.

    Differs from a real broker: nothing known. A topic has at most one replica per broker; there is one broker, unless
    `sandbox up --brokers` simulates more.
    """
    asked = Counter(topic.name for topic in request.body.topics)

    def create(some: Sequence[Any]) -> Sequence[Answer]:
        return [_create_create_topics(request, topic, asked[topic.name] > 1) for topic in some]

    topics, long_writes = request.body.topics, request.node.long_writes
    if not long_writes.wants(None, len(topics), CREATE_TOPICS_SLICE_TOPICS):
        return {"topics": create(topics)}
    return long_writes.run(
        None, topics, create, _not_created, lambda found: {"topics": found}, CREATE_TOPICS_SLICE_TOPICS
    )


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


def _create_create_topics(request: Request, wanted: Any, twice: bool) -> Answer:
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


def create_partitions(request: Request) -> Answer:
    """CreatePartitions, key 37, versions 0 to 3 (KIP-195).

    Differs from a real broker: nothing known.
    """
    asked = Counter(topic.name for topic in request.body.topics)
    once = [topic for topic in request.body.topics if asked[topic.name] == 1]
    twice = [name for name, count in asked.items() if count > 1]
    return {
        "results": [_create_create_partitions(request, topic) for topic in once] + [_duplicate(name) for name in twice]
    }


def _duplicate(name: str) -> Answer:
    return {"name": name, "error_code": CODE["INVALID_REQUEST"], "error_message": "Duplicate topic name."}


def _create_create_partitions(request: Request, wanted: Any) -> Answer:
    broker = request.node.broker
    assignments = [tuple(one.broker_ids) for one in wanted.assignments or ()]
    try:
        before = len(broker.topic(wanted.name).partitions)
        if wanted.assignments is not None and wanted.count > before:
            if len(assignments) != wanted.count - before:
                raise BrokerError(
                    "INVALID_REPLICA_ASSIGNMENT",
                    f"Attempted to add {wanted.count - before} additional partition(s), but only {len(assignments)} "
                    "assignment(s) were specified.",
                )
            broker.cluster.check_assignment(assignments)
        broker.create_partitions(wanted.name, wanted.count, validate_only=request.body.validate_only)
        if assignments and not request.body.validate_only:
            broker.assign(broker.topic(wanted.name).partitions[before:], assignments)
    except BrokerError as error:
        # As in Kafka, clients use their own text for an unknown topic.
        text = None if error.error.name == "UNKNOWN_TOPIC_OR_PARTITION" else error.detail
        return {"name": wanted.name, "error_code": error.code, "error_message": text}
    return {"name": wanted.name, "error_code": 0, "error_message": None}


TOPIC_STRUCTS_SINCE = 6
KAFKA_TEXTS = {"UNKNOWN_TOPIC_OR_PARTITION": NO_TOPIC, "UNKNOWN_TOPIC_ID": NO_TOPIC_ID}

DELETE_TOPICS_SLICE_TOPICS = 20
"""The number of topics that take about 25 ms to delete."""

Wanted = tuple[str | None, Any]


def delete_topics(request: Request) -> Handled:
    """DeleteTopics, key 20, versions 1 to 6.

    Differs from a real broker: nothing known.
    """
    body = request.body
    if request.version >= TOPIC_STRUCTS_SINCE:
        wanted: list[Wanted] = [(topic.name, topic.topic_id) for topic in body.topics]
    else:
        wanted = [(name, UUID(int=0)) for name in body.topic_names]

    def delete(some: Sequence[Wanted]) -> Sequence[Answer]:
        return [_delete(request, name, topic_id) for name, topic_id in some]

    long_writes = request.node.long_writes
    if not long_writes.wants(None, len(wanted), DELETE_TOPICS_SLICE_TOPICS):
        return {"responses": delete(wanted)}
    return long_writes.run(
        None, wanted, delete, _not_deleted, lambda found: {"responses": found}, DELETE_TOPICS_SLICE_TOPICS
    )


def _not_deleted(wanted: Wanted) -> Answer:
    error = BrokerError("KAFKA_STORAGE_ERROR")
    return {"name": wanted[0], "topic_id": wanted[1], "error_code": error.code, "error_message": error.detail}


def _delete(request: Request, name: str | None, topic_id: UUID) -> Answer:
    node = request.node
    try:
        topic = topic_of(request, name, topic_id)
        node.broker.delete_topic(topic.name, node.now_ms())
        node.coordinator.remove_topic(topic.name)
    except BrokerError as error:
        text = KAFKA_TEXTS.get(error.error.name, error.detail)
        return {"name": name, "topic_id": topic_id, "error_code": error.code, "error_message": text}
    return {"name": topic.name, "topic_id": topic.topic_id, "error_code": 0, "error_message": None}
