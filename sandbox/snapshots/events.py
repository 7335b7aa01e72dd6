"""Events of two states of a sandbox: which were added, removed or changed, and the events of one topic."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.kafka.event import Event
from sandbox.model.messages import MessageQuery
from sandbox.snapshots.description import Comparison, PartitionDifference
from sandbox.storage.file.database import Reader
from sandbox.storage.search.messages import MessageSearch

CHUNK = 500
SHOWN_MAX = 200
BUDGET_S = 1.0


@dataclass(frozen=True, slots=True)
class EventDifference:
    """An offset whose event differs between two states.

    Attributes:
        change: "added" (only the right state has it), "removed" (only the left one) or "changed".
        left, right: the event in each state, None if it isn't there.
    """

    topic: str
    partition: int
    offset: int
    change: str
    left: Event | None
    right: Event | None


@dataclass(frozen=True, slots=True)
class EventDifferences:
    """Events that differ, by topic, partition and offset.

    Attributes:
        complete: False if there are more, or the time limit was reached.
    """

    events: tuple[EventDifference, ...]
    complete: bool


def events_of(reader: Reader, topic: str, partition: int | None = None, start: int = 0) -> Iterator[Event]:
    """Yield a topic's events in one state, by partition and offset, without events of aborted or open transactions.

    Args:
        partition: one partition; None for all.
        start: the first offset.
    """
    partitions = () if partition is None else (partition,)
    cursor: str | None = None
    while True:
        query = MessageQuery(
            topic, partitions, "offset", start, limit=CHUNK, cursor=cursor, budget_ms=int(BUDGET_S * 1000)
        )
        page = MessageSearch(reader, query).page(0)
        yield from (event for event in page.events if not (event.aborted or event.pending))
        cursor = page.next
        if cursor is None:
            return


def compare_events(left: Reader, right: Reader, found: Comparison) -> EventDifferences:
    """Return the events that differ, at most `SHOWN_MAX` of them, within `BUDGET_S`.

    Args:
        left, right: one read transaction each.
        found: their comparison, which names the partitions to read.
    """
    until_s = time.monotonic() + BUDGET_S
    events: list[EventDifference] = []
    for one in found.partitions:
        for difference in _in_partition(left, right, one, until_s):
            if difference is None or len(events) == SHOWN_MAX:
                return EventDifferences(tuple(events), False)
            events.append(difference)
    return EventDifferences(tuple(events), True)


def _in_partition(
    left: Reader, right: Reader, one: PartitionDifference, until_s: float
) -> Iterator[EventDifference | None]:
    """Yield the differences of a partition; None when time is up."""
    start = _first_different(one)
    befores = iter(()) if one.left is None else events_of(left, one.topic, one.partition, start)
    afters = iter(()) if one.right is None else events_of(right, one.topic, one.partition, start)
    before, after = next(befores, None), next(afters, None)
    while before is not None or after is not None:
        if time.monotonic() > until_s:
            yield None
            return
        if after is None or (before is not None and before.offset < after.offset):
            assert before is not None
            yield EventDifference(one.topic, one.partition, before.offset, "removed", before, None)
            before = next(befores, None)
        elif before is None or after.offset < before.offset:
            yield EventDifference(one.topic, one.partition, after.offset, "added", None, after)
            after = next(afters, None)
        else:
            if _content(before) != _content(after):
                yield EventDifference(one.topic, one.partition, after.offset, "changed", before, after)
            before, after = next(befores, None), next(afters, None)


def _first_different(one: PartitionDifference) -> int:
    """Return an offset below which both states have the same events."""
    if one.left is None or one.right is None or one.other_events or one.left.start != one.right.start:
        return 0
    longer, shorter = sorted((one.left, one.right), key=lambda ends: -ends.end)
    # Fewer events than offsets in between may mean that compaction removed some of those that both had.
    return shorter.end if longer.events - shorter.events == longer.end - shorter.end else 0


def _content(event: Event) -> tuple[object, ...]:
    return event.key, event.value, event.headers, event.timestamp_ms
