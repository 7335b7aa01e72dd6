"""Reads the history of rebalances: members that joined and left, and partitions that changed their owner."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.model.group_history import Handover, Rebalance, RebalancePage, RebalanceStep
from sandbox.model.member_names import member_names
from sandbox.storage.file.database import Reader, Row

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
