"""Reads the parts of a log that compaction needs, and deletes events from the middle of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.storage.file.database import Database, Reader
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log import log

HEADER_BYTES = 61
"""The size of a record batch without records."""


@dataclass(frozen=True, slots=True)
class LogBatch:
    """The fields of a record batch that compaction uses."""

    base_offset: int
    last_offset: int
    max_timestamp: int
    producer_id: int
    transactional: bool
    control: bool
    size_bytes: int
    removed_events: int
    delete_horizon_ms: int | None


@dataclass(frozen=True, slots=True)
class LogKey:
    """The fields of an event that compaction uses; `tombstone` is True if its value is null."""

    offset: int
    timestamp: int
    key: bytes | None
    tombstone: bool


@dataclass(frozen=True, slots=True)
class CleanedBatch:
    """The result of compaction for one batch.

    Attributes:
        removed: the offsets of the deleted events.
        kept: the remaining events.
        stays: True if its row stays even without events.
        delete_horizon_ms: when its tombstones may be deleted, None if it has none.
    """

    batch: LogBatch
    removed: Sequence[int]
    kept: Sequence[LogKey]
    stays: bool
    delete_horizon_ms: int | None

    @property
    def changed(self) -> bool:
        """True if the batch must be written."""
        gone = not self.kept and not self.stays
        return bool(self.removed) or gone or self.delete_horizon_ms != self.batch.delete_horizon_ms


def first_dirty_offset(reader: Reader, partition_id: int) -> int:
    """Return the start of the part of a log that was never compacted; it may be below the log start offset."""
    row = reader.one("SELECT first_dirty_offset FROM partitions WHERE id = ?", (partition_id,))
    return int(row[0]) if row else 0


def compacted_events(reader: Reader, partition_ids: list[int]) -> list[tuple[int, int]]:
    """Return (partition id, number of offsets whose event compaction deleted) per log, in the order of the ids."""
    return reader.query(
        "SELECT id, compacted_events FROM partitions WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(partition_ids),),
    )


def set_first_dirty_offset(database: Database, partition_id: int, offset: int) -> None:
    """Record the offset up to which a log is compacted."""
    database.execute("UPDATE partitions SET first_dirty_offset = ? WHERE id = ?", (offset, partition_id))


def earliest_horizon_ms(reader: Reader, partition_id: int) -> int | None:
    """Return the time from which the next tombstones may be deleted, None if there are none."""
    row = reader.one(
        "SELECT min(delete_horizon_ms) FROM batches WHERE partition_id = ? AND delete_horizon_ms IS NOT NULL",
        (partition_id,),
    )
    return row[0] if row else None


def earliest_timestamp(reader: Reader, partition_id: int, offset: int) -> int | None:
    """Return the smallest timestamp of the batch that holds an offset, or of the first one after it."""
    batches = read_batches(reader, partition_id, offset, 1 << OFFSET_BITS, 1, 1)
    if not batches:
        return None
    row = reader.one(
        "SELECT min_timestamp FROM batches WHERE partition_id = ? AND base_offset = ?",
        (partition_id, batches[0].base_offset),
    )
    return row[0] if row else None


def first_young_offset(reader: Reader, partition_id: int, offset: int, end: int, since_ms: int) -> int:
    """Return the first batch's offset, from `offset` on, with an event after a time; `end` if there is none."""
    row = reader.one(
        "SELECT min(base_offset) FROM batches WHERE partition_id = ? AND max_timestamp > ? AND last_offset >= ?",
        (partition_id, since_ms, offset),
    )
    return end if row is None or row[0] is None else min(end, max(row[0], offset))


def last_base_offset(reader: Reader, partition_id: int) -> int | None:
    """Return the base offset of the last batch, None for a log without batches."""
    row = reader.one("SELECT max(base_offset) FROM batches WHERE partition_id = ?", (partition_id,))
    return row[0] if row else None


