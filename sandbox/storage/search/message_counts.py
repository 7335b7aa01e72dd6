"""Counts the events that a query finds one by one, by time, and updates the count when there are new events."""

import heapq
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sandbox.model.messages import BUCKETS, MessageQuery, Volume, dense, width_for
from sandbox.schemas.decoding import EventDecoder
from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log.log_transactions import markers
from sandbox.storage.search.key_index import LogSpan
from sandbox.storage.search.message_conditions import Matching, joined
from sandbox.storage.search.messages import Places, places_of, total_events, written_since

CHUNK_EVENTS = 1_000
FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class Counted:
    """Events that were counted one by one.

    Attributes:
        counts: matches by bucket, the time divided by `width_ms`.
        span: the earliest and the latest time of a match, None if there is none.
        width_ms: the length of a bucket.
        matched, untimed: the number of matches, and how many of them have no time.
        scanned: how many offsets were read, from the newest on.
        complete: False if time was up before all were read.
        places: the partitions as they were then.
    """

    counts: Mapping[int, int]
    span: tuple[int, int] | None
    width_ms: int
    matched: int
    untimed: int
    scanned: int
    complete: bool
    places: Places


def count(reader: Reader, query: MessageQuery, budget_ms: int, decoder: EventDecoder | None = None) -> Counted:
    """Count the events of a query (`counted_query`), the newest batches first, until time is up."""
    deadline = time.perf_counter() + budget_ms / 1000
    places = places_of(reader, query)
    matching = Matching(reader, query, decoder)
    stamps: list[int] = []
    complete = True
    for at, first, last in _newest_first(reader, query, places):
        if time.perf_counter() > deadline:
            complete = False
            break
        stamps += [timestamp for _, timestamp in matching.places(at, first, last)]
    return _counted(None, stamps, matching.scanned, complete, places)


def count_on(
    reader: Reader, query: MessageQuery, before: Counted, decoder: EventDecoder | None = None
) -> Counted | None:
    """Return what `count` would return, by updating an earlier result; None if that is not possible.

    Args:
        before: the result of the same query, on the same content of the file, with no compaction since.
    """
    places = places_of(reader, query)
    written = written_since(before.places, places)
    if written is None:
        return None
    matching = Matching(reader, query, decoder)
    stamps = new_stamps(reader, matching, places, written, query.from_offset or 0)
    found = _counted(before, stamps, matching.scanned, before.complete, places)
    return found if before.span is None or found.width_ms == before.width_ms else None


def new_stamps(
    reader: Reader, matching: Matching, places: Places, written: Mapping[int, int], from_offset: int = 0
) -> list[int]:
    """Return the times of the matching events from the partitions' former ends (`written`) on."""
    stamps: list[int] = []
    for partition, (at, _, end) in places.items():
        first = max(written[partition], from_offset)
        if first < end:
            hidden = markers(reader, at, first, end - 1)
            stamps += [stamp for offset, stamp in matching.places(at, first, end - 1) if offset not in hidden]
    return stamps


