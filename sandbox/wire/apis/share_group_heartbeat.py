"""ShareGroupHeartbeat, key 76, version 1 (KIP-932).

With this request a member of a share group joins, stays alive, leaves, and gets its assignment.
Differs from a real broker: assignments are computed immediately, without `share.assignment.interval.ms`, and a new
partition is assigned without a first heartbeat that initializes its state.
"""

from sandbox.broker.groups.share_membership import ShareHeartbeat
from sandbox.kafka.errors import BrokerError
from sandbox.wire.group_answers import heartbeat_answer
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Handle a member's heartbeat."""
    node, body = request.node, request.body
    heartbeat = ShareHeartbeat(
        group=body.group_id,
        member_id=body.member_id,
        member_epoch=body.member_epoch,
        rack_id=body.rack_id,
        client_id=request.client_id or "",
        client_host=request.client_host,
        topics=None if body.subscribed_topic_names is None else tuple(body.subscribed_topic_names),
    )
    try:
        answer = node.coordinator.share_heartbeat(heartbeat, node.now_ms())
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail}
    return heartbeat_answer(answer)
