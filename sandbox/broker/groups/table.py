"""All groups of every kind, their rows, and their next deadline.

Each call of the coordinator changes a group in memory first; `settle` then writes its rows, sets the answers, and
notifies the subscribers. So an answer is never ahead of its rows within the write transaction, and code that an answer
triggers finds a consistent group.
"""

from collections import deque
from collections.abc import Callable, Mapping

from sandbox.broker.groups.classic_group import Group
from sandbox.broker.groups.consumer_group import ConsumerGroup
from sandbox.broker.groups.kinds import GroupKind
from sandbox.broker.groups.listing import AnyGroup, is_empty
from sandbox.broker.groups.share_group import ShareGroup
from sandbox.kafka.errors import BrokerError
from sandbox.storage.groups.groups import GroupStore, StoredGroup

SAVE_AGAIN_AFTER_MS = 1_000
"""After a failed write, groups are stored again this many ms later."""

ANSWERS_MAX = 200
"""The maximum number of answers per call. Each `tick` sends as many more, so that other clients are served in between.
"""

OnChange = Callable[[str, str], None]


class GroupTable:
    """Every group, by id.

    Args:
        store: stores the rows.
        kinds: the kinds of groups by type.
        now: returns the time of the current call.
        on_change: called with a group id and "group" after its rows were written, "deleted" after it was deleted.
    """

    def __init__(
        self,
        store: GroupStore,
        kinds: Mapping[str, GroupKind],
        now: Callable[[], int],
        on_change: OnChange,
    ) -> None:
        self.groups: dict[str, AnyGroup] = {}
        self._store = store
        self._kinds = kinds
        self._now = now
        self._on_change = on_change
        self._deadline_ms: int | None = None
        self._save_due_ms: int | None = None
        self._answers: deque[Callable[[], None]] = deque()

    def get(self, group_id: str) -> AnyGroup | None:
        """Return a group of any kind, or None."""
        return self.groups.get(group_id)

    def classic(self, group_id: str) -> Group | None:
        """Return a group of the classic protocol, or None."""
        group = self.groups.get(group_id)
        return group if isinstance(group, Group) else None

    def consumer(self, group_id: str, noun: str = "Group") -> ConsumerGroup:
        """Return a group of the consumer protocol.

        Args:
            noun: the word for it in Kafka's error message.

        Raises:
            BrokerError: GROUP_ID_NOT_FOUND.
        """
        group = self.groups.get(group_id)
        if isinstance(group, ConsumerGroup):
            return group
        raise BrokerError(
            "GROUP_ID_NOT_FOUND",
            f"{noun} {group_id} not found." if group is None else f"Group {group_id} is not a consumer group.",
        )

    def share(self, group_id: str, noun: str = "Group") -> ShareGroup:
        """Return a share group; see `consumer`."""
        group = self.groups.get(group_id)
        if isinstance(group, ShareGroup):
            return group
        raise BrokerError(
            "GROUP_ID_NOT_FOUND",
            f"{noun} {group_id} not found." if group is None else f"Group {group_id} is not a share group.",
        )

    def create(self, group_id: str, now_ms: int) -> Group:
        """Create an empty group of the classic protocol. It replaces an empty group of the consumer protocol."""
        group = self.groups[group_id] = Group(group_id, now_ms, changed=True)
        return group

    def load(self, now_ms: int) -> None:
        """Load the groups from the file. Members stay in the same generation; their sessions start now."""
        self.groups.clear()
        for row in self._store.load():
            group = self.groups[row.group_id] = self._restored(row, now_ms)
            self._kinds[row.type].restarted(group, now_ms)
            self.settle(group)

    def reload(self, now_ms: int) -> None:
        """Handle an undone write transaction. Writes nothing itself.

        A group that was created or deleted in it is reloaded from the file. A group with members or with a past
        generation stays as it is, and is stored again after `SAVE_AGAIN_AFTER_MS`.
        """
        rows = {row.group_id: row for row in self._store.load()}
        for group_id, group in list(self.groups.items()):
            if group_id not in rows and is_empty(group) and group.generation == 0 and not group.pending:
                del self.groups[group_id]
            else:
                group.changed = True
        for group_id, row in rows.items():
            if group_id not in self.groups:
                self.groups[group_id] = self._restored(row, now_ms)
        self._save_due_ms = now_ms + SAVE_AGAIN_AFTER_MS

    def _restored(self, row: StoredGroup, now_ms: int) -> AnyGroup:
        group: AnyGroup = self._kinds[row.type].restored(row, now_ms)
        return group

    def forget(self, group: AnyGroup, now_ms: int) -> None:
        """Delete an empty group and its offsets."""
        self._kinds[group.type].forgotten(group, now_ms)
        group.changed = False
        del self.groups[group.group_id]
        self._store.delete(group.group_id)
        self._on_change(group.group_id, "deleted")

    def settle(self, group: AnyGroup) -> None:
        """Store a group's changes, set its answers, notify the subscribers, and update the next deadline."""
        kind = self._kinds[group.type]
        successor = kind.successor(group, self._now())
        if successor is not None:
            self.groups[group.group_id] = successor
            self.settle(successor)
            return
        due_ms = kind.due_ms(group, self._now())
        if due_ms is not None and (self._deadline_ms is None or due_ms < self._deadline_ms):
            self._deadline_ms = due_ms
        changed = group.changed
        waiting = bool(self._answers)
        self._answers.extend(group.outbox)
        group.outbox.clear()
        try:
            if changed:
                self._store.save(kind.stored(group))
                for rebalance in kind.ended(group):
                    self._store.record_rebalance(rebalance)
                group.changed = False
                group.ended.clear()
        finally:
            if not waiting:
                self._give_some()
        if changed:
            self._on_change(group.group_id, "group")

    def _give_some(self) -> None:
        for _ in range(min(ANSWERS_MAX, len(self._answers))):
            self._answers.popleft()()

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """Move every deadline along with the clock, which was set or continued while the machine slept.

        Kafka uses a clock that is never set and stops during sleep, so members must not expire when the machine wakes.

        Args:
            by_ms: how far the clock moved beyond the elapsed running time; negative if it was set back.
            now_ms: the current time.
        """

        def moved(deadline_ms: int, most_ms: int) -> int:
            return min(deadline_ms + by_ms, now_ms + max(1, most_ms))

        for group in self.groups.values():
            if group.started_ms is not None:
                group.started_ms = min(group.started_ms + by_ms, now_ms)
            if group.members:
                # The time since a group is empty is an age, which is compared with offsets.retention.minutes.
                group.since_ms = min(group.since_ms + by_ms, now_ms)
            for one in group.members.values():
                if one.last_heartbeat_ms is not None:
                    one.last_heartbeat_ms = min(one.last_heartbeat_ms + by_ms, now_ms)
            self._kinds[group.type].clock_moved(group, moved)
        self._deadline_ms = self.earliest_ms()
        if self._save_due_ms is not None:
            self._save_due_ms += by_ms

    def next_deadline_ms(self) -> int | None:
        """Return when `tick` must be called next, or None. It may be too early, but not too late."""
        if self._answers:
            return self._now()
        deadline_ms, save_due_ms = self._deadline_ms, self._save_due_ms
        if deadline_ms is None or save_due_ms is None:
            return save_due_ms if deadline_ms is None else deadline_ms
        return min(deadline_ms, save_due_ms)

    def earliest_ms(self) -> int | None:
        """Return exactly when time changes a group next."""
        deadlines = (group.next_deadline_ms() for group in self.groups.values())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def tick(self, now_ms: int) -> None:
        """Run due tasks: sessions, rebalance timeouts, pending member ids, and groups to be stored again."""
        self._give_some()
        save = self._save_due_ms is not None and self._save_due_ms <= now_ms
        if not save and (self._deadline_ms is None or self._deadline_ms > now_ms):
            return
        for group in list(self.groups.values()):
            due_ms = group.next_deadline_ms()
            if due_ms is not None and due_ms <= now_ms:
                self._kinds[group.type].expire(group, now_ms)
            self.settle(group)
        self._deadline_ms = self.earliest_ms()
        self._save_due_ms = None if save else self._save_due_ms
