"""Describes topics for people, from one read transaction."""

import json
from functools import partial

from sandbox.model.latest_cache import Remembered
from sandbox.model.topics import PartitionDescription, TopicDescription
from sandbox.storage.file.database import Reader

NODES = (1,)


LOGS = """
SELECT p.topic, json_group_array(json_array(p.partition, p.log_start_offset, p.leader_epoch, p.compacted_events,
  p.log_start_bytes + p.compacted_bytes, b.last_offset, b.max_timestamp, b.appended_ms, b.bytes_before + b.size_bytes,
  (SELECT count(*) FROM log_transactions x WHERE x.partition_id = p.id AND x.last_offset >= p.log_start_offset)))
FROM topics t JOIN partitions p ON p.topic = t.id
LEFT JOIN batches b ON b.partition_id = p.id
  AND b.base_offset = (SELECT max(base_offset) FROM batches WHERE partition_id = p.id)
WHERE t.deleted_ms IS NULL
"""
"""Every partition with its newest batch, in one statement: one query per partition took six times as long. A topic's
partitions are one JSON text, which is parsed only if it changed.
"""

SETTINGS = "SELECT topic, json_group_object(name, value) FROM topic_settings GROUP BY topic"
TOPICS = "SELECT t.id, t.name, t.topic_id, t.created_ms FROM topics t WHERE t.deleted_ms IS NULL"
READERS = "SELECT topic, json_group_array(DISTINCT group_id) FROM committed_offsets {where} GROUP BY topic"

EVENTS = """
SELECT coalesce(sum(max(0, coalesce(b.last_offset + 1 - p.log_start_offset, 0)) - p.compacted_events
  - (SELECT count(*) FROM log_transactions x WHERE x.partition_id = p.id AND x.last_offset >= p.log_start_offset)), 0)
FROM topics t JOIN partitions p ON p.topic = t.id
LEFT JOIN batches b ON b.partition_id = p.id
  AND b.base_offset = (SELECT max(base_offset) FROM batches WHERE partition_id = p.id)
WHERE t.deleted_ms IS NULL
"""


PARTITIONS_MAX = 20_000
"""The maximum total number of partitions of cached topics."""

_described: Remembered[TopicDescription] = Remembered(PARTITIONS_MAX)
"""By Kafka's topic id, which is unique across files."""


def describe_topics(reader: Reader, name: str | None = None) -> tuple[TopicDescription, ...]:
    """Describe every topic, sorted by name, or only the named one."""
    where, parameters = ("AND t.name = ?", (name,)) if name is not None else ("", ())
    logs: dict[int, str] = dict(reader.query(f"{LOGS} {where} GROUP BY p.topic", parameters))
    settings: dict[int, str] = dict(reader.query(SETTINGS))
    readers = READERS.format(where="" if name is None else "WHERE topic = ?")
    groups: dict[str, str] = dict(reader.query(readers, parameters))
    members = _members(reader)
    found = []
    for row in reader.query(f"{TOPICS} {where} ORDER BY t.name", parameters):
        id, topic, topic_id, _ = row
        source = row, logs.get(id, "[]"), settings.get(id, "{}"), groups.get(topic, "[]"), members.get(topic)
        found.append(_described.get(topic_id, source, partial(_describe_topic, *source), source[1].count("[")))
    return tuple(found)


def _describe_topic(
    row: tuple[int, str, str, int], logs: str, settings: str, groups: str, members: set[str] | None
) -> TopicDescription:
    partitions = tuple(_describe_partition(*log) for log in sorted(json.loads(logs)))
    appended = [partition.last_append_ms for partition in partitions if partition.last_append_ms is not None]
    return TopicDescription(
        topic=row[1],
        topic_id=row[2],
        created_ms=row[3],
        events=sum(partition.events for partition in partitions),
        size_bytes=sum(partition.size_bytes for partition in partitions),
        last_append_ms=max(appended, default=None),
        settings=json.loads(settings),
        partitions=partitions,
        groups=tuple(sorted({*json.loads(groups), *(members or ())})),
    )


def _describe_partition(
    partition: int,
    start: int,
    leader_epoch: int,
    compacted: int,
    gone_bytes: int,
    last_offset: int | None,
    max_timestamp: int | None,
    appended_ms: int | None,
    until_bytes: int | None,
    markers: int,
) -> PartitionDescription:
    end = start if last_offset is None else max(start, last_offset + 1)
    return PartitionDescription(
        partition=partition,
        start=start,
        end=end,
        events=end - start - compacted - markers,
        size_bytes=max(0, (until_bytes or 0) - gone_bytes) if end > start else 0,
        last_timestamp_ms=max_timestamp,
        last_append_ms=appended_ms,
        leader=NODES[0],
        leader_epoch=leader_epoch,
        replicas=NODES,
        isr=NODES,
    )


def _members(reader: Reader) -> dict[str, set[str]]:
    """The groups that have a member reading a topic, by topic."""
    groups: dict[str, set[str]] = {}
    for topic, group in reader.rows(
        "SELECT a.key, m.group_id FROM group_members m, json_each(m.assigned) a WHERE json_valid(m.assigned)"
    ):
        groups.setdefault(topic, set()).add(group)
    return groups


def totals(reader: Reader) -> tuple[int, int, int]:
    """Count topics, groups and events."""
    row = reader.one(
        f"SELECT (SELECT count(*) FROM topics WHERE deleted_ms IS NULL), (SELECT count(*) FROM groups), ({EVENTS})"
    )
    return (row[0], row[1], row[2]) if row else (0, 0, 0)


def partition_ids(reader: Reader, topic: str) -> dict[int, tuple[int, int, int]] | None:
    """Return (row id, log start offset, end) of each partition of a topic, None if the topic does not exist."""
    if reader.one("SELECT 1 FROM topics WHERE name = ? AND deleted_ms IS NULL", (topic,)) is None:
        return None
    return {
        partition: (partition_id, start, end)
        for partition_id, partition, start, end in reader.rows(
            "SELECT partition_id, partition, log_start_offset, end_offset FROM log_ends WHERE topic = ? "
            "ORDER BY partition",
            (topic,),
        )
    }
