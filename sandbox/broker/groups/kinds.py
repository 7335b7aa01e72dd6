"""The kinds of groups: one table, by the type that ListGroups shows.

A kind says how its groups are stored, restored, and changed by time. `GroupTable` uses nothing else of a kind, so a
further protocol is a further row here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sandbox.broker.groups import rows
from sandbox.broker.groups.classic_group import Group, GroupEvent, State
from sandbox.broker.groups.classic_membership import NEW_MEMBER_JOIN_TIMEOUT_MS, Membership
from sandbox.broker.groups.consumer_group import ConsumerGroup, Subscriptions
from sandbox.broker.groups.consumer_membership import ConsumerMembership
from sandbox.broker.groups.migration import Migration
from sandbox.broker.groups.rows import DecodeAssignment, restored_classic_group, stored_classic_group, stored_rebalance
from sandbox.broker.groups.share_group import ShareGroup, ShareMembership
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.storage.groups.groups import (
    CLASSIC_TYPE,
    CONSUMER_TYPE,
    SHARE_TYPE,
    StoredGroup,
    StoredRebalance,
)

Moved = Callable[[int, int], int]
"""Moves a deadline along with the clock: the deadline, and its longest distance from now in ms."""


class GroupKind(Protocol):
    """What the table needs of a kind. `group` is always a group of that kind."""

    def restored(self, row: StoredGroup, now_ms: int) -> Any:
        """Create a group from its rows. Its sessions start now."""

    def restarted(self, group: Any, now_ms: int) -> None:
        """Continue after the file was opened."""

    def stored(self, group: Any) -> StoredGroup:
        """Convert a group to rows."""

    def ended(self, group: Any) -> list[StoredRebalance]:
        """Return the rebalances that ended since the last call."""

    def due_ms(self, group: Any, now_ms: int) -> int | None:
        """Return when time changes the group next, or None. It may be too early, but not too late."""

    def expire(self, group: Any, now_ms: int) -> None:
        """Run what is due."""

    def forgotten(self, group: Any, now_ms: int) -> None:
        """Prepare the deletion of an empty group."""

    def clock_moved(self, group: Any, moved: Moved) -> None:
        """Move a group's deadlines along with the clock."""

    def successor(self, group: Any, now_ms: int) -> Any | None:
        """Return the group of another kind that replaces a group, or None."""


class _Classic:
    def __init__(self, config: BrokerConfig, membership: Membership, decode_assignment: DecodeAssignment) -> None:
        self._config, self._membership, self._decode = config, membership, decode_assignment

    def restored(self, row: StoredGroup, now_ms: int) -> Group:
        return restored_classic_group(row, now_ms)

    def restarted(self, group: Group, now_ms: int) -> None:
        if group.state is State.PREPARING_REBALANCE:
            self._membership.restarted(group, now_ms)

    def stored(self, group: Group) -> StoredGroup:
        return stored_classic_group(group, self._decode)

    def ended(self, group: Group) -> list[StoredRebalance]:
        return [stored_rebalance(group, rebalance, self._decode) for rebalance in group.ended]

    def due_ms(self, group: Group, now_ms: int) -> int | None:
        return group.early_deadline_ms(now_ms, self._config.number("group.min.session.timeout.ms"))

    def expire(self, group: Group, now_ms: int) -> None:
        self._membership.expire(group, now_ms)

    def forgotten(self, group: Group, now_ms: int) -> None:
        group.move(GroupEvent.FORGET, now_ms)

    def clock_moved(self, group: Group, moved: Moved) -> None:
        group.looked_until_ms = 0
        for member in group.members.values():
            wait_ms = NEW_MEMBER_JOIN_TIMEOUT_MS if member.is_new else member.session_timeout_ms
            member.expires_ms = moved(member.expires_ms, wait_ms)
        most_ms = group.rebalance_timeout_ms()
        if group.join_deadline_ms is not None:
            group.join_deadline_ms = moved(group.join_deadline_ms, most_ms)
        if group.sync_deadline_ms is not None:
            group.sync_deadline_ms = moved(group.sync_deadline_ms, most_ms)
        group.pending = {one: moved(at_ms, NEW_MEMBER_JOIN_TIMEOUT_MS) for one, at_ms in group.pending.items()}

    def successor(self, group: Group, now_ms: int) -> None:
        """Return None: an upgrade is a member's request."""


