"""Converts classic groups between memory and rows."""

from collections.abc import Callable

from sandbox.broker.groups.classic_group import EndedRebalance, Group, Member, State
from sandbox.broker.groups.offsets import CONSUMER
from sandbox.storage.groups.groups import StoredGroup, StoredMember, StoredRebalance

DecodeAssignment = Callable[[bytes], dict[str, tuple[int, ...]] | None]


def stored(group: Group, decode_assignment: DecodeAssignment) -> StoredGroup:
    """Convert a group to rows.

    Leaves out a member whose first JoinGroup wasn't answered: after a restart it would join as a new member, and the
    group would wait for one that doesn't exist.
    """
    return StoredGroup(
        group.group_id,
        group.state.value,
        group.protocol_type,
        group.protocol,
        group.generation,
        group.leader,
        group.since_ms,
        tuple(
            StoredMember(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                member.session_timeout_ms,
                member.rebalance_timeout_ms,
                member.protocols,
                member.assignment,
                _assigned(group, member.assignment, decode_assignment),
            )
            for member in group.members.values()
            if not member.is_new
        ),
    )


def restored(row: StoredGroup, now_ms: int) -> Group:
    """Create a group from its rows. Sessions start now; an unfinished rebalance is prepared again."""
    state = State(row.state)
    if state is State.COMPLETING_REBALANCE:
        state = State.PREPARING_REBALANCE
    group = Group(
        row.group_id,
        row.updated_ms,
        state=state,
        generation=row.generation,
        protocol_type=row.protocol_type,
        protocol=row.protocol,
    )
    for stored_member in row.members:
        member = Member(
            stored_member.member_id,
            stored_member.instance_id,
            stored_member.client_id,
            stored_member.client_host,
            stored_member.session_timeout_ms,
            stored_member.rebalance_timeout_ms,
            stored_member.protocols,
            expires_ms=now_ms,
            assignment=stored_member.assignment,
        )
        member.renew(now_ms)
        group.members[member.member_id] = member
    group.leader = row.leader if row.leader in group.members else next(iter(group.members), None)
    return group


def stored_rebalance(group: Group, rebalance: EndedRebalance, decode_assignment: DecodeAssignment) -> StoredRebalance:
    """Convert a rebalance to a row, with its assignment in words if the bytes can be decoded."""
    return StoredRebalance(
        group.group_id,
        rebalance.generation,
        rebalance.started_ms,
        rebalance.ended_ms,
        rebalance.details,
        len(rebalance.assignment),
        {
            member_id: (client_id, _names(_assigned(group, assignment, decode_assignment)))
            for member_id, client_id, assignment in rebalance.assignment
        },
    )


def _assigned(group: Group, assignment: bytes, decode_assignment: DecodeAssignment) -> dict[str, tuple[int, ...]]:
    if group.protocol_type != CONSUMER or not assignment:
        return {}
    return decode_assignment(assignment) or {}


def _names(assigned: dict[str, tuple[int, ...]]) -> tuple[str, ...]:
    return tuple(f"{topic}-{partition}" for topic in sorted(assigned) for partition in sorted(assigned[topic]))
