"""A share group's window in one partition: which records are in flight, in which state, and who has them.

The window reaches from the *start offset* (every record below it is done) to the *end offset* (no record from there on
was ever acquired). A record in between is in one of four states:

    available --acquire--> acquired --accept--> acknowledged
        ^                     |
        +-- release, lock  ---+--- reject, or the delivery count is at its limit --> archived
            expired

An offset in the window without a record is a gap: removed by compaction, a transaction marker, or a record of an
aborted transaction that `read_committed` filters out. The start offset moves past gaps and done records.

No clock, no rows: `Shares` stores what changed.

Source: KIP-932, and KIP-1222 for renewed locks; the order of checks and the smaller deliveries of records that failed
before are Apache Kafka 4.4's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple

from sandbox.kafka.errors import BrokerError

UNSET = -1
LONG_MAX = 2**63 - 1


class RecordState(StrEnum):
    """The states of a record in flight."""

    AVAILABLE = "available"
    ACQUIRED = "acquired"
    ACKNOWLEDGED = "acknowledged"
    ARCHIVED = "archived"


DONE = frozenset((RecordState.ACKNOWLEDGED, RecordState.ARCHIVED))


class AcknowledgeType(IntEnum):
    """What a consumer says about a record, with the protocol's numbers."""

    GAP = 0
    ACCEPT = 1
    RELEASE = 2
    REJECT = 3
    RENEW = 4


@dataclass(slots=True)
class ShareRecord:
    """One record in flight.

    Attributes:
        deliveries: how often it was acquired.
        member_id: the member that has it, or had it last.
        acquired_ms: when it was acquired last.
        locked_until_ms: when its lock expires; None if it is not acquired.
    """

    state: RecordState
    deliveries: int = 0
    member_id: str = ""
    acquired_ms: int = 0
    locked_until_ms: int | None = None


