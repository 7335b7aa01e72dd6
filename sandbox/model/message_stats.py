"""What is told of many events at once: how they lie in time, and what lies beside one of them."""

from dataclasses import dataclass

BUCKETS = 60
"""About how many buckets a volume has."""
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
    """The events of one piece of time: `from_ms` is within it, `until_ms` is not."""

    from_ms: int
    until_ms: int
    events: int


@dataclass(frozen=True, slots=True)
class Volume:
    """How the events that a query finds lie in time.

    Attributes:
        buckets: one beside the other, without a gap, from the earliest event to the latest.
        width_ms: how long each bucket is.
        matched: how many events were found, with or without a timestamp.
        untimed: how many of them have no timestamp, or one before 1970: they are in no bucket.
        looked_at: how many events were looked at.
        total: how many events the partitions of the query hold.
        complete: False where the time budget ran out before all of them were looked at.
        exact: False where the events of large batches were spread evenly over the time of their batch.
        by_batches: True where batches were counted, False where single events were looked at.
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
    """What lies beside an event in its partition.

    Attributes:
        previous, next: the nearest events that are there, None where there is none.
        previous_of_key, next_of_key: the nearest with the same key; None where none was found.
        looked_back, looked_on: how many offsets were looked at for them; None where all there are were.
    """

    previous: int | None
    next: int | None
    previous_of_key: int | None
    next_of_key: int | None
    looked_back: int | None
    looked_on: int | None


def width_for(span_ms: int, buckets: int = BUCKETS) -> int:
    """How long a bucket is, so that about `buckets` of them cover a span: a round length that people know.

    Args:
        span_ms: from the earliest event to the latest, in ms.
    """
    for width_ms in WIDTHS_MS:
        if span_ms // width_ms < buckets:
            return width_ms
    return -(-span_ms // buckets // WIDTHS_MS[-1]) * WIDTHS_MS[-1]


def dense(counts: dict[int, int], width_ms: int) -> tuple[Bucket, ...]:
    """Buckets without a gap, from counts by number (timestamp // width_ms)."""
    if not counts:
        return ()
    return tuple(
        Bucket(number * width_ms, (number + 1) * width_ms, counts.get(number, 0))
        for number in range(min(counts), max(counts) + 1)
    )
