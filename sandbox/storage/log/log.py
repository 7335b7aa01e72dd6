"""Stores and reads the log: one row per event and one per record batch."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple, overload

from sandbox.kafka.errors import EventsDamaged
from sandbox.kafka.event import Headers
from sandbox.model.jsonl import headers_from_json as headers_from_json
from sandbox.model.jsonl import headers_to_json as headers_to_json
from sandbox.storage.file.database import Database, Reader
from sandbox.storage.file.schema import OFFSET_BITS, OFFSET_LIMIT
from sandbox.storage.log.checksums import Unreadable, checksum, checksum_of_one

Record = tuple[int, int, bytes | None, bytes | None, Headers | None]
"""Offset (within its batch while it is being appended), timestamp in ms, key, value, headers (() or None for none)."""
Column = Sequence[bytes | None]


class EventColumns(Sequence[Record]):
    """The events of one record batch.

    Args:
        offsets: ascending; a range if there are no gaps.
        timestamps: in ms since 1970, one per event, as are the next two.
        keys: None for no key.
        values: None for a tombstone.
        headers: one per event; None if no event has headers.
    """

    __slots__ = ("headers", "keys", "offsets", "timestamps", "values")

    def __init__(
        self,
        offsets: Sequence[int],
        timestamps: Sequence[int],
        keys: Column,
        values: Column,
        headers: Sequence[Headers | None] | None = None,
    ) -> None:
        self.offsets = offsets
        self.timestamps = timestamps
        self.keys = keys
        self.values = values
        self.headers = headers

    @classmethod
    def of(cls, rows: Iterable[Record]) -> "EventColumns":
        """Return the columns of rows."""
        columns = tuple(zip(*rows, strict=True))
        if not columns:
            return cls((), (), (), ())
        offsets, timestamps, keys, values, headers = columns
        return cls(offsets, timestamps, keys, values, headers if any(headers) else None)

    def stamped(self, timestamp_ms: int) -> "EventColumns":
        """Return the same events with one timestamp, as `message.timestamp.type=LogAppendTime` requires."""
        return EventColumns(self.offsets, [timestamp_ms] * len(self), self.keys, self.values, self.headers)

    def __len__(self) -> int:
        return len(self.timestamps)

    def __iter__(self) -> Iterator[Record]:
        headers = repeat((), len(self)) if self.headers is None else self.headers
        return zip(self.offsets, self.timestamps, self.keys, self.values, headers, strict=True)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> "EventColumns": ...

    def __getitem__(self, index: int | slice) -> "Record | EventColumns":
        if isinstance(index, slice):
            headers = None if self.headers is None else self.headers[index]
            return EventColumns(
                self.offsets[index], self.timestamps[index], self.keys[index], self.values[index], headers
            )
        own = () if self.headers is None else self.headers[index]
        return self.offsets[index], self.timestamps[index], self.keys[index], self.values[index], own


_OFFSET, _HEADERS = itemgetter(0), itemgetter(4)

ROWS_PER_STATEMENT = 50
"""How many events one statement inserts. All values from 10 to 200 were within a fifth of the fastest."""
PRODUCER_BATCHES = 5
"""How many of a producer's newest batches detect duplicates. Compaction keeps their rows even if they are empty."""
EVENT_COLUMNS = "id, timestamp, CAST(key AS BLOB), CAST(value AS BLOB), headers"
BATCH_COLUMNS = (
    "partition_id, base_offset, last_offset, min_timestamp, max_timestamp, timestamp_type, appended_ms, producer_id, "
    "producer_epoch, base_sequence, transactional, control, compression, leader_epoch, size_bytes, bytes_before, "
    "removed_events, delete_horizon_ms, checksum"
)
_NULL = 0
"""The parameter that represents null: keys, values and headers are never integers."""
_INSERT_EVENT = (
    "INSERT INTO events(id, timestamp, key, value, headers) "
    f"VALUES(?, ?, nullif(?, {_NULL}), nullif(?, {_NULL}), nullif(?, {_NULL}))"
)
_SIZE = (
    "SELECT total(coalesce(length(CAST(key AS BLOB)), 0) + coalesce(length(CAST(value AS BLOB)), 0)) "
    "FROM events WHERE id BETWEEN ? AND ?"
)
_INSERT_BATCH = f"INSERT INTO batches({BATCH_COLUMNS}) VALUES({', '.join(['?'] * 19)})"
HOLDING_BATCH = "coalesce((SELECT max(base_offset) FROM batches WHERE partition_id = ?1 AND base_offset <= ?2), ?2)"
"""SQL: the base offset of the batch that holds offset ?2 of partition ?1; ?2 if no batch begins at or before it."""


