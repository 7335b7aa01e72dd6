"""Stores share groups' windows: the start and end offset in each partition, and the state of each record in flight.

The broker decides; this module only stores. Writes go into the open write transaction (the caller commits). A row of
`share_partitions` without offsets is a partition that is assigned and was not fetched yet. `share_records` has one row
per record in the window that has ever been acquired, until the start offset passes it.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

from sandbox.model.groups import ACQUIRED, AVAILABLE, ShareRecordDescription, ShareWindow, member_names
from sandbox.storage.file.database import Database, Reader


class StoredWindow(NamedTuple):
    """A share group's window in one partition.

    Attributes:
        start: the share-partition start offset; None before the first fetch.
        end: the offset from which records were never acquired; None before the first fetch.
    """

    group_id: str
    partition_id: int
    start: int | None
    end: int | None


class StoredShareRecord(NamedTuple):
    """A record in the window.

    Attributes:
        state: "available", "acquired", "acknowledged" or "archived".
        deliveries: how often it was acquired.
        member_id: the member that has it, or had it last.
        acquired_ms: when it was acquired last.
        locked_until_ms: when its lock expires; None if it is not acquired.
    """

    offset: int
    state: str
    deliveries: int
    member_id: str
    acquired_ms: int
    locked_until_ms: int | None


class ShareStore:
    """Reads and writes the rows of share groups.

    Args:
        database: the write connection.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> tuple[tuple[StoredWindow, tuple[StoredShareRecord, ...]], ...]:
        """Return every window with its records in the order of their offsets."""
        records: dict[tuple[str, int], list[StoredShareRecord]] = {}
        for row in self._database.query(
            "SELECT group_id, partition_id, offset, state, deliveries, member_id, acquired_ms, locked_until_ms"
            " FROM share_records ORDER BY group_id, partition_id, offset"
        ):
            records.setdefault((row[0], row[1]), []).append(StoredShareRecord(*row[2:]))
        windows = self._database.query(
            "SELECT group_id, partition_id, start_offset, end_offset FROM share_partitions"
            " ORDER BY group_id, partition_id"
        )
        return tuple((StoredWindow(*row), tuple(records.get((row[0], row[1]), ()))) for row in windows)

    def save(self, window: StoredWindow, records: Iterable[StoredShareRecord] = ()) -> None:
        """Write a window and its changed records, and delete the records before its start."""
        self._database.execute(
            "INSERT OR REPLACE INTO share_partitions(group_id, partition_id, start_offset, end_offset)"
            " VALUES(?, ?, ?, ?)",
            window,
        )
        self._database.executemany(
            "INSERT OR REPLACE INTO share_records(group_id, partition_id, offset, state, deliveries, member_id,"
            " acquired_ms, locked_until_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
            [(window.group_id, window.partition_id, *record) for record in records],
        )
        if window.start is not None:
            self._database.execute(
                "DELETE FROM share_records WHERE group_id = ? AND partition_id = ? AND offset < ?",
                (window.group_id, window.partition_id, window.start),
            )

    def clear(self, group_id: str, partition_id: int) -> None:
        """Delete the records of a window."""
        self._database.execute(
            "DELETE FROM share_records WHERE group_id = ? AND partition_id = ?", (group_id, partition_id)
        )

    def delete(self, group_id: str, partition_id: int) -> None:
        """Delete a window and its records."""
        self.clear(group_id, partition_id)
        self._database.execute(
            "DELETE FROM share_partitions WHERE group_id = ? AND partition_id = ?", (group_id, partition_id)
        )


class BatchSpan(NamedTuple):
    """The offsets of one stored record batch."""

    base_offset: int
    last_offset: int


def batch_spans(reader: Reader, partition_id: int, first: int, last: int) -> list[BatchSpan]:
    """Return the record batches with offsets from `first` to `last`, inclusive, in order."""
    return [
        BatchSpan(*row)
        for row in reader.rows(
            "SELECT base_offset, last_offset FROM batches WHERE partition_id = ?1 AND base_offset <= ?3"
            " AND base_offset >= coalesce((SELECT max(base_offset) FROM batches WHERE partition_id = ?1"
            " AND base_offset <= ?2), 0) AND last_offset >= ?2 ORDER BY base_offset",
            (partition_id, first, last),
        )
    ]


