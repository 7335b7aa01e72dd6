"""The cluster, its topics and their partitions."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sandbox.broker.logs.topic import Topic, check_name
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.long_answers import PARTITIONS_PER_STEP, AnswerSteps, Elements, answer_in_steps, array_in_steps
from sandbox.wire.node import CLUSTER_OPERATIONS, NO_OPERATIONS, TOPIC_OPERATIONS, Answer, Handled, Request

ALLOW_CREATION_SINCE = 4
CREATED_AT_ONCE = 50
"""The number of topics of one partition that take about 5 ms to create."""


def metadata(request: Request) -> Handled:
    """Metadata, key 3, versions 0 to 13.

    Differs from a real broker: brokers have the address that the client connected to, unless one is advertised. A topic
    that is requested by name is created if `auto.create.topics.enable` and the request allow it, and exists immediately
    (Kafka answers LEADER_NOT_AVAILABLE first).
    All authorized operations are returned, as in Kafka without an authorizer.
    Shown by: `tests/clients/test_internal_topics.py` for internal topics.
    """
    may_create = request.version < ALLOW_CREATION_SINCE or request.body.allow_auto_topic_creation
    missing = _missing(request) if may_create and len(request.body.topics or ()) > CREATED_AT_ONCE else ()
    if len(missing) <= CREATED_AT_ONCE:
        return answer_in_steps(request, _answer(request, {}, may_create))
    reply: Reply[Answer] = Reply()

    def create(names: Sequence[str]) -> Sequence[str | None]:
        return [_create(request, name) for name in names]

    def then(errors: Sequence[str | None]) -> None:
        failed = {name: error for name, error in zip(missing, errors, strict=True) if error is not None}
        found = answer_in_steps(request, _answer(request, failed, False))
        found.on_done(reply.set) if isinstance(found, Reply) else reply.set(found)

    created = request.node.long_writes.run(None, missing, create, _not_stored, tuple, CREATED_AT_ONCE)
    created.on_done(then)
    return reply


def _not_stored(name: str) -> str:
    return "KAFKA_STORAGE_ERROR"


def _missing(request: Request) -> list[str]:
    """Return the names of the requested topics that don't exist, each once."""
    topics = request.node.broker.topics
    return list({one.name: None for one in request.body.topics or () if one.name and one.name not in topics})


def _create(request: Request, name: str) -> str | None:
    """Create a topic if it is allowed to exist. Returns the name of the error, None for none."""
    if request.node.internal.find(name) is None:
        try:
            request.node.broker.topic_for_use(name, request.node.now_ms())
        except BrokerError as error:
            return error.error.name
    return None


def _answer(request: Request, failed: Mapping[str, str], may_create: bool) -> AnswerSteps:
    """Describe the cluster. `failed` are the errors of the topics that could not be created."""
    body, broker = request.body, request.node.broker
    topics = yield from array_in_steps(request, "topics", _topics(request, failed, may_create))
    return {
        "brokers": request.brokers(),
        "cluster_id": broker.cluster_id,
        "controller_id": broker.cluster.controller,
        "topics": topics,
        "cluster_authorized_operations": (
            CLUSTER_OPERATIONS if body.include_cluster_authorized_operations else NO_OPERATIONS
        ),
    }


def _topics(request: Request, failed: Mapping[str, str], may_create: bool) -> Elements:
    body, broker = request.body, request.node.broker
    lists_all = body.topics is None or (request.version == 0 and not body.topics)
    wanted: Sequence[Any]
    if lists_all:
        wanted = sorted((*broker.topics.values(), *request.node.internal.listed()), key=lambda topic: topic.name)
    else:
        # Each topic once, as in Kafka: otherwise a short request could repeat a topic's partitions a thousand times.
        wanted = list({(one.name, one.topic_id): one for one in body.topics}.values())
    described = 0
    for one in wanted:
        if described >= PARTITIONS_PER_STEP:
            if may_create:
                # Only the first step may write.
                errors = {name: _create(request, name) for name in _missing(request)}
                failed = {name: error for name, error in errors.items() if error is not None}
                may_create = False
            described = 0
            yield None
        if not lists_all:
            found = (
                _failed_metadata(one.name, UUID(int=0), failed[one.name])
                if one.name in failed
                else _find(request, one, may_create)
            )
        elif one.id < 0 or broker.topics.get(one.name) is one:
            found = _describe_metadata(request, one)
        else:
            # It was deleted since the first step.
            continue
        described += 1 + len(found["partitions"])
        yield found


def _find(request: Request, wanted: Any, may_create: bool) -> Answer:
    broker = request.node.broker
    if wanted.name is None:
        topic = broker.topics_by_id.get(wanted.topic_id) or request.node.internal.find(None, wanted.topic_id)
        if topic is None:
            return _failed_metadata(None, wanted.topic_id, "UNKNOWN_TOPIC_ID")
        return _describe_metadata(request, topic)
    internal = request.node.internal.find(wanted.name)
    if internal is not None:
        return _describe_metadata(request, internal)
    try:
        return _describe_metadata(request, broker.topic_for_use(wanted.name, request.node.now_ms(), create=may_create))
    except BrokerError as error:
        return _failed_metadata(wanted.name, UUID(int=0), error.error.name)


def _failed_metadata(name: str | None, topic_id: UUID, error: str) -> Answer:
    return {"error_code": CODE[error], "name": name, "topic_id": topic_id, "partitions": []}


