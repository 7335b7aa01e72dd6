"""Estimates how fast logs grow and which keys they hold, in bounded time: only the newest rows are read."""

import json
from collections.abc import Collection, MutableMapping, Sequence

from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS

BATCHES_MAX = 4_000
"""The maximum rows of `batches` read for all rates; beyond that, the log end at each step is looked up."""
BATCHES_LEAST = 20
PARTITIONS_MAX = 200
"""The maximum number of partitions, the largest first, that a sample of keys reads from."""

KeyRow = tuple[int, int, bytes | None]
"""Partition, offset, key."""


Ends = MutableMapping[tuple[int, int], int]
"""A partition's row id and a time, to the log end offset just before that time."""

NEWEST = """
SELECT (appended_ms - ?1) / ?2, sum(CASE WHEN control THEN 0 ELSE last_offset - base_offset + 1 END), min(base_offset),
  min(appended_ms), count(*)
FROM (SELECT base_offset, last_offset, appended_ms, control FROM batches WHERE partition_id = ?3
  ORDER BY base_offset DESC LIMIT ?4)
WHERE appended_ms >= ?1 GROUP BY 1 ORDER BY 1
"""
"""The newest batches of a log, counted per step in SQLite itself: there may be thousands."""


def count_appends(
    reader: Reader, topics: Collection[str], since_ms: int, step_ms: int, settled_ms: int = 0, known: Ends | None = None
) -> dict[str, list[int]]:
    """Count the events that were written to topics in each step of time, from the rows that still exist.

    Args:
        topics: names.
        since_ms: start of the first step.
        step_ms: the length of a step.
        settled_ms: everything that was written before this time is in the file.
        known: log end offsets from earlier calls, at times before `settled_ms`; new ones are added.

    Returns:
        Topic to counts, the oldest step first, without topics to which nothing was written.
    """
    active = reader.query(
        "SELECT t.name, p.id, p.log_start_offset, b.last_offset + 1, b.appended_ms FROM topics t "
        "JOIN partitions p ON p.topic = t.id JOIN batches b ON b.partition_id = p.id "
        "AND b.base_offset = (SELECT max(base_offset) FROM batches WHERE partition_id = p.id) "
        "WHERE t.deleted_ms IS NULL AND t.name IN (SELECT value FROM json_each(?)) AND b.appended_ms >= ?",
        (json.dumps(list(topics)), since_ms),
    )
    limit = max(BATCHES_LEAST, BATCHES_MAX // max(1, len(active)))
    look = _EndsOfLogs(reader, settled_ms, {} if known is None else known)
    found: dict[str, list[int]] = {}
    for topic, partition_id, start, end, last_ms in active:
        counts = found.setdefault(topic, [])
        counts.extend([0] * ((last_ms - since_ms) // step_ms + 1 - len(counts)))
        _count_partition(look, partition_id, start, end, since_ms, step_ms, counts, limit)
    return found


class _EndsOfLogs:
    """Log end offsets at past times.

    Args:
        settled_ms: before this time nothing changes any more.
        known: cached results of earlier look-ups.
    """

    def __init__(self, reader: Reader, settled_ms: int, known: Ends) -> None:
        self.reader = reader
        self._settled_ms = settled_ms
        self._known = known

    def before(self, partition_id: int, start: int, end: int, at_ms: int) -> int:
        """Like `_end_before`, cached."""
        place = partition_id, at_ms
        known = self._known.get(place)
        if known is not None:
            return min(max(known, start), end)
        found = _end_before(self.reader, partition_id, start, end, at_ms)
        if at_ms < self._settled_ms:
            self._known[place] = found
        return found


def _count_partition(
    look: _EndsOfLogs,
    partition_id: int,
    start: int,
    end: int,
    since_ms: int,
    step_ms: int,
    counts: list[int],
    limit: int,
) -> None:
    oldest, oldest_ms, read = end, since_ms, 0
    for step, events, base_offset, appended_ms, batches in look.reader.query(
        NEWEST, (since_ms, step_ms, partition_id, limit)
    ):
        counts[step] += events
        read += batches
        if base_offset < oldest:
            oldest, oldest_ms = base_offset, appended_ms
    if read < limit:
        return
    # There are more batches than may be read: count the rest from the log end offsets at the end of each step.
    for step in range((oldest_ms - since_ms) // step_ms, -1, -1):
        begin = look.before(partition_id, start, oldest, since_ms + step * step_ms)
        counts[step] += oldest - begin
        oldest = begin


def _end_before(reader: Reader, partition_id: int, start: int, end: int, at_ms: int) -> int:
    """Return the log end offset just before a time, by binary search: batches are in the order of their append time."""
    low, high = start, end
    while low < high:
        middle = (low + high) // 2
        row = reader.one(
            "SELECT base_offset, last_offset, appended_ms FROM batches WHERE partition_id = ? AND base_offset <= ? "
            "ORDER BY base_offset DESC LIMIT 1",
            (partition_id, middle),
        )
        if row is None or row[2] < at_ms:
            low = middle + 1 if row is None else max(middle, row[1]) + 1
        else:
            high = min(middle, row[0])
    return min(max(low, start), end)


def newest_keys(reader: Reader, logs: Sequence[tuple[int, int, int, int]], events_max: int) -> list[KeyRow]:
    """Return the keys of the newest events of some logs, from each in proportion to its length, newest first.

    Args:
        logs: partition, row id, log start offset and end of each.
        events_max: about how many events to read from all of them.
    """
    largest = sorted(logs, key=lambda log: log[2] - log[3])[:PARTITIONS_MAX]
    length = sum(end - start for _, _, start, end in largest)
    found: list[KeyRow] = []
    for partition, partition_id, start, end in largest:
        share = min(end - start, -(-events_max * (end - start) // max(1, length)))
        base = partition_id << OFFSET_BITS
        found.extend(
            (partition, id - base, key)
            for id, key in reader.rows(
                "SELECT id, CAST(key AS BLOB) FROM events WHERE id BETWEEN ? AND ? AND NOT EXISTS (SELECT 1 "
                "FROM log_transactions x WHERE x.partition_id = ? AND x.last_offset = events.id - ?) "
                "ORDER BY id DESC LIMIT ?",
                (base + start, base + end - 1, partition_id, base, share),
            )
        )
    return found


def dirty_logs(reader: Reader, topic: str) -> list[tuple[int, int, int, int]]:
    """Return partition, row id, first dirty (never compacted) offset and end of each log of a topic."""
    return [
        (row[0], row[1], row[2], row[3])
        for row in reader.rows(
            "SELECT l.partition, l.partition_id, max(l.log_start_offset, p.first_dirty_offset), l.end_offset "
            "FROM log_ends l JOIN partitions p ON p.id = l.partition_id WHERE l.topic = ? ORDER BY l.partition",
            (topic,),
        )
    ]
