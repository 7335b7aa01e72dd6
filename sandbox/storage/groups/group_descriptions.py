"""Describes groups for people: state, members, lag and its trend, from one read transaction.

Commits and batches are rows with the time at which they were written, so a group's lag at any moment is computed, not
sampled: from the committed offset and the log end offset at that time.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from sandbox.model import lag_trend
from sandbox.model.groups import GroupDescription, MemberDescription, PartitionLag
from sandbox.model.lag_trend import BEYOND_END, OUT_OF_RANGE, Reading, Trend, cycle_of, lag_of, range_of, read_position
from sandbox.model.topics import PartitionName
from sandbox.storage.file.database import Reader
from sandbox.storage.groups.group_history import (
    Committed,
    PartitionBounds,
    end_at,
    first_commit_after,
    places,
    recent_commits,
)
from sandbox.storage.groups.groups import SHARE_TYPE
from sandbox.storage.groups.shares import share_lags
from sandbox.storage.groups.unread import FIRST, count_unread, first_appended_ms

QUIET_MS = 60_000
"""A group without members that committed within this time may be a consumer that assigns itself its partitions."""
SELF_ASSIGNED_COMMITS = 3
"""How many commits forwards, within `QUIET_MS`, show such a consumer: one or two may be resets."""
COMMITS_SEEN = 4
"""The commits from which a cycle is estimated."""

REBALANCING = ("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling")
"""The states, of the classic and of the consumer protocol, in which partitions are reassigned."""

Commit = tuple[int, str | None, int, int | None]
"""Offset, metadata, commit time, and when the first unread event from there on was appended (None if there is none, or
if the offset is beyond the end).
"""

COMMITS = f"""
SELECT c.group_id, c.topic, c.partition, c.offset, c.metadata, c.committed_ms,
  ({FIRST.format(partition_id="p.id", position="max(c.offset, p.log_start_offset)")})
