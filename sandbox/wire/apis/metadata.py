"""The cluster, its topics and their partitions."""

from typing import Any
from uuid import UUID

from sandbox.broker.logs.topic import Topic, check_name
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import CLUSTER_OPERATIONS, NO_OPERATIONS, TOPIC_OPERATIONS, Answer, Request

ALLOW_CREATION_SINCE = 4


def metadata(request: Request) -> Answer:
    """Metadata, key 3, versions 0 to 13.

    Differs from a real broker: brokers have the address that the client connected to, unless one is advertised. A topic
    that is requested by name is created if `auto.create.topics.enable` and the request allow it, and exists immediately
    (Kafka answers LEADER_NOT_AVAILABLE first).
    All authorized operations are returned, as in Kafka without an authorizer.
    Shown by: `tests/clients/test_internal_topics.py` for internal topics.
    """
    body = request.body
    broker = request.node.broker
    if body.topics is None or (request.version == 0 and not body.topics):
        listed = [*broker.topics.values(), *request.node.internal.listed()]
        topics = [_describe_metadata(request, topic) for topic in sorted(listed, key=lambda topic: topic.name)]
    else:
        # Each topic once, as in Kafka: otherwise a short request could repeat a topic's partitions a thousand times.
        once = {(wanted.name, wanted.topic_id): wanted for wanted in body.topics}
        topics = [_find(request, wanted) for wanted in once.values()]
    return {
        "brokers": request.brokers(),
        "cluster_id": broker.cluster_id,
        "controller_id": broker.cluster.controller,
        "topics": topics,
        "cluster_authorized_operations": (
            CLUSTER_OPERATIONS if body.include_cluster_authorized_operations else NO_OPERATIONS
        ),
    }


def _find(request: Request, wanted: Any) -> Answer:
    broker = request.node.broker
    if wanted.name is None:
        topic = broker.topics_by_id.get(wanted.topic_id) or request.node.internal.find(None, wanted.topic_id)
        if topic is None:
            return _failed_metadata(None, wanted.topic_id, "UNKNOWN_TOPIC_ID")
        return _describe_metadata(request, topic)
    create = request.version < ALLOW_CREATION_SINCE or request.body.allow_auto_topic_creation
    internal = request.node.internal.find(wanted.name)
    if internal is not None:
        return _describe_metadata(request, internal)
    try:
        return _describe_metadata(request, broker.topic_for_use(wanted.name, request.node.now_ms(), create=create))
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
