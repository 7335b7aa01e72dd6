"""Reads single events, with the fields that are stored with their batch."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.gc_pause import gc_paused
from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log.log import (
    BATCH_COLUMNS,
    EVENT_COLUMNS,
    BatchRow,
    Record,
    batch_at,
    compare,
    headers_from_json,
    read_rows,
    read_whole,
    records_of,
)
from sandbox.storage.log.log_transactions import outcome
from sandbox.storage.log.topic_descriptions import partition_ids

ROWS_PER_QUERY = 100
RUN_EVENTS = 1000
RESTING_EVENTS_MIN = 2000
"""Garbage collection is paused while at least this number of events is read."""
_OFFSET = itemgetter(0)


class _Batch(NamedTuple):
    """The fields of a batch that apply to its events."""

    base_offset: int
    last_offset: int
    timestamp_type: int
    transactional: int
    control: int
    producer_id: int


def read_event(reader: Reader, topic: str, partition: int, offset: int) -> Event:
    """Return one event by its address.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION, or OFFSET_OUT_OF_RANGE, whose text states whether the offset was
            deleted or is not yet written.
        EventsDamaged: its batch does not match its checksum.
    """
    _, start, end = _place(partition_ids(reader, topic), topic, partition)
    if offset >= end:
        raise BrokerError(
            "OFFSET_OUT_OF_RANGE", f"Offset {offset} is not written yet: the next event of the partition gets {end}."
        )
    if offset < start:
        gone = f"Offset {offset} is gone: the log of the partition now starts at {start}."
        raise BrokerError("OFFSET_OUT_OF_RANGE", gone)
    found = read_places(reader, topic, {partition: [offset]})
    if not found:
        raise BrokerError("OFFSET_OUT_OF_RANGE", f"Offset {offset} was removed by compaction.")
    return found[0]


def read_places(reader: Reader, topic: str, wanted: Mapping[int, Sequence[int]]) -> list[Event]:
    """Return the events at some offsets, by partition and offset, without those that are not in the log. Each batch is
    read and compared once, however many of its events are requested.

    Args:
        wanted: offsets of each partition.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION.
        EventsDamaged: a batch does not match its checksum.
    """
    places = partition_ids(reader, topic)
    found: list[Event] = []
    for partition, offsets in sorted(wanted.items()):
        partition_id, start, end = _place(places, topic, partition)
        batch: BatchRow | None = None
        records: dict[int, Record] = {}
        for offset in sorted({one for one in offsets if start <= one < end}):
            if batch is None or offset > batch.last_offset:
                batch = batch_at(reader, partition_id, offset)
                records = {one[0]: one for one in read_whole(reader, batch, start)} if batch else {}
            if offset in records:
                _, timestamp, key, value, headers = records[offset]
                event = Event(topic, partition, offset, timestamp, 0, key, value, headers or ())
                found.append(_with_batch(reader, partition_id, event, batch))
    return found


def _place(places: Mapping[int, tuple[int, int, int]] | None, topic: str, partition: int) -> tuple[int, int, int]:
    if places is None or partition not in places:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no partition {partition} of a topic {topic}.")
    return places[partition]


def read_events(reader: Reader, topic: str, places: Sequence[tuple[int, int, int]]) -> tuple[Event, ...]:
    """Return the events at some places, in the same order.

    Args:
        places: (partition, row id of the partition, offset) each; all of them must exist.
    """
    rows: dict[int, Any] = {}
    ids = [(partition_id << OFFSET_BITS) + offset for _, partition_id, offset in places]
    for start in range(0, len(ids), ROWS_PER_QUERY):
        some = ids[start : start + ROWS_PER_QUERY]
        marks = ", ".join("?" * len(some))
        for row in reader.rows(f"SELECT {EVENT_COLUMNS} FROM events WHERE id IN ({marks})", some):
            rows[row[0]] = row
    batches: dict[int, _Batch | None] = {}
    events = []
    for (partition, partition_id, offset), row_id in zip(places, ids, strict=True):
        # The events of a page share few batches: cache each partition's last one.
        batch = batches.get(partition_id)
        if batch is None or not batch.base_offset <= offset <= batch.last_offset:
            batch = batches[partition_id] = _batch_of(reader, partition_id, offset)
        event = _event(topic, partition, partition_id, rows[row_id])
        events.append(_with_batch(reader, partition_id, event, batch))
    return tuple(events)


def read_from(reader: Reader, topic: str, only: int | None, offset: int, limit: int) -> list[Event]:
    """Return events from an offset on, by partition and offset. A batch that is read completely is compared.

    Args:
        only: the one partition to read; None for all.
        offset: the first offset to read in each partition.
        limit: the maximum number of events.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION.
        EventsDamaged: a batch does not match its checksum.
    """
    if limit < RESTING_EVENTS_MIN:
        return _read_from(reader, topic, only, offset, limit)
    # All created events stay alive, and none is part of a cycle.
    with gc_paused():
        return _read_from(reader, topic, only, offset, limit)


def _read_from(reader: Reader, topic: str, only: int | None, offset: int, limit: int) -> list[Event]:
    places = partition_ids(reader, topic)
    if places is None or (only is not None and only not in places):
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no partition {only or 0} of a topic {topic}.")
    found: list[Event] = []
    new = tuple.__new__
    for partition, (partition_id, start, end) in places.items() if only is None else [(only, places[only])]:
        for run in _runs(reader, partition_id, max(start, offset), end):
            if len(found) >= limit:
                return found
            batch = run[0]
            first = max(batch.base_offset, start, offset)
            last, room = min(run[-1].last_offset, end - 1), limit - len(found)
            rows = read_rows(reader, partition_id, first, last, room)
            if len(rows) == room:
                last = rows[-1][0]
            _compare(reader, run, rows, start, (first, last, end))
            stamp = batch.timestamp_type
            events = [
                # Half the time of `Event(...)`; reading a log creates one per row.
                new(Event, (topic, partition, at, time, stamp, key, value, headers or (), False, False, False, False))
                for at, time, key, value, headers in records_of(rows)
            ]
            if batch.transactional:
                events = [_with_batch(reader, partition_id, event, batch) for event in events]
            found += events
    return found


def _runs(reader: Reader, partition_id: int, first: int, end: int) -> Iterator[list[BatchRow]]:
    """Yield batches, without transaction markers; small similar neighbours outside transactions are combined."""
    run: list[BatchRow] = []
    for row in reader.rows(
        f"SELECT {BATCH_COLUMNS} FROM batches "
        "WHERE partition_id = ? AND base_offset >= coalesce((SELECT max(base_offset) FROM batches "
        "WHERE partition_id = ? AND base_offset <= ?), 0) AND base_offset < ? ORDER BY base_offset",
        (partition_id, partition_id, first, end),
    ):
        batch = BatchRow._make(row)
        if batch.last_offset < first:
            continue
        if batch.control:
            # A run is read with everything between its batches, so a marker must end it.
            if run:
                yield run
            run = []
            continue
        if run:
            plain = not (run[0].transactional or batch.transactional) and run[0].timestamp_type == batch.timestamp_type
            if plain and batch.last_offset - run[0].base_offset < RUN_EVENTS:
                run.append(batch)
                continue
            yield run
        run = [batch]
    if run:
        yield run


def _compare(reader: Reader, run: list[BatchRow], rows: list[Any], start: int, extent: tuple[int, int, int]) -> None:
    """Compare the batches of a run that were read completely with their checksums.

    Args:
        start: the log start offset.
        extent: the first and the last offset that were read, and the end of the log.
    """
    first, last, end = extent
    at = 0
    for batch in run:
        if batch.last_offset > last and last < end - 1:
            return
        upto = at + batch.last_offset - max(first, batch.base_offset) + 1
        if upto > len(rows) or rows[upto - 1][0] != batch.last_offset:
            upto = bisect_right(rows, batch.last_offset, at, key=_OFFSET)
        if max(batch.base_offset, start) >= first:
            compare(reader, batch, rows[at:upto])
        at = upto


def _event(topic: str, partition: int, partition_id: int, row: tuple[Any, ...]) -> Event:
    row_id, timestamp, key, value, headers = row
    offset = row_id - (partition_id << OFFSET_BITS)
    return Event(topic, partition, offset, timestamp, 0, key, value, headers_from_json(headers))


def _batch_of(reader: Reader, partition_id: int, offset: int) -> _Batch | None:
    row = reader.one(
        "SELECT base_offset, last_offset, timestamp_type, transactional, control, producer_id FROM batches "
        "WHERE partition_id = ? AND base_offset <= ? ORDER BY base_offset DESC LIMIT 1",
        (partition_id, offset),
    )
    return None if row is None else _Batch(*row)


def _with_batch(reader: Reader, partition_id: int, event: Event, batch: _Batch | BatchRow | None) -> Event:
    """Add its batch's fields to an event: timestamp type, transaction flags, and the transaction's outcome."""
    if batch is None or not (batch.timestamp_type or batch.transactional or batch.control):
        return event
    ended = outcome(reader, partition_id, batch.producer_id, event.offset) if batch.transactional else False
    return event._replace(
        timestamp_type=batch.timestamp_type,
        transactional=bool(batch.transactional),
        control=bool(batch.control),
        aborted=bool(ended),
        pending=ended is None,
    )