class BatchRow(NamedTuple):
    """One row of `batches`: a produced record batch without its records."""

    partition_id: int
    base_offset: int
    last_offset: int
    min_timestamp: int
    max_timestamp: int
    timestamp_type: int
    appended_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    transactional: int
    control: int
    compression: int
    leader_epoch: int
    size_bytes: int
    bytes_before: int
    removed_events: int = 0
    delete_horizon_ms: int | None = None
    checksum: int | None = None


def _parameter(value: bytes | None) -> str | bytearray | int:
    """Return the parameter for a key or value: TEXT for UTF-8, otherwise BLOB.

    `sqlite3` looks for an adapter of every None and bytes, which takes longer than the rest of a row. It needs none for
    a bytearray or an int, so `_NULL` stands for null.
    """
    if value is None:
        return _NULL
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        return bytearray(value)


def _parameters(column: Sequence[bytes | None]) -> Sequence[Any]:
    try:
        return list(map(bytes.decode, column))  # type: ignore[arg-type]
    except (TypeError, UnicodeDecodeError):
        return list(map(_parameter, column))


def _insert_one(database: Database, batch: BatchRow, record: Record) -> int:
    """Insert the row of a batch with one event. Returns the checksum."""
    _, timestamp, key, value, headers = record
    text = headers_to_json(headers)
    place = (batch.partition_id << OFFSET_BITS) + batch.base_offset
    database.execute(_INSERT_EVENT, (place, timestamp, _parameter(key), _parameter(value), text or _NULL))
    return checksum_of_one(batch[:18], batch.base_offset, timestamp, key, value, text)


@cache
def _insert_events(names: tuple[str, ...], rows: int) -> str:
    """Return the statement for some rows. Parameters: the first event's id, then each event's columns."""
    columns = ", ".join("?" if name == "timestamp" else f"nullif(?, {_NULL})" for name in names)
    events = ", ".join(f"(?1 + {row}, {columns})" for row in range(rows))
    return f"INSERT INTO events({', '.join(('id', *names))}) VALUES {events}"


def insert_batch(database: Database, batch: BatchRow, records: EventColumns) -> None:
    """Insert one record batch: a row for it and one per event, at consecutive offsets from `base_offset`.

    One statement inserts `ROWS_PER_STATEMENT` events: starting a statement costs as much as inserting half a row.
    """
    count = len(records)
    if count == 1:
        crc = _insert_one(database, batch, records[0])
        database.execute(_INSERT_BATCH, (*batch[:18], crc))
        return
    keys, values, headers = records.keys, records.values, records.headers
    columns = {"timestamp": records.timestamps, "key": _parameters(keys), "value": _parameters(values)}
    texts = None if headers is None else list(map(headers_to_json, headers))
    if texts is not None:
        columns["headers"] = [text or _NULL for text in texts]
    width = len(columns)
    parameters: list[Any] = [None] * (width * count)
    for place, column in enumerate(columns.values()):
        parameters[place::width] = column
    first = (batch.partition_id << OFFSET_BITS) + batch.base_offset
    for start in range(0, count, ROWS_PER_STATEMENT):
        end = min(start + ROWS_PER_STATEMENT, count)
        some = [first + start, *parameters[start * width : end * width]]
        database.execute(_insert_events(tuple(columns), end - start), some)
    offsets = range(batch.base_offset, batch.base_offset + count)
    crc = checksum(batch[:18], offsets, records.timestamps, keys, values, texts)
    database.execute(_INSERT_BATCH, (*batch[:18], crc))


def read_batches(reader: Reader, partition_id: int, offset: int, end: int, size_bytes_max: int) -> list[BatchRow]:
    """Return the batches that hold `offset` and later events below `end`, up to a size; at least one."""
    found: list[BatchRow] = []
    total = 0
    for row in reader.rows(
        f"SELECT {BATCH_COLUMNS} FROM batches WHERE partition_id = ?1 AND base_offset >= {HOLDING_BATCH} "
        "AND base_offset < ?3 ORDER BY base_offset",
        (partition_id, offset, end),
    ):
        batch = BatchRow._make(row)
        if batch.last_offset < offset:
            continue
        total += batch.size_bytes
        if found and total > size_bytes_max:
            break
        found.append(batch)
    return found


