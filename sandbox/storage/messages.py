"""Pages of events: filtered, in time order or offset order, forwards and backwards.

Time order is true order over all partitions, though only batches have an index by time: the batches of a partition are
taken by their largest (newest first) or smallest (oldest first) timestamp, their events go into a heap, and one is
given out as soon as no batch that is left can hold an earlier one. The partitions are merged. Transaction markers are
left out: they are no events, though each has an offset. A cursor names the last event of a page by (timestamp,
partition, offset), so a page stays where it is while producers write.
"""

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sandbox.description import MessagePage, MessageQuery
from sandbox.errors import BrokerError
from sandbox.event import Event
from sandbox.storage.compaction import compacted_events
from sandbox.storage.database import Reader
from sandbox.storage.log import EVENT_COLUMNS, headers_from_json, offset_for_time
from sandbox.storage.log_transactions import count_markers, markers, outcome
from sandbox.storage.schema import OFFSET_BITS, OFFSET_LIMIT
from sandbox.storage.topic_descriptions import partition_ids

CHUNK_BATCHES = 128
CHUNK_EVENTS = 500
"""How many batches, or events, are read from a partition at once."""
ORDERS = ("newest", "oldest", "offset")

Key = tuple[int, int, int]
"""Timestamp, partition, offset: the place of an event in time order. In offset order the timestamp is 0."""


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins: after (or, going back, before) an event."""

    back: bool
    key: Key

    @classmethod
    def parse(cls, text: str) -> "_Cursor":
        direction, *numbers = text.split(":")
        try:
            timestamp, partition, offset = (int(number) for number in numbers)
        except ValueError:
            raise BrokerError("INVALID_REQUEST", f"{text!r} is not a cursor of this page.") from None
        if direction not in ("after", "before"):
            raise BrokerError("INVALID_REQUEST", f"{text!r} is not a cursor of this page.")
        return cls(direction == "before", (timestamp, partition, offset))


class MessageSearch:
    """One search.

    Args:
        reader: one read transaction, from which the whole page comes.
        query: what to look for.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST.
    """

    def __init__(self, reader: Reader, query: MessageQuery) -> None:
        if query.order not in ORDERS:
            raise BrokerError("INVALID_REQUEST", f"order is one of {', '.join(ORDERS)}, not {query.order!r}.")
        if not 1 <= query.limit <= 1000:
            raise BrokerError("INVALID_REQUEST", "limit is from 1 to 1,000 events.")
        self.reader = reader
        self.query = query
        places = partition_ids(reader, query.topic)
        if places is None:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {query.topic}.")
        for partition in query.partitions:
            if partition not in places:
                raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"Topic {query.topic} has no partition {partition}.")
        self.places = {p: place for p, place in places.items() if not query.partitions or p in query.partitions}
        self.cursor = _Cursor.parse(query.cursor) if query.cursor else None
        self.scanned = 0
        self.deadline = time.perf_counter() + query.budget_ms / 1000
        self.last_key: Key | None = None
        self._batch: dict[int, _Batch | None] = {}
        self.where, self.parameters = _conditions(query)

    @property
    def descending(self) -> bool:
        """Whether rows are read from the latest to the earliest: newest first, or back in another order."""
        back = self.cursor is not None and self.cursor.back
        return (self.query.order == "newest") != back

    def page(self, now_ms: int) -> MessagePage:
        """The page."""
        started = time.perf_counter()
        back = self.cursor is not None and self.cursor.back
        found: list[tuple[Key, Event]] = []
        complete = True
        for key, event in self._merged():
            if event is not None:
                found.append((key, event))
                if len(found) > self.query.limit:
                    break
            elif time.perf_counter() > self.deadline and self._beyond_cursor(key):
                complete = False
                self.last_key = key
                break
        more = len(found) > self.query.limit or not complete
        del found[self.query.limit :]
        if back:
            found.reverse()
        following = _cursor("after", found[-1][0]) if found and (more or back) else None
        previous = _cursor("before", found[0][0]) if found and (more if back else self.cursor is not None) else None
        if self.last_key is not None:
            if back:
                previous = _cursor("before", self.last_key)
            else:
                following = _cursor("after", self.last_key)
        return MessagePage(
            events=tuple(self._whole(event) for _, event in found),
            next=following,
            previous=previous,
            scanned=self.scanned,
            total=sum(
                end - start - count_markers(self.reader, at, start) - compacted_events(self.reader, at)
                for at, start, end in self.places.values()
            ),
            complete=complete,
            elapsed_ms=(time.perf_counter() - started) * 1000,
            as_of_ms=now_ms,
            as_of={partition: end for partition, (_, _, end) in self.places.items()},
        )

    def _merged(self) -> Iterator[tuple[Key, Event | None]]:
        """Every partition's events in the order of the page; None marks a place where time may be looked at."""
        if self.query.order == "offset":
            for partition in sorted(self.places, reverse=self.descending):
                yield from self._by_offset(partition)
            return
        yield from heapq.merge(
            *(self._by_time(partition) for partition in self.places),
            key=lambda found: found[0],
            reverse=self.descending,
        )

    # Offset order

    def _by_offset(self, partition: int) -> Iterator[tuple[Key, Event | None]]:
        partition_id, low, high = self.places[partition]
        if self.query.from_offset is not None:
            low = max(low, self.query.from_offset)
        if self.cursor is not None:
            _, at, offset = self.cursor.key
            if (partition > at) if self.cursor.back else (partition < at):
                return
            if partition == at:
                low, high = (low, min(high, offset)) if self.cursor.back else (max(low, offset + 1), high)
        while low < high:
            first, last = (
                (max(low, high - CHUNK_EVENTS), high) if self.descending else (low, min(high, low + CHUNK_EVENTS))
            )
            hidden = markers(self.reader, partition_id, first, last - 1)
            rows = self._rows(partition_id, first, last - 1)
            for row in reversed(rows) if self.descending else rows:
                event = self._event(partition, partition_id, row)
                if event.offset not in hidden:
                    yield (0, partition, event.offset), event
            low, high = (low, first) if self.descending else (last, high)
            yield (0, partition, first if self.descending else last - 1), None

    # Time order

    def _by_time(self, partition: int) -> Iterator[tuple[Key, Event | None]]:
        sign = -1 if self.descending else 1
        heap: list[tuple[int, int, Any]] = []
        partition_id = self.places[partition][0]
        for ranges, bound in self._chunks(partition):
            for first, last in ranges:
                for row in self._rows(partition_id, first, last):
                    heapq.heappush(heap, (sign * row[1], sign * row[0], row))
            while heap and (bound is None or heap[0][0] < sign * bound):
                row = heapq.heappop(heap)[2]
                key = (row[1], partition, row[0] - (partition_id << OFFSET_BITS))
                if self._beyond_cursor(key):
                    # Most rows of a large batch are never shown: only those that are become events.
                    yield key, self._event(partition, partition_id, row)
            if bound is not None:
                yield (bound, partition, -1 if not self.descending else OFFSET_LIMIT), None

    def _beyond_cursor(self, key: Key) -> bool:
        if self.cursor is None:
            return True
        return key < self.cursor.key if self.descending else key > self.cursor.key

    def _chunks(self, partition: int) -> Iterator[tuple[list[tuple[int, int]], int | None]]:
        """Offset ranges of some batches, and the timestamp that no later chunk goes beyond (None after the last)."""
        _, start, end = self.places[partition]
        pending: list[tuple[int, int]] = []
        batches = events = 0
        for base, last, edge in self._batches(partition):
            if batches >= CHUNK_BATCHES or events >= CHUNK_EVENTS:
                yield _joined(pending), edge
                pending, batches, events = [], 0, 0
            first = max(base, start)
            pending.append((first, min(last, end - 1)))
            batches += 1
            events += last - first + 1
        yield _joined(pending), None

    def _batches(self, partition: int) -> Iterator[tuple[int, int, int]]:
        """(base offset, last offset, edge) of the batches that may hold events of the page, by their edge."""
        partition_id, start, end = self.places[partition]
        since = self.query.since_ms if self.query.since_ms is not None else -(1 << 62)
        until = self.query.until_ms if self.query.until_ms is not None else 1 << 62
        if self.cursor is not None:
            at = self.cursor.key[0]
            since, until = (since, min(until, at + 1)) if self.descending else (max(since, at), until)
        edge, order = ("max_timestamp", "DESC") if self.descending else ("min_timestamp", "ASC")
        yield from self.reader.rows(
            f"SELECT base_offset, last_offset, {edge} FROM batches WHERE partition_id = ? AND max_timestamp >= ? "
            "AND min_timestamp < ? AND last_offset >= ? AND base_offset < ? AND control = 0 "
            f"ORDER BY {edge} {order}, base_offset {order}",
            (partition_id, since, until, start, end),
        )

    # Rows

    def _rows(self, partition_id: int, first: int, last: int) -> list[tuple[Any, ...]]:
        base = partition_id << OFFSET_BITS
        self.scanned += last - first + 1
        return self.reader.query(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE id BETWEEN ? AND ? {self.where} ORDER BY id",
            (base + first, base + last, *self.parameters),
        )

    def _event(self, partition: int, partition_id: int, row: tuple[Any, ...]) -> Event:
        row_id, timestamp, key, value, headers = row
        offset = row_id - (partition_id << OFFSET_BITS)
        return Event(self.query.topic, partition, offset, timestamp, 0, key, value, headers_from_json(headers))

    def _whole(self, event: Event) -> Event:
        """With what its batch says. The events of a page share few batches: the last one of a partition is kept."""
        partition_id = self.places[event.partition][0]
        batch = self._batch.get(partition_id)
        if batch is None or not batch.base_offset <= event.offset <= batch.last_offset:
            batch = self._batch[partition_id] = _batch_of(self.reader, partition_id, event.offset)
        return _with_batch(self.reader, partition_id, event, batch)


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
    _, timestamp, key, value, headers = row
    event = Event(topic, partition, offset, timestamp, 0, key, value, headers_from_json(headers))
    return _with_batch(reader, partition_id, event, _batch_of(reader, partition_id, offset))


