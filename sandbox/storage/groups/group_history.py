"""Reads the past of groups from rows of commits, batches and rebalances. Nothing is sampled, and it survives restarts.

Batches and commits are in the order in which they were written, so the state at a moment is found by binary search. If
it is the same at two moments, it was the same between them: many moments of a quiet partition cost as much as two.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from sandbox.model.group_history import (
    Handover,
    LagPoint,
    LastReset,
    Mark,
    Rates,
    Rebalance,
    RebalancePage,
    RebalanceStep,
)
from sandbox.model.groups import PartitionLag, member_names
from sandbox.model.lag_trend import lag_of, read_position
from sandbox.model.topics import PartitionName
from sandbox.storage.file.database import Reader, Row
from sandbox.storage.groups.unread import first_appended_ms

MARKS_MAX = 100
TOLD_WITHIN_MS = 1_000
"""A reset's activity row is written at the end of the turn that made it: at most this much later, even under load."""
NAMED_MAX = 4
T = TypeVar("T")


class PartitionBounds(NamedTuple):
    """One partition with its current bounds."""

    partition_id: int
    start: int
    end: int


class Committed(NamedTuple):
    """A row of the history of commits."""

    id: int
    offset: int
    committed_ms: int
    member_id: str


def places(reader: Reader, topics: Sequence[str] | None = None) -> dict[tuple[str, int], PartitionBounds]:
    """Return every partition, or the partitions of some topics, by (topic, partition)."""
    columns = "SELECT partition_id, topic, partition, log_start_offset, end_offset FROM log_ends"
    if topics is None:
        rows = reader.query(columns)
    else:
        rows = [row for topic in topics for row in reader.query(f"{columns} WHERE topic = ?", (topic,))]
    return {
        (topic, partition): PartitionBounds(partition_id, start, end)
        for partition_id, topic, partition, start, end in rows
    }


def end_at(reader: Reader, place: PartitionBounds, at_ms: int, low: int | None = None, high: int | None = None) -> int:
    """Return the log end offset at a moment.

    Args:
        low: a known end before that moment.
        high: a known end after it.
    """
    low = place.start if low is None else low
    high = place.end if high is None else high
    middle = high - 1
    while low < high:
        row = reader.one(
            "SELECT base_offset, last_offset, appended_ms FROM batches WHERE partition_id = ? AND base_offset <= ? "
            "ORDER BY base_offset DESC LIMIT 1",
            (place.partition_id, middle),
        )
        if row is None or row[2] <= at_ms:
            low = middle + 1 if row is None else max(middle, row[1]) + 1
        else:
            high = min(middle, row[0])
        middle = (low + high) // 2
    return min(max(low, place.start), place.end)


_COMMIT = "SELECT id, offset, committed_ms, member_id FROM commits WHERE group_id = ? AND topic = ? AND partition = ?"


def committed_at(reader: Reader, group: str, topic: str, partition: int, at_ms: int) -> Committed | None:
    """Return the last commit of a group in a partition at a moment, None if there was none."""
    row = reader.one(
        f"{_COMMIT} AND committed_ms <= ? ORDER BY committed_ms DESC, id DESC LIMIT 1", (group, topic, partition, at_ms)
    )
    return Committed(*row) if row else None


def recent_commits(
    reader: Reader, group: str, topic: str, partition: int, count: int, *, by_member: bool
) -> list[Committed]:
    """Return the last commits of a group in a partition, newest first.

    Args:
        by_member: True to leave out commits without a member: resets, and consumers that assign themselves partitions.
    """
    rows = reader.query(
        f"{_COMMIT} AND (member_id <> '' OR NOT ?) ORDER BY committed_ms DESC, id DESC LIMIT ?",
        (group, topic, partition, by_member, count),
    )
    return [Committed(*row) for row in rows]


def first_commit_after(
    reader: Reader, group: str, topic: str, partition: int, at_ms: int, *, by_member: bool
) -> Committed | None:
    """Return the first commit of a group in a partition after a moment; `by_member` is as in `recent_commits`."""
    row = reader.one(
        f"{_COMMIT} AND committed_ms > ? AND (member_id <> '' OR NOT ?) ORDER BY committed_ms, id LIMIT 1",
        (group, topic, partition, at_ms, by_member),
    )
    return Committed(*row) if row else None


