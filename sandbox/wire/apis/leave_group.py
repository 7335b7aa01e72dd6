"""LeaveGroup, key 13, versions 0 to 5 (KIP-345).

Differs from a real broker: nothing known.
"""

from sandbox.broker.groups.calls import LeavingMember
from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request

SEVERAL_SINCE = 3


def handle(request: Request) -> Answer:
    """Remove one or more members from a group."""
    body = request.body
    if request.version >= SEVERAL_SINCE:
        members = [LeavingMember(one.member_id, one.group_instance_id, one.reason) for one in body.members]
    else:
        members = [LeavingMember(body.member_id)]
    left = request.node.coordinator.leave(body.group_id, members, request.node.now_ms())
    error = left.error
    if request.version < SEVERAL_SINCE and left.members:
        error = left.members[0].error
    return {
        "error_code": CODE[error],
        "members": [
            {"member_id": one.member_id, "group_instance_id": one.instance_id, "error_code": CODE[one.error]}
            for one in left.members
        ],
    }
