"""Metadata, key 3, versions 0 to 13.

Differs from a real broker: brokers have the address that the client connected to, unless one is advertised. A topic
that is requested by name is created if `auto.create.topics.enable` and the request allow it, and exists immediately
(Kafka answers LEADER_NOT_AVAILABLE first).
All authorized operations are returned, as in Kafka without an authorizer.
Shown by: `tests/clients/test_internal_topics.py` for internal topics.
"""

from typing import Any
from uuid import UUID

from sandbox.broker.logs.topic import Topic
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import CLUSTER_OPERATIONS, NO_OPERATIONS, TOPIC_OPERATIONS, Answer, Request

ALLOW_CREATION_SINCE = 4


def handle(request: Request) -> Answer:
    """Return the running brokers and the requested topics."""
    body = request.body
    broker = request.node.broker
    if body.topics is None or (request.version == 0 and not body.topics):
        listed = [*broker.topics.values(), *request.node.internal.listed()]
        topics = [_describe(request, topic) for topic in sorted(listed, key=lambda topic: topic.name)]
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
            return _failed(None, wanted.topic_id, "UNKNOWN_TOPIC_ID")
        return _describe(request, topic)
    create = request.version < ALLOW_CREATION_SINCE or request.body.allow_auto_topic_creation
    internal = request.node.internal.find(wanted.name)
    if internal is not None:
        return _describe(request, internal)
    try:
        return _describe(request, broker.topic_for_use(wanted.name, request.node.now_ms(), create=create))
    except BrokerError as error:
        return _failed(wanted.name, UUID(int=0), error.error.name)


def _failed(name: str | None, topic_id: UUID, error: str) -> Answer:
    return {"error_code": CODE[error], "name": name, "topic_id": topic_id, "partitions": []}


def _describe(request: Request, topic: Topic) -> Answer:
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
