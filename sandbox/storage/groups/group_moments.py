"""Finds log end offsets and committed offsets at earlier moments, in the rows of batches and commits.

Batches and commits are in the order in which they were written, so the state at a moment is found by binary search. If
it is the same at two moments, it was the same between them: many moments of a quiet partition cost as much as two.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from sandbox.storage.file.database import Reader

T = TypeVar("T")


class Place(NamedTuple):
    """One partition with its current bounds."""

    partition_id: int
    start: int
    end: int


class Committed(NamedTuple):
    """A row of the history of commits."""

    id: int
    offset: int
    committed_ms: int
    member_id: str


def places(reader: Reader, topics: Sequence[str] | None = None) -> dict[tuple[str, int], Place]:
    """Return every partition, or the partitions of some topics, by (topic, partition)."""
    columns = "SELECT partition_id, topic, partition, log_start_offset, end_offset FROM log_ends"
    if topics is None:
        rows = reader.query(columns)
    else:
        rows = [row for topic in topics for row in reader.query(f"{columns} WHERE topic = ?", (topic,))]
    return {(topic, partition): Place(partition_id, start, end) for partition_id, topic, partition, start, end in rows}


def end_at(reader: Reader, place: Place, at_ms: int, low: int | None = None, high: int | None = None) -> int:
    """Return the log end offset at a moment.

    Args:
        low: a known end before that moment.
        high: a known end after it.
    """
    low = place.start if low is None else low
    high = place.end if high is None else high
    middle = high - 1
    while low < high:
        row = reader.one(
            "SELECT base_offset, last_offset, appended_ms FROM batches WHERE partition_id = ? AND base_offset <= ? "
            "ORDER BY base_offset DESC LIMIT 1",
            (place.partition_id, middle),
        )
        if row is None or row[2] <= at_ms:
            low = middle + 1 if row is None else max(middle, row[1]) + 1
        else:
            high = min(middle, row[0])
        middle = (low + high) // 2
    return min(max(low, place.start), place.end)


_COMMIT = "SELECT id, offset, committed_ms, member_id FROM commits WHERE group_id = ? AND topic = ? AND partition = ?"


def committed_at(reader: Reader, group: str, topic: str, partition: int, at_ms: int) -> Committed | None:
    """Return the last commit of a group in a partition at a moment, None if there was none."""
    row = reader.one(
        f"{_COMMIT} AND committed_ms <= ? ORDER BY committed_ms DESC, id DESC LIMIT 1", (group, topic, partition, at_ms)
    )
    return Committed(*row) if row else None


def committed_at_or_first(reader: Reader, group: str, topic: str, partition: int, at_ms: int) -> Committed | None:
    """Return the last commit of a group in a partition at a moment, or its first one if that is later."""
    place = (group, topic, partition)
    row = reader.one(
        f"SELECT * FROM ({_COMMIT} AND committed_ms <= ? ORDER BY committed_ms DESC, id DESC LIMIT 1) UNION ALL "
        f"SELECT * FROM ({_COMMIT} AND committed_ms > ? ORDER BY committed_ms, id LIMIT 1) LIMIT 1",
        (*place, at_ms, *place, at_ms),
    )
    return Committed(*row) if row else None


def ends_at(reader: Reader, place: Place, moments: Sequence[int]) -> list[int | None]:
    """Return the log end offset at each moment, earliest first; None if the batches of that time are deleted."""
    if not moments:
        return []
    first = None
    if place.start > 0:
        oldest = reader.one(
            "SELECT appended_ms FROM batches WHERE partition_id = ? ORDER BY base_offset LIMIT 1", (place.partition_id,)
        )
        first = oldest[0] if oldest else moments[-1]

    def look(at_ms: int, before: int | None, after: int | None) -> int:
        return end_at(reader, place, at_ms, before, after)

    return [
        None if first is not None and moment < first else end
        for moment, end in zip(moments, _at_each(moments, look), strict=True)
    ]


def commits_at(
    reader: Reader, group: str, topic: str, partition: int, moments: Sequence[int]
) -> list[Committed | None]:
    """Return the last commit of a group in a partition at each moment, earliest first."""

    def look(at_ms: int, before: Committed | None, after: Committed | None) -> Committed | None:
        return committed_at(reader, group, topic, partition, at_ms)

    return _at_each(moments, look)


def _at_each(moments: Sequence[int], look: Callable[[int, T | None, T | None], T]) -> list[T]:
    """Call `look` for moments; if the results at both ends of a range are equal, they apply to the whole range."""
    if not moments:
        return []
    last = len(moments) - 1
    known: dict[int, T] = {last: look(moments[last], None, None)}
    if last == 0:
        return [known[0]]
    known[0] = look(moments[0], None, known[last])
    stretches = [(0, last)]
    while stretches:
        left, right = stretches.pop()
        if right - left < 2:
            continue
        if known[left] == known[right]:
            known.update(dict.fromkeys(range(left + 1, right), known[left]))
            continue
        middle = (left + right) // 2
        known[middle] = look(moments[middle], known[left], known[right])
        stretches += [(left, middle), (middle, right)]
    return [known[index] for index in range(len(moments))]