class Limits(NamedTuple):
    """A share group's settings that a window needs.

    Attributes:
        lock_ms: `share.record.lock.duration.ms`.
        deliveries_max: `share.delivery.count.limit`.
        locks_max: `share.partition.max.record.locks`.
        renews: `share.renew.acknowledge.enable`.
    """

    lock_ms: int = 30_000
    deliveries_max: int = 5
    locks_max: int = 2_000
    renews: bool = True

    @property
    def throttled_from(self) -> int:
        """The delivery count from which a record is delivered with fewer others: half the limit, at least 2."""
        return max(2, -(-self.deliveries_max // 2))


class ReadRange(NamedTuple):
    """Batches that were read from the log to be acquired.

    Attributes:
        first: the first offset that was read.
        end: the offset after the last one that was read.
        offsets: the records that may be delivered, in order.
        batches: (first, last) offset of each stored record batch, in order.
    """

    first: int
    end: int
    offsets: Sequence[int]
    batches: Sequence[tuple[int, int]]


class Acquired(NamedTuple):
    """A range of acquired records with the same delivery count."""

    first: int
    last: int
    deliveries: int


class AcknowledgedRange(NamedTuple):
    """A range of records in an acknowledgement: one type for all of them, or one for each."""

    first: int
    last: int
    types: tuple[int, ...]

    def type_of(self, offset: int) -> int:
        """Return the type for an offset."""
        return self.types[0] if len(self.types) == 1 else self.types[offset - self.first]


@dataclass(slots=True)
class Window:
    """The window.

    Attributes:
        start: the start offset; `UNSET` before the first fetch.
        end: the end offset.
        records: the records in flight by offset, in order.
        changed: offsets whose records changed since the last `take_changes`.
        rejected: offset to (delivery count, reason), for records that were archived and may go to a dead-letter topic.
        due_ms: when the next lock may expire; None if no record is acquired. It may be too early, but not too late.
    """

    start: int = UNSET
    end: int = UNSET
    records: dict[int, ShareRecord] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    rejected: dict[int, tuple[int, str]] = field(default_factory=dict)
    due_ms: int | None = None

    def begin(self, offset: int) -> None:
        """Start at an offset, and forget every record."""
        self.start = self.end = offset
        self.records.clear()
        self.changed.clear()
        self.due_ms = None

    def next_fetch_offset(self) -> int:
        """Return the offset from which to read: the first available record's, else the end offset."""
        available = RecordState.AVAILABLE
        return next((offset for offset, record in self.records.items() if record.state is available), self.end)

    def has_room(self, limits: Limits) -> bool:
        """Return True if new records may be acquired."""
        return len(self.records) < limits.locks_max

    def raise_start(self, log_start_offset: int) -> None:
        """Drop the records that have left the log."""
        if log_start_offset > self.start:
            for offset in [one for one in self.records if one < log_start_offset]:
                del self.records[offset]
                self.changed.discard(offset)
            self.start = log_start_offset
            self.end = max(self.end, log_start_offset)
            self._advance()

    def skip_to(self, offset: int) -> None:
        """Move the end offset past offsets without records."""
        self.end = max(self.end, offset)
        self._advance()

    def acquire(
        self, member_id: str, read: ReadRange, records_max: int, exact: bool, limits: Limits, now_ms: int
    ) -> list[int]:
        """Acquire available and new records for a member. Returns their offsets, in order.

        Args:
            records_max: how many to acquire.
            exact: False may exceed `records_max` up to the end of a record batch (KIP-1206: batch_optimized).

        A record that failed often is delivered with fewer others, and alone at its last delivery, so that one bad
        record doesn't use up the deliveries of the others.
        """
        self._archive_missing(read)
        taken: list[int] = []
        batch, taken_batch, most = 0, -1, LONG_MAX
        for offset in read.offsets:
            while batch < len(read.batches) - 1 and read.batches[batch][1] < offset:
                batch += 1
            record = self.records.get(offset)
            if record is None and offset < self.end:
                continue
            if record is not None and record.state is not RecordState.AVAILABLE:
                continue
            must_end = exact or batch != taken_batch
            if must_end and (len(taken) >= records_max or (record is None and not self.has_room(limits))):
                break
            if record is None:
                record = ShareRecord(RecordState.AVAILABLE)
            alone = limits.deliveries_max > 2 and record.deliveries == limits.deliveries_max - 1
            if record.deliveries >= limits.throttled_from:
                if taken and (alone or batch != taken_batch):
                    break
                most = min(most, 1 if alone else self._most_with(record, read.batches[batch], limits))
            elif most < LONG_MAX and batch != taken_batch:
                break
            self.records[offset] = record
            self.end = max(self.end, offset + 1)
            self._take(offset, record, member_id, limits, now_ms)
            taken.append(offset)
            taken_batch = batch
            if len(taken) >= most:
                break
        else:
            self.end = max(self.end, read.end)
        self._advance()
        return taken

    def _archive_missing(self, read: ReadRange) -> None:
        """Archive available records that are not in the log anymore, because compaction removed them."""
        stored = frozenset(read.offsets)
        for offset, record in self.records.items():
            if offset >= read.end:
                break
            if offset >= read.first and record.state is RecordState.AVAILABLE and offset not in stored:
                record.state = RecordState.ARCHIVED
                self.changed.add(offset)

    def _most_with(self, record: ShareRecord, batch: tuple[int, int], limits: Limits) -> int:
        """Return how many records of its batch may be delivered together with a record that failed often."""
        size = sum(batch[0] <= offset <= batch[1] for offset in self.records)
        return max(1, size >> (record.deliveries - limits.throttled_from + 1))

    def _take(self, offset: int, record: ShareRecord, member_id: str, limits: Limits, now_ms: int) -> None:
        record.state = RecordState.ACQUIRED
        record.deliveries += 1
        record.member_id = member_id
        record.acquired_ms = now_ms
        self._lock(record, limits, now_ms)
        self.changed.add(offset)

    def _lock(self, record: ShareRecord, limits: Limits, now_ms: int) -> None:
        record.locked_until_ms = now_ms + limits.lock_ms
        if self.due_ms is None or record.locked_until_ms < self.due_ms:
            self.due_ms = record.locked_until_ms

    def acknowledge(self, member_id: str, ranges: Iterable[AcknowledgedRange], limits: Limits, now_ms: int) -> None:
        """Apply a member's acknowledgements: all of them, or none if one is refused.

        Raises:
            BrokerError: INVALID_REQUEST, INVALID_RECORD_STATE.
        """
        moves: dict[int, int] = {}
        for one in ranges:
            if one.last < self.start:
                # Everything in it was archived before, such as by retention.
                continue
            if one.last >= self.end:
                which = "first" if one.first >= self.end else "last"
                raise BrokerError(
                    "INVALID_REQUEST",
                    f"Batch record not found. The {which} offset in request is past acquired records.",
                )
            for offset in self._within(max(one.first, self.start), one.last):
                move = one.type_of(offset)
                self._check(member_id, offset, move, limits)
                moves[offset] = move
        for offset, move in moves.items():
            self._apply(offset, AcknowledgeType(move), limits, now_ms)
        self._advance()

    def _within(self, first: int, last: int) -> Iterable[int]:
        if last - first < len(self.records):
            return (offset for offset in range(first, last + 1) if offset in self.records)
        return [offset for offset in self.records if first <= offset <= last]

    def _check(self, member_id: str, offset: int, move: int, limits: Limits) -> None:
        record = self.records[offset]
        reason = None
        if record.state is not RecordState.ACQUIRED:
            reason = "The offset cannot be acknowledged. The offset is not acquired."
        elif record.member_id != member_id:
            reason = "Member is not the owner of offset"
        elif move == AcknowledgeType.RENEW and not limits.renews:
            reason = "Renewing acquisition locks is not enabled for the group."
        if reason is not None:
            raise BrokerError("INVALID_RECORD_STATE", reason)

    def _apply(self, offset: int, move: AcknowledgeType, limits: Limits, now_ms: int) -> None:
        record = self.records[offset]
        self.changed.add(offset)
        if move is AcknowledgeType.RENEW:
            self._lock(record, limits, now_ms)
        elif move is AcknowledgeType.RELEASE:
            self._release(offset, record, limits)
        else:
            record.locked_until_ms = None
            accepted = move is AcknowledgeType.ACCEPT
            record.state = RecordState.ACKNOWLEDGED if accepted else RecordState.ARCHIVED
            if move is AcknowledgeType.REJECT:
                self.rejected[offset] = (record.deliveries, "Offset rejected by client.")

    def _release(self, offset: int, record: ShareRecord, limits: Limits) -> None:
        record.locked_until_ms = None
        self.changed.add(offset)
        if record.deliveries >= limits.deliveries_max:
            record.state = RecordState.ARCHIVED
            self.rejected[offset] = (record.deliveries, "Offset delivery count exceeded the threshold.")
        else:
            record.state = RecordState.AVAILABLE

    def release_member(self, member_id: str, limits: Limits) -> bool:
        """Release everything that a member has. Returns True if it had something."""
        return self.release(
            [
                offset
                for offset, record in self.records.items()
                if record.state is RecordState.ACQUIRED and record.member_id == member_id
            ],
            limits,
        )

    def release_all(self, limits: Limits) -> bool:
        """Release every acquired record. Returns True if there was one."""
        held = [offset for offset, record in self.records.items() if record.state is RecordState.ACQUIRED]
        return self.release(held, limits)

    def expire(self, limits: Limits, now_ms: int) -> bool:
        """Release the records whose locks have expired. Returns True if there was one."""
        locks = {
            one: record.locked_until_ms for one, record in self.records.items() if record.locked_until_ms is not None
        }
        self.due_ms = min((at_ms for at_ms in locks.values() if at_ms > now_ms), default=None)
        return self.release([offset for offset, at_ms in locks.items() if at_ms <= now_ms], limits)

    def clock_moved(self, by_ms: int, now_ms: int, limits: Limits) -> None:
        """Move the locks along with the clock; see `GroupTable.clock_moved`."""
        for offset, record in self.records.items():
            if record.locked_until_ms is not None:
                record.locked_until_ms = min(record.locked_until_ms + by_ms, now_ms + limits.lock_ms)
                record.acquired_ms = min(record.acquired_ms + by_ms, now_ms)
                self.changed.add(offset)
        self.due_ms = None if self.due_ms is None else now_ms

    def keep_locks(self, before: "Window | None") -> None:
        """Take the locks of an earlier state of this window, for deliveries that both have."""
        for offset, record in self.records.items():
            known = before.records.get(offset) if before is not None else None
            if known is None or RecordState.ACQUIRED not in (known.state, record.state):
                continue
            delivery = known.state, known.member_id, known.deliveries
            if delivery == (record.state, record.member_id, record.deliveries):
                record.acquired_ms, record.locked_until_ms = known.acquired_ms, known.locked_until_ms
                self.changed.add(offset)
        locks = (record.locked_until_ms for record in self.records.values())
        self.due_ms = min((at_ms for at_ms in locks if at_ms is not None), default=None)

    def release(self, offsets: Iterable[int], limits: Limits) -> bool:
        """Release acquired records. Returns True if there was one."""
        released = False
        for offset in offsets:
            record = self.records[offset]
            if record.state is RecordState.ACQUIRED:
                self._release(offset, record, limits)
                released = True
        if released:
            self._advance()
        return released

    def archive(self, offsets: Iterable[int]) -> bool:
        """Archive records that are not done, by hand. Returns True if there was one."""
        archived = False
        for offset in offsets:
            record = self.records.get(offset)
            if record is not None and record.state not in DONE:
                record.state, record.locked_until_ms = RecordState.ARCHIVED, None
                self.changed.add(offset)
                archived = True
        if archived:
            self._advance()
        return archived

    def _advance(self) -> None:
        """Move the start offset past gaps and done records."""
        done: list[int] = []
        start = self.end
        for offset, record in self.records.items():
            if record.state not in DONE:
                start = offset
                break
            done.append(offset)
        for offset in done:
            del self.records[offset]
            self.changed.discard(offset)
        self.start = start

    def lag(self, log_end_offset: int) -> int:
        """Return how many offsets are not done (KIP-1226)."""
        return max(0, log_end_offset - self.end) + sum(record.state not in DONE for record in self.records.values())


def ranges_of(
    offsets: Iterable[int], window: Window, batches: Sequence[tuple[int, int]], batch_size: int
) -> list[Acquired]:
    """Group acquired offsets into ranges of the same delivery count.

    Args:
        batches: the stored record batches; a range of at least `batch_size` records ends with its batch.
    """
    starts = {first for first, _ in batches}
    found: list[Acquired] = []
    for offset in offsets:
        deliveries = window.records[offset].deliveries
        last = found[-1] if found else None
        joins = (
            last is not None
            and last.last + 1 == offset
            and last.deliveries == deliveries
            and not (offset in starts and last.last - last.first + 1 >= batch_size)
        )
        if last is not None and joins:
            found[-1] = last._replace(last=offset)
        else:
            found.append(Acquired(offset, offset, deliveries))
    return found