def ends_at(reader: Reader, place: PartitionBounds, moments: Sequence[int]) -> list[int | None]:
    """Return the log end offset at each moment, earliest first; None if the batches of that time are deleted."""
    if not moments:
        return []
    first = None
    if place.start > 0:
        oldest = reader.one(
            "SELECT appended_ms FROM batches WHERE partition_id = ? ORDER BY base_offset LIMIT 1", (place.partition_id,)
        )
        first = oldest[0] if oldest else moments[-1]

    def look(at_ms: int, before: int | None, after: int | None) -> int:
        return end_at(reader, place, at_ms, before, after)

    return [
        None if first is not None and moment < first else end
        for moment, end in zip(moments, _at_each(moments, look), strict=True)
    ]


def commits_at(
    reader: Reader, group: str, topic: str, partition: int, moments: Sequence[int]
) -> list[Committed | None]:
    """Return the last commit of a group in a partition at each moment, earliest first."""

    def look(at_ms: int, before: Committed | None, after: Committed | None) -> Committed | None:
        return committed_at(reader, group, topic, partition, at_ms)

    return _at_each(moments, look)


def _at_each(moments: Sequence[int], look: Callable[[int, T | None, T | None], T]) -> list[T]:
    """Call `look` for moments; if the results at both ends of a range are equal, they apply to the whole range."""
    if not moments:
        return []
    last = len(moments) - 1
    known: dict[int, T] = {last: look(moments[last], None, None)}
    if last == 0:
        return [known[0]]
    known[0] = look(moments[0], None, known[last])
    stretches = [(0, last)]
    while stretches:
        left, right = stretches.pop()
        if right - left < 2:
            continue
        if known[left] == known[right]:
            known.update(dict.fromkeys(range(left + 1, right), known[left]))
            continue
        middle = (left + right) // 2
        known[middle] = look(moments[middle], known[left], known[right])
        stretches += [(left, middle), (middle, right)]
    return [known[index] for index in range(len(moments))]


def partitions_of(reader: Reader, group: str) -> list[PartitionName]:
    """Return the partitions in which a group has a committed offset."""
    rows = reader.query(
        "SELECT topic, partition FROM committed_offsets WHERE group_id = ? ORDER BY topic, partition", (group,)
    )
    return [(topic, partition) for topic, partition in rows]


