"""The group coordinator: every group of the sandbox, by id.

A group's answers, its rows and its notifications must agree, although one call may change many members. So each call
changes the group in memory first, then `GroupTable.settle` writes its rows, sets the answers, and notifies the
subscribers. An answer is therefore never ahead of its rows within the write transaction (the caller commits, and sends
after that), and code that an answer triggers finds a consistent group.

The coordinator has no clock: the caller passes `now_ms`, and `next_deadline_ms` returns when to call `tick`. It runs on
one thread.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from uuid import uuid4

from sandbox.broker.groups import rows
from sandbox.broker.groups.assignors import Partitions
from sandbox.broker.groups.calls import (
    JOIN_EPOCH,
    NO_GENERATION,
    NO_MEMBER_BYTES,
    UNKNOWN_MEMBER,
    ConsumerHeartbeat,
    DeleteOffsetsAnswer,
    DescribedConsumerGroup,
    DescribedGroup,
    FetchedOffset,
    HeartbeatAnswer,
    JoinAnswer,
    JoinGroup,
    LeaveAnswer,
    LeavingMember,
    LeftMember,
    ListedGroup,
    MemberBytes,
    OffsetCommit,
    PartitionError,
    SyncAnswer,
)
from sandbox.broker.groups.classic_group import Group
from sandbox.broker.groups.classic_membership import Membership
from sandbox.broker.groups.consumer_group import NO_TOPICS, ConsumerGroup, Subscriptions, TopicLookup
from sandbox.broker.groups.consumer_membership import ConsumerMembership
from sandbox.broker.groups.kinds import group_kinds
from sandbox.broker.groups.listing import described, is_empty, listed
from sandbox.broker.groups.migration import Migration
from sandbox.broker.groups.offsets import CONSUMER, DecodeSubscription, Offsets, PartitionExists, StageOffsets
from sandbox.broker.groups.rows import DecodeAssignment
from sandbox.broker.groups.share_group import LEAVE_EPOCH, ShareGroup, ShareHeartbeat, ShareMembership
from sandbox.broker.groups.table import GroupTable, OnChange
from sandbox.broker.groups.waits import waits
from sandbox.broker.reply import Reply
from sandbox.broker.shares.shares import Shares
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError
from sandbox.model.groups import GroupWaits
from sandbox.storage.groups.groups import GroupStore
from sandbox.storage.groups.shares import ShareStore

OFFSETS_RETENTION_CHECK_INTERVAL_MS = 600_000
"""The interval at which expired offsets are removed (Kafka's default of `offsets.retention.check.interval.ms`)."""


class GroupCoordinator:
    """Consumer groups of the classic and the consumer protocol (KIP-848), share groups (KIP-932), committed offsets.

    Args:
        store: stores the rows.
        config: group settings, read at each call.
        decode_assignment: decodes a consumer's assignment to topics and partitions, None if it can't. Used for display
            and for migrations; otherwise the protocol passes the bytes on.
        decode_subscription: decodes a consumer's metadata to its topics, None if it can't.
        member_bytes: reads and writes consumers' bytes, for groups that migrate.
        topics: the current topics, for the targets of the consumer protocol.
        aged: converts the current time to the time to which ages are computed; see `AgeHold`.
        on_change: called with a group id and "group" (members, state), "commit" or "deleted".
        new_id: returns the unique part of a member id.
        share_store: stores the rows of share groups.

    Attributes:
        shares: the windows of the share groups.
    """

    def __init__(
        self,
        store: GroupStore,
        config: BrokerConfig,
        *,
        decode_assignment: DecodeAssignment = lambda data: None,
        decode_subscription: DecodeSubscription = lambda data: None,
        member_bytes: MemberBytes = NO_MEMBER_BYTES,
        topics: TopicLookup = NO_TOPICS,
        aged: Callable[[int], int] = lambda now_ms: now_ms,
        on_change: OnChange = lambda group_id, kind: None,
        new_id: Callable[[], str] = lambda: str(uuid4()),
        share_store: ShareStore | None = None,
    ) -> None:
        self._store = store
        self._config = config
        self._aged = aged
        self._on_change = on_change
        self._membership = Membership(config, new_id)
        subscriptions = Subscriptions(topics)
        self._consumers = ConsumerMembership(config, subscriptions, new_id)
        self._migration = Migration(config, self._consumers, subscriptions, member_bytes, decode_assignment, new_id)
        self._offsets = Offsets(store, config, decode_subscription)
        self._topics = topics
        self.shares = Shares(
            share_store or ShareStore(store.database), config, lambda group_id: on_change(group_id, "commit")
        )
        self._share_members = ShareMembership(config, topics, self._share)
        kinds = group_kinds(
            config,
            self._membership,
            decode_assignment,
            self._consumers,
            subscriptions,
            self._migration,
            self._share_members,
        )
        self._table = GroupTable(store, kinds, lambda: self._now_ms, on_change)
        self._now_ms = 0
        self._retention_due_ms: int | None = None

    def load(self, now_ms: int) -> None:
        """Load the groups from the file. Members stay in the same generation; their sessions start now.

        A group that was in a rebalance asks its members to rejoin.
        """
        self._now_ms = now_ms
        self._retention_due_ms = now_ms + OFFSETS_RETENTION_CHECK_INTERVAL_MS
        self._table.load(now_ms)
        self.shares.load(now_ms)

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """Move the members' deadlines along with the clock; see `GroupTable.clock_moved`."""
        self._now_ms = now_ms
        self._table.clock_moved(by_ms, now_ms)
        self.shares.clock_moved(by_ms, now_ms)
        if self._retention_due_ms is not None:
            self._retention_due_ms += by_ms

    def reload(self) -> None:
        """Handle an undone write transaction: its offsets are lost; groups stay in memory, and are stored again."""
        self._table.reload(self._now_ms)
        self.shares.reload()

    def join(self, request: JoinGroup, now_ms: int) -> Reply[JoinAnswer]:
        """JoinGroup. A later call may set the reply."""
        self._now_ms = now_ms
        group_id, member_id = request.group, request.member_id
        least = self._config.number("group.min.session.timeout.ms")
        most = self._config.number("group.max.session.timeout.ms")
        if not group_id:
            return Reply.of(JoinAnswer("INVALID_GROUP_ID", member_id))
        if not least <= request.session_timeout_ms <= most:
            return Reply.of(JoinAnswer("INVALID_SESSION_TIMEOUT", member_id))
        group = self._table.get(group_id)
        if isinstance(group, ShareGroup):
            return Reply.of(JoinAnswer("INCONSISTENT_GROUP_PROTOCOL", member_id))
        if isinstance(group, ConsumerGroup):
            if group.members:
                try:
                    return Reply.of(self._migration.join(group, request, now_ms))
                finally:
                    self._table.settle(group)
            group = None
        if group is None:
            if member_id != UNKNOWN_MEMBER:
                return Reply.of(JoinAnswer("UNKNOWN_MEMBER_ID", member_id))
            if not request.protocol_type or not request.protocols:
                return Reply.of(JoinAnswer("INCONSISTENT_GROUP_PROTOCOL", member_id))
            group = self._create(group_id, now_ms)
        try:
            return self._membership.join(group, request, now_ms)
        finally:
            self._table.settle(group)

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
        """SyncGroup. `protocol_type` and `protocol` are None before version 5. A later call may set the reply."""
        self._now_ms = now_ms
        if not group_id:
            return Reply.of(SyncAnswer("INVALID_GROUP_ID"))
        group = self._table.get(group_id)
        if isinstance(group, ConsumerGroup):
            found = self._migration.sync(group, generation, member_id, instance_id, protocol_type, protocol, now_ms)
            self._table.settle(group)
            return Reply.of(found)
        if not isinstance(group, Group):
            return Reply.of(SyncAnswer("UNKNOWN_MEMBER_ID"))
        try:
            return self._membership.sync(
                group, generation, member_id, instance_id, protocol_type, protocol, assignments, now_ms
            )
        finally:
            self._table.settle(group)

    def heartbeat(self, group_id: str, generation: int, member_id: str, instance_id: str | None, now_ms: int) -> str:
        """Heartbeat. Returns the error, "NONE" while the member's generation is current."""
        self._now_ms = now_ms
        if not group_id:
            return "INVALID_GROUP_ID"
        group = self._table.get(group_id)
        if isinstance(group, ConsumerGroup):
            error = self._migration.heartbeat(group, generation, member_id, instance_id, now_ms)
            self._table.settle(group)
            return error
        if not isinstance(group, Group):
            return "UNKNOWN_MEMBER_ID"
        return self._membership.heartbeat(group, generation, member_id, instance_id, now_ms)

    def leave(self, group_id: str, members: Iterable[LeavingMember], now_ms: int) -> LeaveAnswer:
        """LeaveGroup, for one or more members."""
        self._now_ms = now_ms
        if not group_id:
            return LeaveAnswer("INVALID_GROUP_ID")
        group = self._table.get(group_id)
        if group is None:
            return LeaveAnswer("NONE", tuple(LeftMember(one[0], one[1], "UNKNOWN_MEMBER_ID") for one in members))
        try:
            if isinstance(group, ShareGroup):
                return LeaveAnswer("NONE", self._share_members.leave_by_request(tuple(members)))
            if isinstance(group, ConsumerGroup):
                return LeaveAnswer("NONE", self._consumers.leave_by_request(group, tuple(members), now_ms))
            return LeaveAnswer("NONE", self._membership.leave(group, members, now_ms))
        finally:
            self._table.settle(group)

    def consumer_heartbeat(self, request: ConsumerHeartbeat, now_ms: int) -> HeartbeatAnswer:
        """ConsumerGroupHeartbeat: a member of the consumer protocol joins, is alive, or leaves.

        Raises:
            BrokerError: see `ConsumerMembership` and `Migration`; GROUP_ID_NOT_FOUND; UNSUPPORTED_VERSION if
            `group.coordinator.rebalance.protocols` doesn't have the consumer protocol.
        """
        self._now_ms = now_ms
        if "consumer" not in self._config.get("group.coordinator.rebalance.protocols").split(","):
            raise BrokerError("UNSUPPORTED_VERSION", "group.coordinator.rebalance.protocols has no consumer protocol.")
        self._consumers.check(request)
        group = self._table.get(request.group)
        joins = request.member_epoch == JOIN_EPOCH and (group is None or isinstance(group, Group))
        leaves = request.member_epoch < JOIN_EPOCH
        if not joins:
            consumers = self._table.consumer(request.group, "Group" if leaves else "Consumer group")
        elif isinstance(group, Group) and not is_empty(group):
            consumers = self._migration.upgraded(group, now_ms)
        else:
            consumers = ConsumerGroup(request.group, now_ms)
        try:
            if leaves:
                return self._consumers.leave(consumers, request, now_ms)
            answer = self._consumers.heartbeat(consumers, request, now_ms)
            self._table.groups[request.group] = consumers
            return answer
        finally:
            if not joins or self._table.get(request.group) is consumers:
                self._table.settle(consumers)

    def share_heartbeat(self, request: ShareHeartbeat, now_ms: int) -> HeartbeatAnswer:
        """ShareGroupHeartbeat: a member of a share group joins, is alive, or leaves.

        Raises:
            BrokerError: see `ShareMembership`; GROUP_ID_NOT_FOUND.
        """
        self._now_ms = now_ms
        self._share_members.check(request)
        joins = request.member_epoch == JOIN_EPOCH and self._table.get(request.group) is None
        noun = "Group" if request.member_epoch == LEAVE_EPOCH else "Share group"
        group = ShareGroup(request.group, now_ms) if joins else self._table.share(request.group, noun)
        try:
            if request.member_epoch == LEAVE_EPOCH:
                return self._share_members.leave(group, request, now_ms)
            answer = self._share_members.heartbeat(group, request, now_ms)
            self._table.groups[request.group] = group
            return answer
        finally:
            if not joins or self._table.get(request.group) is group:
                self._table.settle(group)

    def _share(self, group_id: str, partitions: Partitions) -> None:
        topics = ((self._topics.by_id.get(topic_id), number) for topic_id, number in sorted(partitions))
        self.shares.share(group_id, [topic.partition(number) for topic, number in topics if topic is not None])

    def share_group(self, group_id: str) -> ShareGroup:
        """Return a share group. Raises BrokerError INVALID_GROUP_ID, GROUP_ID_NOT_FOUND."""
        if not group_id:
            raise BrokerError("INVALID_GROUP_ID")
        return self._table.share(group_id)

    def empty_share_group(self, group_id: str) -> ShareGroup:
        """Return a share group without members.

        Raises:
            BrokerError: INVALID_GROUP_ID, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.
        """
        group = self.share_group(group_id)
        if group.members:
            raise BrokerError("NON_EMPTY_GROUP", f"Group {group_id} is not empty.")
        return group

    def altered_share_group(self, group_id: str, now_ms: int) -> ShareGroup:
        """Return a share group like `empty_share_group`. One that doesn't exist is created, as in Kafka.

        Raises:
            BrokerError: see `empty_share_group`.
        """
        if group_id and self._table.get(group_id) is None:
            group = ShareGroup(group_id, now_ms, generation=1, assignment_epoch=1, changed=True)
            self._table.groups[group_id] = group
            self._table.settle(group)
        return self.empty_share_group(group_id)

    def describe_share(self, group_id: str) -> DescribedConsumerGroup:
        """ShareGroupDescribe, for one group. Raises BrokerError INVALID_GROUP_ID, GROUP_ID_NOT_FOUND."""
        return rows.described_consumer_group(self.share_group(group_id))

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
        knows_epochs: bool = False,
        stage: StageOffsets | None = None,
    ) -> tuple[PartitionError, ...]:
        """OffsetCommit. Returns the outcome for each partition, in the given order.

        Args:
            generation: the generation or member epoch; -1 for a client that assigns partitions itself, which may create
                the group.
            exists: returns True if a topic and partition exists; None to accept all.
            knows_epochs: True for version 9 and later, which members of the consumer protocol must use.
            stage: for TxnOffsetCommit: takes the offsets, which wait for the end of the transaction.
        """
        self._now_ms = now_ms
        group = self._table.get(group_id)
        if group is None:
            if generation >= 0:
                return _all(offsets, "GROUP_ID_NOT_FOUND" if knows_epochs else "ILLEGAL_GENERATION", exists)
            checked = self._offsets.check(offsets, exists)
            if all(one.error != "NONE" for one in checked):
                # Nothing is committed, so no group is created.
                return checked
            group = self._create(group_id, now_ms)
        refusal = self._offsets.refusal(
            group, generation, member_id, instance_id, knows_epochs=knows_epochs, transactional=stage is not None
        )
        if refusal is not None:
            return _all(offsets, refusal, exists)
        if isinstance(group, Group) and member_id in group.members:
            group.members[member_id].heard(now_ms)
        try:
            outcome = self._offsets.commit(group_id, generation, member_id, offsets, exists, now_ms, stage)
        finally:
            self._table.settle(group)
        if stage is None:
            self._on_change(group_id, "commit")
        return outcome

    def set_offsets(self, group_id: str, offsets: Sequence[OffsetCommit], now_ms: int) -> str:
        """Set the committed offsets of a group without members.

        Returns:
            NON_EMPTY_GROUP if it has members; otherwise the first error of a partition, or "NONE".
        """
        group = self._table.get(group_id)
        if group is not None and not is_empty(group):
            return "NON_EMPTY_GROUP"
        outcome = self.commit(group_id, NO_GENERATION, UNKNOWN_MEMBER, None, offsets, now_ms)
        return next((one.error for one in outcome if one.error != "NONE"), "NONE")

    def fetch_offsets(self, group_id: str, topics: Mapping[str, Iterable[int]] | None) -> tuple[FetchedOffset, ...]:
        """OffsetFetch: topic to partitions, or None for every committed offset. An unknown group has none."""
        return self._offsets.fetch(group_id, topics)

    def fetch_refusal(self, group_id: str, member_id: str | None, member_epoch: int) -> str:
        """Return the error of OffsetFetch, version 9 and later, for a member, or "NONE"."""
        group = self._table.get(group_id)
        if not isinstance(group, ConsumerGroup) or (member_id is None and member_epoch < 0):
            return "NONE"
        return group.refusal(member_id or UNKNOWN_MEMBER, member_epoch) or "NONE"

    def has_groups(self, type: str | None = None) -> bool:
        """Return True if there is a group, of a type if one is given."""
        return any(type in (None, group.type) for group in self._table.groups.values())

    def list(self, states: Collection[str] = (), types: Collection[str] = ()) -> tuple[ListedGroup, ...]:
        """ListGroups, sorted by name, with any of the states and any of the types. An empty filter matches all."""
        return listed(self._table.groups.values(), states, types)

    def describe(self, group_id: str) -> DescribedGroup:
        """DescribeGroups, for one group."""
        return described(group_id, self._table.get(group_id))

    def describe_consumer(self, group_id: str) -> DescribedConsumerGroup:
        """ConsumerGroupDescribe, for one group.

        Raises:
            BrokerError: INVALID_GROUP_ID, GROUP_ID_NOT_FOUND.
        """
        if not group_id:
            raise BrokerError("INVALID_GROUP_ID")
        return rows.described_consumer_group(self._table.consumer(group_id, "Group"))

    def last_heartbeats(self, group_id: str) -> dict[str, int | None]:
        """Return the time of each member's last request, by member id."""
        group = self._table.get(group_id)
        return {member.member_id: member.last_heartbeat_ms for member in group.members.values()} if group else {}

    def waits(self, group_id: str, now_ms: int) -> GroupWaits:
        """Return the members that a group waits for; empty if the group doesn't exist."""
        group = self._table.get(group_id)
        return GroupWaits() if group is None else waits(group, self._config, now_ms)

    def delete(self, group_id: str, now_ms: int) -> str:
        """DeleteGroups, for one group. Returns "NONE", NON_EMPTY_GROUP or GROUP_ID_NOT_FOUND."""
        group = self._table.get(group_id)
        if group is None:
            return "GROUP_ID_NOT_FOUND"
        if not is_empty(group):
            return "NON_EMPTY_GROUP"
        if isinstance(group, ShareGroup):
            self.shares.delete(group_id)
        self._table.forget(group, now_ms)
        return "NONE"

    def delete_offsets(self, group_id: str, partitions: Iterable[tuple[str, int]]) -> DeleteOffsetsAnswer:
        """OffsetDelete: delete committed offsets of topics that no member reads."""
        group = self._table.get(group_id)
        if group is None:
            return DeleteOffsetsAnswer("GROUP_ID_NOT_FOUND")
        if not is_empty(group) and group.protocol_type != CONSUMER:
            return DeleteOffsetsAnswer("NON_EMPTY_GROUP")
        outcome = self._offsets.delete(group, partitions)
        self._on_change(group_id, "commit")
        return DeleteOffsetsAnswer("NONE", outcome)

    def remove_topic(self, topic: str) -> None:
        """Delete the committed offsets of a deleted topic, in every group."""
        for group_id in self._store.remove_topic(topic):
            self._on_change(group_id, "commit")
        self.shares.forget_deleted(
            frozenset(one.id for found in self._topics.by_name.values() for one in found.partitions)
        )

    def next_deadline_ms(self) -> int | None:
        """Return when `tick` must be called next, or None. It may be too early, but not too late."""
        deadlines = (self._table.next_deadline_ms(), self.shares.next_deadline_ms(), self._retention_due_ms)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def earliest_timeout_ms(self) -> int | None:
        """Return when the next session, rebalance or lock of a share group times out, or None."""
        deadlines = (self._table.earliest_ms(), self.shares.next_deadline_ms())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def tick(self, now_ms: int) -> None:
        """Run the tasks that are due: sessions, rebalance timeouts, pending member ids, retention of offsets."""
        self._now_ms = now_ms
        self._table.tick(now_ms)
        self.shares.tick(now_ms)
        if self._retention_due_ms is None:
            self._retention_due_ms = now_ms + OFFSETS_RETENTION_CHECK_INTERVAL_MS
        elif self._retention_due_ms <= now_ms:
            self._retention_due_ms = now_ms + OFFSETS_RETENTION_CHECK_INTERVAL_MS
            self._apply_retention(now_ms)

    def _apply_retention(self, now_ms: int) -> None:
        """Delete expired offsets, and groups without members and offsets."""
        for group in tuple(self._table.groups.values()):
            if isinstance(group, ShareGroup):
                # As in Kafka, the state of share groups doesn't expire.
                continue
            if self._offsets.expire(group, self._aged(now_ms)):
                self._on_change(group.group_id, "commit")
            if is_empty(group) and not group.pending and not self._store.has_offsets(group.group_id):
                self._table.forget(group, now_ms)

    def _create(self, group_id: str, now_ms: int) -> Group:
        if self._retention_due_ms is None:
            self._retention_due_ms = now_ms + OFFSETS_RETENTION_CHECK_INTERVAL_MS
        return self._table.create(group_id, now_ms)


def _all(offsets: Iterable[OffsetCommit], error: str, exists: PartitionExists | None) -> tuple[PartitionError, ...]:
    """Return the same error for all existing partitions."""
    return tuple(
        PartitionError(
            one[0], one[1], error if exists is None or exists(one[0], one[1]) else "UNKNOWN_TOPIC_OR_PARTITION"
        )
        for one in offsets
    )
