"""Whom a group waits for: looked at, never changed.

A classic group that prepares a rebalance waits for every member to join again, up to the longest rebalance timeout of
its members; in the generation after that for the leader's assignment. A group of the consumer protocol waits for
members to give partitions back. And any group waits for a member that has fallen silent until its session ends:
meanwhile nobody else gets its partitions.

Sources: KIP-62, KIP-848.
"""

from sandbox.broker.groups.classic_group import Group, Member, State
from sandbox.broker.groups.consumer_calls import STATIC_LEAVE_EPOCH
from sandbox.broker.groups.consumer_group import Consumer, ConsumerGroup
from sandbox.broker.groups.listing import AnyGroup
from sandbox.model.group_waits import Awaited, GroupWaits

SILENT_MS = (4_000, 10_000)
"""A member is silent after a third of its session, which heartbeats may take at most by Kafka's advice; but not before
the first of these, as clients send one every 3 s where nothing else is set, and at the latest after the second."""
SYNC_LATE_MS = 1_000
"""After how long in a new generation a member is late that has not asked for its partitions."""


def waits(group: AnyGroup, consumer_session_ms: int, now_ms: int) -> GroupWaits:
    """Whom a group waits for now.

    Args:
        consumer_session_ms: the session timeout of members of the consumer protocol, in which the broker decides it.
    """
    names = group.names()
    joining: tuple[str, ...] = ()
    if isinstance(group, ConsumerGroup):
        found = [_consumer(one, names[one.member_id], consumer_session_ms, now_ms) for one in group.members.values()]
    else:
        found = [_member(group, one, names[one.member_id], now_ms) for one in group.members.values()]
        joining = tuple(names[one.member_id] for one in group.members.values() if one.is_new)
    awaited = sorted((one for one in found if one is not None), key=lambda one: (one.decided_ms, one.name))
    return GroupWaits(tuple(awaited), joining, names)


def is_silent(session_ends_ms: int, session_ms: int, now_ms: int) -> bool:
    """Whether a session was not renewed, by a member or by an answer to it, for longer than any heartbeat takes."""
    return now_ms - (session_ends_ms - session_ms) > min(max(session_ms // 3, SILENT_MS[0]), SILENT_MS[1])


def _member(group: Group, member: Member, name: str, now_ms: int) -> Awaited | None:
    # Whoever waits for an answer sends nothing else.
    answered = member.join_reply is None and member.sync_reply is None
    silent = answered and is_silent(member.expires_ms, member.session_timeout_ms, now_ms)
    what, until_ms = _step(group, member, now_ms)
    if what is None and not silent:
        return None
    return Awaited(
        member.member_id,
        name,
        what or "heartbeat",
        silent,
        member.last_heartbeat_ms,
        member.expires_ms,
        until_ms,
        member.session_timeout_ms,
        member.instance_id is not None,
    )


def _step(group: Group, member: Member, now_ms: int) -> tuple[str | None, int | None]:
    """The step of a rebalance that waits for a member, and until when."""
    if group.state is State.PREPARING_REBALANCE:
        return (None, None) if member.join_reply is not None else ("join", group.join_deadline_ms)
    if group.state is State.COMPLETING_REBALANCE:
        return ("assign", group.sync_deadline_ms) if group.leader == member.member_id else (None, None)
    late = member.member_id in group.unsynced and now_ms - group.since_ms >= SYNC_LATE_MS
    return ("sync", group.sync_deadline_ms) if late else (None, None)


def _consumer(member: Consumer, name: str, session_ms: int, now_ms: int) -> Awaited | None:
    away = member.member_epoch == STATIC_LEAVE_EPOCH
    silent = away or is_silent(member.expires_ms, session_ms, now_ms)
    if member.revoke_deadline_ms is None and not silent:
        return None
    return Awaited(
        member.member_id,
        name,
        "away" if away else "heartbeat" if member.revoke_deadline_ms is None else "revoke",
        silent,
        member.last_heartbeat_ms,
        member.expires_ms,
        member.revoke_deadline_ms,
        session_ms,
        member.instance_id is not None,
    )
