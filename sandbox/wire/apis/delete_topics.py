"""DeleteTopics, key 20, versions 1 to 6.

Differs from a real broker: nothing known.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sandbox.broker.reply import Reply
from sandbox.kafka.errors import NO_TOPIC, NO_TOPIC_ID, BrokerError
from sandbox.wire.node import Answer, Handled, Request, topic_of

TOPIC_STRUCTS_SINCE = 6
KAFKA_TEXTS = {"UNKNOWN_TOPIC_OR_PARTITION": NO_TOPIC, "UNKNOWN_TOPIC_ID": NO_TOPIC_ID}

SLICE_TOPICS = 20
"""The number of topics that take about 25 ms to delete."""

Wanted = tuple[str | None, Any]


def handle(request: Request) -> Handled:
    """Delete each topic, by name or by id. The answer for many topics is sent later."""
    body = request.body
    if request.version >= TOPIC_STRUCTS_SINCE:
        wanted: list[Wanted] = [(topic.name, topic.topic_id) for topic in body.topics]
    else:
        wanted = [(name, UUID(int=0)) for name in body.topic_names]

    def delete(some: Sequence[Wanted]) -> Sequence[Answer]:
        return [_delete(request, name, topic_id) for name, topic_id in some]

    long_writes = request.node.long_writes
    if not long_writes.wants(None, len(wanted), SLICE_TOPICS):
        return {"responses": delete(wanted)}
    reply: Reply[Answer] = Reply()
    written = long_writes.run(None, wanted, delete, _not_deleted, SLICE_TOPICS)
    written.on_done(lambda found: reply.set({"responses": found}))
    return reply


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
