"""Summarizes groups for lists. Only groups with a changed row are computed again.

Most groups of a list don't change between two reads. A group's commits are read as one JSON text, as are the log ends
of a topic: SQLite builds each in one step, and a text that did not change need not be parsed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sandbox.model.groups import GroupSummary, MemberDescription, summary_of
from sandbox.model.lag_trend import (
    CAUGHT_UP,
    NEVER_COMMITTED,
    NO_MEMBERS,
    OUT_OF_RANGE,
    PARTLY_COMMITTED,
    REBALANCING,
    lag_of,
    range_of,
    read_position,
)
from sandbox.model.latest_cache import Remembered
from sandbox.model.topics import PartitionName
from sandbox.storage.file.database import Reader, Row
from sandbox.storage.groups import group_history
from sandbox.storage.groups.group_descriptions import QUIET_MS, Commit, GroupReader, describe_member
from sandbox.storage.groups.group_history import latest_commits, taken_apart
from sandbox.storage.groups.groups import SHARE_TYPE
from sandbox.storage.groups.shares import share_lags
from sandbox.storage.groups.unread import first_appended_ms

COMMITS_MAX = 50_000
"""The maximum number of cached committed offsets; with more, every group is computed each time."""
LOGS_MAX = 20_000
"""The maximum number of logs whose ends are cached."""

LOGS = """
SELECT t.name, json_group_array(json_array(p.partition, p.id, p.log_start_offset,
  max(p.log_start_offset, coalesce((
    SELECT b.last_offset + 1 FROM batches b WHERE b.partition_id = p.id ORDER BY b.base_offset DESC LIMIT 1
  ), 0)), p.compacted_events,
  coalesce((SELECT max(x.last_offset) FROM log_transactions x WHERE x.partition_id = p.id), -1)))