def data_bytes(reader: Reader, run: Sequence[BatchRow], first: int, last: int) -> int:
    """Return the approximate size of some batches without compression; SQLite sums it up if they were compressed."""
    if not any(batch.compression for batch in run):
        return sum(batch.size_bytes for batch in run)
    base = run[0].partition_id << OFFSET_BITS
    ((size_bytes,),) = reader.query(_SIZE, (base + first, base + last))
    return int(size_bytes)


def read_records(reader: Reader, partition_id: int, first: int, last: int) -> list[Record]:
    """Return a partition's events from offset `first` to `last` (inclusive), ascending, without verifying checksums.

    If no event has headers, the rows are returned without a Python loop, which would cost more than SQLite does.
    """
    return records_of(read_rows(reader, partition_id, first, last))


def read_rows(reader: Reader, partition_id: int, first: int, last: int, limit: int = -1) -> list[Any]:
    """Like `read_records`, with headers as they are stored; at most `limit` rows, all if it is negative."""
    base = partition_id << OFFSET_BITS
    return reader.query(
        "SELECT id - ?, timestamp, CAST(key AS BLOB), CAST(value AS BLOB), headers FROM events "
        "WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
        (base, base + first, base + last, limit),
    )


def records_of(rows: list[Any]) -> list[Record]:
    """Convert rows of `read_rows` to events."""
    return _with_headers(rows) if any(map(_HEADERS, rows)) else rows


def _with_headers(rows: list[Any]) -> list[Record]:
    return [(*row[:4], headers_from_json(row[4]) if row[4] else None) for row in rows]


def read_whole(reader: Reader, batch: BatchRow, start: int, end: int = OFFSET_LIMIT) -> list[Record]:
    """Return the events that a batch still has in its log, after comparing its checksum.

    Args:
        start: the log start offset.
        end: an upper limit for the end of the log, whatever the batch states.

    Raises:
        EventsDamaged: the batch or its events do not match the checksum.
    """
    rows = read_rows(reader, batch.partition_id, max(batch.base_offset, start), min(batch.last_offset, end - 1))
    compare(reader, batch, rows)
    return records_of(rows)


def rows_until(rows: list[Any], batch: BatchRow, at: int) -> int:
    """Return the index after a batch's rows, which start at `at`."""
    upto = at + batch.last_offset - batch.base_offset + 1
    if upto <= len(rows) and rows[upto - 1][0] == batch.last_offset:
        return upto
    return bisect_right(rows, batch.last_offset, at, key=_OFFSET)


def compare(reader: Reader, batch: BatchRow, rows: list[Any]) -> None:
    """Compare a batch's checksum with its rows: all that it has at or above the log start offset.

    Raises:
        EventsDamaged: they differ.
    """
    if batch.checksum is None or batch.checksum == _checksum(batch, rows):
        return
    place = reader.one(
        "SELECT t.name, p.partition FROM partitions p JOIN topics t ON t.id = p.topic WHERE p.id = ?",
        (batch.partition_id,),
    )
    topic, partition = place or (f"partition id {batch.partition_id}", -1)
    raise EventsDamaged(topic, partition, batch.base_offset, batch.last_offset)


def _checksum(batch: BatchRow, rows: list[Any]) -> int | None:
    """Return the checksum of a batch's rows; None if a row is unreadable."""
    facts = batch[:18]
    count = len(rows)
    try:
        if count == 1:
            return checksum_of_one(facts, *rows[0])
        offsets: Sequence[int] = range(rows[0][0], rows[0][0] + count) if rows else ()
        if rows and offsets[-1] != rows[-1][0]:
            offsets = [row[0] for row in rows]
        _, timestamps, keys, values, headers = zip(*rows, strict=True) if rows else ((), (), (), (), ())
        return checksum(facts, offsets, timestamps, keys, values, headers if any(headers) else None)
    except Unreadable:
        return None


def batch_at(reader: Reader, partition_id: int, offset: int) -> BatchRow | None:
    """Return the batch that holds an offset, or None."""
    row = reader.one(
        f"SELECT {BATCH_COLUMNS} FROM batches WHERE partition_id = ? AND base_offset <= ? "
        "ORDER BY base_offset DESC LIMIT 1",
        (partition_id, offset),
    )
    batch = BatchRow._make(row) if row else None
    return batch if batch is not None and offset <= batch.last_offset else None


