"""SyncGroup, key 14, versions 0 to 5 (KIP-345, KIP-559).

Differs from a real broker: nothing known.
"""

from sandbox.broker.groups.calls import SyncAnswer
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request

PROTOCOL_SINCE = 5
"""The version from which a member must name its protocol type and protocol (KIP-559)."""


def handle(request: Request) -> Answer | Reply[Answer]:
    """Accept the leader's assignment, and return the member's when it is available."""
    body = request.body
    if request.version >= PROTOCOL_SINCE and (body.protocol_type is None or body.protocol_name is None):
        return {"error_code": CODE["INCONSISTENT_GROUP_PROTOCOL"]}
    synced = request.node.coordinator.sync(
        body.group_id,
        body.generation_id,
        body.member_id,
        body.group_instance_id,
        body.protocol_type,
        body.protocol_name,
        {one.member_id: bytes(one.assignment) for one in body.assignments},
        request.node.now_ms(),
    )
    reply: Reply[Answer] = Reply()
    synced.on_done(lambda answer: reply.set(_answer(answer)))
    return reply


def _answer(synced: SyncAnswer) -> Answer:
    return {
        "error_code": CODE[synced.error],
        "protocol_type": synced.protocol_type,
        "protocol_name": synced.protocol,
        "assignment": synced.assignment,
    }
