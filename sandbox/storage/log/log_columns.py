"""Events a column at a time: how a fetch reads them from rows.

Problem: of an event that is read row by row, SQLite's own work is the least; the rest is `sqlite3` making five objects
and a tuple of it. Trade: SQLite itself joins each column of a batch's events to one value, which is split again
here; the values stand between marks that no other program knows, and are counted. Consequence: only plain events are
read so, without gaps in their offsets and without headers; the others are read row by row.
"""

import os
from collections.abc import Generator, Sequence
from itertools import accumulate, chain

from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log.checksums import Unreadable, checksum
from sandbox.storage.log.event_columns import Column, EventColumns
from sandbox.storage.log.log import BatchRow

ROWS_PER_QUERY = 1000
"""How many events are joined at once: more of them no longer fit the processor's caches."""
EVENTS_MIN = 50
"""Of fewer events, rows are read as fast."""
BYTES_MAX = 4 * 1024 * 1024
"""How large a run of batches may be: joining copies its events twice more than rows do."""

_MARK = os.urandom(8)
"""Between the values of a column. Where a value holds it all the same, there is one too many, and rows are read."""
_NULL = os.urandom(8)
"""In place of null, which SQLite leaves out."""
_EVENTS = "FROM events WHERE id BETWEEN ? AND ?"
_JOINED = "CAST(group_concat(key, ?) AS BLOB), CAST(group_concat(value, ?) AS BLOB)"
_COLUMNS = (
    f"SELECT group_concat(timestamp - ?), {_JOINED}, count(headers) + total(typeof(timestamp) <> 'integer') {_EVENTS}"
)
_SAME = f"SELECT count(*), {_JOINED} {_EVENTS} AND timestamp = ? AND headers IS NULL"
_SIZE = f"SELECT total(coalesce(length(CAST(key AS BLOB)), 0) + coalesce(length(CAST(value AS BLOB)), 0)) {_EVENTS}"
_WITH_NULL = {one: f"SELECT CAST(group_concat(coalesce({one}, ?), ?) AS BLOB) {_EVENTS}" for one in ("key", "value")}


def read_run(reader: Reader, run: Sequence[BatchRow], start: int, end: int, size_bytes_max: int) -> EventColumns | None:
    """The events of neighbouring batches, each compared with its checksum.

    Args:
        start: the log start offset.
        end: where the log ends at most, whatever the batches say.
        size_bytes_max: how large they may be together.

    Returns:
        None where they must be read row by row: they are few, large, not plain, without checksums or damaged.
    """
    return _result(read_run_in_steps(reader, run, start, end, size_bytes_max))


def read_run_in_steps(
    reader: Reader, run: Sequence[BatchRow], start: int, end: int, size_bytes_max: int
) -> Generator[None, None, EventColumns | None]:
    """As `read_run`; each `yield` is a place to interrupt it.

    Returns:
        None also if compaction changed the batches meanwhile.
    """
    first, last = max(run[0].base_offset, start), min(run[-1].last_offset, end - 1)
    counts = [batch.last_offset - batch.base_offset + 1 for batch in run]
    counts[0] -= first - run[0].base_offset
    if last - first + 1 < EVENTS_MIN or sum(counts) != last - first + 1:
        return None
    if any(batch.removed_events for batch in run):
        return None
    try:
        if data_bytes(reader, run, first, last) > min(size_bytes_max, BYTES_MAX):
            return None
        same = len(run) == 1 and has_one_time(run[0])
        columns = yield from _columns_in_steps(
            reader, run[0].partition_id, first, last, run[0].min_timestamp, same_ms=same
        )
        if columns is None:
            return None
        for batch, count, behind in zip(run, counts, accumulate(counts), strict=True):
            own = columns if count == len(columns) else columns[behind - count : behind]
            if batch.checksum is not None and batch.checksum != _checksum(batch, own):
                return None
    except (Unreadable, TypeError, ValueError):
        # Of a row or batch that is not as it was written; who reads row by row says which.
        return None
    return columns


def has_one_time(batch: BatchRow) -> bool:
    """Whether all events of a batch have the same timestamp: it is then compared by SQLite, and read of no event."""
    return batch.min_timestamp == batch.max_timestamp


