"""Queries for events, their results, and the distribution of events over time."""

from dataclasses import dataclass

from sandbox.kafka.event import Event
from sandbox.model.json_conditions import Condition

FILTERS_SETTING = "message.filters"
"""The setting of the file that holds the saved filters of the Messages page."""
BUCKETS = 60
"""The approximate number of buckets of a volume."""
WIDTHS_MS = tuple(
    step * unit
    for unit, steps in (
        (1, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
        (1_000, (1, 2, 5, 10, 15, 30)),
        (60_000, (1, 2, 5, 10, 15, 30)),
        (3_600_000, (1, 2, 3, 6, 12)),
        (86_400_000, (1, 2, 7, 14, 30, 90, 365, 3_650, 36_500)),
    )
    for step in steps
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The events of one period, including `from_ms` and excluding `until_ms`."""

    from_ms: int
    until_ms: int
    events: int


@dataclass(frozen=True, slots=True)
class Volume:
    """The distribution over time of the events that a query finds.

    Attributes:
        buckets: adjacent, from the earliest event to the latest.
        width_ms: the length of each bucket.
        matched: how many events were found, with or without a timestamp.
        untimed: how many of them have no timestamp, or one before 1970: they are in no bucket.
        looked_at: how many events were read or counted.
        total: how many events the query's partitions hold.
        complete: False if the time budget ran out before all of them were read.
        exact: False if the events of large batches were spread evenly over the time of their batch.
        by_batches: True if batches were counted, False if single events were read.
    """

    buckets: tuple[Bucket, ...]
    width_ms: int
    matched: int
    untimed: int
    looked_at: int
    total: int
    complete: bool
    exact: bool
    by_batches: bool
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The neighbours of an event in its partition, as offsets.

    Attributes:
        previous, next: the nearest existing events, None if there are none.
        previous_of_key, next_of_key: the nearest with the same key; None if none was found.
        looked_back, looked_on: how many offsets were searched for them; None if all were.
    """

    previous: int | None
    next: int | None
    previous_of_key: int | None
    next_of_key: int | None
    looked_back: int | None
    looked_on: int | None


def width_for(span_ms: int, buckets: int = BUCKETS) -> int:
    """Return a round bucket length with which about `buckets` of them cover a span.

    Args:
        span_ms: from the earliest event to the latest, in ms.
    """
    for width_ms in WIDTHS_MS:
        if span_ms // width_ms < buckets:
            return width_ms
    return -(-span_ms // buckets // WIDTHS_MS[-1]) * WIDTHS_MS[-1]


def dense(counts: dict[int, int], width_ms: int) -> tuple[Bucket, ...]:
    """Return adjacent buckets, from counts by number (timestamp // width_ms)."""
    if not counts:
        return ()
    return tuple(
        Bucket(number * width_ms, (number + 1) * width_ms, counts.get(number, 0))
        for number in range(min(counts), max(counts) + 1)
    )


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Which events to read, and in what order.

    Attributes:
        topic: the topic.
        partitions: only these; empty for all.
        order: "newest" (true time order over all partitions, latest first), "oldest" (the same, earliest first) or
            "offset" (by partition, then by ascending offset).
        from_offset: with "offset": the first offset in each partition.
        since_ms: no event with an earlier timestamp.
        until_ms: no event with this timestamp or a later one.
        key: text that the key must contain (UTF-8), None for any.
        key_exact: True if the key must equal `key`.
        value: text that the value must contain, None for any.
        headers: "name" or "name=value" each: headers that the event must have.
        conditions: conditions that the JSON in the value must meet.
        limit: events on one page, 1 to 1,000.
        cursor: the place to continue from, from `MessagePage.next` or `.previous`; None for the first page.
        budget_ms: time limit after which an incomplete search returns what it has found.
    """

    topic: str
    partitions: tuple[int, ...] = ()
    order: str = "newest"
    from_offset: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    key: str | None = None
    key_exact: bool = False
    value: str | None = None
    headers: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    limit: int = 50
    cursor: str | None = None
    budget_ms: int = 2000

    def __post_init__(self) -> None:
        # Queries are cache keys, so lists become hashable tuples.
        for name in ("partitions", "headers", "conditions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class MessagePage:
    """One page of events, from one read transaction.

    Attributes:
        events: in the requested order.
        next: cursor of the page after this one, None if it is the last.
        previous: cursor of the page before this one, None if it is the first.
        scanned: how many events were searched.
        total: how many events the partitions hold.
        complete: False if the time budget ran out before the page was full; `next` continues from there.
        as_of: partition to high watermark in that transaction.
    """

    events: tuple[Event, ...]
    next: str | None
    previous: str | None
    scanned: int
    total: int
    complete: bool
    elapsed_ms: float
    as_of_ms: int
    as_of: dict[int, int]
