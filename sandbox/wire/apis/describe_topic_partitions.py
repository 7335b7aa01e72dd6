"""DescribeTopicPartitions, key 75, version 0 (KIP-966): topics with their partitions, page by page.

Topics are sorted by name. If an answer reaches the maximum number of partitions of the request or of
`max.request.partition.size.limit`, it contains the next partition as a cursor.

Differs from a real broker: there are no eligible leader replicas (replicas that could lead although they are out of
sync). An empty name is an invalid topic name; Kafka fails.
"""

from typing import Any

from sandbox.broker.logs.topic import Topic, check_name
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import TOPIC_OPERATIONS, Answer, Request


def handle(request: Request) -> Answer:
    """Describe the named topics, or all."""
    body = request.body
    wanted = sorted({topic.name for topic in body.topics})
    cursor = body.cursor
    if cursor is not None and (cursor.partition_index < 0 or (wanted and cursor.topic_name not in wanted)):
        return {"topics": [_failed(name, "INVALID_REQUEST") for name in wanted], "next_cursor": None}
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
            topics.append(_failed(name, _reason(name)) | {"topic_authorized_operations": TOPIC_OPERATIONS})
            continue
        if left == 0:
            return {"topics": topics, "next_cursor": {"topic_name": name, "partition_index": first}}
        topics.append(_describe(request, topic, first, left))
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


def _failed(name: str, error: str) -> dict[str, Any]:
    return {"error_code": CODE[error], "name": name, "topic_id": None, "partitions": []}


def _describe(request: Request, topic: Topic, first: int, count: int) -> dict[str, Any]:
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
