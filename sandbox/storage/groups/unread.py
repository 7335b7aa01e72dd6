"""Finds a partition's unread events from an offset on, without transaction markers and events of aborted transactions.

`sandbox.model.lag_trend` explains why these don't count. Lag counts offsets and needs none of this.
"""

from sandbox.storage.file.database import Reader
from sandbox.storage.file.schema import OFFSET_BITS, OFFSET_LIMIT

FIRST = """
SELECT b.appended_ms FROM batches b WHERE b.partition_id = {partition_id}
AND b.base_offset >= coalesce((SELECT max(a.base_offset) FROM batches a
  WHERE a.partition_id = {partition_id} AND a.base_offset <= {position}), 0)
AND b.last_offset >= {position} AND b.control = 0
AND (b.transactional = 0 OR (SELECT x.aborted FROM log_transactions x WHERE x.partition_id = b.partition_id
  AND x.producer_id = b.producer_id AND x.first_offset <= b.base_offset ORDER BY x.first_offset DESC LIMIT 1) IS NOT 1)
AND EXISTS (SELECT 1 FROM events e WHERE e.id BETWEEN (b.partition_id << 40) + max(b.base_offset, {position})
  AND (b.partition_id << 40) + b.last_offset)
ORDER BY b.base_offset LIMIT 1
"""
"""Selects when the first unread event from a position on was appended; a template for partition and position."""

_FIRST = FIRST.format(partition_id="?1", position="?2")

_EXTRA = """
SELECT (SELECT count(*) FROM log_transactions x WHERE x.partition_id = p.id AND x.last_offset >= ?2),
  p.compacted_events, p.log_start_offset FROM partitions p WHERE p.id = ?1
"""
_ABORTED = """
SELECT count(*) FROM log_transactions x CROSS JOIN batches b ON b.producer_id = x.producer_id
  AND b.partition_id = x.partition_id AND b.base_offset BETWEEN x.first_offset AND x.last_offset AND b.control = 0
CROSS JOIN events e ON e.id BETWEEN (b.partition_id << 40) + max(b.base_offset, ?2)
  AND (b.partition_id << 40) + b.last_offset
WHERE x.partition_id = ?1 AND x.aborted = 1 AND x.last_offset >= ?2 AND x.first_offset < x.last_offset
AND b.producer_id >= 0
"""


def first_appended_ms(reader: Reader, partition_id: int, position: int) -> int | None:
    """Return when the first unread event from a position on was appended; None if there is none."""
    row = reader.one(_FIRST, (partition_id, position))
    return None if row is None else int(row[0])


def count_unread(reader: Reader, partition_id: int, position: int, end: int) -> int:
    """Count the unread events of a partition from a position to its end.

    A log without transactions and compaction costs two look-ups. Otherwise the work depends on the number of aborted
    events, and in a compacted log on the number of events from the position on.
    """
    if position >= end:
        return 0
    row = reader.one(_EXTRA, (partition_id, position))
    if row is None:
        return 0
    marked, compacted, start = row
    stored = end - position
    if compacted:
        first = partition_id << OFFSET_BITS
        counted = reader.one(
            "SELECT count(*) FROM events WHERE id BETWEEN ? AND ?", (first + position, first + OFFSET_LIMIT - 1)
        )
        stored = end - start - compacted if position <= start else counted[0] if counted else 0
    if not marked:
        return int(stored)
    aborted = reader.one(_ABORTED, (partition_id, position))
    return int(stored - marked - (aborted[0] if aborted else 0))
