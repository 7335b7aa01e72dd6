"""Read-only view of the members that a group waits for.

A classic group that prepares a rebalance waits for every member to rejoin, up to the longest rebalance timeout of its
members; then, in the new generation, for the leader's assignment. A group of the consumer protocol waits for members to
revoke partitions. Any group waits for a silent member until its session ends, because no other member gets its
partitions before that.

Sources: KIP-62, KIP-848.
"""

from sandbox.broker.groups.calls import STATIC_LEAVE_EPOCH
from sandbox.broker.groups.classic_group import Group, Member, State
from sandbox.broker.groups.consumer_group import ConsumerGroup, ConsumerMember
from sandbox.broker.groups.listing import AnyGroup
from sandbox.broker.groups.share_group import ShareGroup, ShareMember
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.model.groups import Awaited, GroupWaits

SILENT_MS = (4_000, 10_000)
"""The limits in ms for the time after which a member is silent.

That time is a third of its session, the longest heartbeat interval that Kafka recommends. The first limit is the
minimum, because clients send a heartbeat every 3 s by default; the second is the maximum.
"""
SYNC_LATE_MS = 1_000
"""A member that hasn't requested its partitions is late after this time in a new generation."""


def waits(group: AnyGroup, config: BrokerConfig, now_ms: int) -> GroupWaits:
    """Return the members that a group waits for now.

    Args:
        config: the settings; the session timeout is the broker's in the consumer protocol and in share groups.
    """
    names = group.names()
    joining: tuple[str, ...] = ()
    if isinstance(group, ShareGroup):
        session_ms = config.group_number(group.group_id, "share.session.timeout.ms")
        found = [_sharer(one, names[one.member_id], session_ms, now_ms) for one in group.members.values()]
    elif isinstance(group, ConsumerGroup):
        session_ms = config.group_number(group.group_id, "consumer.session.timeout.ms")
        found = [_consumer(one, names[one.member_id], session_ms, now_ms) for one in group.members.values()]
    else:
        found = [_member(group, one, names[one.member_id], now_ms) for one in group.members.values()]
        joining = tuple(names[one.member_id] for one in group.members.values() if one.is_new)
    awaited = sorted((one for one in found if one is not None), key=lambda one: (one.decided_ms, one.name))
    return GroupWaits(tuple(awaited), joining, names)


def is_silent(session_ends_ms: int, session_ms: int, now_ms: int) -> bool:
    """Return True if no request or answer renewed the session for longer than any heartbeat interval."""
    return now_ms - (session_ends_ms - session_ms) > min(max(session_ms // 3, SILENT_MS[0]), SILENT_MS[1])


def _member(group: Group, member: Member, name: str, now_ms: int) -> Awaited | None:
    # A member that waits for an answer sends nothing else.
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
    """Return the step of a rebalance that waits for a member, and its deadline."""
    if group.state is State.PREPARING_REBALANCE:
        return (None, None) if member.join_reply is not None else ("join", group.join_deadline_ms)
    if group.state is State.COMPLETING_REBALANCE:
        return ("assign", group.sync_deadline_ms) if group.leader == member.member_id else (None, None)
    late = member.member_id in group.unsynced and now_ms - group.since_ms >= SYNC_LATE_MS
    return ("sync", group.sync_deadline_ms) if late else (None, None)


def _consumer(member: ConsumerMember, name: str, session_ms: int, now_ms: int) -> Awaited | None:
    away = member.member_epoch == STATIC_LEAVE_EPOCH
    rejoin_ms = None
    if member.classic is not None:
        session_ms, rejoin_ms = member.classic.session_timeout_ms, member.classic.join_deadline_ms
    until_ms = rejoin_ms if member.revoke_deadline_ms is None else member.revoke_deadline_ms
    silent = away or is_silent(member.expires_ms, session_ms, now_ms)
    if until_ms is None and not silent:
        return None
    return Awaited(
        member.member_id,
        name,
        "away" if away else "revoke" if member.revoke_deadline_ms else "heartbeat" if until_ms is None else "join",
        silent,
        member.last_heartbeat_ms,
        member.expires_ms,
        until_ms,
        session_ms,
        member.instance_id is not None,
    )


def _sharer(member: ShareMember, name: str, session_ms: int, now_ms: int) -> Awaited | None:
    if not is_silent(member.expires_ms, session_ms, now_ms):
        return None
    return Awaited(
        member.member_id, name, "heartbeat", True, member.last_heartbeat_ms, member.expires_ms, None, session_ms, False
    )
