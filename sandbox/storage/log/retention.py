"""Moves the log start offset, and computes the size of the remaining log."""

from sandbox.kafka.errors import EventsDamaged
from sandbox.storage.file.database import Database, Reader
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log import log

NO_TIMESTAMP = -1
FIRST_BATCH = (
    "SELECT base_offset, bytes_before FROM batches WHERE partition_id = ?1 AND last_offset >= ?2 "
    f"AND base_offset >= {log.HOLDING_BATCH} ORDER BY base_offset LIMIT 1"
)
"""The batch that holds an offset, or the first one after it: its base offset and the bytes before it."""


def bytes_until(reader: Reader, partition_id: int, offset: int) -> int:
    """Return the total size of all batches ever produced before an offset, in bytes."""
    found = reader.one(FIRST_BATCH, (partition_id, offset))
    if found is not None:
        return int(found[1])
    last = reader.one(
        "SELECT bytes_before + size_bytes FROM batches WHERE partition_id = ? ORDER BY base_offset DESC LIMIT 1",
        (partition_id,),
    )
    return int(last[0]) if last else 0


def log_size(reader: Reader, partition_id: int) -> int:
    """Return the size of a log in bytes: the batches from the log start offset on, minus what compaction deleted.

    A batch that contains the log start offset counts completely, like a segment in Kafka.
    """
    row = reader.one("SELECT log_start_bytes + compacted_bytes FROM partitions WHERE id = ?", (partition_id,))
    return max(0, bytes_until(reader, partition_id, 1 << OFFSET_BITS) - (row[0] if row else 0))


def expired_until(
    reader: Reader, partition_id: int, start: int, end: int, before_ms: int, batches_max: int
) -> tuple[int, bool]:
    """Find the end of the part of a log that is older than a time.

    Args:
        start: the log start offset.
        end: the high watermark.
        before_ms: batches whose largest timestamp is earlier have expired. The append time counts for a batch without
            timestamps.
        batches_max: the maximum number of batches to read.

    Returns:
        The first offset that has not expired, and whether there may be more expired batches beyond the ones read.
    """
    until = start
    rows = _batches(reader, partition_id, start, end, batches_max)
    for last_offset, _, timestamp, appended_ms in rows:
        if (appended_ms if timestamp == NO_TIMESTAMP else timestamp) >= before_ms:
            return until, False
        until = last_offset + 1
    return until, len(rows) == batches_max


def oversized_until(
    reader: Reader, partition_id: int, start: int, end: int, excess_bytes: int, batches_max: int
) -> tuple[int, bool]:
    """Find the offset to cut a log at to delete at most `excess_bytes`; see `expired_until`."""
    until = start
    rows = _batches(reader, partition_id, start, end, batches_max)
    for last_offset, size_bytes, _, _ in rows:
        excess_bytes -= size_bytes
        if excess_bytes < 0:
            return until, False
        until = last_offset + 1
    return until, len(rows) == batches_max


def cut_until(
    reader: Reader,
    partition_id: int,
    start: int,
    end: int,
    before_ms: int | None,
    retention_bytes: int,
    batches_max: int,
) -> tuple[int, bool]:
    """Return the offset at which the log would start after retention; see `expired_until`.

    Args:
        before_ms: batches whose largest timestamp is earlier have expired; None for no limit.
        retention_bytes: the maximum size of the log; -1 for no limit.
    """
    until, more = start, False
    if before_ms is not None:
        until, more = expired_until(reader, partition_id, start, end, before_ms, batches_max)
    if retention_bytes >= 0 and not more:
        excess_bytes = log_size(reader, partition_id) - _kept_bytes(reader, partition_id, start, until)
        excess_bytes -= retention_bytes
        if excess_bytes > 0:
            until, more = oversized_until(reader, partition_id, until, end, excess_bytes, batches_max)
    return until, more


def _batches(reader: Reader, partition_id: int, start: int, end: int, count: int) -> list[tuple[int, int, int, int]]:
    return [
        (row[0], row[1], row[2], row[3])
        for row in reader.rows(
            "SELECT last_offset, size_bytes, max_timestamp, appended_ms FROM batches WHERE partition_id = ?1 "
            f"AND base_offset >= {log.HOLDING_BATCH} AND last_offset >= ?2 AND last_offset < ?3 "
            "ORDER BY base_offset LIMIT ?4",
            (partition_id, start, end, count),
        )
    ]


def set_log_start(database: Database, partition_id: int, offset: int) -> None:
    """Raise the log start offset. The events below it have left the log; their rows may be purged later."""
    row = database.one(
        "SELECT log_start_offset, log_start_bytes, compacted_events, compacted_bytes FROM partitions WHERE id = ?",
        (partition_id,),
    )
    if row is None or offset <= row[0]:
        return
    start, start_bytes, events, size_bytes = row
    until_bytes = bytes_until(database, partition_id, offset)
    if events or size_bytes:
        events -= _missing_events(database, partition_id, start, offset)
        size_bytes -= until_bytes - start_bytes - _kept_bytes(database, partition_id, start, offset)
    database.execute(
        "UPDATE partitions SET log_start_offset = ?, log_start_bytes = ?, compacted_events = ?, compacted_bytes = ? "
        "WHERE id = ?",
        (offset, until_bytes, max(0, events), max(0, size_bytes), partition_id),
    )
    _seal_cut(database, partition_id, start, offset)


def _seal_cut(database: Database, partition_id: int, start: int, offset: int) -> None:
    """If the log start offset moves into a batch, compute the checksum of its remaining events.

    A damaged batch keeps its checksum, so that the damage is still reported.
    """
    batch = log.batch_at(database, partition_id, offset)
    if batch is None or batch.base_offset >= offset:
        return
    try:
        log.read_whole(database, batch, start)
    except EventsDamaged:
        return
    log.seal(database, partition_id, batch.base_offset, offset)


def _missing_events(reader: Reader, partition_id: int, first: int, below: int) -> int:
    """Return how many offsets of a range have no event any more."""
    base = partition_id << OFFSET_BITS
    found = reader.one("SELECT count(*) FROM events WHERE id >= ? AND id < ?", (base + first, base + below))
    return below - first - (found[0] if found else 0)


def _kept_bytes(reader: Reader, partition_id: int, first: int, below: int) -> int:
    """Return the size of the batches that leave the log when its start moves from `first` to `below`."""
    begin, end = (reader.one(FIRST_BATCH, (partition_id, offset)) for offset in (first, below))
    if begin is None:
        return 0
    found = reader.one(
        "SELECT coalesce(sum(size_bytes), 0) FROM batches WHERE partition_id = ? AND base_offset >= ? "
        "AND base_offset < ?",
        (partition_id, begin[0], end[0] if end else 1 << OFFSET_BITS),
    )
    return int(found[0]) if found else 0


def partitions_to_purge(reader: Reader) -> list[int]:
    """Return the partitions that may still have rows below their log start offset."""
    return [
        row[0]
        for row in reader.query(
            "SELECT p.id FROM partitions p JOIN topics t ON t.id = p.topic WHERE t.deleted_ms IS NULL "
            "AND p.log_start_offset > 0 AND (EXISTS (SELECT 1 FROM events e WHERE e.id >= (p.id << 40) "
            "AND e.id < (p.id << 40) + p.log_start_offset) OR EXISTS (SELECT 1 FROM batches b "
            "WHERE b.partition_id = p.id AND b.base_offset < p.log_start_offset "
            "AND b.last_offset < p.log_start_offset))"
        )
    ]
