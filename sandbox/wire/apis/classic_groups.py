"""Members of groups of the classic protocol."""

from sandbox.broker.groups.calls import JoinAnswer, JoinGroup, LeavingMember, SyncAnswer
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import CODE
from sandbox.wire.node import GROUP_OPERATIONS, NO_OPERATIONS, Answer, Request

KNOWN_MEMBER_SINCE = 4
NULL_PROTOCOL_SINCE = 7
SKIP_ASSIGNMENT_SINCE = 9


def join_group(request: Request) -> Reply[Answer]:
    """JoinGroup, key 11, versions 0 to 9 (KIP-345, KIP-394, KIP-800, KIP-814).

    Differs from a real broker: an empty group doesn't wait 3 seconds for more members
    (`group.initial.rebalance.delay.ms` is 0). It waits 0.25 s after each static member that joins, at most 1 s.
    """
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
    joined.on_done(lambda answer: reply.set(_answer_join_group(request, answer)))
    return reply


def _answer_join_group(request: Request, joined: JoinAnswer) -> Answer:
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


PROTOCOL_SINCE = 5
"""The version from which a member must name its protocol type and protocol (KIP-559)."""


def sync_group(request: Request) -> Answer | Reply[Answer]:
    """SyncGroup, key 14, versions 0 to 5 (KIP-345, KIP-559).

    Differs from a real broker: nothing known.
    """
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
    synced.on_done(lambda answer: reply.set(_answer_sync_group(answer)))
    return reply


def _answer_sync_group(synced: SyncAnswer) -> Answer:
    return {
        "error_code": CODE[synced.error],
        "protocol_type": synced.protocol_type,
        "protocol_name": synced.protocol,
        "assignment": synced.assignment,
    }


def heartbeat(request: Request) -> Answer:
    """Heartbeat, key 12, versions 0 to 4.

    Differs from a real broker: nothing known.
    """
    body = request.body
    error = request.node.coordinator.heartbeat(
        body.group_id, body.generation_id, body.member_id, body.group_instance_id, request.node.now_ms()
    )
    return {"error_code": CODE[error]}


SEVERAL_SINCE = 3


def leave_group(request: Request) -> Answer:
    """LeaveGroup, key 13, versions 0 to 5 (KIP-345).

    Differs from a real broker: nothing known.
    """
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


ERROR_SINCE = 6


def describe_groups(request: Request) -> Answer:
    """DescribeGroups, key 15, versions 0 to 6. Groups of the consumer protocol (KIP-848) are not found.

    Differs from a real broker: a group that is named twice is described once. All authorized operations are returned,
    as in Kafka without an authorizer.
    """
    return {"groups": [_describe(request, group) for group in dict.fromkeys(request.body.groups)]}


def _describe(request: Request, group_id: str) -> Answer:
    group = request.node.coordinator.describe(group_id)
    return {
        "error_code": CODE[group.error] if request.version >= ERROR_SINCE else 0,
        "error_message": group.error_message if request.version >= ERROR_SINCE else None,
        "group_id": group.group,
        "group_state": group.state,
        "protocol_type": group.protocol_type,
        "protocol_data": group.protocol,
        "authorized_operations": (GROUP_OPERATIONS if request.body.include_authorized_operations else NO_OPERATIONS),
        "members": [
            {
                "member_id": member.member_id,
                "group_instance_id": member.instance_id,
                "client_id": member.client_id,
                "client_host": member.client_host,
                "member_metadata": member.metadata,
                "member_assignment": member.assignment,
            }
            for member in group.members
        ],
    }
