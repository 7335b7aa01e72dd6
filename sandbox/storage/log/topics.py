"""Stores topics and partitions, and settings of the file itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sandbox.model.messages import FILTERS_SETTING
from sandbox.storage.file.database import Database, Reader
from sandbox.storage.file.schema import OFFSET_BITS


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """A row of `partitions`. `replicas` are comma-separated broker ids, if they were reassigned manually."""

    id: int
    partition: int
    log_start_offset: int
    log_start_bytes: int
    leader_epoch: int
    replicas: str | None


@dataclass(frozen=True, slots=True)
class TopicRow:
    """A topic that is not deleted, with its settings and partitions."""

    id: int
    name: str
    topic_id: UUID
    created_ms: int
    replication_factor: int
    settings: dict[str, str]
    partitions: tuple[PartitionRow, ...]


def load_topics(reader: Reader) -> list[TopicRow]:
    """Return every topic that is not deleted."""
    settings: dict[int, dict[str, str]] = {}
    for topic, name, value in reader.rows("SELECT topic, name, value FROM topic_settings"):
        settings.setdefault(topic, {})[name] = value
    partitions: dict[int, list[PartitionRow]] = {}
    for topic, *columns in reader.rows(
        "SELECT topic, id, partition, log_start_offset, log_start_bytes, leader_epoch, replicas FROM partitions "
        "ORDER BY topic, partition"
    ):
        partitions.setdefault(topic, []).append(PartitionRow(*columns))
    return [
        TopicRow(id, name, UUID(topic_id), created_ms, replicas, settings.get(id, {}), tuple(partitions.get(id, ())))
        for id, name, topic_id, created_ms, replicas in reader.rows(
            "SELECT id, name, topic_id, created_ms, replication_factor FROM topics WHERE deleted_ms IS NULL"
        )
    ]


def insert_topic(
    database: Database,
    name: str,
    topic_id: UUID,
    partitions: int,
    replication_factor: int,
    settings: Mapping[str, str],
    now_ms: int,
) -> TopicRow:
    """Write a new topic with its partitions."""
    cursor = database.execute(
        "INSERT INTO topics(name, topic_id, created_ms, replication_factor) VALUES(?, ?, ?, ?)",
        (name, str(topic_id), now_ms, replication_factor),
    )
    row_id = cursor.lastrowid or 0
    for setting, value in settings.items():
        save_setting(database, row_id, setting, value)
    rows = insert_partitions(database, row_id, 0, partitions)
    return TopicRow(row_id, name, topic_id, now_ms, replication_factor, dict(settings), rows)


def insert_partitions(database: Database, topic: int, first: int, count: int) -> tuple[PartitionRow, ...]:
    """Write a topic's partitions from `first` to `count` - 1."""
    rows = []
    for partition in range(first, count):
        cursor = database.execute("INSERT INTO partitions(topic, partition) VALUES(?, ?)", (topic, partition))
        rows.append(PartitionRow(cursor.lastrowid or 0, partition, 0, 0, 0, None))
    return tuple(rows)


def save_setting(database: Database, topic: int, name: str, value: str | None) -> None:
    """Write a topic's setting; None deletes it."""
    if value is None:
        database.execute("DELETE FROM topic_settings WHERE topic = ? AND name = ?", (topic, name))
    else:
        database.execute(
            "INSERT INTO topic_settings(topic, name, value) VALUES(?, ?, ?) "
            "ON CONFLICT(topic, name) DO UPDATE SET value = excluded.value",
            (topic, name, value),
        )


def save_leadership(database: Database, partition_id: int, leader_epoch: int, replicas: str | None) -> None:
    """Write a partition's leader epoch, and its replicas if they were reassigned manually."""
    database.execute(
        "UPDATE partitions SET leader_epoch = ?, replicas = coalesce(?, replicas) WHERE id = ?",
        (leader_epoch, replicas, partition_id),
    )


def mark_deleted(database: Database, topic: int, now_ms: int) -> None:
    """Mark a topic as deleted. `purge` deletes its rows later, in steps."""
    database.execute("UPDATE topics SET deleted_ms = ? WHERE id = ?", (now_ms, topic))
    database.execute(
        "UPDATE partitions SET log_start_offset = ?1 WHERE topic = ?2 AND log_start_offset < ?1",
        (1 << OFFSET_BITS, topic),
    )


def purge(database: Database, rows_max: int) -> bool:
    """Delete rows of deleted topics and rows below a log start offset, at most about `rows_max` of them.

    Returns:
        True if rows may be left.
    """
    limit = _changes(database) + rows_max
    for (topic,) in database.query("SELECT id FROM topics WHERE deleted_ms IS NOT NULL"):
        for (partition_id,) in database.query("SELECT id FROM partitions WHERE topic = ?", (topic,)):
            if _changes(database) >= limit or purge_partition(database, partition_id, 1 << OFFSET_BITS, rows_max):
                return True
            database.execute("DELETE FROM partitions WHERE id = ?", (partition_id,))
        database.execute("DELETE FROM topic_settings WHERE topic = ?", (topic,))
        database.execute("DELETE FROM topics WHERE id = ?", (topic,))
    return False


def _changes(database: Database) -> int:
    changed: int = database.query("SELECT total_changes()")[0][0]
    return changed


def purge_partition(database: Database, partition_id: int, below: int, rows_max: int) -> bool:
    """Delete events and batches that are entirely below an offset; True if some are left."""
    base = partition_id << OFFSET_BITS
    cursor = database.execute(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id >= ? AND id < ? ORDER BY id LIMIT ?)",
        (base, base + below, rows_max),
    )
    removed = cursor.rowcount
    cursor = database.execute(
        "DELETE FROM batches WHERE partition_id = ?1 AND base_offset IN (SELECT base_offset FROM batches "
        "WHERE partition_id = ?1 AND last_offset < ?2 ORDER BY base_offset LIMIT ?3)",
        (partition_id, below, rows_max),
    )
    database.execute(
        "DELETE FROM log_transactions WHERE partition_id = ? AND coalesce(last_offset, ?) < ?",
        (partition_id, (1 << OFFSET_BITS) - 1, below),
    )
    return removed >= rows_max or cursor.rowcount >= rows_max


def load_setting(reader: Reader, name: str) -> str | None:
    """Return a setting of the file itself, or None."""
    row = reader.one("SELECT value FROM settings WHERE name = ?", (name,))
    return row[0] if row else None


def save_file_setting(database: Database, name: str, value: str) -> None:
    """Write a setting of the file itself."""
    database.execute(
        "INSERT INTO settings(name, value) VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def load_filters(reader: Reader) -> dict[str, dict[str, str]]:
    """Return the saved filters of Messages by topic and name. Anything else is left out."""
    try:
        found = json.loads(load_setting(reader, FILTERS_SETTING) or "{}")
    except (ValueError, RecursionError):
        found = {}
    return {
        topic: {name: query for name, query in filters.items() if isinstance(query, str)}
        for topic, filters in (found.items() if isinstance(found, dict) else ())
        if isinstance(filters, dict)
    }


def save_filters(database: Database, topic: str, filters: Mapping[str, str]) -> None:
    """Write the saved filters of a topic, in place of its earlier ones; none deletes them."""
    found = load_filters(database)
    if filters or topic in found:
        found[topic] = dict(filters)
        kept = {one: some for one, some in found.items() if some}
        save_file_setting(database, FILTERS_SETTING, json.dumps(kept, ensure_ascii=False))
