"""Pages of events: filtered, in time order or offset order, forwards and backwards.

Time order is exact over all partitions, though only batches have an index by time. The batches of a partition are read
by their largest (newest first) or smallest (oldest first) timestamp, the places of their events go into a heap, and one
is returned as soon as no remaining batch can hold an earlier one. Batches with the same timestamp are read by their
offset, so that a log whose events all have one timestamp is also read page by page. The partitions are merged.
Transaction markers are left out: they are not events, though each has an offset. A cursor names the last event of a
page by (timestamp, partition, offset), so a page does not move while producers write.

Only places are sorted: (timestamp, partition, offset). The keys, values and headers of the page's events are read at
the end, so large values that are not shown cost nothing.

A search that has read some events and found few asks the key index (key_index.py) where a key may be. The result of a
search can be continued (`go_on`): an open page only reads new events.
"""

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.model.messages import MessagePage, MessageQuery, Neighbours
from sandbox.schemas.decoding import EventDecoder
from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS, OFFSET_LIMIT
from sandbox.storage.log.compaction import compacted_events
from sandbox.storage.log.log import offset_for_time
from sandbox.storage.log.log_transactions import count_markers, markers
from sandbox.storage.log.message_rows import read_event, read_events
from sandbox.storage.log.topic_descriptions import partition_ids
from sandbox.storage.search.key_index import SEGMENT_EVENTS, KeyIndex, Ranges
from sandbox.storage.search.message_conditions import Matching, joined

__all__ = ["MessageSearch", "offsets_for_time", "places_of", "read_event", "total_events"]

CHUNK_BATCHES = 128
CHUNK_EVENTS = 500
"""The maximum number of batches, or events, read from a partition in one step; the first step reads an eighth of it."""
FIRST_LOOK_EVENTS = 60_000
"""Events read before the key index is built for a log: a frequent key is found without it."""
NEW_EVENTS_MAX = 20_000
"""With more new events than this in one partition, a search starts again from the beginning."""
ORDERS = ("newest", "oldest", "offset")

SortKey = tuple[int, int, int]
"""Timestamp, partition, offset: the place of an event in time order. In offset order the timestamp is 0."""
Way = tuple[SortKey, bool]
"""A place that the search reached, and whether it holds a matching event."""
Places = dict[int, tuple[int, int, int]]
"""Partition to (row id, log start offset, end)."""


def places_of(reader: Reader, query: MessageQuery) -> Places:
    """Return the partitions that a query covers.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION.
    """
    places = partition_ids(reader, query.topic)
    if places is None:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {shown_name(query.topic)}.")
    for partition in query.partitions:
        if partition not in places:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"Topic {query.topic} has no partition {partition}.")
    return {p: place for p, place in places.items() if not query.partitions or p in query.partitions}


def total_events(reader: Reader, places: Places) -> int:
    """Count the events of some partitions, without transaction markers and events that compaction deleted."""
    offsets = sum(end - start for _, start, end in places.values())
    gone = sum(events for _, events in compacted_events(reader, [at for at, _, _ in places.values()]))
    return offsets - gone - count_markers(reader, [(at, start) for at, start, _ in places.values()])


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The beginning of a page: after (or, going back, before) an event."""

    back: bool
    key: SortKey

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


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result of a search, before the events themselves are read.

    Attributes:
        keys: places in the order of the search, at most one more than a page has.
        stopped: the last place that was searched when time was up, None if the search finished.
        scanned: how many offsets were searched.
        places: the partitions as they were then.
    """

    keys: tuple[SortKey, ...]
    stopped: SortKey | None
    scanned: int
    places: Places