class _Consumer:
    def __init__(
        self, config: BrokerConfig, consumers: ConsumerMembership, subscriptions: Subscriptions, migration: Migration
    ) -> None:
        self._config, self._consumers, self._subscriptions = config, consumers, subscriptions
        self._migration = migration

    def _session_ms(self, group: ConsumerGroup) -> int:
        return self._config.group_number(group.group_id, "consumer.session.timeout.ms")

    def restored(self, row: StoredGroup, now_ms: int) -> ConsumerGroup:
        group = rows.restored_consumer_group(row, now_ms)
        self._consumers.restored(group, now_ms)
        return group

    def restarted(self, group: ConsumerGroup, now_ms: int) -> None:
        """Do nothing: members keep their epochs."""

    def stored(self, group: ConsumerGroup) -> StoredGroup:
        return rows.stored_consumer_group(group, self._session_ms(group), self._subscriptions.by_topic)

    def ended(self, group: ConsumerGroup) -> list[StoredRebalance]:
        return list(group.ended)

    def due_ms(self, group: ConsumerGroup, now_ms: int) -> int | None:
        return group.next_deadline_ms()

    def expire(self, group: ConsumerGroup, now_ms: int) -> None:
        self._consumers.expire(group, now_ms)

    def forgotten(self, group: ConsumerGroup, now_ms: int) -> None:
        """Do nothing."""

    def clock_moved(self, group: ConsumerGroup, moved: Moved) -> None:
        for member in group.members.values():
            member.expires_ms = moved(member.expires_ms, self._consumers.session_ms(group, member))
            if member.revoke_deadline_ms is not None:
                member.revoke_deadline_ms = moved(member.revoke_deadline_ms, member.rebalance_timeout_ms)
            session = member.classic
            if session is not None and session.join_deadline_ms is not None:
                session.join_deadline_ms = moved(session.join_deadline_ms, member.rebalance_timeout_ms)
            if session is not None and session.sync_deadline_ms is not None:
                session.sync_deadline_ms = moved(session.sync_deadline_ms, member.rebalance_timeout_ms)

    def successor(self, group: ConsumerGroup, now_ms: int) -> Group | None:
        return self._migration.downgraded(group, now_ms) if group.downgrades else None


class _Share:
    def __init__(self, shares: ShareMembership) -> None:
        self._shares = shares

    def restored(self, row: StoredGroup, now_ms: int) -> ShareGroup:
        group = rows.restored_share_group(row, now_ms)
        self._shares.restored(group, now_ms)
        return group

    def restarted(self, group: ShareGroup, now_ms: int) -> None:
        """Do nothing: members keep their epochs."""

    def stored(self, group: ShareGroup) -> StoredGroup:
        return rows.stored_share_group(group, self._shares.session_ms(group), self._shares.by_topic)

    def ended(self, group: ShareGroup) -> list[StoredRebalance]:
        return list(group.ended)

    def due_ms(self, group: ShareGroup, now_ms: int) -> int | None:
        return group.next_deadline_ms()

    def expire(self, group: ShareGroup, now_ms: int) -> None:
        self._shares.expire(group, now_ms)

    def forgotten(self, group: ShareGroup, now_ms: int) -> None:
        """Do nothing."""

    def clock_moved(self, group: ShareGroup, moved: Moved) -> None:
        session_ms = self._shares.session_ms(group)
        for member in group.members.values():
            member.expires_ms = moved(member.expires_ms, session_ms)

    def successor(self, group: ShareGroup, now_ms: int) -> None:
        """Return None: a share group stays one."""


def group_kinds(
    config: BrokerConfig,
    membership: Membership,
    decode_assignment: DecodeAssignment,
    consumers: ConsumerMembership,
    subscriptions: Subscriptions,
    migration: Migration,
    shares: ShareMembership,
) -> Mapping[str, GroupKind]:
    """Return the kinds of groups by type."""
    return {
        CLASSIC_TYPE: _Classic(config, membership, decode_assignment),
        CONSUMER_TYPE: _Consumer(config, consumers, subscriptions, migration),
        SHARE_TYPE: _Share(shares),
    }