def data_bytes(reader: Reader, run: Sequence[BatchRow], first: int, last: int) -> int:
    """About how large batches are when not compressed. Where they were compressed, it is asked for."""
    if not any(batch.compression for batch in run):
        return sum(batch.size_bytes for batch in run)
    base = run[0].partition_id << OFFSET_BITS
    ((size_bytes,),) = reader.query(_SIZE, (base + first, base + last))
    return int(size_bytes)


def _checksum(batch: BatchRow, columns: EventColumns) -> int:
    count = len(columns)
    return checksum(
        batch[:18],
        range(columns.offset, columns.offset + count),
        columns.timestamps,
        [None] * count if columns.keys is None else columns.keys,
        [None] * count if columns.values is None else columns.values,
        None,
    )


def read_columns(
    reader: Reader, partition_id: int, first: int, last: int, base_ms: int, *, same_ms: bool = False
) -> EventColumns | None:
    """The events of a partition from offset `first` to `last`, both included; no checksum is looked at.

    Args:
        base_ms: what their timestamps shall count from, such as the least of them.
        same_ms: every timestamp must be `base_ms`.

    Returns:
        None where they cannot be told so: an offset has no event, an event has headers, or a row is damaged.
    """
    return _result(_columns_in_steps(reader, partition_id, first, last, base_ms, same_ms=same_ms))


def _columns_in_steps(
    reader: Reader, partition_id: int, first: int, last: int, base_ms: int, *, same_ms: bool
) -> Generator[None, None, EventColumns | None]:
    """As `read_columns`; each `yield` is a place to interrupt it."""
    base = partition_id << OFFSET_BITS
    read = _read_same if same_ms else _read
    pieces: list[Piece] = []
    for start in range(first, last + 1, ROWS_PER_QUERY):
        if pieces:
            yield
        piece = read(reader, base + start, base + min(start + ROWS_PER_QUERY, last + 1), base_ms)
        if piece is None:
            return None
        pieces.append(piece)
    if len(pieces) == 1:
        return EventColumns(first, base_ms, *pieces[0], same_ms=same_ms)
    times, keys, values = zip(*pieces, strict=True)
    return EventColumns(
        first, base_ms, [*chain(*times)], _chained(keys, times), _chained(values, times), same_ms=same_ms
    )


def _chained(columns: Sequence[Column | None], times: Sequence[list[int]]) -> Column | None:
    if not any(columns):
        return None
    return [*chain(*(column or [None] * len(beside) for column, beside in zip(columns, times, strict=True)))]


def _result(steps: Generator[None, None, EventColumns | None]) -> EventColumns | None:
    """What steps return when they are done without an interruption."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            columns: EventColumns | None = end.value
            return columns


Piece = tuple[list[int], Column | None, Column | None]
"""Timestamps from `base_ms` on, keys, values."""


def _read_same(reader: Reader, start: int, end: int, same_ms: int) -> Piece | None:
    """As `_read`, where every timestamp is `same_ms`."""
    count, place = end - start, (start, end - 1)
    found = reader.one(_SAME, (_MARK, _MARK, *place, same_ms))
    if found is None or found[0] != count:
        return None
    try:
        keys = _column(reader, "key", found[1], count, place)
        values = _column(reader, "value", found[2], count, place)
    except ValueError:
        return None
    return [0] * count, keys, values


def _read(reader: Reader, start: int, end: int, base_ms: int) -> Piece | None:
    place = (start, end - 1)
    found = reader.one(_COLUMNS, (base_ms, _MARK, _MARK, *place))
    if found is None or not isinstance(found[0], str) or found[3]:
        return None
    texts = found[0].split(",")
    if len(texts) != end - start:
        return None
    try:
        # Most events of a batch share their few timestamps, so each is read once.
        number = {text: int(text) for text in set(texts)}
        keys = _column(reader, "key", found[1], len(texts), place)
        values = _column(reader, "value", found[2], len(texts), place)
    except ValueError:
        return None
    return list(map(number.__getitem__, texts)), keys, values


def _column(reader: Reader, name: str, joined: bytes | None, count: int, place: tuple[int, int]) -> Column | None:
    """A column of `count` values, None where all are null; ValueError where they cannot be told apart."""
    if joined is None:
        return None
    column: Column = joined.split(_MARK)
    if len(column) < count:
        ((again,),) = reader.query(_WITH_NULL[name], (_NULL, _MARK, *place))
        column = [None if one == _NULL else one for one in again.split(_MARK)]
    if len(column) != count:
        raise ValueError(f"{len(column)} values of {count} events")
    return column
