"""Recorded progress of groups. A cluster reports only current offsets, so they are sampled while somebody watches.

The samples are kept in memory, bounded, from the start of this program.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sandbox.model.group_history import LagPoint
from sandbox.model.lag import OUT_OF_RANGE, lag_of, range_of
from sandbox.model.topics import PartitionName

SPACING_MS = 900
"""Between two samples of a group."""
SAMPLES_MAX = 1200
PLACES_MAX = 400_000
"""Maximum number of offsets in all samples; with many partitions the history is shorter."""
TREND_MS = (6_000, 20_000)
"""The window over which a trend is computed."""
TREND_LEAST_MS = 2_500
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
        self, group: str, state: str, places: Mapping[PartitionName, Sampled], now_ms: int
    ) -> tuple[str, int | None]:
        """Return the trend of a group's lag, and the time until it is 0 if it shrinks."""
        if state in REBALANCING:
            return "rebalancing", None
        if not places:
            return "never committed", None
        if any(range_of(one.committed, one.start, one.end) for one in places.values()):
            return OUT_OF_RANGE, None
        lag = sum(one.lag for one in places.values())
        if lag == 0:
            return "caught up", None
        samples = self.of(group)
        earlier = _before(samples, now_ms - TREND_MS[1])
        recent = _before(samples, now_ms - TREND_MS[0])
        if earlier is None or recent is None or now_ms - earlier.at_ms < TREND_LEAST_MS:
            return ("without members" if state == "Empty" else UNKNOWN_WORD), None
        if _moved(earlier, places) == 0:
            if state == "Empty":
                return "without members", None
            return ("stalled" if earlier.lag >= lag else "growing"), None
        for sample in (recent, earlier):
            before, passed_ms = sample.lag, now_ms - sample.at_ms
            if lag < before and _moved(sample, places) and passed_ms > 0:
                return "draining", round(lag * passed_ms / (before - lag))
        return ("growing" if lag > earlier.lag else "steady"), None

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


def _moved(then: GroupSample, now: Mapping[PartitionName, Sampled]) -> int:
    """How many events were committed since."""
    return sum(
        max(0, one.committed - then.places[place].committed) for place, one in now.items() if place in then.places
    )


def _before(samples: list[GroupSample], at_ms: int) -> GroupSample | None:
    """The last sample of that time or before it; the first one where all are later."""
    found = [sample for sample in samples if sample.at_ms <= at_ms]
    return found[-1] if found else samples[0] if samples else None