FROM topics t JOIN partitions p ON p.topic = t.id WHERE t.deleted_ms IS NULL GROUP BY t.id
"""
"""Compaction deletes batches, and an aborted transaction invalidates events: both change which events are unread."""
MEMBERS = """
SELECT group_id, member_id, instance_id, client_id, client_host, session_timeout_ms, assigned, consumer, '[]'
FROM group_members ORDER BY client_id, member_id
"""
GROUPS = "SELECT group_id, state, protocol_type, protocol, generation, type FROM groups ORDER BY group_id"
STANDSTILL = (CAUGHT_UP, NEVER_COMMITTED, PARTLY_COMMITTED, REBALANCING, NO_MEMBERS, OUT_OF_RANGE)
"""The words that stay correct while no row changes, if there was no commit lately or the group has members."""


@dataclass(frozen=True, slots=True)
class _Log:
    """One log, and the fields that change if its older batches change.

    Attributes:
        compacted: how many events compaction has deleted.
        marker: the offset of the last transaction marker, -1 for none.
    """

    place: group_history.PartitionBounds
    compacted: int
    marker: int

    def waiting(self, committed: int) -> "Waiting":
        """Return the cache key for the append time of the first unread event from a committed offset on."""
        place = self.place
        return place.partition_id, self.compacted, self.marker, read_position(committed, place.start, place.end)


Logs = Mapping[int, _Log]
Waiting = tuple[int, int, int, int]
"""A log's row id, its number of compacted events, its last transaction marker, and the first offset not yet read."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A computed group.

    Attributes:
        rows: the rows of the group, its members and its commits.
        topics: the topics that it reads or has committed in.
        logs: the logs of these topics, as they were.
        commits: its committed offsets and their commit times, from the rows.
        appended: when the first unread event of a log was appended; logs without unread events are left out.
        standing: True if nothing about it changes with time alone.
    """

    rows: tuple[Row, Sequence[Row], str]
    topics: tuple[str, ...]
    logs: Sequence[Logs | None]
    commits: Mapping[PartitionName, tuple[int, int]]
    appended: Mapping[Waiting, int]
    summary: GroupSummary
    standing: bool


class GroupSummaries:
    """Summaries of the groups of one file."""

    def __init__(self) -> None:
        self._logs: Remembered[Logs] = Remembered(LOGS_MAX)
        self._known: Mapping[str, _Known] = {}
        self.worked_out = 0

    def read(self, reader: Reader, now_ms: int) -> tuple[GroupSummary, ...]:
        """Return every group, sorted by id.

        Args:
            reader: the read transaction for all queries.
            now_ms: in ms since 1970.
        """
        members: dict[str, list[Row]] = {}
        for row in reader.query(MEMBERS):
            members.setdefault(row[0], []).append(row[1:])
        commits = latest_commits(reader)
        logs = {topic: self._taken_apart(topic, text) for topic, text in reader.query(LOGS)}
        before, now = self._known, {}
        places: dict[PartitionName, group_history.PartitionBounds] = {}
        look = GroupReader(reader, now_ms, places)
        for row in reader.query(GROUPS):
            group = row[0]
            rows = (row, members.get(group, ()), commits.get(group, "[]"))
            known = before.get(group)
            there = None if known is None or known.rows != rows else [logs.get(topic) for topic in known.topics]
            if known is not None and there is not None and known.standing and there != known.logs:
                known = _moved_on(known, logs, there)
            if known is None or not known.standing or there != known.logs:
                known = _work_out(reader, look, places, now_ms, rows, logs, known)
                self.worked_out += 1
            now[group] = known
        # This also drops groups that were deleted.
        self._known = now if sum(len(one.commits) for one in now.values()) <= COMMITS_MAX else {}
        return tuple(one.summary for one in now.values())

    def _taken_apart(self, topic: str, text: str) -> Logs:
        return self._logs.get(topic, text, lambda: _logs(text), weight=text.count("[") - 1)


def _logs(text: str) -> Logs:
    return {
        partition: _Log(group_history.PartitionBounds(partition_id, start, end), compacted, marker)
        for partition, partition_id, start, end, compacted, marker in json.loads(text)
    }


def _moved_on(known: _Known, logs: Mapping[str, Logs], there: Sequence[Logs | None]) -> _Known:
    """Update a group that did nothing while events were written to its logs: only its lag changes.

    Args:
        logs: every log, by topic.
        there: the logs of its topics.

    Returns:
        `known` unchanged if more than the lag may have changed.
    """
    if known.summary.trend != NO_MEMBERS:
        return known
    lags: dict[str, int | None] = dict.fromkeys(known.summary.lags)
    total = 0
    for (topic, partition), (offset, _) in known.commits.items():
        log = logs.get(topic, {}).get(partition)
        if log is None:
            return known
        lag = lag_of(offset, log.place.start, log.place.end)
        if range_of(offset, log.place.start, log.place.end) or (lag and log.waiting(offset) not in known.appended):
            return known
        lags[topic] = (lags.get(topic) or 0) + lag
        total += lag
    if total == 0:
        return known
    uncommitted: dict[str, list[int]] = {}
    for topic, found in zip(known.topics, there, strict=True):
        for partition, log in (found or {}).items():
            if (topic, partition) not in known.commits and log.place.end > log.place.start:
                uncommitted.setdefault(topic, []).append(log.place.end - log.place.start)
    by_topic = {topic: sum(found) for topic, found in uncommitted.items()}
    summary = replace(
        known.summary,
        lag=total,
        lags=lags,
        uncommitted_lag=sum(by_topic.values()),
        uncommitted_partitions=sum(map(len, uncommitted.values())),
        uncommitted_lags=by_topic,
    )
    return replace(known, logs=there, summary=summary)


def _work_out(
    reader: Reader,
    look: GroupReader,
    places: dict[PartitionName, group_history.PartitionBounds],
    now_ms: int,
    rows: tuple[Row, Sequence[Row], str],
    logs: Mapping[str, Logs],
    before: _Known | None,
) -> _Known:
    """Compute one group from its rows, like `describe_groups`.

    Args:
        places: the partitions that `look` knows; the group's are added.
        logs: every log, by topic.
        before: the earlier result, None if there is none.
    """
    row, member_rows, text = rows
    members: tuple[MemberDescription, ...] = tuple(describe_member(*one) for one in member_rows)
    commits = before.commits if before is not None and before.rows[2] == text else taken_apart(text)
    found_topics = {topic for topic, _ in commits} | {topic for member in members for topic in member.assignment}
    if row[-1] == SHARE_TYPE:
        found_topics |= {topic for topic, _ in share_lags(reader, row[0])}
    topics = tuple(found_topics)
    for topic in topics:
        places.update({(topic, partition): log.place for partition, log in logs.get(topic, {}).items()})
    appended: dict[Waiting, int] = {}
    found: dict[PartitionName, Commit] = {}
    for name, (offset, at_ms) in commits.items():
        log = logs.get(name[0], {}).get(name[1])
        appended_ms = None
        if log is not None and lag_of(offset, log.place.start, log.place.end):
            waiting = log.waiting(offset)
            if before is not None and waiting in before.appended:
                appended_ms = before.appended[waiting]
            else:
                appended_ms = first_appended_ms(reader, log.place.partition_id, waiting[-1])
            if appended_ms is not None:
                appended[waiting] = appended_ms
        found[name] = offset, None, at_ms, appended_ms
    summary = summary_of(look.group(row, members, found), now_ms)
    return _Known(
        rows,
        topics,
        [logs.get(topic) for topic in topics],
        commits,
        appended,
        summary,
        _stands(summary, commits, now_ms),
    )


def _stands(summary: GroupSummary, commits: Mapping[PartitionName, tuple[int, int]], now_ms: int) -> bool:
    """Return True if nothing about a group changes with time alone. Windows of share groups are not compared."""
    if summary.type == SHARE_TYPE:
        return False
    if summary.lag and (summary.unread_since_ms is None) != (summary.trend == CAUGHT_UP):
        return False
    quiet = all(now_ms - at_ms > QUIET_MS for _, at_ms in commits.values())
    return summary.trend in STANDSTILL and (quiet or summary.state not in ("Empty", "Dead"))
