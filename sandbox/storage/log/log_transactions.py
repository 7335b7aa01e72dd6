"""Stores transactions in the logs of partitions: where each begins, where its marker is, and how it ended.

A row is written with the first event of a transaction in a partition, and changed once, when the marker is written: see
`sandbox.storage.file.schema`. It is deleted when its marker has left the log.
"""

import json
from typing import NamedTuple

from sandbox.storage.file.database import Database, Reader


class AbortedTransaction(NamedTuple):
    """An aborted transaction in one partition, as Fetch reports it to consumers."""

    producer_id: int
    first_offset: int


class ActiveProducer(NamedTuple):
    """A producer that has written to a partition.

    Attributes:
        producer_epoch: the epoch of its newest batch or marker.
        last_sequence: the last sequence number of its newest batch; -1 if it has written none with that epoch.
        last_timestamp: the timestamp of its newest batch or marker, in ms.
        marked: True if one of its transactions has ended here.
    """

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_timestamp: int
    marked: bool


def begin(database: Database, partition_id: int, producer_id: int, first_offset: int) -> None:
    """Record that a producer wrote a transaction's first event to a partition."""
    database.execute(
        "INSERT INTO log_transactions(partition_id, producer_id, first_offset) VALUES(?, ?, ?)",
        (partition_id, producer_id, first_offset),
    )


def end(database: Database, partition_id: int, producer_id: int, first_offset: int, marker: int, aborted: bool) -> None:
    """Record the offset of a transaction's marker, and whether it aborted the transaction.

    Args:
        first_offset: the transaction's first offset; the marker's own if the transaction wrote nothing there.
    """
    database.execute(
        "INSERT INTO log_transactions(partition_id, producer_id, first_offset, last_offset, aborted) "
        "VALUES(?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET last_offset = excluded.last_offset, aborted = excluded.aborted",
        (partition_id, producer_id, first_offset, marker, int(aborted)),
    )


def open_transactions(reader: Reader, partition_id: int) -> dict[int, int]:
    """Return the first offset of each open transaction in a partition, by producer id."""
    return dict(
        reader.query(
            "SELECT producer_id, first_offset FROM log_transactions WHERE partition_id = ? AND last_offset IS NULL",
            (partition_id,),
        )
    )


def aborted_until(reader: Reader, partition_id: int) -> int:
    """Return the offset of the last marker that aborted events, -1 for none. Readers beyond it need no look-up."""
    row = reader.one(
        "SELECT max(last_offset) FROM log_transactions WHERE partition_id = ? AND aborted = 1 "
        "AND first_offset < last_offset",
        (partition_id,),
    )
    return -1 if row is None or row[0] is None else int(row[0])


def aborted_transactions(reader: Reader, partition_id: int, offset: int, end_offset: int) -> list[AbortedTransaction]:
    """Return the aborted transactions with events from `offset` to before `end_offset`, ordered by their markers."""
    return [
        AbortedTransaction(*row)
        for row in reader.rows(
            "SELECT producer_id, first_offset FROM log_transactions WHERE partition_id = ? AND aborted = 1 "
            "AND last_offset >= ? AND first_offset < ? AND first_offset < last_offset ORDER BY last_offset",
            (partition_id, offset, end_offset),
        )
    ]


def markers(reader: Reader, partition_id: int, first: int, last: int) -> set[int]:
    """Return the offsets of transaction markers from `first` to `last` (inclusive)."""
    return {
        row[0]
        for row in reader.rows(
            "SELECT last_offset FROM log_transactions WHERE partition_id = ? AND last_offset BETWEEN ? AND ?",
            (partition_id, first, last),
        )
    }


def count_markers(reader: Reader, starts: list[tuple[int, int]]) -> int:
    """Count the transaction markers of logs, each given as (partition id, first offset)."""
    row = reader.one(
        "SELECT count(*) FROM json_each(?) log JOIN log_transactions x "
        "ON x.partition_id = json_extract(log.value, '$[0]') AND x.last_offset >= json_extract(log.value, '$[1]')",
        (json.dumps(starts),),
    )
    return int(row[0]) if row else 0


def outcome(reader: Reader, partition_id: int, producer_id: int, offset: int) -> bool | None:
    """Return whether an event's transaction was aborted; None while it is open."""
    row = reader.one(
        "SELECT aborted FROM log_transactions WHERE partition_id = ? AND producer_id = ? AND first_offset <= ? "
        "ORDER BY first_offset DESC LIMIT 1",
        (partition_id, producer_id, offset),
    )
    return None if row is None or row[0] is None else bool(row[0])


def newest_epoch(reader: Reader, producer_id: int, partition_id: int) -> int:
    """Return the epoch of a producer's newest batch or marker in a partition, -1 for none."""
    row = reader.one(
        "SELECT producer_epoch FROM batches WHERE producer_id = ? AND partition_id = ? AND producer_id >= 0 "
        "ORDER BY base_offset DESC LIMIT 1",
        (producer_id, partition_id),
    )
    return -1 if row is None else int(row[0])


def active_producers(reader: Reader, partition_id: int, since_ms: int) -> list[ActiveProducer]:
    """Return the producers that wrote to a partition since `since_ms`, sorted by id."""
    newest = "(SELECT max(b.base_offset) FROM batches b WHERE b.producer_id = p.producer_id AND b.partition_id = ?1 {})"
    rows = reader.query(
        "SELECT p.producer_id, n.producer_epoch, n.max_timestamp, d.producer_epoch, d.base_sequence, "
        "d.last_offset - d.base_offset, EXISTS(SELECT 1 FROM log_transactions x WHERE x.partition_id = ?1 "
        "AND x.producer_id = p.producer_id AND x.last_offset IS NOT NULL) FROM producers p "
        f"JOIN batches n ON n.partition_id = ?1 AND n.base_offset = {newest.format('')} "
        f"LEFT JOIN batches d ON d.partition_id = ?1 AND d.base_offset = {newest.format('AND b.control = 0')} "
        "WHERE n.appended_ms >= ?2 ORDER BY p.producer_id",
        (partition_id, since_ms),
    )
    return [
        ActiveProducer(
            producer_id,
            epoch,
            (sequence + beyond) % 2**31 if written_epoch == epoch else -1,
            timestamp,
            bool(marked),
        )
        for producer_id, epoch, timestamp, written_epoch, sequence, beyond, marked in rows
    ]