def seal(database: Database, partition_id: int, base_offset: int, start: int) -> None:
    """Update the checksum of a batch after some of its events were deleted. The caller verified the old checksum.

    Args:
        start: the log start offset.
    """
    batch = batch_at(database, partition_id, base_offset)
    if batch is None or batch.checksum is None:
        return
    rows = read_rows(database, partition_id, max(base_offset, start), batch.last_offset)
    database.execute(
        "UPDATE batches SET checksum = ? WHERE partition_id = ? AND base_offset = ?",
        (_checksum(batch, rows), partition_id, base_offset),
    )


def last_batch(reader: Reader, partition_id: int) -> BatchRow | None:
    """Return the newest batch of a partition, or None for an empty log."""
    row = reader.one(
        f"SELECT {BATCH_COLUMNS} FROM batches WHERE partition_id = ? ORDER BY base_offset DESC LIMIT 1",
        (partition_id,),
    )
    return BatchRow._make(row) if row else None


def producer_batches(reader: Reader, producer_id: int, partition_id: int) -> list[BatchRow]:
    """Return a producer's batches in one partition that detect duplicates, in offset order."""
    rows = reader.query(
        f"SELECT {BATCH_COLUMNS} FROM batches WHERE producer_id = ? AND partition_id = ? AND producer_id >= 0 "
        "AND control = 0 ORDER BY base_offset DESC LIMIT ?",
        (producer_id, partition_id, PRODUCER_BATCHES),
    )
    return [BatchRow._make(row) for row in reversed(rows)]


def offset_for_time(
    reader: Reader, partition_id: int, timestamp_ms: int, start: int, end: int
) -> tuple[int, int] | None:
    """Return the first event in offset order with a timestamp at or after a time: (offset, timestamp), or None.

    The result is exact per event, as ListOffsets requires (KIP-79): batches whose largest timestamp is too early are
    skipped by their row, and the events of the first remaining batch are searched.
    """
    row = reader.one(
        "SELECT min(base_offset), last_offset FROM batches INDEXED BY batches_by_time "
        "WHERE partition_id = ? AND max_timestamp >= ? AND last_offset >= ? AND base_offset < ?",
        (partition_id, timestamp_ms, start, end),
    )
    if row is None or row[0] is None:
        return None
    found = _first_at(reader, partition_id, timestamp_ms, max(row[0], start), min(row[1], end - 1))
    if found is not None:
        return found
    # Retention or compaction deleted the batch's latest event, so the next batches are searched in order.
    for first, last in reader.rows(
        "SELECT base_offset, last_offset FROM batches WHERE partition_id = ? AND base_offset > ? AND base_offset < ? "
        "AND max_timestamp >= ? ORDER BY base_offset",
        (partition_id, row[0], end, timestamp_ms),
    ):
        found = _first_at(reader, partition_id, timestamp_ms, first, min(last, end - 1))
        if found is not None:
            return found
    return None


def _first_at(reader: Reader, partition_id: int, timestamp_ms: int, first: int, last: int) -> tuple[int, int] | None:
    base = partition_id << OFFSET_BITS
    row = reader.one(
        "SELECT id, timestamp FROM events WHERE id BETWEEN ? AND ? AND timestamp >= ? ORDER BY id LIMIT 1",
        (base + first, base + last, timestamp_ms),
    )
    return None if row is None else (row[0] - base, row[1])


def largest_timestamp(reader: Reader, partition_id: int, start: int, end: int) -> tuple[int, int] | None:
    """Return the first event with the largest timestamp: (offset, timestamp), or None for an empty log (KIP-734)."""
    base = partition_id << OFFSET_BITS
    best: tuple[int, int] | None = None
    for first, last, largest_ms in reader.rows(
        "SELECT base_offset, last_offset, max_timestamp FROM batches WHERE partition_id = ? AND last_offset >= ? "
        "AND base_offset < ? ORDER BY max_timestamp DESC, base_offset",
        (partition_id, start, end),
    ):
        if best is not None and (largest_ms < best[1] or (largest_ms == best[1] and first > best[0])):
            break
        found = reader.one(
            "SELECT id, timestamp FROM events WHERE id BETWEEN ? AND ? ORDER BY timestamp DESC, id LIMIT 1",
            (base + max(first, start), base + min(last, end - 1)),
        )
        # DeleteRecords may have deleted the batch's latest event; then another batch may hold the largest timestamp.
        if found is None:
            continue
        offset, timestamp_ms = found[0] - base, found[1]
        if best is None or (timestamp_ms, -offset) > (best[1], -best[0]):
            best = offset, timestamp_ms
    return best
