"""Groups as people see them: state, members, lag and where it is going, from one read transaction.

Commits and batches are rows with the time at which they were written, so how far a group was behind at any moment is
worked out, not sampled: committed offset then, end of the log then.
"""

import json
from dataclasses import dataclass

from sandbox.description import GroupDescription, LagPoint, MemberDescription, PartitionLag, Rebalance
from sandbox.storage.database import Reader

TREND_MS = (6_000, 20_000)
"""Over how long the trend of a lag is taken: a group that drains now does, whatever it was before; and one that commits
every few seconds is looked at over some of them."""
QUIET_MS = 60_000
"""After how long without a commit a group without members counts as such, rather than as one that assigns itself."""

REBALANCING = ("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling")
"""The states, of the classic and of the consumer protocol, in which partitions change hands."""


@dataclass(frozen=True, slots=True)
class _Place:
    """One partition with its bounds."""

    partition_id: int
    start: int
    end: int


def describe_groups(reader: Reader, now_ms: int, group: str | None = None) -> tuple[GroupDescription, ...]:
    """Every group by id, or the one that is named."""
    where, parameters = ("WHERE group_id = ?", (group,)) if group is not None else ("", ())
    rows = reader.query(
        f"SELECT group_id, state, protocol_type, protocol, generation FROM groups {where} ORDER BY group_id",
        parameters,
    )
    members: dict[str, list[MemberDescription]] = {}
    for row in reader.query(
        "SELECT group_id, member_id, instance_id, client_id, client_host, session_timeout_ms, assigned "
        f"FROM group_members {where} ORDER BY client_id, member_id",
        parameters,
    ):
        members.setdefault(row[0], []).append(_describe_member(row))
    commits: dict[str, dict[tuple[str, int], tuple[int, str | None, int]]] = {}
    for group_id, topic, partition, offset, metadata, committed_ms in reader.query(
        f"SELECT group_id, topic, partition, offset, metadata, committed_ms FROM committed_offsets {where}",
        parameters,
    ):
        commits.setdefault(group_id, {})[topic, partition] = (offset, metadata, committed_ms)
    places = _places(reader)
    return tuple(
        _describe_group(reader, now_ms, row, tuple(members.get(row[0], ())), commits.get(row[0], {}), places)
        for row in rows
    )


def _places(reader: Reader) -> dict[tuple[str, int], _Place]:
    return {
        (topic, partition): _Place(partition_id, start, end)
        for partition_id, topic, partition, start, end in reader.rows(
            "SELECT partition_id, topic, partition, log_start_offset, end_offset FROM log_ends"
        )
    }


def _describe_member(row: tuple[str, str, str | None, str, str, int, str]) -> MemberDescription:
    assigned = {topic: tuple(partitions) for topic, partitions in json.loads(row[6] or "{}").items()}
    return MemberDescription(
        member_id=row[1],
        instance_id=row[2],
        client_id=row[3],
        client_host=row[4],
        subscription=tuple(sorted(assigned)),
        assignment=assigned,
        last_heartbeat_ms=None,
        session_timeout_ms=row[5],
    )


def _describe_group(
    reader: Reader,
    now_ms: int,
    row: tuple[str, str, str, str, int],
    members: tuple[MemberDescription, ...],
    commits: dict[tuple[str, int], tuple[int, str | None, int]],
    places: dict[tuple[str, int], _Place],
) -> GroupDescription:
    group, state, protocol_type, protocol, generation = row
    owners = {
        (topic, partition): member
        for member in members
        for topic, partitions in member.assignment.items()
        for partition in partitions
    }
    partitions = tuple(
        _describe_lag(reader, now_ms, place, places[place], commits.get(place), owners.get(place))
        for place in sorted(set(commits) | set(owners))
        if place in places
    )
    known = [one for one in partitions if one.lag is not None]
    lag = sum(one.lag or 0 for one in known) if known else None
    ages = [one.lag_ms for one in partitions if one.lag_ms is not None]
    word, drain_ms = _trend(reader, now_ms, group, state, partitions, places)
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
        lag_ms=max(ages, default=None),
        word=word,
        drain_ms=drain_ms,
    )


def _describe_lag(
    reader: Reader,
    now_ms: int,
    name: tuple[str, int],
    place: _Place,
    commit: tuple[int, str | None, int] | None,
    member: MemberDescription | None,
) -> PartitionLag:
    committed, metadata, committed_ms = commit or (None, None, None)
    lag = None if committed is None else max(0, place.end - committed)
    lag_ms = None
    if committed is not None:
        lag_ms = 0
        if lag:
            appended = appended_at(reader, place.partition_id, max(committed, place.start))
            lag_ms = None if appended is None else max(0, now_ms - appended)
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
    )


def appended_at(reader: Reader, partition_id: int, offset: int) -> int | None:
    """When the event at an offset was appended, by the broker's clock."""
    row = reader.one(
        "SELECT appended_ms FROM batches WHERE partition_id = ? AND base_offset <= ? ORDER BY base_offset DESC LIMIT 1",
        (partition_id, offset),
    )
    return row[0] if row else None


