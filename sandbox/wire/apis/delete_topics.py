"""DeleteTopics, key 20, versions 1 to 6.

Differs from a real broker: nothing known.
"""

from typing import Any
from uuid import UUID

from sandbox.kafka.errors import NO_TOPIC, NO_TOPIC_ID, BrokerError
from sandbox.wire.node import Answer, Request, topic_of

TOPIC_STRUCTS_SINCE = 6
KAFKA_TEXTS = {"UNKNOWN_TOPIC_OR_PARTITION": NO_TOPIC, "UNKNOWN_TOPIC_ID": NO_TOPIC_ID}


def handle(request: Request) -> Answer:
    """Delete each topic, by name or by id."""
    body = request.body
    if request.version >= TOPIC_STRUCTS_SINCE:
        wanted: list[tuple[str | None, Any]] = [(topic.name, topic.topic_id) for topic in body.topics]
    else:
        wanted = [(name, UUID(int=0)) for name in body.topic_names]
    return {"responses": [_delete(request, name, topic_id) for name, topic_id in wanted]}


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
