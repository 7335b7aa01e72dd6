"""Converts share groups between memory and rows; fields as in `consumer_rows`."""

from collections.abc import Mapping
from typing import Any

from sandbox.broker.groups.consumer_rows import ByTopic, read_partitions, stored_group, written_partitions
from sandbox.broker.groups.share_group import ShareGroup, ShareMember, ShareState
from sandbox.storage.groups.groups import StoredGroup, StoredMember


def stored(group: ShareGroup, session_timeout_ms: int, by_topic: ByTopic) -> StoredGroup:
    """Convert a group to rows."""
    return stored_group(
        group, tuple(_stored_member(member, session_timeout_ms, by_topic) for member in group.members.values())
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
