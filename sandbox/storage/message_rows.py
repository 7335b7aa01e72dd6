"""Single events: their rows, and what their batch says of them."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sandbox.errors import BrokerError
from sandbox.event import Event
from sandbox.storage.database import Reader
from sandbox.storage.log import EVENT_COLUMNS, headers_from_json, read_records
from sandbox.storage.log_transactions import outcome
from sandbox.storage.schema import OFFSET_BITS
from sandbox.storage.topic_descriptions import partition_ids

ROWS_PER_QUERY = 100
RUN_EVENTS = 1000


class _Batch(NamedTuple):
    """What a batch says of its events."""

    base_offset: int
    last_offset: int
    timestamp_type: int
    transactional: int
    control: int
    producer_id: int


def read_event(reader: Reader, topic: str, partition: int, offset: int) -> Event:
    """One event by its address.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION, or OFFSET_OUT_OF_RANGE, whose text says whether it is gone or not yet
            written.
    """
    places = partition_ids(reader, topic)
    if places is None or partition not in places:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no partition {partition} of a topic {topic}.")
    partition_id, start, end = places[partition]
    if offset >= end:
        raise BrokerError(
            "OFFSET_OUT_OF_RANGE", f"Offset {offset} is not written yet: the next event of the partition gets {end}."
        )
    gone = f"Offset {offset} is gone: the log of the partition now starts at {start}."
    if offset < start:
        raise BrokerError("OFFSET_OUT_OF_RANGE", gone)
    row = reader.one(f"SELECT {EVENT_COLUMNS} FROM events WHERE id = ?", ((partition_id << OFFSET_BITS) + offset,))
    if row is None:
        raise BrokerError("OFFSET_OUT_OF_RANGE", f"Offset {offset} was removed by compaction.")
    event = _event(topic, partition, partition_id, row)
    return _with_batch(reader, partition_id, event, _batch_of(reader, partition_id, offset))


def read_events(reader: Reader, topic: str, places: Sequence[tuple[int, int, int]]) -> tuple[Event, ...]:
    """The events at some places, in the same order.

    Args:
        places: (partition, id of the partition's row, offset) each; all of them are there.
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
        # The events of a page share few batches: the last one of a partition is kept.
        batch = batches.get(partition_id)
        if batch is None or not batch.base_offset <= offset <= batch.last_offset:
            batch = batches[partition_id] = _batch_of(reader, partition_id, offset)
        event = _event(topic, partition, partition_id, rows[row_id])
        events.append(_with_batch(reader, partition_id, event, batch))
    return tuple(events)


def read_from(reader: Reader, topic: str, only: int | None, offset: int, limit: int) -> list[Event]:
    """Events from an offset on, in offset order, partition by partition.

    Args:
        only: the one partition to read; None for all.
        offset: the first that is wanted of each partition.
        limit: at most so many events.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION.
    """
    places = partition_ids(reader, topic)
    if places is None or (only is not None and only not in places):
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no partition {only or 0} of a topic {topic}.")
    found: list[Event] = []
    new = tuple.__new__
    for partition, (partition_id, start, end) in places.items() if only is None else [(only, places[only])]:
        for batch in _runs(reader, partition_id, max(start, offset), end):
            if len(found) >= limit:
                return found
            first = max(batch.base_offset, start, offset)
            last = min(batch.last_offset, end - 1, first + limit - len(found) - 1)
            stamp = batch.timestamp_type
            events = [
                # Half of the time of `Event(...)`, and reading a log makes one of each row.
                new(Event, (topic, partition, at, time, stamp, key, value, headers or (), False, False, False, False))
                for at, time, key, value, headers in read_records(reader, partition_id, first, last)
            ]
            if batch.transactional:
                events = [_with_batch(reader, partition_id, event, batch) for event in events]
            found += events
    return found


def _runs(reader: Reader, partition_id: int, first: int, end: int) -> Iterator[_Batch]:
    """Batches, without transaction markers; small neighbours that are alike and in no transaction as one."""
    run: _Batch | None = None
    for row in reader.rows(
        "SELECT base_offset, last_offset, timestamp_type, transactional, control, producer_id FROM batches "
        "WHERE partition_id = ? AND base_offset >= coalesce((SELECT max(base_offset) FROM batches "
        "WHERE partition_id = ? AND base_offset <= ?), 0) AND base_offset < ? ORDER BY base_offset",
        (partition_id, partition_id, first, end),
    ):
        batch = _Batch(*row)
        if batch.control or batch.last_offset < first:
            continue
        if run is not None:
            plain = not (run.transactional or batch.transactional) and run.timestamp_type == batch.timestamp_type
            if plain and batch.last_offset - run.base_offset < RUN_EVENTS:
                run = run._replace(last_offset=batch.last_offset)
                continue
            yield run
        run = batch
    if run is not None:
        yield run


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


def _with_batch(reader: Reader, partition_id: int, event: Event, batch: _Batch | None) -> Event:
    """An event with what its batch says: whose clock stamped it, and what became of its transaction."""
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
