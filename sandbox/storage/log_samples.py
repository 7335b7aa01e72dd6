"""How fast logs grow and which keys they hold, in bounded time whatever their size: from the newest rows alone."""

import json
from collections.abc import Collection, Sequence

from sandbox.storage.database import Reader
from sandbox.storage.schema import OFFSET_BITS

BATCHES_MAX = 4_000
"""How many rows of `batches` one look at all rates reads; beyond that, the end of the log at each step is looked up."""
BATCHES_LEAST = 20
PARTITIONS_MAX = 200
"""How many partitions a sample of keys reads from: the largest."""

Key = tuple[int, int, bytes | None]
"""Partition, offset, key."""


def count_appends(reader: Reader, topics: Collection[str], since_ms: int, step_ms: int) -> dict[str, list[int]]:
    """How many events were written to topics in each step of time, from the rows that are still there.

    Args:
        topics: names.
        since_ms: where the first step begins.
        step_ms: the length of a step.

    Returns:
        Topic to counts, the oldest step first; topics to which nothing was written are left out.
    """
    active = reader.query(
        "SELECT t.name, p.id, p.log_start_offset, b.last_offset + 1, b.appended_ms FROM topics t "
        "JOIN partitions p ON p.topic = t.id JOIN batches b ON b.partition_id = p.id "
        "AND b.base_offset = (SELECT max(base_offset) FROM batches WHERE partition_id = p.id) "
        "WHERE t.deleted_ms IS NULL AND t.name IN (SELECT value FROM json_each(?)) AND b.appended_ms >= ?",
        (json.dumps(list(topics)), since_ms),
    )
    limit = max(BATCHES_LEAST, BATCHES_MAX // max(1, len(active)))
    found: dict[str, list[int]] = {}
    for topic, partition_id, start, end, last_ms in active:
        counts = found.setdefault(topic, [])
        counts.extend([0] * ((last_ms - since_ms) // step_ms + 1 - len(counts)))
        _count_partition(reader, partition_id, start, end, since_ms, step_ms, counts, limit)
    return found


def _count_partition(
    reader: Reader, partition_id: int, start: int, end: int, since_ms: int, step_ms: int, counts: list[int], limit: int
) -> None:
    oldest = end
    rows = reader.query(
        "SELECT base_offset, last_offset, appended_ms, control FROM batches WHERE partition_id = ? "
        "ORDER BY base_offset DESC LIMIT ?",
        (partition_id, limit),
    )
    for base_offset, last_offset, appended_ms, control in rows:
        if appended_ms < since_ms:
            return
        oldest = base_offset
        if not control:
            counts[(appended_ms - since_ms) // step_ms] += last_offset - base_offset + 1
    if len(rows) < limit:
        return
    # More batches than may be read: what is left is counted by where the log ended at the end of each step.
    for step in range((rows[-1][2] - since_ms) // step_ms, -1, -1):
        begin = _end_before(reader, partition_id, start, oldest, since_ms + step * step_ms)
        counts[step] += oldest - begin
        oldest = begin


def _end_before(reader: Reader, partition_id: int, start: int, end: int, at_ms: int) -> int:
    """Where a log ended just before a time, by halving: batches are in the order in which they were appended."""
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


def newest_keys(reader: Reader, logs: Sequence[tuple[int, int, int, int]], events_max: int) -> list[Key]:
    """The keys of the newest events of some logs, of each in proportion to its length, the newest first.

    Args:
        logs: partition, row id, log start offset and end of each.
        events_max: about how many to read over all of them.
    """
    largest = sorted(logs, key=lambda log: log[2] - log[3])[:PARTITIONS_MAX]
    length = sum(end - start for _, _, start, end in largest)
    found: list[Key] = []
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
    """Partition, row id, where the part begins that was never compacted, and end, of each log of a topic."""
    return [
        (row[0], row[1], row[2], row[3])
        for row in reader.rows(
            "SELECT l.partition, l.partition_id, max(l.log_start_offset, p.first_dirty_offset), l.end_offset "
            "FROM log_ends l JOIN partitions p ON p.id = l.partition_id WHERE l.topic = ? ORDER BY l.partition",
            (topic,),
        )
    ]
