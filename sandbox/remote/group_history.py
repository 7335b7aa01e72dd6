"""The past of a cluster's groups. A cluster reports only current offsets, so they are sampled while somebody looks."""

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from sandbox.model import lag_trend
from sandbox.model.group_history import LagPoint, LagSpark, LastReset, Mark, Rates, RebalancePage
from sandbox.model.groups import GroupDescription, GroupSummary
from sandbox.model.lag_trend import OUT_OF_RANGE, Commit, Reading, Trend, cycle_of, lag_of, range_of
from sandbox.model.topics import PartitionName

SPACING_MS = 900
"""Between two samples of a group."""
SAMPLES_MAX = 1200
PLACES_MAX = 400_000
"""Maximum number of offsets in all samples; with many partitions the history is shorter."""
UNKNOWN_WORD = "not known yet"
REBALANCING = ("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling")


class Sampled(NamedTuple):
    """A group in one partition at one moment: the committed offset, and where the log ended and started."""

    committed: int
    end: int
    start: int

    @property
    def lag(self) -> int:
        """Its lag there."""
        return lag_of(self.committed, self.start, self.end)


@dataclass(frozen=True, slots=True)
class GroupSample:
    """A group at one moment."""

    at_ms: int
    places: Mapping[PartitionName, Sampled]

    @property
    def lag(self) -> int:
        """Its lag in all partitions."""
        return sum(one.lag for one in self.places.values())


