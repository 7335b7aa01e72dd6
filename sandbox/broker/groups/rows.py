"""Converts groups of each kind between memory and rows."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from sandbox.broker.groups.assignors import Partitions
from sandbox.broker.groups.calls import DescribedConsumer, DescribedConsumerGroup
from sandbox.broker.groups.classic_group import EndedRebalance, Group, Member, State
from sandbox.broker.groups.consumer_group import (
    ClassicSession,
    ConsumerGroup,
    ConsumerMember,
    ConsumerState,
    MemberState,
)
from sandbox.broker.groups.offsets import CONSUMER
from sandbox.broker.groups.share_group import ShareGroup, ShareMember, ShareState
from sandbox.storage.groups.groups import StoredGroup, StoredMember, StoredRebalance

DecodeAssignment = Callable[[bytes], dict[str, tuple[int, ...]] | None]


def stored_classic_group(group: Group, decode_assignment: DecodeAssignment) -> StoredGroup:
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


def restored_classic_group(row: StoredGroup, now_ms: int) -> Group:
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


ByTopic = Callable[[Partitions], Mapping[str, tuple[int, ...]]]
AssignedGroup = ConsumerGroup | ShareGroup
"""A group whose assignment the broker computes."""


def stored_consumer_group(group: ConsumerGroup, session_timeout_ms: int, by_topic: ByTopic) -> StoredGroup:
    """Convert a group to rows."""
    return stored_group(
        group, tuple(_stored_consumer_member(member, session_timeout_ms, by_topic) for member in group.members.values())
    )


def stored_group(group: AssignedGroup, members: tuple[StoredMember, ...]) -> StoredGroup:
    """Convert a group with its stored members to a row."""
    return StoredGroup(
        group.group_id,
        group.state.value,
        group.protocol_type,
        group.protocol,
        group.generation,
        None,
        group.since_ms,
        members,
        type=group.type,
        assignment_epoch=group.assignment_epoch,
    )


def _stored_consumer_member(member: ConsumerMember, session_timeout_ms: int, by_topic: ByTopic) -> StoredMember:
    return StoredMember(
        member.member_id,
        member.instance_id,
        member.client_id,
        member.client_host,
        session_timeout_ms if member.classic is None else member.classic.session_timeout_ms,
        member.rebalance_timeout_ms,
        () if member.classic is None else member.classic.protocols,
        b"",
        by_topic(member.assigned),
        {
            "member_epoch": member.member_epoch,
            "previous_epoch": member.previous_epoch,
            "state": member.state.value,
            "rack_id": member.rack_id,
            "topics": list(member.topics),
            "pattern": member.pattern,
            "assignor": member.assignor,
            "assigned": written_partitions(member.assigned),
            "revoking": written_partitions(member.revoking),
            "target": written_partitions(member.target),
        },
    )


def restored_consumer_group(row: StoredGroup, now_ms: int) -> ConsumerGroup:
    """Create a group from its rows."""
    group = ConsumerGroup(
        row.group_id,
        row.updated_ms,
        ConsumerState(row.state),
        row.generation,
        row.assignment_epoch,
        row.protocol,
    )
    for member in row.members:
        group.members[member.member_id] = _restored_consumer_member(member, member.consumer or {}, now_ms)
    return group


def _restored_consumer_member(row: StoredMember, more: Mapping[str, Any], now_ms: int) -> ConsumerMember:
    return ConsumerMember(
        row.member_id,
        row.instance_id,
        row.client_id,
        row.client_host,
        expires_ms=now_ms,
        rack_id=more["rack_id"],
        rebalance_timeout_ms=row.rebalance_timeout_ms,
        topics=tuple(more["topics"]),
        pattern=more["pattern"],
        assignor=more["assignor"],
        member_epoch=more["member_epoch"],
        previous_epoch=more["previous_epoch"],
        state=MemberState(more["state"]),
        assigned=read_partitions(more["assigned"]),
        revoking=read_partitions(more["revoking"]),
        target=read_partitions(more["target"]),
        classic=ClassicSession(row.session_timeout_ms, row.protocols) if row.protocols else None,
    )


def described_consumer_group(group: AssignedGroup) -> DescribedConsumerGroup:
    """Describe a group as ConsumerGroupDescribe and ShareGroupDescribe show it."""
    return DescribedConsumerGroup(
        group.group_id,
        group.state.value,
        group.generation,
        group.assignment_epoch,
        group.protocol,
        tuple(
            DescribedConsumer(
                member.member_id,
                member.instance_id,
                member.rack_id,
                member.member_epoch,
                member.client_id,
                member.client_host,
                member.topics,
                member.pattern,
                member.assigned,
                member.target,
                member.classic is not None,
            )
            for member in group.members.values()
        ),
    )


def written_partitions(partitions: Partitions) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for topic_id, partition in sorted(partitions):
        found.setdefault(str(topic_id), []).append(partition)
    return found


def read_partitions(written: Mapping[str, Iterable[int]]) -> Partitions:
    return frozenset((UUID(topic_id), one) for topic_id, several in written.items() for one in several)


def stored_share_group(group: ShareGroup, session_timeout_ms: int, by_topic: ByTopic) -> StoredGroup:
    """Convert a group to rows."""
    return stored_group(
        group, tuple(_stored_share_member(member, session_timeout_ms, by_topic) for member in group.members.values())
    )


def _stored_share_member(member: ShareMember, session_timeout_ms: int, by_topic: ByTopic) -> StoredMember:
    return StoredMember(
        member.member_id,
        None,
        member.client_id,
        member.client_host,
        session_timeout_ms,
        -1,
        (),
        b"",
        by_topic(member.assigned),
        {
            "member_epoch": member.member_epoch,
            "previous_epoch": member.previous_epoch,
            "rack_id": member.rack_id,
            "topics": list(member.topics),
            "assigned": written_partitions(member.assigned),
            "target": written_partitions(member.target),
        },
    )


def restored_share_group(row: StoredGroup, now_ms: int) -> ShareGroup:
    """Create a group from its rows."""
    group = ShareGroup(row.group_id, row.updated_ms, generation=row.generation, assignment_epoch=row.assignment_epoch)
    group.state = ShareState.STABLE if row.members else ShareState.EMPTY
    for member in row.members:
        group.members[member.member_id] = _restored_share_member(member, member.consumer or {}, now_ms)
    return group


def _restored_share_member(row: StoredMember, more: Mapping[str, Any], now_ms: int) -> ShareMember:
    return ShareMember(
        row.member_id,
        row.client_id,
        row.client_host,
        expires_ms=now_ms,
        rack_id=more.get("rack_id"),
        topics=tuple(more.get("topics", ())),
        member_epoch=more.get("member_epoch", 0),
        previous_epoch=more.get("previous_epoch", 0),
        assigned=read_partitions(more.get("assigned", {})),
        target=read_partitions(more.get("target", {})),
    )
