"""Every share group's windows: changes them, stores what changed, and wakes the fetches that wait for records.

Each call changes a window in memory and its rows in the write transaction; the caller commits. So an acknowledged
record is never delivered again after a crash. When a process opens the file, acquired records are released, as when a
Kafka broker restarts: the connections of their members have ended.

The caller passes `now_ms`, and `next_deadline_ms` returns when to call `tick`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from sandbox.broker.logs.topic import Partition
from sandbox.broker.shares.window import (
    DONE,
    UNSET,
    AcknowledgedRange,
    Limits,
    ReadRange,
    RecordState,
    ShareRecord,
    Window,
)
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.storage.groups.shares import ShareStore, StoredShareRecord, StoredWindow

Place = tuple[str, int]
"""A group id, and the id of a partition's row."""


class ArchivedRecord(NamedTuple):
    """A record that was archived without being accepted.

    Attributes:
        deliveries: how often it was delivered.
        reason: Kafka's words for the reason.
    """

    group_id: str
    partition_id: int
    offset: int
    deliveries: int
    reason: str


OnArchived = Callable[[Sequence[ArchivedRecord]], None]


class Shares:
    """The windows of every share group.

    Args:
        store: stores the rows.
        config: group settings, read at each call.
        on_change: called with a group id after its windows changed.
    """

    def __init__(self, store: ShareStore, config: BrokerConfig, on_change: Callable[[str], None]) -> None:
        self._store = store
        self._config = config
        self._on_change = on_change
        self._windows: dict[Place, Window] = {}
        self._waiting: dict[Place, set[Callable[[], None]]] = {}
        self.on_archived: OnArchived = lambda letters: None

    def load(self, now_ms: int) -> None:
        """Load the windows from the file, and release every acquired record."""
        self._windows.clear()
        self.reload()
        for place, window in self._windows.items():
            if window.release_all(self.limits(place[0])):
                self._settle(place, window)

    def reload(self) -> None:
        """Load the windows from the file as they are, after a write transaction was undone.

        Locks that moved with the clock stay: the transaction may be the one that wrote them.
        """
        before, self._windows = self._windows, {}
        for row, records in self._store.load():
            window = self._windows[row.group_id, row.partition_id] = Window()
            if row.start is not None and row.end is not None:
                window.begin(row.start)
                window.end = row.end
            for one in records:
                window.records[one.offset] = ShareRecord(
                    RecordState(one.state), one.deliveries, one.member_id, one.acquired_ms, one.locked_until_ms
                )
            window.keep_locks(before.get((row.group_id, row.partition_id)))

    def limits(self, group_id: str) -> Limits:
        """Return a group's settings."""
        number = self._config.group_number
        return Limits(
            number(group_id, "share.record.lock.duration.ms"),
            number(group_id, "share.delivery.count.limit"),
            number(group_id, "share.partition.max.record.locks"),
            self._config.group_value(group_id, "share.renew.acknowledge.enable") == "true",
        )

    def window(self, group_id: str, partition_id: int) -> Window | None:
        """Return a window, or None if the group doesn't share the partition."""
        return self._windows.get((group_id, partition_id))

    def windows(self, group_id: str) -> Iterator[tuple[int, Window]]:
        """Yield a group's windows with the ids of their partitions."""
        for (group, partition_id), window in tuple(self._windows.items()):
            if group == group_id:
                yield partition_id, window

    def has_started(self, group_id: str) -> bool:
        """Return True if the group shares a partition."""
        return any(group == group_id for group, _ in self._windows)

    def share(self, group_id: str, partitions: Iterable[Partition]) -> None:
        """Create the windows of partitions that were assigned for the first time."""
        for partition in partitions:
            place = group_id, partition.id
            if place not in self._windows:
                self._windows[place] = Window()
                self._store.save(StoredWindow(group_id, partition.id, None, None))

    def begin(self, group_id: str, partition: Partition, offset: int) -> None:
        """Set the start offset, and forget the state of every record."""
        place = group_id, partition.id
        window = self._windows.setdefault(place, Window())
        window.begin(offset)
        self._store.clear(*place)
        self._save(place, window)
        self._wake(place)

    def fetchable(self, group_id: str, partition: Partition) -> Window | None:
        """Return a window that was begun, without records that have left the log; None if it wasn't begun."""
        place = group_id, partition.id
        window = self._windows.get(place)
        if window is None or window.start == UNSET:
            return None
        if window.start < partition.start:
            window.raise_start(partition.start)
            self._save(place, window)
        return window

    def acquire(
        self,
        group_id: str,
        partition: Partition,
        member_id: str,
        read: ReadRange,
        records_max: int,
        exact: bool,
        now_ms: int,
    ) -> list[int]:
        """Acquire records for a member; see `Window.acquire`."""
        place = group_id, partition.id
        window = self._windows[place]
        before = window.end
        offsets = window.acquire(member_id, read, records_max, exact, self.limits(group_id), now_ms)
        if offsets or window.end != before:
            self._save(place, window)
        return offsets

    def acknowledge(
        self, group_id: str, partition: Partition, member_id: str, ranges: Iterable[AcknowledgedRange], now_ms: int
    ) -> None:
        """Apply a member's acknowledgements. Raises BrokerError; see `Window.acknowledge`."""
        place = group_id, partition.id
        window = self._windows[place]
        window.acknowledge(member_id, ranges, self.limits(group_id), now_ms)
        self._settle(place, window)

    def release_member(self, group_id: str, partition_ids: Iterable[int], member_id: str) -> None:
        """Release everything that a member has in partitions."""
        self._each(group_id, partition_ids, lambda window, limits: window.release_member(member_id, limits))

    def release(self, group_id: str, partition_id: int, offsets: Iterable[int]) -> None:
        """Release acquired records, by hand."""
        self._each(group_id, (partition_id,), lambda window, limits: window.release(offsets, limits))

    def archive(self, group_id: str, partition_id: int, offsets: Iterable[int]) -> None:
        """Archive records, by hand."""
        self._each(group_id, (partition_id,), lambda window, limits: window.archive(offsets))

    def _each(self, group_id: str, partition_ids: Iterable[int], change: Callable[[Window, Limits], bool]) -> None:
        limits = self.limits(group_id)
        for partition_id in partition_ids:
            window = self._windows.get((group_id, partition_id))
            if window is not None and change(window, limits):
                self._settle((group_id, partition_id), window)

    def delete(self, group_id: str, partition_ids: Iterable[int] | None = None) -> None:
        """Delete a group's windows: of some partitions, or all."""
        wanted = None if partition_ids is None else set(partition_ids)
        for place in [one for one in self._windows if one[0] == group_id and (wanted is None or one[1] in wanted)]:
            del self._windows[place]
            self._store.delete(*place)
        self._on_change(group_id)

    def forget_deleted(self, partition_ids: frozenset[int]) -> None:
        """Delete every group's windows in partitions other than the existing ones, because their topic was deleted."""
        gone = {partition_id for _, partition_id in self._windows} - partition_ids
        for group_id in {group for group, partition_id in self._windows if partition_id in gone}:
            self.delete(group_id, gone)

    def wait(self, group_id: str, partition: Partition, call: Callable[[], None]) -> None:
        """Call `call` whenever records of the partition become available again."""
        self._waiting.setdefault((group_id, partition.id), set()).add(call)

    def stop_waiting(self, group_id: str, partition: Partition, call: Callable[[], None]) -> None:
        """End `wait`."""
        calls = self._waiting.get((group_id, partition.id), set())
        calls.discard(call)
        if not calls:
            self._waiting.pop((group_id, partition.id), None)

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """Move the locks along with the clock. The next `tick` writes their rows."""
        for place, window in self._windows.items():
            if window.due_ms is not None:
                window.clock_moved(by_ms, now_ms, self.limits(place[0]))

    def next_deadline_ms(self) -> int | None:
        """Return when `tick` must be called next, or None. It may be too early, but not too late."""
        return min((one.due_ms for one in self._windows.values() if one.due_ms is not None), default=None)

    def tick(self, now_ms: int) -> None:
        """Release the records whose locks have expired."""
        for place, window in tuple(self._windows.items()):
            if window.due_ms is None or window.due_ms > now_ms:
                continue
            if window.expire(self.limits(place[0]), now_ms):
                self._settle(place, window)
            elif window.changed:
                self._save(place, window)

    def _settle(self, place: Place, window: Window) -> None:
        """Store a window, pass on its dead letters, and wake its waiting fetches."""
        letters = self._letters(place, window)
        self._save(place, window)
        if letters:
            self.on_archived(letters)
        self._wake(place)

    def _letters(self, place: Place, window: Window) -> list[ArchivedRecord]:
        letters = [
            ArchivedRecord(*place, offset, deliveries, reason)
            for offset, (deliveries, reason) in window.rejected.items()
        ]
        window.rejected.clear()
        return letters

    def _save(self, place: Place, window: Window) -> None:
        stored = [
            StoredShareRecord(
                offset,
                window.records[offset].state.value,
                window.records[offset].deliveries,
                window.records[offset].member_id,
                window.records[offset].acquired_ms,
                window.records[offset].locked_until_ms,
            )
            for offset in sorted(window.changed)
        ]
        window.changed.clear()
        self._store.save(StoredWindow(*place, window.start, window.end), stored)
        self._on_change(place[0])

    def _wake(self, place: Place) -> None:
        for call in tuple(self._waiting.get(place, ())):
            call()

    def lag(self, group_id: str, partition: Partition) -> int | None:
        """Return how many records of a partition are not done; None before the first fetch."""
        window = self._windows.get((group_id, partition.id))
        return None if window is None or window.start == UNSET else window.lag(partition.high_watermark)

    def in_flight(self, group_id: str) -> int:
        """Return how many records of a group are acquired or wait to be acquired again."""
        return sum(
            record.state not in DONE for _, window in self.windows(group_id) for record in window.records.values()
        )