class Samples:
    """The samples of all groups. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, deque[GroupSample]] = {}

    def note(self, at_ms: int, groups: Mapping[str, Mapping[PartitionName, Sampled]]) -> None:
        """Record all groups' progress. Groups that aren't listed are dropped."""
        with self._lock:
            for gone in set(self._kept) - set(groups):
                del self._kept[gone]
            most = max(30, min(SAMPLES_MAX, PLACES_MAX // max(1, sum(map(len, groups.values())))))
            for group, places in groups.items():
                kept = self._kept.setdefault(group, deque())
                if kept and at_ms - kept[-1].at_ms < SPACING_MS:
                    continue
                kept.append(GroupSample(at_ms, dict(places)))
                while len(kept) > most:
                    kept.popleft()

    def of(self, group: str) -> list[GroupSample]:
        """The samples of a group, earliest first."""
        with self._lock:
            return list(self._kept.get(group, ()))

    def trend(
        self, group: str, state: str, places: Mapping[PartitionName, Sampled], now_ms: int, *, partly: bool = False
    ) -> Trend:
        """Return the trend of a group's lag; `sandbox.model.lag_trend` explains it.

        Args:
            places: the partitions with a commit.
            partly: True if partitions with events have no commit.
        """
        if state in REBALANCING:
            return Trend(lag_trend.REBALANCING)
        if any(range_of(one.committed, one.start, one.end) for one in places.values()):
            return Trend(OUT_OF_RANGE)
        samples = self.of(group)
        commits = {name: _commits_of(name, samples) for name in places}
        if state in ("Empty", "Dead"):
            recent = max((found[-1].at_ms for found in commits.values() if len(found) > 2), default=0)
            if now_ms - recent > lag_trend.WINDOW_MIN_MS:
                return Trend(lag_trend.NO_MEMBERS)
        if not places:
            return Trend(lag_trend.NEVER_COMMITTED)
        if partly:
            return Trend(lag_trend.PARTLY_COMMITTED)
        behind = [name for name, one in places.items() if one.lag]
        if not behind:
            return Trend(lag_trend.CAUGHT_UP)
        readings = [_reading(name, places[name], samples, commits[name], now_ms) for name in behind]
        watched_ms = now_ms - samples[0].at_ms if samples else 0
        if watched_ms < lag_trend.WINDOW_MIN_MS and not any(len(one.commits) > 1 for one in readings):
            return Trend(UNKNOWN_WORD)
        return lag_trend.trend_of(readings, None)

    def history(
        self, group: str, since_ms: int, points: int, partitions: set[PartitionName] | None = None
    ) -> list[LagPoint]:
        """The lag of a group at up to `points` moments from a time on, as far back as there are samples."""
        samples = [sample for sample in self.of(group) if sample.at_ms >= since_ms]
        if len(samples) > points > 1:
            step = (len(samples) - 1) / (points - 1)
            samples = [samples[round(number * step)] for number in range(points)]
        return [
            LagPoint(sample.at_ms, *place, one.committed, one.end, one.lag)
            for sample in samples
            for place, one in sorted(sample.places.items())
            if partitions is None or place in partitions
        ]


def _commits_of(name: PartitionName, samples: list[GroupSample]) -> list[Commit]:
    """Return the commits forwards that the samples show, each at the time of its sample, earliest first."""
    found = []
    for before, after in pairwise(samples):
        if name in before.places and name in after.places:
            one = after.places[name]
            if one.committed > before.places[name].committed:
                found.append(Commit(after.at_ms, one.committed, one.end))
    return found


def _reading(
    name: PartitionName, one: Sampled, samples: list[GroupSample], commits: list[Commit], now_ms: int
) -> Reading:
    # An unread event is at least as old as the first sample in which the log had it.
    held = (sample for sample in samples if name in sample.places and sample.places[name].end > one.committed)
    first = next(held, None)
    age_ms = 0 if first is None else now_ms - first.at_ms
    gaps = [(later.at_ms - earlier.at_ms,) * 2 for earlier, later in pairwise(commits[-4:])]
    cycle_ms = cycle_of(gaps)
    window_ms = lag_trend.window_of(cycle_ms)
    firsts = (
        next((commit for commit in commits if now_ms - commit.at_ms < window_ms // part), None)
        for part in lag_trend.WINDOW_PARTS
    )
    shown = dict.fromkeys(commit for commit in (*firsts, *commits[-1:]) if commit is not None)
    quiet_ms = now_ms - commits[-1].at_ms if commits else None
    return Reading(one.lag, age_ms, cycle_ms, quiet_ms, tuple(shown))


RATE_MS = 10_000
SPARK_MS = 5 * 60_000
SPARK_POINTS = 30


class RemoteGroupHistory:
    """Group history from samples: nothing before the first sample, and no partition owners.

    Args:
        samples: the recorded progress of all groups.
    """

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def lag(
        self, group: str, *, since_ms: int, points: int = 120, partitions: Sequence[PartitionName] | None = None
    ) -> list[LagPoint]:
        """How far a group was, of some partitions or all."""
        return self._samples.history(group, since_ms, points, None if partitions is None else set(partitions))

    def first_commit_ms(self, group: str) -> int | None:
        """Return the time of the first commit seen, or None."""
        return next((sample.at_ms for sample in self._samples.of(group) if sample.places), None)

    def rates(self, group: GroupDescription) -> Mapping[PartitionName, Rates]:
        """Return the append rate and commit rate of each partition over the last `RATE_MS`."""
        samples = self._samples.of(group.group)
        if len(samples) < 2:
            return {}
        now = samples[-1]
        then = next(sample for sample in samples if sample.at_ms >= now.at_ms - RATE_MS)
        return _rates(then, now) if then.at_ms < now.at_ms else {}

    def marks(self, group: str, points: Sequence[LagPoint], *, since_ms: int) -> list[Mark]:
        """Where committed offsets were seen to go back, since a time."""
        samples = [sample for sample in self._samples.of(group) if sample.at_ms >= since_ms]
        found = []
        for before, after in pairwise(samples):
            back = sum(
                one.committed < before.places[place].committed
                for place, one in after.places.items()
                if place in before.places
            )
            if back:
                found.append(Mark(after.at_ms, "moved back", {"partition_count": back}))
        return found

    def rebalances(self, group: str, *, before: int | None = None, limit: int = 10) -> RebalancePage:
        """Empty: a cluster doesn't report rebalances."""
        return RebalancePage((), None)

    def last_reset(self, group: GroupDescription) -> LastReset | None:
        """None: a cluster doesn't report resets."""
        return None

    def sparks(self, groups: Iterable[GroupSummary], *, budget_ms: int = 80) -> Mapping[str, LagSpark]:
        """The lag of the last minutes, as far as it was seen."""
        found = {}
        for group in groups:
            samples = self._samples.of(group.group)
            if not samples:
                continue
            until_ms = samples[-1].at_ms
            since_ms = max(until_ms - SPARK_MS, samples[0].at_ms)
            step_ms = max(1, (until_ms - since_ms) // SPARK_POINTS)
            lags = tuple(_lag_at(samples, since_ms + step_ms * number) for number in range(SPARK_POINTS))
            found[group.group] = LagSpark(since_ms, until_ms, (*lags, group.lag))
        return found


def _rates(then: GroupSample, now: GroupSample) -> dict[PartitionName, Rates]:
    length_s = (now.at_ms - then.at_ms) / 1000
    return {
        place: Rates(
            max(0, one.end - then.places[place].end) / length_s,
            max(0, one.committed - then.places[place].committed) / length_s,
        )
        for place, one in now.places.items()
        if place in then.places
    }


def _lag_at(samples: list[GroupSample], at_ms: int) -> int | None:
    found = None
    for sample in samples:
        if sample.at_ms > at_ms:
            break
        found = sample
    if found is None or not found.places:
        return None
    return found.lag
