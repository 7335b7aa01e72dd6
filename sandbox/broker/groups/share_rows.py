"""Converts share groups between memory and rows; fields as in `consumer_rows`."""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.broker.groups.assignors import Partitions
from sandbox.broker.groups.calls import DescribedConsumer, DescribedConsumerGroup
from sandbox.broker.groups.consumer_rows import read_partitions, written_partitions
from sandbox.broker.groups.share_group import PROTOCOL_TYPE, ShareGroup, ShareMember, ShareState
from sandbox.storage.groups.groups import SHARE_TYPE, StoredGroup, StoredMember

ByTopic = Callable[[Partitions], Mapping[str, tuple[int, ...]]]


def stored(group: ShareGroup, session_timeout_ms: int, by_topic: ByTopic) -> StoredGroup:
    """Convert a group to rows."""
    return StoredGroup(
        group.group_id,
        group.state.value,
        PROTOCOL_TYPE,
        group.protocol,
        group.generation,
        None,
        group.since_ms,
        tuple(_stored_member(member, session_timeout_ms, by_topic) for member in group.members.values()),
        type=SHARE_TYPE,
        assignment_epoch=group.assignment_epoch,
    )


def _stored_member(member: ShareMember, session_timeout_ms: int, by_topic: ByTopic) -> StoredMember:
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


def restored(row: StoredGroup, now_ms: int) -> ShareGroup:
    """Create a group from its rows."""
    group = ShareGroup(row.group_id, row.updated_ms, generation=row.generation, assignment_epoch=row.assignment_epoch)
    group.state = ShareState.STABLE if row.members else ShareState.EMPTY
    for member in row.members:
        group.members[member.member_id] = _restored_member(member, member.consumer or {}, now_ms)
    return group


def _restored_member(row: StoredMember, more: Mapping[str, Any], now_ms: int) -> ShareMember:
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


def described(group: ShareGroup) -> DescribedConsumerGroup:
    """Describe a group as ShareGroupDescribe shows it."""
    return DescribedConsumerGroup(
        group.group_id,
        group.state.value,
        group.generation,
        group.assignment_epoch,
        group.protocol,
        tuple(
            DescribedConsumer(
                member.member_id,
                None,
                member.rack_id,
                member.member_epoch,
                member.client_id,
                member.client_host,
                member.topics,
                "",
                member.assigned,
                member.target,
            )
            for member in group.members.values()
        ),
    )