def _counted(before: Counted | None, stamps: list[int], scanned: int, complete: bool, places: Places) -> Counted:
    timed = [stamp for stamp in stamps if stamp >= 0]
    edges = timed if before is None or before.span is None else [*before.span, *timed]
    span = (min(edges), max(edges)) if edges else None
    width_ms = _width(span)
    counts = Counter(stamp // width_ms for stamp in timed)
    untimed = len(stamps) - len(timed)
    if before is None:
        return Counted(counts, span, width_ms, len(stamps), untimed, scanned, complete, places)
    counts.update(before.counts)
    return Counted(
        counts,
        span,
        width_ms,
        before.matched + len(stamps),
        before.untimed + untimed,
        before.scanned + scanned,
        complete,
        places,
    )


def _width(span: tuple[int, int] | None) -> int:
    return width_for(span[1] - span[0]) if span else 1


def volume_of(reader: Reader, found: Counted, started_s: float) -> Volume:
    """Return the volume for a count.

    Args:
        started_s: when the count began, by `time.perf_counter`.
    """
    total = total_events(reader, found.places)
    looked_at = total if found.complete else min(total, found.scanned)
    return Volume(
        buckets=dense(dict(found.counts), found.width_ms),
        width_ms=found.width_ms,
        matched=found.matched,
        untimed=found.untimed,
        looked_at=looked_at,
        total=total,
        complete=found.complete,
        exact=True,
        by_batches=False,
        elapsed_ms=(time.perf_counter() - started_s) * 1000,
    )


def _newest_first(reader: Reader, query: MessageQuery, places: Places) -> Iterator[tuple[int, int, int]]:
    """Yield ranges of offsets (row id of the partition, first, last), the newest batches of all partitions first."""
    since = query.since_ms if query.since_ms is not None else -FAR
    until = query.until_ms if query.until_ms is not None else FAR

    def of(at: int, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        start = max(start, query.from_offset or 0)
        pending: list[tuple[int, int]] = []
        events = 0
        edge = 0
        for base, last, edge in reader.rows(
            "SELECT base_offset, last_offset, max_timestamp FROM batches WHERE partition_id = ? AND max_timestamp >= ? "
            "AND min_timestamp < ? AND last_offset >= ? AND base_offset < ? AND NOT EXISTS (SELECT 1 "
            "FROM log_transactions x WHERE x.partition_id = batches.partition_id "
            "AND x.last_offset = batches.last_offset) ORDER BY max_timestamp DESC",
            (at, since, until, start, end),
        ):
            pending.append((max(base, start), min(last, end - 1)))
            events += last - base + 1
            if events >= CHUNK_EVENTS:
                yield from ((-edge, at, first, final) for first, final in joined(pending))
                pending, events = [], 0
        yield from ((-edge, at, first, final) for first, final in joined(pending))

    for _, at, first, last in heapq.merge(*(of(*place) for place in places.values())):
        yield at, first, last


BATCHES_MAX = 10_000
EVENTS_MAX = 10_000
PROBES = 600
PROBES_LEAST = 20
"""The minimum number of places read in one log, however many partitions there are."""


def counted_query(query: MessageQuery) -> MessageQuery:
    """Return a query without the parts that don't change how many events it finds."""
    plain = MessageQuery(query.topic)
    same = replace(query, order=plain.order, cursor=None, limit=plain.limit, budget_ms=plain.budget_ms)
    return same if query.order == "offset" else replace(same, from_offset=None)


def looks_at_events(query: MessageQuery) -> bool:
    """Return True if a query cannot be answered from batches alone."""
    plain = MessageQuery(query.topic, partitions=query.partitions, since_ms=query.since_ms, until_ms=query.until_ms)
    return query != plain


@dataclass(frozen=True, slots=True)
class Batched:
    """A volume counted from batches, and the partitions as they were then."""

    volume: Volume
    places: Places


def count_batches(reader: Reader, query: MessageQuery) -> Batched:
    """Distribute events over time by their batches; the query filters only by partition and time."""
    places = places_of(reader, query)
    return Batched(_by_batches(reader, query, places), places)


def batches_on(reader: Reader, query: MessageQuery, before: Batched) -> Batched | None:
    """Return what `count_batches` would return, by updating an earlier result; None if that is not possible.

    Args:
        query: a query that filters only by partition.
        before: the result of the same query, on the same content of the file, with no compaction since.
    """
    places = places_of(reader, query)
    written, old = written_since(before.places, places), before.volume
    if written is None:
        return None
    stamps = new_stamps(reader, Matching(reader, query), places, written)
    counts = Counter(stamp // old.width_ms for stamp in stamps if stamp >= 0)
    counts.update({bucket.from_ms // old.width_ms: bucket.events for bucket in old.buckets})
    if len(old.buckets) < 2 or max(counts) - min(counts) > BUCKETS:
        return None
    untimed = old.untimed + sum(stamp < 0 for stamp in stamps)
    total = old.total + len(stamps)
    found = replace(
        old,
        buckets=dense(counts, old.width_ms),
        matched=old.matched + len(stamps),
        untimed=untimed,
        looked_at=total,
        total=total,
    )
    return Batched(found, places)


def _by_batches(reader: Reader, query: MessageQuery, places: Places) -> Volume:
    window = _Window(query)
    spans = [span for place in places.values() if (span := _span(reader, window, place))]
    width_ms = width_for(max(span[1] for span in spans) - min(span[0] for span in spans)) if spans else 1
    counts: Counter[int] = Counter()
    total = total_events(reader, places)
    exact, budget = True, EVENTS_MAX
    few, many = _by_batches_there(reader, window, places)
    for place in many:
        exact = False
        _by_probes(reader, window, place, width_ms, counts, max(PROBES_LEAST, PROBES // len(many)))
    for place in few:
        _whole_batches(reader, window, place, width_ms, counts)
        budget, even = _split_batches(reader, window, place, width_ms, counts, budget)
        exact = exact and not even
    timed = sum(counts.values())
    matched = timed
    if query.since_ms is None and query.until_ms is None:
        matched = total
        if not exact:
            timed = _scale(counts, total)
    return Volume(dense(counts, width_ms), width_ms, matched, matched - timed, total, total, True, exact, True, 0.0)


class _Window:
    """The query's time range in ms, including `since` and excluding `until`. Times before 1970 count as none."""

    def __init__(self, query: MessageQuery) -> None:
        self.since = max(0, query.since_ms or 0)
        self.until = FAR if query.until_ms is None else query.until_ms
        self._all = query.since_ms is None and query.until_ms is None

    def batches(self, at: int) -> tuple[str, tuple[int, ...]]:
        """Return an SQL condition for a partition's batches that overlap the window, using the index."""
        if self._all:
            return "partition_id = ?", (at,)
        inside = (
            "SELECT base_offset FROM batches INDEXED BY batches_by_time WHERE partition_id = ? AND max_timestamp >= ? "
            "AND min_timestamp < ?"
        )
        return f"partition_id = ? AND base_offset IN ({inside})", (at, at, self.since, self.until)


def _span(reader: Reader, window: _Window, place: LogSpan) -> tuple[int, int] | None:
    """Return the earliest and the latest time of a partition's events within the window; None if there are none."""
    at, start, _ = place
    first = reader.one(
        "SELECT min_timestamp FROM batches INDEXED BY batches_by_first_time WHERE partition_id = ? "
        "AND min_timestamp >= 0 AND last_offset >= ? ORDER BY min_timestamp LIMIT 1",
        (at, start),
    )
    last = reader.one(
        "SELECT max_timestamp FROM batches INDEXED BY batches_by_time WHERE partition_id = ? AND last_offset >= ? "
        "ORDER BY max_timestamp DESC LIMIT 1",
        (at, start),
    )
    if last is None:
        return None
    low, high = max(first[0] if first else 0, window.since), min(last[0], window.until - 1)
    return (low, high) if low <= high else None


def _by_batches_there(reader: Reader, window: _Window, places: Places) -> tuple[list[LogSpan], list[LogSpan]]:
    """Split the logs into those whose batches are all counted, the smallest first, and those with too many of them."""
    left = BATCHES_MAX
    few: list[LogSpan] = []
    many: list[LogSpan] = []
    for place in sorted(places.values(), key=lambda one: one[2] - one[1]):
        row = reader.one(
            "SELECT count(*) FROM (SELECT 1 FROM batches INDEXED BY batches_by_time WHERE partition_id = ? "
            "AND max_timestamp >= ? AND min_timestamp < ? LIMIT ?)",
            (place[0], window.since, window.until, left + 1),
        )
        found = row[0] if row else 0
        if found > left:
            many.append(place)
        else:
            few.append(place)
            left -= found
    return few, many


def _whole_batches(reader: Reader, window: _Window, place: LogSpan, width_ms: int, counts: Counter[int]) -> None:
    """Count the batches that are entirely in the log, in the window and in one bucket."""
    at, start, end = place
    inside, parameters = window.batches(at)
    for number, events in reader.rows(
        "SELECT min_timestamp / ? AS bucket, sum(last_offset - base_offset + 1 - removed_events) FROM batches "
        f"WHERE {inside} AND base_offset >= ? AND base_offset < ? AND control = 0 AND min_timestamp >= ? "
        "AND max_timestamp < ? AND min_timestamp / ? = max_timestamp / ? GROUP BY bucket",
        (width_ms, *parameters, start, end, window.since, window.until, width_ms, width_ms),
    ):
        counts[number] += events


def _split_batches(
    reader: Reader, window: _Window, place: LogSpan, width_ms: int, counts: Counter[int], budget: int
) -> tuple[int, bool]:
    """Count the other batches. Returns the rest of the event budget, and whether some events were spread evenly."""
    at, start, end = place
    even = False
    ranges: list[tuple[int, int]] = []
    inside, parameters = window.batches(at)
    for base, last, low, high, removed in reader.query(
        "SELECT base_offset, last_offset, min_timestamp, max_timestamp, removed_events FROM batches "
        f"WHERE {inside} AND last_offset >= ? AND base_offset < ? AND control = 0 AND max_timestamp >= 0 "
        "AND (base_offset < ? OR min_timestamp < ? OR max_timestamp >= ? OR min_timestamp / ? <> max_timestamp / ?) "
        "ORDER BY max_timestamp DESC",
        (*parameters, start, end, start, window.since, window.until, width_ms, width_ms),
    ):
        first = max(base, start)
        if last - first < budget:
            budget -= last - first + 1
            ranges.append((first, min(last, end - 1)))
        else:
            even = True
            _spread(counts, window, width_ms, (max(0, low), high), last - first + 1 - removed)
    for first, last in joined(ranges):
        for number, events in reader.rows(
            "SELECT timestamp / ? AS bucket, count(*) FROM events WHERE id BETWEEN ? AND ? AND timestamp >= ? "
            "AND timestamp < ? GROUP BY bucket",
            (width_ms, (at << OFFSET_BITS) + first, (at << OFFSET_BITS) + last, window.since, window.until),
        ):
            counts[number] += events
    return budget, even


def _spread(counts: Counter[int], window: _Window, width_ms: int, span: tuple[int, int], events: int) -> None:
    """Spread events evenly from the first to the last ms of a span, and count those within the window."""
    low, high = span
    length = high - low + 1
    inside_low, inside_high = max(low, window.since), min(high + 1, window.until)
    given = 0
    for number in range(inside_low // width_ms, (inside_high - 1) // width_ms + 1):
        until = min(inside_high, (number + 1) * width_ms)
        upto = events * (until - low) // length - events * (inside_low - low) // length
        if upto > given:
            counts[number] += upto - given
            given = upto


def _by_probes(
    reader: Reader, window: _Window, place: LogSpan, width_ms: int, counts: Counter[int], probes: int
) -> None:
    """Read some batches, evenly over the log, and spread the events between two of them."""
    at, start, end = place
    known: tuple[int, int] | None = None
    step = max(1, (end - start) // probes)
    for offset in [*range(start, end, step), end - 1]:
        row = reader.one(
            "SELECT max_timestamp FROM batches WHERE partition_id = ? AND base_offset <= ? "
            "ORDER BY base_offset DESC LIMIT 1",
            (at, offset),
        )
        if row is None or row[0] < 0:
            continue
        if known is not None and offset > known[0]:
            low, high = sorted((known[1], row[0]))
            if high >= window.since and low < window.until:
                _spread(counts, window, width_ms, (low, high), offset - known[0])
        known = (offset, row[0])


def _scale(counts: Counter[int], events: int) -> int:
    """Adjust estimated buckets to a known total by adding the difference to the largest; return the new total."""
    if counts:
        number, most = counts.most_common(1)[0]
        counts[number] = max(0, most + events - sum(counts.values()))
    return sum(counts.values())