def lag_history(
    reader: Reader, group: str, since_ms: int, until_ms: int, points: int, wanted: Sequence[PartitionName] | None = None
) -> list[LagPoint]:
    """Return the lag of each partition at evenly spaced moments.

    Args:
        points: the number of moments, at least 2.
        wanted: only these partitions; None for all in which the group has a committed offset.
    """
    names = partitions_of(reader, group) if wanted is None else list(wanted)
    known = places(reader, sorted({topic for topic, _ in names}))
    step = max(1, (until_ms - since_ms) // max(1, points - 1))
    moments = [*range(since_ms, until_ms, step), until_ms]
    found: list[LagPoint] = []
    for name in names:
        place = known.get(name)
        if place is not None:
            commits = commits_at(reader, group, *name, moments)
            found += _points(reader, name, place, moments, commits)
    return found


def _points(
    reader: Reader,
    name: PartitionName,
    place: PartitionBounds,
    moments: Sequence[int],
    commits: Sequence[Committed | None],
) -> Iterable[LagPoint]:
    for moment, end, commit in zip(moments, ends_at(reader, place, moments), commits, strict=True):
        lag = lag_ms = None
        if commit is not None and end is not None:
            lag = lag_of(commit.offset, place.start, end)
            lag_ms = 0 if not lag else _age(reader, place, commit.offset, end, moment)
        committed = None if commit is None else commit.offset
        yield LagPoint(moment, *name, committed, place.start if end is None else end, lag, lag_ms)


def _age(reader: Reader, place: PartitionBounds, committed: int, end: int, moment: int) -> int | None:
    """Return the age of the oldest unread event; 0 if none was unread, None if retention has deleted it since."""
    if committed < place.start:
        return None
    appended_ms = first_appended_ms(reader, place.partition_id, read_position(committed, place.start, end))
    return 0 if appended_ms is None else max(0, moment - appended_ms)


def latest_commits(reader: Reader) -> dict[str, str]:
    """Return the committed offsets of each group, as a text for `taken_apart`: often only a few are needed."""
    return dict(
        reader.query(
            "SELECT group_id, json_group_array(json_array(topic, partition, offset, committed_ms)) "
            "FROM committed_offsets GROUP BY group_id"
        )
    )


def taken_apart(commits: str) -> dict[PartitionName, tuple[int, int]]:
    """Parse a text of `latest_commits`: (topic, partition) to committed offset and commit time."""
    return {(topic, partition): (offset, at_ms) for topic, partition, offset, at_ms in json.loads(commits)}


def lags_at(
    reader: Reader,
    group: str,
    names: Iterable[PartitionName],
    known: dict[PartitionName, PartitionBounds],
    moments: Sequence[int],
    ends: dict[PartitionName, list[int | None]],
    latest: Mapping[PartitionName, tuple[int, int]],
) -> list[int | None]:
    """Return the total lag of a group at each moment; None before its first commit.

    Args:
        latest: its current committed offsets and their commit times. An offset that was committed before the first
            moment was valid at all of them.
        ends: known log end offsets at these moments; others are added.
    """
    sums: list[int | None] = [None] * len(moments)
    for name in names:
        place = known.get(name)
        if place is None:
            continue
        if name not in ends:
            ends[name] = ends_at(reader, place, moments)
        offset, at_ms = latest.get(name, (None, 0))
        offsets: list[int | None]
        if offset is not None and at_ms <= moments[0]:
            offsets = [offset] * len(moments)
        else:
            commits = commits_at(reader, group, *name, moments)
            offsets = [None if commit is None else commit.offset for commit in commits]
        for index, (committed, end) in enumerate(zip(offsets, ends[name], strict=True)):
            if committed is not None and end is not None:
                sums[index] = (sums[index] or 0) + lag_of(committed, place.start, end)
    return sums


def first_commit_ms(reader: Reader, group: str) -> int | None:
    """Return when a group first committed in one of its partitions; None if it never has."""
    firsts = [
        reader.one(
            "SELECT committed_ms FROM commits WHERE group_id = ? AND topic = ? AND partition = ? "
            "ORDER BY committed_ms LIMIT 1",
            (group, *name),
        )
        for name in partitions_of(reader, group)[:1000]
    ]
    return min((row[0] for row in firsts if row is not None), default=None)


def rates(
    reader: Reader, group: str, partitions: Iterable[PartitionLag], now_ms: int, window_ms: int
) -> dict[PartitionName, Rates]:
    """Return the rates of appended and committed events, over the last `window_ms`. Resets are left out.

    Events are committed in batches, so the rate of a partition is taken from commit to commit.
    """
    wanted = list(partitions)
    by_member = any(one.member_id for one in wanted)
    known = places(reader, sorted({one.topic for one in wanted}))
    found: dict[PartitionName, Rates] = {}
    for one in wanted:
        place = known.get((one.topic, one.partition))
        if place is None:
            continue
        then_ms = now_ms - window_ms
        came = one.end - end_at(reader, place, then_ms)
        went = None
        if one.committed is not None:
            went = _committed_per_s(reader, group, one, then_ms, window_ms, by_member=by_member)
        found[one.topic, one.partition] = Rates(max(0, came) / (window_ms / 1000), went)
    return found


def _committed_per_s(
    reader: Reader, group: str, one: PartitionLag, then_ms: int, window_ms: int, *, by_member: bool
) -> float:
    recent = recent_commits(reader, group, one.topic, one.partition, 3, by_member=by_member)
    if not recent or recent[0].committed_ms <= then_ms or (not by_member and recent[-1].committed_ms <= then_ms):
        # Without members, one or two commits may be resets.
        return 0.0
    first = first_commit_after(reader, group, one.topic, one.partition, then_ms, by_member=by_member)
    if first is None or first.committed_ms == recent[0].committed_ms:
        earlier = recent[1] if len(recent) > 1 else None
        count = 0 if earlier is None else recent[0].offset - earlier.offset
        return max(0, count) / (window_ms / 1000)
    return max(0, recent[0].offset - first.offset) / ((recent[0].committed_ms - first.committed_ms) / 1000)


def list_marks(reader: Reader, group: str, points: Sequence[LagPoint], since_ms: int) -> list[Mark]:
    """Return the newest rebalances and resets since a time, earliest first.

    A reset backwards is found by the committed offset that fell between two points, to the millisecond. A reset
    forwards is known only if it went through the sandbox itself.
    """
    marks = _rebalance_marks(reader, group, since_ms)
    seen: dict[tuple[int, str], list[str]] = {}
    for before, after in pairwise(points):
        same = (before.topic, before.partition) == (after.topic, after.partition)
        if same and before.committed is not None and after.committed is not None and after.committed < before.committed:
            at = _fall(reader, group, before, after)
            kind = "moved back" if at.member_id else "reset"
            seen.setdefault((at.committed_ms, kind), []).append(f"{before.topic} {before.partition}")
    for (at_ms, kind), names in seen.items():
        more = {"more": len(names) - NAMED_MAX} if len(names) > NAMED_MAX else {}
        marks.append(Mark(at_ms, kind, {"partitions": names[:NAMED_MAX], **more}))
    found = [mark.at_ms for mark in marks if mark.kind == "reset"]
    for at_ms, details in _told_resets(reader, group, since_ms):
        if not any(one <= at_ms <= one + TOLD_WITHIN_MS for one in found):
            marks.append(Mark(at_ms, "reset", json.loads(details)))
    return sorted(marks, key=lambda mark: mark.at_ms)[-MARKS_MAX:]


def _told_resets(reader: Reader, group: str, since_ms: int) -> list[tuple[int, str]]:
    """The newest resets through the sandbox itself, as (time in ms, details as JSON)."""
    rows = reader.query(
        "SELECT at_ms, details FROM activity WHERE group_id = ? AND kind = 'reset' ORDER BY id DESC LIMIT ?",
        (group, MARKS_MAX),
    )
    return [(at_ms, details) for at_ms, details in rows if at_ms >= since_ms]


def _rebalance_marks(reader: Reader, group: str, since_ms: int) -> list[Mark]:
    rows = reader.query(
        "SELECT started_ms, generation, details FROM rebalances WHERE group_id = ? ORDER BY id DESC LIMIT ?",
        (group, MARKS_MAX),
    )
    return [
        Mark(at_ms, "rebalance", {"generation": generation, **json.loads(details)})
        for at_ms, generation, details in reversed(rows)
        if at_ms >= since_ms
    ]


def _fall(reader: Reader, group: str, before: LagPoint, after: LagPoint) -> Committed:
    """Find the commit by which an offset fell between two moments, by binary search."""
    low_ms, high_ms, offset = before.at_ms, after.at_ms, before.committed or 0
    found = committed_at(reader, group, after.topic, after.partition, high_ms)
    while high_ms - low_ms > 1:
        middle_ms = (low_ms + high_ms) // 2
        middle = committed_at(reader, group, after.topic, after.partition, middle_ms)
        if middle is None or middle.offset >= offset:
            low_ms, offset = middle_ms, offset if middle is None else middle.offset
        else:
            high_ms, found = middle_ms, middle
    assert found is not None
    return found


def last_reset(reader: Reader, group: str, names: Sequence[PartitionName], had_members: bool) -> LastReset | None:
    """Return the reset after which a group has not committed.

    A commit without a member counts as a reset if the group has had members, if the offset moved back, or if it was
    made through the sandbox: a program that assigns partitions to itself also commits without a member.

    Args:
        names: the partitions in which the group has a committed offset.
    """
    latest: dict[PartitionName, list[tuple[int, int, str]]] = {}
    for name in names:
        latest[name] = [
            (committed_ms, offset, member_id)
            for committed_ms, offset, member_id in reader.query(
                "SELECT committed_ms, offset, member_id FROM commits WHERE group_id = ? AND topic = ? "
                "AND partition = ? ORDER BY committed_ms DESC, id DESC LIMIT 2",
                (group, *name),
            )
        ]
    newest_ms = max((rows[0][0] for rows in latest.values() if rows), default=None)
    mine = {name: rows for name, rows in latest.items() if rows and rows[0][0] == newest_ms}
    if newest_ms is None or any(rows[0][2] for rows in mine.values()):
        return None
    before = {name: rows[1][1] if len(rows) > 1 else None for name, rows in mine.items()}
    back = any(rows[0][1] < (before[name] or 0) for name, rows in mine.items())
    moved = any(before[name] is not None and before[name] != rows[0][1] for name, rows in mine.items())
    told = any(at_ms <= newest_ms + TOLD_WITHIN_MS for at_ms, _ in _told_resets(reader, group, newest_ms))
    if not moved and not (told and any(offset is None for offset in before.values())):
        return None
    return LastReset(newest_ms, before) if had_members or back or told else None


COLUMNS = "id, generation, started_ms, ended_ms, details, members, assignment"
Assigned = dict[str, tuple[str, tuple[str, ...]]]


def list_rebalances(reader: Reader, group: str, limit: int) -> list[Rebalance]:
    """Return the newest rebalances of a group, newest first."""
    found = []
    for row in _rows(reader, group, None, limit):
        assigned = _assigned(row[6])
        names = _names(assigned)
        found.append(
            Rebalance(
                generation=row[1],
                started_ms=row[2],
                ended_ms=row[3],
                details=json.loads(row[4]),
                members=row[5],
                assignment={names[member_id]: partitions for member_id, (_, partitions) in assigned.items()},
            )
        )
    return found


def rebalance_page(reader: Reader, group: str, before: int | None, limit: int) -> RebalancePage:
    """Return some rebalances of a group, each compared with the previous one.

    Args:
        before: only rebalances with a smaller id; None for the newest.
        limit: the maximum number, at least 1.
    """
    rows = _rows(reader, group, before, limit + 1)
    steps = tuple(
        _step(row, rows[index + 1] if index + 1 < len(rows) else None) for index, row in enumerate(rows[:limit])
    )
    return RebalancePage(steps, steps[-1].id if len(rows) > limit else None)


def _rows(reader: Reader, group: str, before: int | None, limit: int) -> list[Row]:
    return reader.query(
        f"SELECT {COLUMNS} FROM rebalances WHERE group_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
        (group, 2**62 if before is None else before, limit),
    )


def _assigned(text: str) -> Assigned:
    """Parse an assignment: member id to (client id, "topic-partition" names)."""
    stored: Mapping[str, Any] = json.loads(text)
    return {
        member_id: (str(one.get("client_id") or ""), tuple(one.get("partitions", ())))
        for member_id, one in stored.items()
    }


def _names(*assignments: Assigned) -> dict[str, str]:
    """Names for all members in any of the assignments."""
    clients = {member_id: client_id for assigned in assignments for member_id, (client_id, _) in assigned.items()}
    return member_names((member_id, client_id, None) for member_id, client_id in clients.items())


def _step(row: Row, earlier: Row | None) -> RebalanceStep:
    after: Assigned = _assigned(row[6])
    before: Assigned = _assigned(earlier[6]) if earlier is not None else {}
    names = _names(before, after)
    had, has = _owners(before), _owners(after)
    moves = tuple(
        Handover(
            partition,
            names[had[partition]] if partition in had else None,
            names[has[partition]] if partition in has else None,
        )
        for partition in sorted({*had, *has}, key=_place)
        if had.get(partition) != has.get(partition)
    )
    return RebalanceStep(
        id=row[0],
        generation=row[1],
        started_ms=row[2],
        ended_ms=row[3],
        details=json.loads(row[4]),
        members=row[5],
        joined=_only(after, before, names),
        left=_only(before, after, names),
        moves=moves,
        kept=sum(has.get(partition) == owner for partition, owner in had.items()),
        compared=earlier is not None,
    )


def _owners(assigned: Assigned) -> dict[str, str]:
    return {partition: member_id for member_id, (_, partitions) in assigned.items() for partition in partitions}


def _only(these: Assigned, those: Assigned, names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(names[member_id] for member_id in these if member_id not in those))


def _place(partition: str) -> tuple[str, int]:
    """The sort key of "topic-partition" names: topic, then partition number."""
    topic, _, number = partition.rpartition("-")
    return topic, int(number)