class MessageSearch:
    """One search.

    Args:
        reader: one read transaction, from which the whole page is read.
        query: the search's filters, order and cursor.
        keys: the key index; None to search without one.
        decoder: decodes keys and values for the filters; None leaves them as they are.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST.
    """

    def __init__(
        self, reader: Reader, query: MessageQuery, keys: KeyIndex | None = None, decoder: EventDecoder | None = None
    ) -> None:
        if query.order not in ORDERS:
            raise BrokerError("INVALID_REQUEST", f"order is one of {', '.join(ORDERS)}, not {query.order!r}.")
        if not 1 <= query.limit <= 1000:
            raise BrokerError("INVALID_REQUEST", "limit is from 1 to 1,000 events.")
        self.reader = reader
        self.query = query
        self.keys = keys
        self.places = places_of(reader, query)
        self.cursor = _Cursor.parse(query.cursor) if query.cursor else None
        self.started = time.perf_counter()
        self.deadline = self.started + query.budget_ms / 1000
        self.matching = Matching(reader, query, decoder)

    @property
    def descending(self) -> bool:
        """True if rows are read from the latest to the earliest: newest first, or backwards in another order."""
        back = self.cursor is not None and self.cursor.back
        return (self.query.order == "newest") != back

    def page(self, now_ms: int) -> MessagePage:
        """Search, and return the page."""
        return self.page_of(self.find(), now_ms)

    def find(self) -> SearchResult:
        """Search for the events of the page."""
        found: list[SortKey] = []
        ways = self._merged()
        key = self.query.key if self.query.key_exact and self.query.order != "offset" else None
        decoder = self.matching.decoder
        if decoder is not None and decoder.chosen(self.query.topic, is_key=True) is not None:
            key = None  # The index has the stored keys, and none of these is compared.
        if self.keys is not None and key is not None:
            places, decoded = self.places.values(), decoder is not None
            ranges = self.keys.ranges(self.reader, key, places, 0, decoded=decoded)
            if ranges is None:
                if first := self._look(ways, found, FIRST_LOOK_EVENTS):
                    return first
                until_s = self.started + self.query.budget_ms / 2000
                ranges = self.keys.ranges(self.reader, key, places, until_s, decoded=decoded)
            if ranges is not None and not is_spread(ranges, self.places):
                self.matching.scanned = 0
                found, ways = [], self._merged(ranges)
        return self._look(ways, found) or self._found([], None)

    def go_on(self, before: SearchResult) -> SearchResult | None:
        """Return what `find` would return, by updating an earlier result; None if `find` must be called instead.

        Args:
            before: the result of the same query, on the same content of the file, with no compaction since.
        """
        new: list[SortKey] = []
        written = written_since(before.places, self.places)
        if written is None:
            return None
        for partition, (at, _, end) in self.places.items():
            known = written[partition]
            if self.query.order == "offset":
                known = max(known, self.query.from_offset or 0)
            if known < end:
                hidden = markers(self.reader, at, known, end - 1)
                for offset, timestamp in self.matching.places(at, known, end - 1):
                    key = (0 if self.query.order == "offset" else timestamp, partition, offset)
                    if offset not in hidden and self._beyond_cursor(key) and not self._follows(key, before.stopped):
                        new.append(key)
        keys = sorted({*before.keys, *new}, reverse=self.descending)
        full = len(keys) > self.query.limit
        self.matching.scanned += before.scanned
        return self._found(keys[: self.query.limit + 1], None if full else before.stopped)

    def _follows(self, key: SortKey, stopped: SortKey | None) -> bool:
        """Return True if a place is after the one where a search stopped: the continued search will find it."""
        return stopped is not None and (key < stopped if self.descending else key > stopped)

    def page_of(self, found: SearchResult, now_ms: int) -> MessagePage:
        """Return the page for a search result."""
        back = self.cursor is not None and self.cursor.back
        keys = list(found.keys[: self.query.limit])
        more = len(found.keys) > self.query.limit or found.stopped is not None
        if back:
            keys.reverse()
        following = _cursor("after", keys[-1]) if keys and (more or back) else None
        previous = _cursor("before", keys[0]) if keys and (more if back else self.cursor is not None) else None
        if found.stopped is not None:
            if back:
                previous = _cursor("before", found.stopped)
            else:
                following = _cursor("after", found.stopped)
        places = [(partition, self.places[partition][0], offset) for _, partition, offset in keys]
        return MessagePage(
            events=read_events(self.reader, self.query.topic, places),
            next=following,
            previous=previous,
            scanned=found.scanned,
            total=total_events(self.reader, self.places),
            complete=found.stopped is None,
            elapsed_ms=(time.perf_counter() - self.started) * 1000,
            as_of_ms=now_ms,
            as_of={partition: end for partition, (_, _, end) in self.places.items()},
        )

    def _look(self, ways: Iterator[Way], found: list[SortKey], scanned_max: int | None = None) -> SearchResult | None:
        """Search until the page is full or time is up.

        Return None if `scanned_max` offsets were searched before that; the next call continues with the same `ways` and
        `found`.
        """
        for key, matched in ways:
            if matched:
                found.append(key)
                if len(found) > self.query.limit:
                    break
            elif scanned_max is not None and self.matching.scanned > scanned_max:
                return None
            elif time.perf_counter() > self.deadline and self._beyond_cursor(key):
                return self._found(found, key)
        return self._found(found, None)

    def _found(self, keys: list[SortKey], stopped: SortKey | None) -> SearchResult:
        return SearchResult(tuple(keys), stopped, self.matching.scanned, self.places)

    def _merged(self, ranges: Ranges | None = None) -> Iterator[Way]:
        """Yield every partition's events in the order of the page; False marks a place where the clock may be checked.

        Args:
            ranges: the parts of the logs that may have the key; None for all of them.
        """
        if self.query.order == "offset":
            for partition in sorted(self.places, reverse=self.descending):
                yield from self._by_offset(partition)
            return
        one_log = self._by_time if ranges is None else partial(self._by_key, ranges)
        yield from heapq.merge(
            *(one_log(partition) for partition in self.places),
            key=lambda found: found[0],
            reverse=self.descending,
        )

    # Offset order

    def _by_offset(self, partition: int) -> Iterator[Way]:
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
            found = self.matching.places(partition_id, first, last - 1)
            for offset, _ in reversed(found) if self.descending else found:
                if offset not in hidden:
                    yield (0, partition, offset), True
            low, high = (low, first) if self.descending else (last, high)
            yield (0, partition, first if self.descending else last - 1), False

    # Time order

    def _by_time(self, partition: int) -> Iterator[Way]:
        sign = -1 if self.descending else 1
        heap: list[tuple[int, int]] = []
        partition_id = self.places[partition][0]
        for ranges, bound in self._chunks(partition):
            for first, last in ranges:
                for offset, timestamp in self.matching.places(partition_id, first, last):
                    heapq.heappush(heap, (sign * timestamp, sign * offset))
            limit = None if bound is None else (sign * bound[0], sign * bound[1])
            while heap and (limit is None or heap[0] < limit):
                timestamp, offset = heapq.heappop(heap)
                key = (sign * timestamp, partition, sign * offset)
                if self._beyond_cursor(key):
                    yield key, True
            if bound is not None:
                # Just before the first event that a later chunk can hold: a stopped search continues after this place.
                yield (bound[0], partition, bound[1] - sign), False

    def _by_key(self, ranges: Ranges, partition: int) -> Iterator[Way]:
        """Yield the events of a key, from the parts of a log that may have it: all at once, since they are few."""
        partition_id, start, end = self.places[partition]
        found: list[SortKey] = []
        for first, last in joined(ranges[partition_id]):
            hidden = markers(self.reader, partition_id, first, last)
            found += [
                (timestamp, partition, offset)
                for offset, timestamp in self.matching.places(partition_id, max(first, start), last)
                if offset not in hidden
            ]
            self.matching.scanned -= last - max(first, start) + 1
        # The other parts count as searched too: the index shows that they don't have this key.
        self.matching.scanned += end - start
        yield from ((key, True) for key in sorted(found, reverse=self.descending) if self._beyond_cursor(key))

    def _beyond_cursor(self, key: SortKey) -> bool:
        if self.cursor is None:
            return True
        return key < self.cursor.key if self.descending else key > self.cursor.key

    def _chunks(self, partition: int) -> Iterator[tuple[list[tuple[int, int]], tuple[int, int] | None]]:
        """Yield offset ranges of batches, and the (timestamp, offset) that bounds later chunks; None at the end."""
        _, start, end = self.places[partition]
        pending: list[tuple[int, int]] = []
        batches = events = 0
        part = 8
        for base, last, edge in self._batches(partition):
            if batches >= CHUNK_BATCHES // part or events >= CHUNK_EVENTS // part:
                yield joined(pending), (edge, last if self.descending else base)
                pending, batches, events = [], 0, 0
                part = max(1, part // 2)
            first, last = max(base, start), min(last, end - 1)
            pending.append((first, last))
            batches += 1
            events += last - first + 1
        yield joined(pending), None

    def _batches(self, partition: int) -> Iterator[tuple[int, int, int]]:
        """Yield (base offset, last offset, edge) of the batches that may hold events of the page, sorted by edge.

        The index covers everything except transaction markers, so skipping a batch needs no look-up.
        """
        partition_id, start, end = self.places[partition]
        since = self.query.since_ms if self.query.since_ms is not None else -(1 << 62)
        until = self.query.until_ms if self.query.until_ms is not None else 1 << 62
        beyond, parameters = self._beyond(partition)
        edge, order = ("max_timestamp", "DESC") if self.descending else ("min_timestamp", "ASC")
        yield from self.reader.rows(
            f"SELECT base_offset, last_offset, {edge} FROM batches WHERE partition_id = ? AND max_timestamp >= ? "
            f"AND min_timestamp < ? AND last_offset >= ? AND base_offset < ? {beyond} "
            "AND NOT EXISTS (SELECT 1 FROM log_transactions x WHERE x.partition_id = batches.partition_id "
            f"AND x.last_offset = batches.last_offset) ORDER BY {edge} {order}, base_offset {order}",
            (partition_id, since, until, start, end, *parameters),
        )

    def _beyond(self, partition: int) -> tuple[str, tuple[int, ...]]:
        """An SQL condition that leaves out the batches whose events are all before the cursor."""
        if self.cursor is None:
            return "", ()
        timestamp, at, offset = self.cursor.key
        if partition != at:
            # All events of this partition with the cursor's timestamp are on one side of the cursor.
            offset = OFFSET_LIMIT if (partition < at) else -1
        if self.descending:
            return "AND (min_timestamp < ? OR (min_timestamp = ? AND base_offset < ?))", (timestamp, timestamp, offset)
        return "AND (max_timestamp > ? OR (max_timestamp = ? AND last_offset > ?))", (timestamp, timestamp, offset)


def written_since(before: Places, now: Places) -> dict[int, int] | None:
    """Return the former end of each partition; None if the partitions differ in more than new events."""
    if before.keys() != now.keys():
        return None
    for partition, (at, start, end) in now.items():
        if before[partition][:2] != (at, start) or not 0 <= end - before[partition][2] <= NEW_EVENTS_MAX:
            return None
    return {partition: place[2] for partition, place in before.items()}


def is_spread(ranges: Ranges, places: Places) -> bool:
    """Return True if a key is in too many parts of the logs: reading them all takes longer than a plain search."""
    parts = sum(map(len, ranges.values()))
    of = sum((end - start) // SEGMENT_EVENTS + 1 for _, start, end in places.values())
    return parts * parts > 64 * of or (parts - len(places)) * SEGMENT_EVENTS > FIRST_LOOK_EVENTS


def offsets_for_time(reader: Reader, topic: str, timestamp_ms: int) -> dict[int, int | None]:
    """Return the offset of each partition's first event at or after a time, None if there is none."""
    places = partition_ids(reader, topic)
    if places is None:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {shown_name(topic)}.")
    found = {
        partition: offset_for_time(reader, partition_id, timestamp_ms, start, end)
        for partition, (partition_id, start, end) in places.items()
    }
    return {partition: place[0] if place else None for partition, place in found.items()}


def _cursor(direction: str, key: SortKey) -> str:
    return ":".join((direction, *map(str, key)))


NEIGHBOUR_CHUNK_EVENTS = 2_000
LOOKED_AT_MAX = 50_000
BUDGET_S = 0.05
"""Limits for the search for the same key, in each direction: the number of events, and the time."""


def committed_in(reader: Reader, topic: str) -> dict[str, dict[int, int]]:
    """Return committed offsets by group and partition, for the groups that have committed in a topic, sorted by id."""
    found: dict[str, dict[int, int]] = {}
    for group, partition, offset in reader.rows(
        "SELECT group_id, partition, offset FROM committed_offsets WHERE topic = ? ORDER BY group_id, partition",
        (topic,),
    ):
        found.setdefault(group, {})[partition] = offset
    return found


def neighbours(reader: Reader, topic: str, partition: int, offset: int) -> Neighbours:
    """Return an event's neighbours. The same key is only searched in its own partition, because keys don't move.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION.
    """
    places = partition_ids(reader, topic)
    if places is None or partition not in places:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no partition {partition} of a topic {topic}.")
    at, start, end = places[partition]
    before, after = (start, offset - 1), (offset + 1, end - 1)
    row = reader.one("SELECT CAST(key AS BLOB) FROM events WHERE id = ?", ((at << OFFSET_BITS) + offset,))
    key = row[0] if row else None
    previous_of_key: tuple[int | None, int | None] = (None, None)
    next_of_key: tuple[int | None, int | None] = (None, None)
    if key is not None:
        previous_of_key = _nearest(reader, at, before, key, back=True)
        next_of_key = _nearest(reader, at, after, key, back=False)
    return Neighbours(
        previous=_nearest(reader, at, before, None, back=True)[0],
        next=_nearest(reader, at, after, None, back=False)[0],
        previous_of_key=previous_of_key[0],
        next_of_key=next_of_key[0],
        looked_back=previous_of_key[1],
        looked_on=next_of_key[1],
    )


def _nearest(
    reader: Reader, at: int, within: tuple[int, int], key: bytes | None, *, back: bool
) -> tuple[int | None, int | None]:
    """Find the nearest event in a range of offsets, with a key if one is passed.

    Returns:
        Its offset or None; and, if the search gave up, how many offsets it had read.
    """
    first, last = within
    base = at << OFFSET_BITS
    deadline = time.perf_counter() + BUDGET_S
    looked_at = 0
    while first <= last:
        if key is not None and (looked_at >= LOOKED_AT_MAX or (looked_at and time.perf_counter() > deadline)):
            return None, looked_at
        # Without a key the first row is the answer, unless there are markers or gaps, which are few.
        low, high = (
            (max(first, last - NEIGHBOUR_CHUNK_EVENTS + 1), last)
            if back
            else (first, min(last, first + NEIGHBOUR_CHUNK_EVENTS - 1))
        )
        hidden = markers(reader, at, low, high)
        of_key, parameters = ("AND CAST(key AS BLOB) = ?", (key,)) if key is not None else ("", ())
        for (row_id,) in reader.rows(
            f"SELECT id FROM events WHERE id BETWEEN ? AND ? {of_key} ORDER BY id {'DESC' if back else 'ASC'}",
            (base + low, base + high, *parameters),
        ):
            if row_id - base not in hidden:
                return row_id - base, None
        looked_at += high - low + 1
        first, last = (first, low - 1) if back else (high + 1, last)
    return None, None
