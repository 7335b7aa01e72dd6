"""Group history from stored rows: past lag, rates, and offsets before a reset (`sandbox.group_history`)."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sandbox.model.group_history import LagPoint, LagSpark, LastReset, Mark, Rates, RebalancePage
from sandbox.model.groups import GroupDescription, GroupSummary
from sandbox.runtime.runtime import Runtime
from sandbox.storage.file.content import OfContent
from sandbox.storage.groups import group_history
from sandbox.storage.groups.group_history import places, rebalance_page

RATE_MS = 30_000
SPARK_STEP_MS = 10_000
SPARK_POINTS = 30
SETTLED_MS = 5_000
"""Rows older than this are complete, so results that are based on them can be cached."""
GROUPS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class _Sparks:
    """Cached lag curves of the last minutes.

    Attributes:
        known: lag by time, by group.
        lines: the newest time of a curve and the curve, by group.
    """

    known: dict[str, dict[int, int | None]] = field(default_factory=dict)
    lines: dict[str, tuple[int, tuple[int | None, ...]]] = field(default_factory=dict)

    def missing(self, group: str, grid: Sequence[int]) -> list[int]:
        """Return the times of the grid that are not known yet. Drops the cached ones before the grid."""
        kept = self.known.get(group)
        if kept is None:
            return list(grid)
        for moment in [moment for moment in tuple(kept) if moment < grid[0]]:
            kept.pop(moment, None)
        return [moment for moment in grid if moment not in kept]


class SandboxGroupHistory:
    """The past of groups.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._sparks = OfContent(_Sparks)

    def lag(
        self, group: str, *, since_ms: int, points: int = 120, partitions: Sequence[tuple[str, int]] | None = None
    ) -> list[LagPoint]:
        """Return a group's lag at `points` times from `since_ms` until now.

        Args:
            partitions: the (topic, partition) pairs; None for all in which the group has committed.
        """
        with self._runtime.database.reader() as reader:
            now_ms = self._runtime.clock()
            return group_history.lag_history(reader, group, since_ms, now_ms, points, partitions)

    def first_commit_ms(self, group: str) -> int | None:
        """Return the time of a group's first commit, or None."""
        with self._runtime.database.reader() as reader:
            return group_history.first_commit_ms(reader, group)

    def rates(self, group: GroupDescription) -> dict[tuple[str, int], Rates]:
        """Return the append rate and commit rate of each partition over the last `RATE_MS`."""
        with self._runtime.database.reader() as reader:
            return group_history.rates(reader, group.group, group.partitions, self._runtime.clock(), RATE_MS)

    def marks(self, group: str, points: Sequence[LagPoint], *, since_ms: int) -> list[Mark]:
        """Return the latest rebalances and resets since a time, earliest first; `points` is the lag since then."""
        with self._runtime.database.reader() as reader:
            return group_history.list_marks(reader, group, points, since_ms)

    def rebalances(self, group: str, *, before: int | None = None, limit: int = 10) -> RebalancePage:
        """Return rebalances, newest first, each with the previous one; `before` is `RebalancePage.older`."""
        with self._runtime.database.reader() as reader:
            return rebalance_page(reader, group, before, limit)

    def last_reset(self, group: GroupDescription) -> LastReset | None:
        """Return the reset after which a group hasn't committed yet, or None."""
        names = [(one.topic, one.partition) for one in group.partitions if one.committed is not None]
        with self._runtime.database.reader() as reader:
            return group_history.last_reset(reader, group.group, names, group.generation > 0)

    def sparks(self, groups: Iterable[GroupSummary], *, budget_ms: int = 60) -> dict[str, LagSpark]:
        """Return the lag curves of the last minutes, for as many of these groups as the time allows.

        Results are cached, because they cannot change: the next call continues where this one stopped.

        Args:
            budget_ms: when to stop; groups that are left out have no entry.
        """
        now_ms = self._runtime.clock()
        last = (now_ms - SETTLED_MS) // SPARK_STEP_MS * SPARK_STEP_MS
        grid = [last - step * SPARK_STEP_MS for step in reversed(range(SPARK_POINTS))]
        deadline = time.monotonic() + budget_ms / 1000
        found: dict[str, LagSpark] = {}
        ends: dict[tuple[int, ...], dict[tuple[str, int], list[int | None]]] = {}
        with self._runtime.database.reader() as reader:
            memory = self._sparks.of(reader)
            if len(memory.known) > GROUPS_MAX:
                memory.known.clear()
                memory.lines.clear()
            known = commits = None
            for group in groups:
                kept = memory.lines.get(group.group)
                if kept is not None and kept[0] == last:
                    found[group.group] = LagSpark(grid[0], now_ms, (*kept[1], group.lag))
                    continue
                missing = memory.missing(group.group, grid)
                if missing:
                    if time.monotonic() > deadline:
                        continue
                    if known is None or commits is None:
                        known, commits = places(reader), group_history.latest_commits(reader)
                    latest = group_history.taken_apart(commits.get(group.group, "[]"))
                    lags = group_history.lags_at(
                        reader, group.group, group.places, known, missing, ends.setdefault(tuple(missing), {}), latest
                    )
                    memory.known.setdefault(group.group, {}).update(zip(missing, lags, strict=True))
                remembered = memory.known.get(group.group, {})
                memory.lines[group.group] = last, tuple(remembered.get(moment) for moment in grid)
                found[group.group] = LagSpark(grid[0], now_ms, (*memory.lines[group.group][1], group.lag))
        return found