def read_batches(
    reader: Reader, partition_id: int, offset: int, below: int, batches_max: int, events_max: int
) -> list[LogBatch]:
    """Return batches that begin below an offset, from the one that holds `offset`; at least one if there is any."""
    found: list[LogBatch] = []
    events = 0
    for row in reader.query(
        "SELECT base_offset, last_offset, max_timestamp, producer_id, transactional, control, size_bytes, "
        "removed_events, delete_horizon_ms FROM batches WHERE partition_id = ?1 "
        f"AND base_offset >= {log.HOLDING_BATCH} AND last_offset >= ?2 AND base_offset < ?3 "
        "ORDER BY base_offset LIMIT ?4",
        (partition_id, offset, below, batches_max),
    ):
        batch = LogBatch(row[0], row[1], row[2], row[3], bool(row[4]), bool(row[5]), *row[6:])
        events += batch.last_offset - batch.base_offset + 1 - batch.removed_events
        if found and events > events_max:
            break
        found.append(batch)
    return found


def read_keys(reader: Reader, partition_id: int, first: int, last: int) -> list[LogKey]:
    """Return the keys of the events from `first` to `last` (inclusive). Values are not read."""
    base = partition_id << OFFSET_BITS
    return [
        LogKey(row[0] - base, row[1], row[2], bool(row[3]))
        for row in reader.rows(
            "SELECT id, timestamp, CAST(key AS BLOB), value IS NULL FROM events WHERE id BETWEEN ? AND ? ORDER BY id",
            (base + first, base + last),
        )
    ]


def remembered_from(reader: Reader, partition_id: int, producer_id: int) -> int:
    """Return the base offset of the oldest batch that is needed to detect a producer's duplicates."""
    batches = log.producer_batches(reader, producer_id, partition_id)
    return batches[0].base_offset if batches else 0


def compare(reader: Reader, partition_id: int, base_offset: int, start: int) -> None:
    """Compare a batch with its checksum; EventsDamaged if they differ."""
    batch = log.batch_at(reader, partition_id, base_offset)
    if batch is not None:
        log.read_whole(reader, batch, start)


def apply(database: Database, partition_id: int, cleaned: Sequence[CleanedBatch], start: int) -> int:
    """Delete events from a log whose log start offset is `start`; return how many were deleted."""
    below = max(one.batch.last_offset for one in cleaned) + 1
    events = size_bytes = 0
    _set_cleaner_offset(database, partition_id, below)
    for one in cleaned:
        events += len(one.removed)
        size_bytes += _apply_one(database, partition_id, one)
        log.seal(database, partition_id, one.batch.base_offset, start)
    _set_cleaner_offset(database, partition_id, 0)
    database.execute(
        "UPDATE partitions SET compacted_events = compacted_events + ?, compacted_bytes = compacted_bytes + ? "
        "WHERE id = ?",
        (events, size_bytes, partition_id),
    )
    return events


def _set_cleaner_offset(database: Database, partition_id: int, offset: int) -> None:
    database.execute("UPDATE partitions SET cleaner_offset = ? WHERE id = ?", (offset, partition_id))


def _apply_one(database: Database, partition_id: int, one: CleanedBatch) -> int:
    """Apply the result to one batch; return by how many bytes it shrank."""
    batch = one.batch
    base = partition_id << OFFSET_BITS
    if one.removed:
        database.executemany("DELETE FROM events WHERE id = ?", [(base + offset,) for offset in one.removed])
    if not one.kept and not one.stays:
        database.execute(
            "DELETE FROM batches WHERE partition_id = ? AND base_offset = ?", (partition_id, batch.base_offset)
        )
        return batch.size_bytes
    before = len(one.removed) + len(one.kept)
    payload = max(0, batch.size_bytes - HEADER_BYTES)
    # The size of single events in the produced batch is unknown: assume that all are equal.
    size_bytes = HEADER_BYTES + payload * len(one.kept) // before if one.removed else batch.size_bytes
    stamps = [event.timestamp for event in one.kept] or [-1]
    database.execute(
        "UPDATE batches SET size_bytes = ?, removed_events = removed_events + ?, min_timestamp = ?, max_timestamp = ?, "
        "delete_horizon_ms = ? WHERE partition_id = ? AND base_offset = ?",
        (
            size_bytes,
            len(one.removed),
            min(stamps),
            max(stamps),
            one.delete_horizon_ms,
            partition_id,
            batch.base_offset,
        ),
    )
    return batch.size_bytes - size_bytes
