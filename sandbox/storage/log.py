"""The log: events and record batches as rows."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any

from sandbox.event import Headers
from sandbox.storage.database import Database, Reader
from sandbox.storage.schema import OFFSET_BITS

Record = tuple[int, int, bytes | None, bytes | None, Headers | None]
"""Offset (within its batch where it is being appended), timestamp in ms, key, value, headers (() or None for none)."""

_HEADERS = itemgetter(4)

ROWS_PER_STATEMENT = 50
"""How many events one statement inserts: 10 to 200 measured within a fifth of the best."""
EVENT_COLUMNS = "id, timestamp, CAST(key AS BLOB), CAST(value AS BLOB), headers"
BATCH_COLUMNS = (
    "partition_id, base_offset, last_offset, min_timestamp, max_timestamp, timestamp_type, appended_ms, producer_id, "
    "producer_epoch, base_sequence, transactional, control, compression, leader_epoch, size_bytes, bytes_before"
)


@dataclass(frozen=True, slots=True)
class BatchRow:
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


def headers_to_json(headers: Headers | None) -> str | None:
    """The `headers` column: NULL for none, else a JSON array of [name, value]."""
    if not headers:
        return None
    return json.dumps(
        [[_name_to_json(name), _bytes_to_json(value)] for name, value in headers],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def headers_from_json(text: str | None) -> Headers:
    """What `headers_to_json` wrote, exactly."""
    if text is None:
        return ()
    return tuple((_name_from_json(name), _bytes_from_json(value)) for name, value in json.loads(text))


def _name_to_json(name: str) -> object:
    try:
        name.encode()
    except UnicodeEncodeError:
        return {"base64": base64.b64encode(name.encode("utf-8", "surrogateescape")).decode()}
    return name


def _name_from_json(name: object) -> str:
    if isinstance(name, dict):
        return base64.b64decode(name["base64"]).decode("utf-8", "surrogateescape")
    return str(name)


def _bytes_to_json(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _bytes_from_json(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return str(value).encode()


def _column(value: bytes | None) -> str | bytes | None:
    """TEXT where the bytes are UTF-8, BLOB where not, NULL for null."""
    if value is None:
        return None
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        return bytes(value)


def _column_values(column: Sequence[bytes | None]) -> list[str | bytes | None]:
    """A column of keys or values. The first line is for what most batches are, all text."""
    try:
        return [None if value is None else value.decode() for value in column]
    except UnicodeDecodeError:
        return [_column(value) for value in column]


def _event_values(batch: BatchRow, records: Sequence[Record]) -> list[Any]:
    """The parameters of the rows of `events`, row after row in one list, filled a column at a time."""
    deltas, timestamps, keys, values, headers = zip(*records, strict=True)
    first = (batch.partition_id << OFFSET_BITS) + batch.base_offset
    flat: list[Any] = [None] * (5 * len(records))
    flat[0::5] = [first + delta for delta in deltas]
    flat[1::5] = timestamps
    flat[2::5] = _column_values(keys)
    flat[3::5] = _column_values(values)
    if any(headers):
        flat[4::5] = map(headers_to_json, headers)
    return flat


@cache
def _insert_events(rows: int) -> str:
    places = ", ".join(["(?, ?, ?, ?, ?)"] * rows)
    return f"INSERT INTO events(id, timestamp, key, value, headers) VALUES {places}"


def insert_batch(database: Database, batch: BatchRow, records: Sequence[Record]) -> None:
    """Write one record batch: a row for it and one for each event, at consecutive offsets from `base_offset`.

    The events go in by `ROWS_PER_STATEMENT`: starting a statement costs as much as inserting half a row.
    """
    values = _event_values(batch, records)
    columns = 5 * ROWS_PER_STATEMENT
    for start in range(0, len(values), columns):
        some = values[start : start + columns]
        database.execute(_insert_events(len(some) // 5), some)
    database.execute(
        f"INSERT INTO batches({BATCH_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            batch.partition_id,
            batch.base_offset,
            batch.last_offset,
            batch.min_timestamp,
            batch.max_timestamp,
            batch.timestamp_type,
            batch.appended_ms,
            batch.producer_id,
            batch.producer_epoch,
            batch.base_sequence,
            batch.transactional,
            batch.control,
            batch.compression,
            batch.leader_epoch,
            batch.size_bytes,
            batch.bytes_before,
        ),
    )


def read_batches(reader: Reader, partition_id: int, offset: int, end: int, size_bytes_max: int) -> list[BatchRow]:
    """The batches of a partition that hold `offset` and what follows below `end`, up to a size; at least one."""
    found: list[BatchRow] = []
    total = 0
    first = reader.one(
        "SELECT base_offset FROM batches WHERE partition_id = ? AND base_offset <= ? ORDER BY base_offset DESC LIMIT 1",
        (partition_id, offset),
    )
    for row in reader.rows(
        f"SELECT {BATCH_COLUMNS} FROM batches WHERE partition_id = ? AND base_offset >= ? AND base_offset < ? "
        "ORDER BY base_offset",
        (partition_id, first[0] if first else offset, end),
    ):
        batch = BatchRow(*row)
        if batch.last_offset < offset:
            continue
        total += batch.size_bytes
        if found and total > size_bytes_max:
            break
        found.append(batch)
    return found


def read_records(reader: Reader, partition_id: int, first: int, last: int) -> list[Record]:
    """The events of a partition from offset `first` to `last`, both included, upwards.

    As the rows are, without a loop over them where none has headers: a loop here costs more than SQLite does.
    """
    base = partition_id << OFFSET_BITS
    rows: list[Any] = reader.query(
        "SELECT id - ?, timestamp, CAST(key AS BLOB), CAST(value AS BLOB), headers FROM events "
        "WHERE id BETWEEN ? AND ? ORDER BY id",
        (base, base + first, base + last),
    )
    if any(map(_HEADERS, rows)):
        return [(*row[:4], headers_from_json(row[4]) if row[4] else None) for row in rows]
    return rows


def last_batch(reader: Reader, partition_id: int) -> BatchRow | None:
    """The newest batch of a partition, or None for an empty log."""
    row = reader.one(
        f"SELECT {BATCH_COLUMNS} FROM batches WHERE partition_id = ? ORDER BY base_offset DESC LIMIT 1",
        (partition_id,),
    )
    return BatchRow(*row) if row else None


def first_batch(reader: Reader, partition_id: int, offset: int) -> BatchRow | None:
    """The oldest batch of a partition that holds `offset` or something after it."""
    batches = read_batches(reader, partition_id, offset, 1 << OFFSET_BITS, 0)
    return batches[0] if batches else None


def producer_batches(reader: Reader, producer_id: int, partition_id: int, count: int = 5) -> list[BatchRow]:
    """The newest batches of one producer in one partition, oldest of them first."""
    rows = reader.query(
        f"SELECT {BATCH_COLUMNS} FROM batches WHERE producer_id = ? AND partition_id = ? AND producer_id >= 0 "
        "AND control = 0 ORDER BY base_offset DESC LIMIT ?",
        (producer_id, partition_id, count),
    )
    return [BatchRow(*row) for row in reversed(rows)]


def offset_for_time(
    reader: Reader, partition_id: int, timestamp_ms: int, start: int, end: int
) -> tuple[int, int] | None:
    """The first event at or after a time, in offset order: (offset, timestamp), or None.

    Exactly per event, as ListOffsets asks (KIP-79): a batch whose largest timestamp is early enough is passed over by
    its row, and the events of the first one that is not are looked at.
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
    # Its latest event has left by retention or compaction, so the next ones are looked at in their order.
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
    """The first event with the largest timestamp: (offset, timestamp), or None for an empty log (KIP-734)."""
    row = reader.one(
        "SELECT base_offset, last_offset, max_timestamp FROM batches WHERE partition_id = ? AND last_offset >= ? "
        "AND base_offset < ? ORDER BY max_timestamp DESC, base_offset LIMIT 1",
        (partition_id, start, end),
    )
    if row is None:
        return None
    base = partition_id << OFFSET_BITS
    found = reader.one(
        "SELECT id, timestamp FROM events WHERE id BETWEEN ? AND ? ORDER BY timestamp DESC, id LIMIT 1",
        (base + max(row[0], start), base + min(row[1], end - 1)),
    )
    return None if found is None else (found[0] - base, found[1])