FROM committed_offsets c
LEFT JOIN topics t ON t.name = c.topic AND t.deleted_ms IS NULL
LEFT JOIN partitions p ON p.topic = t.id AND p.partition = c.partition
"""
"""Every commit with the append time of its first unread event. One query per commit took three times as long."""


def describe_groups(reader: Reader, now_ms: int, group: str | None = None) -> tuple[GroupDescription, ...]:
    """Describe every group, sorted by id, or only the named one."""
    where, parameters = ("WHERE group_id = ?", (group,)) if group is not None else ("", ())
    rows = reader.query(
        f"SELECT group_id, state, protocol_type, protocol, generation, type FROM groups {where} ORDER BY group_id",
        parameters,
    )
    # Lists don't show the protocols of members, and reading them for every member would be slow.
    protocols = "'[]'" if group is None else "protocols"
    members: dict[str, list[MemberDescription]] = {}
    for row in reader.query(
        "SELECT group_id, member_id, instance_id, client_id, client_host, session_timeout_ms, assigned, consumer, "
        f"{protocols} "
        f"FROM group_members {where} ORDER BY client_id, member_id",
        parameters,
    ):
        members.setdefault(row[0], []).append(describe_member(*row[1:]))
    commits: dict[str, dict[PartitionName, Commit]] = {}
    for group_id, topic, partition, *commit in reader.rows(f"{COMMITS} {where}", parameters):
        commits.setdefault(group_id, {})[topic, partition] = (commit[0], commit[1], commit[2], commit[3])
    topics = None
    if group is not None:
        named = {topic for topic, _ in commits.get(group, {})}
        named.update(topic for member in members.get(group, ()) for topic in member.assignment)
        named.update(topic for topic, _ in share_lags(reader, group))
        topics = sorted(named)
    look = GroupReader(reader, now_ms, places(reader, topics), counting=True)
    return tuple(look.group(row, tuple(members.get(row[0], ())), commits.get(row[0], {})) for row in rows)


def describe_member(
    member_id: str,
    instance_id: str | None,
    client_id: str,
    client_host: str,
    session_timeout_ms: int,
    assigned: str,
    consumer: str | None,
    protocols: str,
) -> MemberDescription:
    """Describe a member from its row; each argument is the column of that name."""
    assignment = {topic: tuple(partitions) for topic, partitions in json.loads(assigned or "{}").items()}
    more: dict[str, Any] = json.loads(consumer) if consumer else {}
    return MemberDescription(
        member_id=member_id,
        instance_id=instance_id,
        client_id=client_id,
        client_host=client_host,
        subscription=tuple(sorted({*assignment, *more.get("topics", ())})),
        assignment=assignment,
        last_heartbeat_ms=None,
        session_timeout_ms=session_timeout_ms,
        assignors=tuple(name for name, _ in json.loads(protocols)),
        epoch=more.get("member_epoch"),
        pattern=more.get("pattern"),
    )


class GroupReader:
    """Describes groups within one read transaction, and caches what several of them need.

    Args:
        known: every partition that they may have.
        counting: True to count unread events, which lists don't show.
    """

    def __init__(
        self, reader: Reader, now_ms: int, known: dict[PartitionName, PartitionBounds], *, counting: bool = False
    ) -> None:
        self._reader = reader
        self._counting = counting
        self._now_ms = now_ms
        self._places = known
        self._ends: dict[tuple[int, int], int] = {}

    def group(
        self,
        row: tuple[str, str, str, str, int, str],
        members: tuple[MemberDescription, ...],
        commits: dict[PartitionName, Commit],
    ) -> GroupDescription:
        """Describe one group from its rows."""
        group, state, protocol_type, protocol, generation, kind = row
        owners = {
            (topic, partition): member
            for member in members
            for topic, partitions in member.assignment.items()
            for partition in partitions
        }
        if kind == SHARE_TYPE:
            return self._share_group(row, members, owners)
        partitions = tuple(
            self._lag(name, self._places[name], commits.get(name), owners.get(name))
            for name in sorted({*commits, *owners, *self._partitions_of({topic for topic, _ in (*commits, *owners)})})
            if name in self._places
        )
        known = [one for one in partitions if one.lag is not None]
        trend = self._trend(group, state, partitions)
        return GroupDescription(
            group=group,
            state=state,
            protocol_type=protocol_type,
            protocol=protocol,
            generation=generation,
            coordinator=1,
            members=members,
            partitions=partitions,
            topics=tuple(sorted({one.topic for one in partitions})),
            lag=sum(one.lag or 0 for one in known) if known else None,
            lag_ms=max((one.lag_ms for one in partitions if one.lag_ms is not None), default=None),
            trend=trend.word,
            drain_ms=trend.drain_ms,
            type=kind,
            unread=sum(one.unread or 0 for one in known) if known and self._counting else None,
        )

    def _share_group(
        self,
        row: tuple[str, str, str, str, int, str],
        members: tuple[MemberDescription, ...],
        owners: dict[PartitionName, MemberDescription],
    ) -> GroupDescription:
        """Describe a share group: its progress is the start offsets of its windows."""
        group, state, protocol_type, protocol, generation, kind = row
        lags = share_lags(self._reader, group)
        partitions = tuple(
            self._share_lag(name, lags.get(name), owners.get(name))
            for name in sorted({*lags, *owners})
            if name in self._places
        )
        known = [one for one in partitions if one.lag is not None]
        lag = sum(one.lag or 0 for one in known) if known else None
        busy = any(self._now_ms - (one.committed_ms or 0) < lag_trend.WINDOW_MIN_MS for one in known)
        trend = lag_trend.STEADY if busy else lag_trend.STALLED
        if not members:
            trend = lag_trend.NO_MEMBERS
        elif not lag:
            trend = lag_trend.NEVER_COMMITTED if lag is None else lag_trend.CAUGHT_UP
        return GroupDescription(
            group=group,
            state=state,
            protocol_type=protocol_type,
            protocol=protocol,
            generation=generation,
            coordinator=1,
            members=members,
            partitions=partitions,
            topics=tuple(sorted({one.topic for one in partitions})),
            lag=lag,
            lag_ms=max((one.lag_ms for one in partitions if one.lag_ms is not None), default=None),
            trend=trend,
            drain_ms=None,
            type=kind,
            unread=lag,
        )

    def _share_lag(
        self,
        name: PartitionName,
        found: tuple[int, int | None, int | None] | None,
        member: MemberDescription | None,
    ) -> PartitionLag:
        place = self._places[name]
        start, lag, acquired_ms = found or (None, None, None)
        lag_ms = None
        if start is not None:
            appended_ms = first_appended_ms(self._reader, place.partition_id, start) if lag else None
            lag_ms = 0 if appended_ms is None else max(0, self._now_ms - appended_ms)
        return PartitionLag(
            topic=name[0],
            partition=name[1],
            start=place.start,
            committed=start,
            end=place.end,
            lag=lag,
            lag_ms=lag_ms,
            committed_ms=acquired_ms,
            metadata=None,
            member_id=member.member_id if member else None,
            client_id=member.client_id if member else None,
            unread=lag,
        )

    def _partitions_of(self, topics: Iterable[str]) -> Iterator[PartitionName]:
        for topic in topics:
            for partition in itertools.count():
                if (topic, partition) not in self._places:
                    break
                yield topic, partition

    def _lag(
        self, name: PartitionName, place: PartitionBounds, commit: Commit | None, member: MemberDescription | None
    ) -> PartitionLag:
        committed, metadata, committed_ms, appended_ms = commit or (None, None, None, None)
        lag = lag_ms = unread = None
        if committed is not None:
            lag = lag_of(committed, place.start, place.end)
            position = read_position(committed, place.start, place.end)
            if range_of(committed, place.start, place.end) == BEYOND_END:
                appended_ms = first_appended_ms(self._reader, place.partition_id, position)
            if appended_ms is None:
                lag_ms = unread = 0
            else:
                lag_ms = max(0, self._now_ms - appended_ms)
                if self._counting:
                    unread = count_unread(self._reader, place.partition_id, position, place.end)
        return PartitionLag(
            topic=name[0],
            partition=name[1],
            start=place.start,
            committed=committed,
            end=place.end,
            lag=lag,
            lag_ms=lag_ms,
            committed_ms=committed_ms,
            metadata=metadata,
            member_id=member.member_id if member else None,
            client_id=member.client_id if member else None,
            unread=unread,
        )

    def _trend(self, group: str, state: str, partitions: Sequence[PartitionLag]) -> Trend:
        """Return the trend of a group's lag; `sandbox.model.lag_trend` explains it."""
        if state in REBALANCING:
            return Trend(lag_trend.REBALANCING)
        if any(one.out_of_range for one in partitions):
            return Trend(OUT_OF_RANGE)
        if state in ("Empty", "Dead") and not self._assigns_itself(group, partitions):
            return Trend(lag_trend.NO_MEMBERS)
        known = [one for one in partitions if one.committed is not None]
        if not known:
            return Trend(lag_trend.NEVER_COMMITTED)
        if any(one.uncommitted_lag for one in partitions):
            return Trend(lag_trend.PARTLY_COMMITTED)
        # The group does not wait for transaction markers and aborted events after a committed offset.
        known = [one for one in known if one.unread != 0 and one.lag_ms != 0]
        if all(lag_trend.has_kept_up(one.lag_ms) for one in known):
            return Trend(lag_trend.CAUGHT_UP)
        by_member = state != "Empty"
        recent = {one: self._recent_commits(group, one, by_member) for one in known}
        cycles = {one: cycle_of(self._gaps(one, commits)) for one, commits in recent.items()}
        window_ms = lag_trend.window_of(max(cycles.values()))
        readings = [
            self._reading(group, one, recent[one], cycles[one], window_ms, by_member=by_member) for one in known
        ]
        return lag_trend.trend_of(readings, self._assigned_ms(group))

    def _assigns_itself(self, group: str, partitions: Sequence[PartitionLag]) -> bool:
        """Return True if a group without members commits like a consumer that assigns itself its partitions."""
        since_ms = self._now_ms - QUIET_MS
        for one in partitions:
            if (one.committed_ms or 0) <= since_ms:
                continue
            commits = [
                commit for commit in self._recent_commits(group, one, by_member=False) if commit.committed_ms > since_ms
            ]
            forwards = sum(later.offset > earlier.offset for later, earlier in pairwise(commits))
            if forwards >= SELF_ASSIGNED_COMMITS - 1 and not any(commit.member_id for commit in commits):
                return True
        return False

    def _recent_commits(self, group: str, one: PartitionLag, by_member: bool) -> list[Committed]:
        """Return the last commits in a partition, newest first. With `by_member`, without resets by other programs."""
        return recent_commits(self._reader, group, one.topic, one.partition, COMMITS_SEEN, by_member=by_member)

    def _gaps(self, one: PartitionLag, commits: Sequence[Committed]) -> list[tuple[int, int]]:
        """Return the arguments of `cycle_of` for the last commits of a partition, newest first."""
        place = self._places[one.topic, one.partition]
        gaps = []
        for later, earlier in pairwise(commits):
            if later.offset <= earlier.offset:
                continue
            gap_ms = later.committed_ms - earlier.committed_ms
            appended_ms = first_appended_ms(self._reader, place.partition_id, max(earlier.offset, place.start))
            gaps.append((gap_ms, gap_ms if appended_ms is None else max(0, later.committed_ms - appended_ms)))
        return gaps

    def _reading(
        self,
        group: str,
        one: PartitionLag,
        recent: Sequence[Committed],
        cycle_ms: int,
        window_ms: int,
        *,
        by_member: bool,
    ) -> Reading:
        place = self._places[one.topic, one.partition]
        found: dict[int, Committed] = {}
        for part in lag_trend.WINDOW_PARTS:
            since_ms = self._now_ms - window_ms // part
            first = first_commit_after(self._reader, group, one.topic, one.partition, since_ms, by_member=by_member)
            if first is not None:
                found[first.id] = first
        last = recent[0] if recent else None
        if last is not None and found:
            found[last.id] = last
        return Reading(
            lag=one.lag or 0,
            age_ms=one.lag_ms,
            cycle_ms=cycle_ms,
            quiet_ms=None if last is None else self._now_ms - last.committed_ms,
            commits=tuple(
                lag_trend.Commit(commit.committed_ms, commit.offset, self._end(place, commit.committed_ms))
                for commit in sorted(found.values(), key=lambda commit: (commit.committed_ms, commit.id))
            ),
        )

    def _assigned_ms(self, group: str) -> int | None:
        """Return the time since a group's last rebalance ended, None if it had none."""
        row = self._reader.one("SELECT ended_ms FROM rebalances WHERE group_id = ? ORDER BY id DESC LIMIT 1", (group,))
        return None if row is None or row[0] is None else max(0, self._now_ms - int(row[0]))

    def _end(self, place: PartitionBounds, then_ms: int) -> int:
        key = place.partition_id, then_ms
        if key not in self._ends:
            self._ends[key] = end_at(self._reader, place, then_ms)
        return self._ends[key]
