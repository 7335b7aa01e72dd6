"""Heartbeat, key 12, versions 0 to 4.

Differs from a real broker: nothing known.
"""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Keep a member alive, and report a rebalance."""
    body = request.body
    error = request.node.coordinator.heartbeat(
        body.group_id, body.generation_id, body.member_id, body.group_instance_id, request.node.now_ms()
    )
    return {"error_code": CODE[error]}
