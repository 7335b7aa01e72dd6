"""Describes groups for people: state, members, lag and its trend, from one read transaction.

Commits and batches are rows with the time at which they were written, so a group's lag at any moment is computed, not
sampled: from the committed offset and the log end offset at that time.
"""

import json
from collections.abc import Iterable
from typing import Any

from sandbox.model.groups import GroupDescription, MemberDescription, PartitionLag
from sandbox.model.lag import BEYOND_END, OUT_OF_RANGE, lag_of, range_of, read_position
from sandbox.model.topics import PartitionName
from sandbox.storage.file.database import Reader
from sandbox.storage.groups.group_history import PartitionBounds, committed_at_or_first, end_at, places
from sandbox.storage.groups.groups import SHARE_TYPE
from sandbox.storage.groups.share_windows import share_lags
from sandbox.storage.groups.unread import FIRST, count_unread, first_appended_ms

TREND_MS = (6_000, 20_000)
"""The two periods over which the trend of a lag is computed: a short one, because only the current trend counts, and a
longer one for groups that commit only every few seconds.
"""
QUIET_MS = 60_000
"""After this time without a commit, a group without members counts as such, not as a consumer that assigns itself."""

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
            for name in sorted({*commits, *owners})
            if name in self._places
        )
        known = [one for one in partitions if one.lag is not None]
        trend, drain_ms = self._trend(group, state, partitions)
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
            trend=trend,
            drain_ms=drain_ms,
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
        busy = any(self._now_ms - (one.committed_ms or 0) < TREND_MS[1] for one in known)
        trend = "steady" if busy else "stalled" if members else "without members"
        trend = "never committed" if lag is None else trend if lag else "caught up"
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

    def _trend(self, group: str, state: str, partitions: Iterable[PartitionLag]) -> tuple[str, int | None]:
        """Return the word for a group's lag trend, and the time in ms until the lag is gone if it shrinks."""
        if state in REBALANCING:
            return "rebalancing", None
        known = [one for one in partitions if one.committed is not None]
        if not known:
            return "never committed", None
        if any(one.out_of_range for one in known):
            return OUT_OF_RANGE, None
        # The group does not wait for transaction markers and aborted events after a committed offset.
        known = [one for one in known if one.unread != 0]
        if not known:
            return "caught up", None
        lag = sum(one.lag or 0 for one in known)
        if state == "Empty" and all(self._now_ms - (one.committed_ms or 0) > QUIET_MS for one in known):
            return "without members", None
        recent, moved, _ = self._then(group, known, self._now_ms - TREND_MS[0])
        earlier, moved_earlier, began = self._then(group, known, self._now_ms - TREND_MS[1])
        if moved_earlier == 0 and began and state != "Empty":
            # Its first commit: it reads, but its speed is unknown until the next one.
            return "draining", None
        if moved_earlier == 0:
            return ("without members" if state == "Empty" else "stalled" if earlier >= lag else "growing"), None
        if moved and all((one.lag_ms or 0) <= TREND_MS[0] for one in known):
            # It keeps up, even if its few unread events fluctuate between two commits.
            return "steady", None
        if moved and lag < recent:
            return "draining", round(lag * TREND_MS[0] / (recent - lag))
        if not moved and lag > recent:
            return "growing", None
        if lag < earlier:
            return "draining", round(lag * TREND_MS[1] / (earlier - lag))
        return ("growing" if lag > earlier else "steady"), None

    def _then(self, group: str, known: Iterable[PartitionLag], then_ms: int) -> tuple[int, int, bool]:
        """Return a group's lag at an earlier moment, how much it has committed since, and whether it started since."""
        before = moved = 0
        began = True
        for one in known:
            place = self._places[one.topic, one.partition]
            end = self._end(place, then_ms)
            committed, later = one.committed, False
            if (one.committed_ms or 0) > then_ms:
                row = committed_at_or_first(self._reader, group, one.topic, one.partition, then_ms)
                if row is not None:
                    # If it started since, it has moved on from its first commit.
                    later = row.committed_ms > then_ms
                    committed = min(row.offset, end) if later else row.offset
            began = began and later
            base = committed or 0
            before += lag_of(base, place.start, end)
            moved += max(0, (one.committed or 0) - base)
        return before, moved, began

    def _end(self, place: PartitionBounds, then_ms: int) -> int:
        key = place.partition_id, then_ms
        if key not in self._ends:
            self._ends[key] = end_at(self._reader, place, then_ms)
        return self._ends[key]