def offsets_for_time(reader: Reader, topic: str, timestamp_ms: int) -> dict[int, int | None]:
    """Partition to the offset of the first event at or after a time, None where there is none."""
    places = partition_ids(reader, topic)
    if places is None:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {topic}.")
    found = {
        partition: offset_for_time(reader, partition_id, timestamp_ms, start, end)
        for partition, (partition_id, start, end) in places.items()
    }
    return {partition: place[0] if place else None for partition, place in found.items()}


class _Batch(NamedTuple):
    """What a batch says of its events."""

    base_offset: int
    last_offset: int
    timestamp_type: int
    transactional: int
    control: int
    producer_id: int


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
    return replace(
        event,
        timestamp_type=batch.timestamp_type,
        transactional=bool(batch.transactional),
        control=bool(batch.control),
        aborted=bool(batch.transactional and outcome(reader, partition_id, batch.producer_id, event.offset)),
    )


def _cursor(direction: str, key: Key) -> str:
    return ":".join((direction, *map(str, key)))


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbouring ranges of offsets as one, so that many small batches are one query."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def _conditions(query: MessageQuery) -> tuple[str, list[Any]]:
    """The filters as SQL. Text is compared byte by byte, in the upper or lower case it has."""
    conditions: list[str] = []
    parameters: list[Any] = []
    if query.key is not None:
        conditions.append("CAST(key AS BLOB) = ?" if query.key_exact else "instr(CAST(key AS BLOB), ?)")
        parameters.append(query.key.encode())
    if query.value is not None:
        conditions.append("instr(CAST(value AS BLOB), ?)")
        parameters.append(query.value.encode())
    if query.header is not None:
        name, equals, value = query.header.partition("=")
        condition = "json_extract(h.value, '$[0]') = ?"
        parameters.append(name)
        if equals:
            condition += " AND json_extract(h.value, '$[1]') = ?"
            parameters.append(value)
        conditions.append(
            f"headers IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(events.headers) h WHERE {condition})"
        )
    if query.since_ms is not None:
        conditions.append("timestamp >= ?")
        parameters.append(query.since_ms)
    if query.until_ms is not None:
        conditions.append("timestamp < ?")
        parameters.append(query.until_ms)
    return "".join(f" AND {condition}" for condition in conditions), parameters
