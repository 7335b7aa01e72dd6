"""Describes share groups' windows for people, from rows."""

import json

from sandbox.model.member_names import member_names
from sandbox.model.share_groups import ACQUIRED, AVAILABLE, ShareRecordDescription, ShareWindow
from sandbox.storage.file.database import Reader

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
