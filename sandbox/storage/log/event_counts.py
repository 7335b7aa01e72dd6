"""Counts events exactly: the stored events, without transaction markers and events that compaction deleted."""

from collections.abc import Mapping
from pathlib import Path

from sandbox.model.topics import PartitionName
from sandbox.storage.file.database import Reader
from sandbox.storage.file.read_only import read_only
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log.topic_descriptions import describe_topics, partition_ids


def events_by_partition(path: Path) -> dict[PartitionName, int]:
    """Return the number of events in each partition of a file, without reading the events themselves."""
    with read_only(path) as connection:
        return {
            (topic.topic, partition.partition): partition.events
            for topic in describe_topics(Reader(connection))
            for partition in topic.partitions
        }


def events_between(path: Path, stretches: Mapping[PartitionName, tuple[int, int]]) -> dict[PartitionName, int]:
    """Count the events in ranges of logs.

    Args:
        stretches: topic and partition to the first offset, and the offset to stop before.
    """
    found: dict[PartitionName, int] = {}
    with read_only(path) as connection:
        reader = Reader(connection)
        for (topic, partition), (first, until) in stretches.items():
            place = (partition_ids(reader, topic) or {}).get(partition)
            if place is not None:
                found[topic, partition] = _count(reader, place[0], max(first, place[1]), until)
    return found


def _count(reader: Reader, partition_id: int, first: int, until: int) -> int:
    base = partition_id << OFFSET_BITS
    row = reader.one(
        "SELECT (SELECT count(*) FROM events WHERE id >= ? AND id < ?) - (SELECT count(*) FROM log_transactions "
        "WHERE partition_id = ? AND last_offset >= ? AND last_offset < ?)",
        (base + first, base + until, partition_id, first, until),
    )
    return int(row[0]) if row else 0