def _describe_metadata(request: Request, topic: Topic) -> Answer:
    up = request.node.ports
    return {
        "error_code": 0,
        "name": topic.name,
        "topic_id": topic.topic_id,
        "is_internal": topic.id < 0,
        "topic_authorized_operations": (
            TOPIC_OPERATIONS if request.body.include_topic_authorized_operations else NO_OPERATIONS
        ),
        "partitions": [
            {
                "error_code": 0 if partition.leader > 0 else CODE["LEADER_NOT_AVAILABLE"],
                "partition_index": partition.partition,
                "leader_id": partition.leader,
                "leader_epoch": partition.leader_epoch,
                "replica_nodes": partition.replicas,
                "isr_nodes": partition.isr,
                "offline_replicas": [one for one in partition.replicas if one not in up],
            }
            for partition in topic.partitions
        ],
    }


BROKERS = 1


def describe_cluster(request: Request) -> Answer:
    """DescribeCluster, key 60, versions 0 to 2 (KIP-700, KIP-919).

    A request for endpoints of controllers is refused with MISMATCHED_ENDPOINT_TYPE, as by a broker. All authorized
    operations are returned, as in Kafka without an authorizer.

    Differs from a real broker: a broker that is down is left out, although Kafka 4 can list it as fenced.
    """
    node, body = request.node, request.body
    if body.endpoint_type != BROKERS:
        error = BrokerError("MISMATCHED_ENDPOINT_TYPE", "This is an endpoint of a broker, not of a controller.")
        return {
            "error_code": error.code,
            "error_message": error.detail,
            "endpoint_type": BROKERS,
            "controller_id": -1,
            "cluster_authorized_operations": NO_OPERATIONS,
        }
    return {
        "error_code": 0,
        "endpoint_type": BROKERS,
        "cluster_id": node.broker.cluster_id,
        "controller_id": node.broker.cluster.controller,
        "brokers": [
            {"broker_id": one["node_id"], "host": one["host"], "port": one["port"], "rack": None}
            for one in request.brokers()
        ],
        "cluster_authorized_operations": (
            CLUSTER_OPERATIONS if body.include_cluster_authorized_operations else NO_OPERATIONS
        ),
    }


def describe_topic_partitions(request: Request) -> Answer:
    """DescribeTopicPartitions, key 75, version 0 (KIP-966): topics with their partitions, page by page.

    Topics are sorted by name. If an answer reaches the maximum number of partitions of the request or of
    `max.request.partition.size.limit`, it contains the next partition as a cursor.

    Differs from a real broker: there are no eligible leader replicas (replicas that could lead although they are out of
    sync). An empty name is an invalid topic name; Kafka fails.
    """
    body = request.body
    wanted = sorted({topic.name for topic in body.topics})
    cursor = body.cursor
    if cursor is not None and (cursor.partition_index < 0 or (wanted and cursor.topic_name not in wanted)):
        return {
            "topics": [_failed_describe_topic_partitions(name, "INVALID_REQUEST") for name in wanted],
            "next_cursor": None,
        }
    first = 0
    internal = {topic.name: topic for topic in request.node.internal.listed()}
    names = wanted or sorted({*request.node.broker.topics, *internal})
    if cursor is not None:
        names = [name for name in names if name >= cursor.topic_name]
        first = cursor.partition_index if names and names[0] == cursor.topic_name else 0
    most = request.node.broker.config.number("max.request.partition.size.limit")
    return _page(request, names, first, max(1, min(body.response_partition_limit, most)))


def _page(request: Request, names: list[str], first: int, left: int) -> Answer:
    topics = []
    for name in names:
        topic = request.node.broker.topics.get(name) or request.node.internal.find(name)
        if topic is None:
            topics.append(
                _failed_describe_topic_partitions(name, _reason(name))
                | {"topic_authorized_operations": TOPIC_OPERATIONS}
            )
            continue
        if left == 0:
            return {"topics": topics, "next_cursor": {"topic_name": name, "partition_index": first}}
        topics.append(_describe_describe_topic_partitions(request, topic, first, left))
        given = min(left, max(0, len(topic.partitions) - first))
        left -= given
        if first + given < len(topic.partitions):
            return {"topics": topics, "next_cursor": {"topic_name": name, "partition_index": first + given}}
        first = 0
    return {"topics": topics, "next_cursor": None}


def _reason(name: str) -> str:
    try:
        check_name(name)
    except BrokerError as error:
        return error.error.name
    return "UNKNOWN_TOPIC_OR_PARTITION"


def _failed_describe_topic_partitions(name: str, error: str) -> dict[str, Any]:
    return {"error_code": CODE[error], "name": name, "topic_id": None, "partitions": []}


def _describe_describe_topic_partitions(request: Request, topic: Topic, first: int, count: int) -> dict[str, Any]:
    return {
        "error_code": 0,
        "name": topic.name,
        "topic_id": topic.topic_id,
        "is_internal": topic.id < 0,
        "topic_authorized_operations": TOPIC_OPERATIONS,
        "partitions": [
            {
                "error_code": 0 if one.leader > 0 else CODE["LEADER_NOT_AVAILABLE"],
                "partition_index": one.partition,
                "leader_id": one.leader,
                "leader_epoch": one.leader_epoch,
                "replica_nodes": one.replicas,
                "isr_nodes": one.isr,
                "eligible_leader_replicas": [],
                "last_known_elr": [],
                "offline_replicas": [replica for replica in one.replicas if replica not in request.node.ports],
            }
            for one in topic.partitions[first : first + count]
        ],
    }
