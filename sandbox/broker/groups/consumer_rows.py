"""Converts groups of the consumer protocol between memory and rows.

`assigned` is for readers (topics by name); the additional data that the protocol needs is in `consumer`, with topics by
their ids. Only a member that uses the classic protocol has `protocols`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from sandbox.broker.groups.assignors import Partitions
from sandbox.broker.groups.calls import DescribedConsumer, DescribedConsumerGroup
from sandbox.broker.groups.consumer_group import (
    ClassicSession,
    ConsumerGroup,
    ConsumerMember,
    ConsumerState,
    MemberState,
)
from sandbox.broker.groups.share_group import ShareGroup
from sandbox.storage.groups.groups import StoredGroup, StoredMember

ByTopic = Callable[[Partitions], Mapping[str, tuple[int, ...]]]
AssignedGroup = ConsumerGroup | ShareGroup
"""A group whose assignment the broker computes."""


def stored(group: ConsumerGroup, session_timeout_ms: int, by_topic: ByTopic) -> StoredGroup:
    """Convert a group to rows."""
    return stored_group(
        group, tuple(_stored_member(member, session_timeout_ms, by_topic) for member in group.members.values())
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


def _stored_member(member: ConsumerMember, session_timeout_ms: int, by_topic: ByTopic) -> StoredMember:
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


def restored(row: StoredGroup, now_ms: int) -> ConsumerGroup:
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
        group.members[member.member_id] = _restored_member(member, member.consumer or {}, now_ms)
    return group


def _restored_member(row: StoredMember, more: Mapping[str, Any], now_ms: int) -> ConsumerMember:
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


def described(group: AssignedGroup) -> DescribedConsumerGroup:
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
