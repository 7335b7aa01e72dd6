"""Topics as people see them, from one read transaction."""

from sandbox.description import PartitionDescription, TopicDescription
from sandbox.storage.database import Reader
from sandbox.storage.log import last_batch
from sandbox.storage.log_transactions import count_markers
from sandbox.storage.retention import log_size

NODES = (1,)


def describe_topics(reader: Reader, name: str | None = None) -> tuple[TopicDescription, ...]:
    """Every topic by name, or the one that is named."""
    where, parameters = ("AND t.name = ?", (name,)) if name is not None else ("", ())
    partitions: dict[int, list[PartitionDescription]] = {}
    for topic, *columns in reader.query(
        "SELECT p.topic, p.id, p.partition, p.log_start_offset, p.leader_epoch, p.compacted_events "
        "FROM partitions p "
        f"JOIN topics t ON t.id = p.topic WHERE t.deleted_ms IS NULL {where} ORDER BY p.topic, p.partition",
        parameters,
    ):
        partitions.setdefault(topic, []).append(_describe_partition(reader, *columns))
    settings: dict[int, dict[str, str]] = {}
    for topic, setting, value in reader.rows("SELECT topic, name, value FROM topic_settings"):
        settings.setdefault(topic, {})[setting] = value
    groups = _readers(reader)
    return tuple(
        _describe_topic(row, tuple(partitions.get(row[0], ())), settings.get(row[0], {}), groups.get(row[1], set()))
        for row in reader.query(
            f"SELECT t.id, t.name, t.topic_id, t.created_ms FROM topics t WHERE t.deleted_ms IS NULL {where} "
            "ORDER BY t.name",
            parameters,
        )
    )


def _describe_topic(
    row: tuple[int, str, str, int],
    partitions: tuple[PartitionDescription, ...],
    settings: dict[str, str],
    groups: set[str],
) -> TopicDescription:
    appended = [partition.last_append_ms for partition in partitions if partition.last_append_ms is not None]
    return TopicDescription(
        topic=row[1],
        topic_id=row[2],
        created_ms=row[3],
        events=sum(partition.events for partition in partitions),
        size_bytes=sum(partition.size_bytes for partition in partitions),
        last_append_ms=max(appended, default=None),
        settings=settings,
        partitions=partitions,
        groups=tuple(sorted(groups)),
    )


def _describe_partition(
    reader: Reader, partition_id: int, partition: int, start: int, leader_epoch: int, compacted: int
) -> PartitionDescription:
    last = last_batch(reader, partition_id)
    end = max(start, last.last_offset + 1) if last else start
    return PartitionDescription(
        partition=partition,
        start=start,
        end=end,
        events=end - start - compacted - count_markers(reader, partition_id, start),
        size_bytes=log_size(reader, partition_id) if end > start else 0,
        last_timestamp_ms=last.max_timestamp if last else None,
        last_append_ms=last.appended_ms if last else None,
        leader=NODES[0],
        leader_epoch=leader_epoch,
        replicas=NODES,
        isr=NODES,
    )


def _readers(reader: Reader) -> dict[str, set[str]]:
    """Topic to the groups that have committed in it, or have a member reading it."""
    groups: dict[str, set[str]] = {}
    for topic, group in reader.rows("SELECT DISTINCT topic, group_id FROM committed_offsets"):
        groups.setdefault(topic, set()).add(group)
    for topic, group in reader.rows(
        "SELECT a.key, m.group_id FROM group_members m, json_each(m.assigned) a WHERE json_valid(m.assigned)"
    ):
        groups.setdefault(topic, set()).add(group)
    return groups


def totals(reader: Reader) -> tuple[int, int]:
    """How many topics and groups there are."""
    topics = reader.one("SELECT count(*) FROM topics WHERE deleted_ms IS NULL")
    groups = reader.one("SELECT count(*) FROM groups")
    return (topics[0] if topics else 0), (groups[0] if groups else 0)


def partition_ids(reader: Reader, topic: str) -> dict[int, tuple[int, int, int]] | None:
    """Partition to (row id, log start offset, end) of a topic, None where there is no such topic."""
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
