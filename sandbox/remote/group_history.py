"""The past of a cluster's groups, as far as it was seen: `backend.group_history`."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from sandbox.model.group_history import LagPoint, LagSpark, LastReset, Mark, Rates, RebalancePage
from sandbox.model.groups import GroupDescription, GroupSummary
from sandbox.model.topics import PartitionName
from sandbox.remote.samples import GroupSample, Samples

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
