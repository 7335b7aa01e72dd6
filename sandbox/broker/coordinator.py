"""The group coordinator: every group of the sandbox, found by its id.

Problem: a group's answers, its rows and what watchers hear must agree, though one call may change many members.
Trade: each call changes the group in memory first, then `_settle` writes its rows, then gives the answers, then tells
the watchers. Consequence: an answer never runs ahead of its rows within the write transaction (the caller commits, and
sends after that), and code that an answer wakes finds the group whole.

No clock: `now_ms` comes in, `next_deadline_ms` says when to call `tick`. One thread uses it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from uuid import uuid4

from sandbox.broker.group import Group, Member, Move, State
from sandbox.broker.group_calls import (
    NO_GENERATION,
    UNKNOWN_MEMBER,
    DeleteOffsetsAnswer,
    DescribedGroup,
    DescribedMember,
    FetchedOffset,
    JoinAnswer,
    JoinGroup,
    LeaveAnswer,
    LeavingMember,
    LeftMember,
    ListedGroup,
    OffsetCommit,
    PartitionError,
    SyncAnswer,
)
from sandbox.broker.group_rows import DecodeAssignment, restored, stored, stored_rebalance
from sandbox.broker.membership import Membership
from sandbox.broker.offsets import CONSUMER, DecodeSubscription, Offsets, PartitionExists
from sandbox.config import BrokerConfig
from sandbox.reply import Reply
from sandbox.storage.groups import GroupStore

OFFSETS_RETENTION_CHECK_INTERVAL_MS = 600_000
"""How often offsets are looked over (Kafka's default of `offsets.retention.check.interval.ms`)."""
SAVE_AGAIN_AFTER_MS = 1_000
"""How long after a failed write the rows of groups are written again."""

OnChange = Callable[[str, str], None]


class GroupCoordinator:
    """Consumer groups by the classic protocol, and committed offsets.

    Args:
        store: the rows.
        config: group settings, read at each call.
        decode_assignment: a consumer's assignment to topic and partitions, None where it cannot be read. For the rows
            that people read; the protocol hands the bytes around.
        decode_subscription: a consumer's metadata to its topics, None where it cannot be read.
        on_change: called with a group id and "group" (members, state; also when it was deleted) or "commit".
        new_id: gives the unique part of a member id.
    """

    def __init__(
        self,
        store: GroupStore,
        config: BrokerConfig,
        *,
        decode_assignment: DecodeAssignment = lambda data: None,
        decode_subscription: DecodeSubscription = lambda data: None,
        on_change: OnChange = lambda group_id, kind: None,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._store = store
        self._config = config
        self._decode_assignment = decode_assignment
        self._on_change = on_change
        self._membership = Membership(config, new_id)
        self._offsets = Offsets(store, config, decode_subscription)
        self._groups: dict[str, Group] = {}
        self._now_ms = 0
        self._deadline_ms: int | None = None
        self._retention_due_ms: int | None = None
        self._save_due_ms: int | None = None

    def load(self, now_ms: int) -> None:
        """Take the groups from the file: members go on in the same generation, their sessions begin now.

        A group that was in a rebalance asks its members to join again.
        """
        self._groups = {}
        self._now_ms = now_ms
        self._retention_due_ms = now_ms + OFFSETS_RETENTION_CHECK_INTERVAL_MS
        for row in self._store.load():
            group = self._groups[row.group_id] = restored(row, now_ms)
            if group.state is State.PREPARING_REBALANCE:
                self._membership.restarted(group, now_ms)
            self._settle(group)

    def reload(self) -> None:
        """A write transaction was undone: what it stored of offsets is gone; groups go on, and are written again.

        Nothing is written here. A group that was created or deleted in it is as the file says; one with members, or
        with a past, stays as it is, and `tick` writes it again.
        """
        rows = {row.group_id: row for row in self._store.load()}
        for group_id, group in list(self._groups.items()):
            if group_id not in rows and group.state is State.EMPTY and group.generation == 0 and not group.pending:
                del self._groups[group_id]
            else:
                group.changed = True
        for group_id, row in rows.items():
            if group_id not in self._groups:
                self._groups[group_id] = restored(row, self._now_ms)
        self._save_due_ms = self._now_ms + SAVE_AGAIN_AFTER_MS

    def join(self, request: JoinGroup, now_ms: int) -> Reply[JoinAnswer]:
        """JoinGroup. The reply may be given by a later call."""
        self._now_ms = now_ms
        group_id, member_id = request.group, request.member_id
        least = self._config.number("group.min.session.timeout.ms")
        most = self._config.number("group.max.session.timeout.ms")
        if not group_id:
            return Reply.of(JoinAnswer("INVALID_GROUP_ID", member_id))
        if not least <= request.session_timeout_ms <= most:
            return Reply.of(JoinAnswer("INVALID_SESSION_TIMEOUT", member_id))
        group = self._groups.get(group_id)
        if group is None:
            if member_id != UNKNOWN_MEMBER:
                return Reply.of(JoinAnswer("UNKNOWN_MEMBER_ID", member_id))
            if not request.protocol_type or not request.protocols:
                return Reply.of(JoinAnswer("INCONSISTENT_GROUP_PROTOCOL", member_id))
            group = self._create(group_id, now_ms)
        try:
            return self._membership.join(group, request, now_ms)
        finally:
            self._settle(group)

    def sync(
        self,
        group_id: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        protocol_type: str | None,
        protocol: str | None,
        assignments: Mapping[str, bytes],
        now_ms: int,
    ) -> Reply[SyncAnswer]:
        """SyncGroup. `protocol_type` and `protocol` are None before version 5. The reply may be given later."""
        self._now_ms = now_ms
        if not group_id:
            return Reply.of(SyncAnswer("INVALID_GROUP_ID"))
        group = self._groups.get(group_id)
        if group is None:
            return Reply.of(SyncAnswer("UNKNOWN_MEMBER_ID"))
        try:
            return self._membership.sync(
                group, generation, member_id, instance_id, protocol_type, protocol, assignments, now_ms
            )
        finally:
            self._settle(group)

    def heartbeat(self, group_id: str, generation: int, member_id: str, instance_id: str | None, now_ms: int) -> str:
        """Heartbeat: the error, "NONE" while the member's generation stands."""
        self._now_ms = now_ms
        if not group_id:
            return "INVALID_GROUP_ID"
        group = self._groups.get(group_id)
        if group is None:
            return "UNKNOWN_MEMBER_ID"
        return self._membership.heartbeat(group, generation, member_id, instance_id, now_ms)

    def leave(self, group_id: str, members: Iterable[LeavingMember], now_ms: int) -> LeaveAnswer:
        """LeaveGroup, of one member or several."""
        self._now_ms = now_ms
        if not group_id:
            return LeaveAnswer("INVALID_GROUP_ID")
        group = self._groups.get(group_id)
        if group is None:
            return LeaveAnswer("NONE", tuple(LeftMember(one[0], one[1], "UNKNOWN_MEMBER_ID") for one in members))
        try:
            return LeaveAnswer("NONE", self._membership.leave(group, members, now_ms))
        finally:
            self._settle(group)

    def commit(
        self,
        group_id: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        offsets: Sequence[OffsetCommit],
        now_ms: int,
        *,
        exists: PartitionExists | None = None,
    ) -> tuple[PartitionError, ...]:
        """OffsetCommit: the outcome for each partition, in the order given.

        Args:
            generation: -1 for a client that assigns partitions to itself; it may create the group.
            exists: whether there is such a topic and partition; None for all.
        """
        self._now_ms = now_ms
        group = self._groups.get(group_id)
        if group is None:
            if generation >= 0:
                return _all(offsets, "ILLEGAL_GENERATION", exists)
            group = self._create(group_id, now_ms)
        refusal = self._offsets.refusal(group, generation, member_id, instance_id)
        if refusal is not None:
            return _all(offsets, refusal, exists)
        if member_id in group.members:
            group.members[member_id].heard(now_ms)
        try:
            outcome = self._offsets.commit(group_id, generation, member_id, offsets, exists, now_ms)
        finally:
            self._settle(group)
        self._on_change(group_id, "commit")
        return outcome

    def set_offsets(self, group_id: str, offsets: Sequence[OffsetCommit], now_ms: int) -> str:
        """Reset: commit offsets for a group without members.

        Returns:
            NON_EMPTY_GROUP where it has members; else the first error of a partition, "NONE" where all were committed.
        """
        group = self._groups.get(group_id)
        if group is not None and group.state is not State.EMPTY:
            return "NON_EMPTY_GROUP"
        outcome = self.commit(group_id, NO_GENERATION, UNKNOWN_MEMBER, None, offsets, now_ms)
        return next((one.error for one in outcome if one.error != "NONE"), "NONE")

    def fetch_offsets(self, group_id: str, topics: Mapping[str, Iterable[int]] | None) -> tuple[FetchedOffset, ...]:
        """OffsetFetch: topic to partitions, or None for all that are committed. An unknown group has none."""
        return self._offsets.fetch(group_id, topics)

    def list(self, states: Collection[str] = (), types: Collection[str] = ()) -> tuple[ListedGroup, ...]:
        """ListGroups, by name: those in one of the states and of one of the types; all where a filter is empty."""
        wanted_states = {state.lower() for state in states}
        wanted_types = {type.lower() for type in types}
        listed = [ListedGroup(one.group_id, one.protocol_type, one.state.value) for one in self._groups.values()]
        return tuple(
            sorted(
                (
                    one
                    for one in listed
                    if (not wanted_states or one.state.lower() in wanted_states)
                    and (not wanted_types or one.type in wanted_types)
                ),
                key=lambda one: one.group,
            )
        )

    def describe(self, group_id: str) -> DescribedGroup:
        """DescribeGroups, for one group."""
        group = self._groups.get(group_id)
        if group is None:
            return DescribedGroup("GROUP_ID_NOT_FOUND", group_id, State.DEAD.value)
        protocol = group.protocol if group.state is State.STABLE else ""
        return DescribedGroup(
            "NONE",
            group_id,
            group.state.value,
            group.protocol_type,
            protocol,
            group.generation,
            tuple(_described(member, protocol) for member in group.members.values()),
        )

    def delete(self, group_id: str, now_ms: int) -> str:
        """DeleteGroups, for one group: the error, NON_EMPTY_GROUP or GROUP_ID_NOT_FOUND where it stays."""
        group = self._groups.get(group_id)
        if group is None:
            return "GROUP_ID_NOT_FOUND"
        if group.state is not State.EMPTY:
            return "NON_EMPTY_GROUP"
        self._forget(group, now_ms)
        return "NONE"

    def delete_offsets(self, group_id: str, partitions: Iterable[tuple[str, int]]) -> DeleteOffsetsAnswer:
        """OffsetDelete: removes committed offsets in topics that no member reads."""
        group = self._groups.get(group_id)
        if group is None:
            return DeleteOffsetsAnswer("GROUP_ID_NOT_FOUND")
        if group.state is not State.EMPTY and group.protocol_type != CONSUMER:
            return DeleteOffsetsAnswer("NON_EMPTY_GROUP")
        outcome = self._offsets.delete(group, partitions)
        self._on_change(group_id, "commit")
        return DeleteOffsetsAnswer("NONE", outcome)

    def remove_topic(self, topic: str) -> None:
        """A topic was deleted: its committed offsets go too, in every group."""
        for group_id in self._store.remove_topic(topic):
            self._on_change(group_id, "commit")

    def next_deadline_ms(self) -> int | None:
        """When `tick` has something to do, None for never. It may be too early, never too late."""
        deadlines = (self._deadline_ms, self._retention_due_ms, self._save_due_ms)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def tick(self, now_ms: int) -> None:
        """Do what time asks for: sessions, rebalance timeouts, member ids that never came, retention."""
        self._now_ms = now_ms
        due = self._deadline_ms is not None and self._deadline_ms <= now_ms
        save = self._save_due_ms is not None and self._save_due_ms <= now_ms
        if due or save:
            for group in list(self._groups.values()):
                due_ms = group.next_deadline_ms()
                if due_ms is not None and due_ms <= now_ms:
                    self._membership.expire(group, now_ms)
                self._settle(group)
            self._deadline_ms = self._earliest_ms()
            self._save_due_ms = None if save else self._save_due_ms
        if self._retention_due_ms is None:
            self._retention_due_ms = now_ms + OFFSETS_RETENTION_CHECK_INTERVAL_MS
        elif self._retention_due_ms <= now_ms:
            self._retention_due_ms = now_ms + OFFSETS_RETENTION_CHECK_INTERVAL_MS
            self._apply_retention(now_ms)

    def _apply_retention(self, now_ms: int) -> None:
        """Remove expired offsets, and groups that have neither members nor offsets left."""
        for group in list(self._groups.values()):
            if self._offsets.expire(group, now_ms):
                self._on_change(group.group_id, "commit")
            if group.state is State.EMPTY and not group.pending and not self._store.has_offsets(group.group_id):
                self._forget(group, now_ms)

    def _earliest_ms(self) -> int | None:
        deadlines = (group.next_deadline_ms() for group in self._groups.values())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _create(self, group_id: str, now_ms: int) -> Group:
        group = self._groups[group_id] = Group(group_id, now_ms, changed=True)
        if self._retention_due_ms is None:
            self._retention_due_ms = now_ms + OFFSETS_RETENTION_CHECK_INTERVAL_MS
        return group

    def _forget(self, group: Group, now_ms: int) -> None:
        group.move(Move.FORGET, now_ms)
        group.changed = False
        del self._groups[group.group_id]
        self._store.delete(group.group_id)
        self._on_change(group.group_id, "group")

    def _settle(self, group: Group) -> None:
        """Write the rows of what changed, give the answers, tell the watchers, and know when time is up."""
        due_ms = group.next_deadline_ms()
        if due_ms is not None and (self._deadline_ms is None or due_ms < self._deadline_ms):
            self._deadline_ms = due_ms
        changed, ended = group.changed, group.ended
        outbox, group.outbox = group.outbox, []
        try:
            if changed:
                self._store.save(stored(group, self._decode_assignment))
                for rebalance in ended:
                    self._store.record_rebalance(stored_rebalance(group, rebalance, self._decode_assignment))
                group.changed, group.ended = False, []
        finally:
            for give in outbox:
                give()
        if changed:
            self._on_change(group.group_id, "group")


def _described(member: Member, protocol: str) -> DescribedMember:
    return DescribedMember(
        member.member_id,
        member.instance_id,
        member.client_id,
        member.client_host,
        member.metadata(protocol) if protocol else b"",
        member.assignment,
        member.session_timeout_ms,
        member.last_heartbeat_ms,
    )


def _all(offsets: Iterable[OffsetCommit], error: str, exists: PartitionExists | None) -> tuple[PartitionError, ...]:
    """The same error for all partitions that there are."""
    return tuple(
        PartitionError(
            one[0], one[1], error if exists is None or exists(one[0], one[1]) else "UNKNOWN_TOPIC_OR_PARTITION"
        )
        for one in offsets
    )