def end_at(reader: Reader, partition_id: int, start: int, end: int, at_ms: int) -> int:
    """The end of a log at a moment: found by halving, because batches are in the order in which they were appended."""
    low, high = start, end
    while low < high:
        middle = (low + high) // 2
        row = reader.one(
            "SELECT base_offset, last_offset, appended_ms FROM batches WHERE partition_id = ? AND base_offset <= ? "
            "ORDER BY base_offset DESC LIMIT 1",
            (partition_id, middle),
        )
        if row is None or row[2] <= at_ms:
            low = middle + 1 if row is None else max(middle, row[1]) + 1
        else:
            high = min(middle, row[0])
    return min(max(low, start), end)


def _committed_at(reader: Reader, group: str, topic: str, partition: int, at_ms: int) -> int | None:
    row = reader.one(
        "SELECT offset FROM commits WHERE group_id = ? AND topic = ? AND partition = ? AND committed_ms <= ? "
        "ORDER BY committed_ms DESC, id DESC LIMIT 1",
        (group, topic, partition, at_ms),
    )
    return row[0] if row else None


def _trend(
    reader: Reader,
    now_ms: int,
    group: str,
    state: str,
    partitions: tuple[PartitionLag, ...],
    places: dict[tuple[str, int], _Place],
) -> tuple[str, int | None]:
    """A word for where a group's lag is going, and how long until it is gone where it shrinks."""
    if state in REBALANCING:
        return "rebalancing", None
    known = [one for one in partitions if one.committed is not None]
    if not known:
        return "never committed", None
    lag = sum(one.lag or 0 for one in known)
    if lag == 0:
        return "caught up", None
    if state == "Empty" and all(now_ms - (one.committed_ms or 0) > QUIET_MS for one in known):
        return "without members", None
    recent, moved = _lag_then(reader, group, known, places, now_ms - TREND_MS[0])
    earlier, moved_earlier = _lag_then(reader, group, known, places, now_ms - TREND_MS[1])
    if moved_earlier == 0:
        return ("without members" if state == "Empty" else "stalled" if earlier >= lag else "growing"), None
    if moved and lag < recent:
        return "draining", round(lag * TREND_MS[0] / (recent - lag))
    if not moved and lag > recent:
        return "growing", None
    if lag < earlier:
        return "draining", round(lag * TREND_MS[1] / (earlier - lag))
    return ("growing" if lag > earlier else "steady"), None


def _lag_then(
    reader: Reader, group: str, known: list[PartitionLag], places: dict[tuple[str, int], _Place], then_ms: int
) -> tuple[int, int]:
    """The lag of a group at an earlier moment, and how many events it has committed since."""
    before = moved = 0
    for one in known:
        place = places[one.topic, one.partition]
        committed = _committed_at(reader, group, one.topic, one.partition, then_ms)
        end = end_at(reader, place.partition_id, place.start, place.end, then_ms)
        base = committed if committed is not None else min(one.committed or 0, end)
        before += max(0, end - base)
        moved += max(0, (one.committed or 0) - base)
    return before, moved


def lag_history(reader: Reader, group: str, since_ms: int, until_ms: int, points: int) -> list[LagPoint]:
    """Lag of each partition at evenly spaced moments, worked out from the rows."""
    places = _places(reader)
    step = max(1, (until_ms - since_ms) // max(1, points - 1))
    moments = [*range(since_ms, until_ms, step), until_ms]
    found: list[LagPoint] = []
    for topic, partition in reader.query(
        "SELECT DISTINCT topic, partition FROM committed_offsets WHERE group_id = ? ORDER BY topic, partition",
        (group,),
    ):
        place = places.get((topic, partition))
        if place is None:
            continue
        commits = reader.query(
            "SELECT committed_ms, offset FROM commits WHERE group_id = ? AND topic = ? AND partition = ? "
            "AND committed_ms > ? AND committed_ms <= ? ORDER BY committed_ms, id",
            (group, topic, partition, since_ms, until_ms),
        )
        committed = _committed_at(reader, group, topic, partition, since_ms)
        at = 0
        for moment in moments:
            while at < len(commits) and commits[at][0] <= moment:
                committed = commits[at][1]
                at += 1
            end = end_at(reader, place.partition_id, place.start, place.end, moment)
            lag = None if committed is None else max(0, end - committed)
            found.append(LagPoint(moment, topic, partition, committed, end, lag))
    return found


def list_rebalances(reader: Reader, group: str, limit: int) -> list[Rebalance]:
    """The newest rebalances of a group, newest first."""
    return [
        Rebalance(
            generation=generation,
            started_ms=started_ms,
            ended_ms=ended_ms,
            reason=reason,
            members=members,
            assignment={
                str(one.get("client_id") or member_id): tuple(one.get("partitions", ()))
                for member_id, one in json.loads(assignment).items()
            },
        )
        for generation, started_ms, ended_ms, reason, members, assignment in reader.query(
            "SELECT generation, started_ms, ended_ms, reason, members, assignment FROM rebalances "
            "WHERE group_id = ? ORDER BY id DESC LIMIT ?",
            (group, limit),
        )
    ]
