"""JoinGroup, key 11, versions 0 to 9 (KIP-345, KIP-394, KIP-800, KIP-814).

Differs from a real broker: an empty group doesn't wait 3 seconds for more members (`group.initial.rebalance.delay.ms`
is 0). It waits 0.25 s after each static member that joins, at most 1 s.
"""

from sandbox.broker.groups.calls import JoinAnswer, JoinGroup
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request

KNOWN_MEMBER_SINCE = 4
NULL_PROTOCOL_SINCE = 7
SKIP_ASSIGNMENT_SINCE = 9


def handle(request: Request) -> Reply[Answer]:
    """Join a group. The answer is sent when all members have joined."""
    body = request.body
    joining = JoinGroup(
        group=body.group_id,
        member_id=body.member_id,
        instance_id=body.group_instance_id,
        client_id=request.client_id or "",
        client_host=request.client_host,
        session_timeout_ms=body.session_timeout_ms,
        rebalance_timeout_ms=body.rebalance_timeout_ms if request.version else body.session_timeout_ms,
        protocol_type=body.protocol_type,
        protocols=tuple((protocol.name, bytes(protocol.metadata)) for protocol in body.protocols),
        reason=body.reason,
        require_known_member_id=request.version >= KNOWN_MEMBER_SINCE,
        supports_skip_assignment=request.version >= SKIP_ASSIGNMENT_SINCE,
    )
    reply: Reply[Answer] = Reply()
    joined = request.node.coordinator.join(joining, request.node.now_ms())
    joined.on_done(lambda answer: reply.set(_answer(request, answer)))
    return reply


def _answer(request: Request, joined: JoinAnswer) -> Answer:
    no_protocol = None if request.version >= NULL_PROTOCOL_SINCE else ""
    return {
        "error_code": CODE[joined.error],
        "generation_id": joined.generation,
        "protocol_type": joined.protocol_type,
        "protocol_name": no_protocol if joined.protocol is None else joined.protocol,
        "leader": joined.leader,
        "skip_assignment": joined.skip_assignment,
        "member_id": joined.member_id,
        "members": [
            {"member_id": member.member_id, "group_instance_id": member.instance_id, "metadata": member.metadata}
            for member in joined.members
        ],
    }
