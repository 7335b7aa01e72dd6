"""Counts the events that a query finds one by one, by time, and updates the count when there are new events."""

import heapq
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sandbox.model.messages import MessageQuery, Volume, dense, width_for
from sandbox.schemas.decoding import EventDecoder
from sandbox.storage.file.database import Reader
from sandbox.storage.log.log_transactions import markers
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