def record_offsets(reader: Reader, partition_id: int, first: int, last: int) -> list[int]:
    """Return the offsets of the stored records from `first` to `last`, inclusive, without transaction markers."""
    base = partition_id << 40
    return [
        row[0]
        for row in reader.rows(
            "SELECT e.id - ?1 FROM events e WHERE e.id BETWEEN ?1 + ?3 AND ?1 + ?4 AND NOT EXISTS (SELECT 1 FROM"
            " log_transactions x WHERE x.partition_id = ?2 AND x.last_offset = e.id - ?1) ORDER BY e.id",
            (base, partition_id, first, last),
        )
    ]


def aborted_spans(reader: Reader, partition_id: int, first: int, last: int) -> list[BatchSpan]:
    """Return the batches of aborted transactions with offsets from `first` to `last`, inclusive."""
    return [
        BatchSpan(*row)
        for row in reader.rows(
            "SELECT b.base_offset, b.last_offset FROM log_transactions x JOIN batches b"
            " ON b.partition_id = x.partition_id AND b.base_offset BETWEEN x.first_offset AND x.last_offset"
            " AND b.producer_id = x.producer_id AND b.transactional = 1 AND b.control = 0"
            " WHERE x.partition_id = ?1 AND x.aborted = 1 AND x.last_offset >= ?2 AND x.first_offset <= ?3"
            " AND b.last_offset >= ?2 AND b.base_offset <= ?3",
            (partition_id, first, last),
        )
    ]


WINDOWS = """
SELECT t.name, p.partition, s.partition_id, s.start_offset, s.end_offset, p.log_start_offset, l.end_offset
FROM share_partitions s JOIN partitions p ON p.id = s.partition_id
JOIN topics t ON t.id = p.topic AND t.deleted_ms IS NULL JOIN log_ends l ON l.partition_id = p.id
WHERE s.group_id = ? ORDER BY t.name, p.partition
"""
RECORDS = """
SELECT partition_id, offset, state, deliveries, member_id, acquired_ms, locked_until_ms FROM share_records
WHERE group_id = ? ORDER BY partition_id, offset
"""


def describe_windows(reader: Reader, group: str) -> tuple[ShareWindow, ...]:
    """Return a group's windows by topic and partition; none if it is no share group."""
    names = member_names(
        (member_id, client_id, None)
        for member_id, client_id in reader.rows(
            "SELECT member_id, client_id FROM group_members WHERE group_id = ? ORDER BY client_id, member_id", (group,)
        )
    )
    records: dict[int, list[ShareRecordDescription]] = {}
    for partition_id, offset, state, deliveries, member_id, acquired_ms, until_ms in reader.rows(RECORDS, (group,)):
        member = str(names.get(member_id, member_id))
        record = ShareRecordDescription(offset, state, deliveries, member, acquired_ms, until_ms)
        records.setdefault(partition_id, []).append(record)
    windows = []
    for topic, partition, partition_id, start, end, log_start, log_end in reader.rows(WINDOWS, (group,)):
        found = tuple(records.get(partition_id, ()))
        waiting = sum(one.state in (AVAILABLE, ACQUIRED) for one in found)
        lag = None if end is None else max(0, log_end - max(end, log_start)) + waiting
        windows.append(ShareWindow(topic, partition, start, end, log_start, log_end, lag, found))
    return tuple(windows)


def share_lags(reader: Reader, group: str) -> dict[tuple[str, int], tuple[int, int | None, int | None]]:
    """Return (start offset, lag, time of the last delivery) for each partition that the group has fetched."""
    row = reader.one(
        "SELECT json_group_array(json_array(w.name, w.partition, max(w.start_offset, w.log_start_offset),"
        " max(0, w.end_offset - max(w.window_end, w.log_start_offset)) + (SELECT count(*) FROM share_records r"
        " WHERE r.group_id = ?1 AND r.partition_id = w.partition_id AND r.state IN ('available', 'acquired')),"
        " (SELECT max(r.acquired_ms) FROM share_records r WHERE r.group_id = ?1 AND r.partition_id = w.partition_id)))"
        " FROM (SELECT t.name, p.partition, s.partition_id, s.start_offset, s.end_offset AS window_end,"
        " p.log_start_offset, l.end_offset FROM share_partitions s JOIN partitions p ON p.id = s.partition_id"
        " JOIN topics t ON t.id = p.topic AND t.deleted_ms IS NULL JOIN log_ends l ON l.partition_id = p.id"
        " WHERE s.group_id = ?1 AND s.start_offset IS NOT NULL) w",
        (group,),
    )
    found = json.loads(row[0]) if row else []
    return {(topic, partition): (start, lag, at_ms) for topic, partition, start, lag, at_ms in found}
