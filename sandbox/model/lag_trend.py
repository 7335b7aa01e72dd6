"""Defines the lag of a group in one partition, and judges from its commits where the lag is going."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

BEYOND_END = "beyond end"
BELOW_START = "below start"
OUT_OF_RANGE = "out of range"
"""A group's trend while one of its committed offsets is outside the log."""


def read_position(committed: int, start: int, end: int) -> int:
    """Return the offset from which lag counts.

    Args:
        committed: the committed offset.
        start: the log start offset.
        end: the log end offset, from the same moment.
    """
    return committed if start <= committed <= end else start


def lag_of(committed: int, start: int, end: int) -> int:
    """Return the lag of a group in one partition; see `read_position` for the arguments."""
    return end - read_position(committed, start, end)


def range_of(committed: int | None, start: int, end: int) -> str | None:
    """Return `BEYOND_END` or `BELOW_START` for a committed offset outside the log, else None."""
    if committed is None or start <= committed <= end:
        return None
    return BEYOND_END if committed > end else BELOW_START


def range_text(committed: int | None, start: int, end: int) -> str | None:
    """Describe a committed offset outside the log and its consequence, as one sentence without its full stop."""
    found = range_of(committed, start, end)
    if found is None or committed is None:
        return None
    if found == BEYOND_END:
        return f"committed {committed}, log ends at {end}: the next poll resets (auto.offset.reset)"
    deleted = start - committed
    events = "1 event was" if deleted == 1 else f"{deleted} events were"
    return f"committed {committed}, log starts at {start}: {events} deleted unread"


NO_MEMBERS = "no active members"
NEVER_COMMITTED = "never committed"
PARTLY_COMMITTED = "partly committed"
REBALANCING = "rebalancing"
CAUGHT_UP = "caught up"
DRAINING = "draining"
GROWING = "growing"
STEADY = "steady"
STALLED = "stalled"
STARTING = "starting"
TRENDS = (
    CAUGHT_UP, DRAINING, STEADY, GROWING, STALLED, STARTING, NO_MEMBERS, NEVER_COMMITTED, PARTLY_COMMITTED, REBALANCING,
    OUT_OF_RANGE,
)  # fmt: skip

CYCLE_MIN_MS = 5_000
"""The default of `auto.commit.interval.ms`."""
CYCLE_MAX_MS = 300_000
KEPT_UP_CYCLES = 2.5
"""An event of a batch is committed within two cycles: it waits for the batch before, and for its own."""
CYCLES = 3
"""How many cycles a trend is judged over, and after how many without a commit a group is stalled."""
WINDOW_MIN_MS = 30_000
WINDOW_PARTS = (1, 2, 4)
"""The whole window, its second half and its last quarter: the lag must have one direction in all of them."""
SIGNIFICANT = 0.1
"""The share of the faster rate by which two rates must differ, to be more than a fluctuation."""
AGREEING = 1.6
"""The largest ratio of the times left by the parts of the window, if the time left is shown."""
LEFT_MAX_MS = 24 * 3_600_000
_ROUND_TO_MS = ((60_000, 10_000), (600_000, 60_000), (3_600_000, 300_000), (LEFT_MAX_MS, 3_600_000))
"""Up to a time left, the step to which it is rounded."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a group in one partition, and the log end offset at that time."""

    at_ms: int
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A group in one partition with unread events.

    Attributes:
        lag: its current lag.
        age_ms: the age of the oldest unread event; None if unknown.
        cycle_ms: the time from one commit to the next; see `cycle_of`.
        quiet_ms: the time since its last commit, None if it has none.
        commits: the first commit within each part of the window (see `WINDOW_PARTS`), and the last one; each once, in
            order, and without resets.
    """

    lag: int
    age_ms: int | None
    cycle_ms: int
    quiet_ms: int | None
    commits: tuple[Commit, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """The word for a trend, and the time in ms until the group is caught up; None if it is unknown or unstable."""

    word: str
    drain_ms: int | None = None


def cycle_of(gaps_ms: Sequence[tuple[int, int]]) -> int:
    """Return a commit cycle in ms.

    Args:
        gaps_ms: for each of the last commits, the time since the commit before it, and since the first event that it
            covers was appended. A gap in which nothing was unread is no cycle, so the shorter one counts.
    """
    typical = median(min(gap) for gap in gaps_ms) if gaps_ms else 0
    return round(min(max(typical, CYCLE_MIN_MS), CYCLE_MAX_MS))


def window_of(cycle_ms: int) -> int:
    """Return the time in ms over which a trend is judged."""
    return max(WINDOW_MIN_MS, CYCLES * cycle_ms)


def has_kept_up(age_ms: int | None, cycle_ms: int = CYCLE_MIN_MS) -> bool:
    """Return True if a partition's oldest unread event is as young as its commit cycle explains."""
    return age_ms is not None and age_ms <= KEPT_UP_CYCLES * cycle_ms


def trend_of(readings: Sequence[Reading], assigned_ms: int | None) -> Trend:
    """Return the trend of a group that has active members and unread events.

    Args:
        readings: the partitions with unread events, at least one.
        assigned_ms: the time since its last rebalance ended, None if unknown: a new member gets time for its first
            commit.
    """
    if all(has_kept_up(one.age_ms, one.cycle_ms) for one in readings):
        return Trend(CAUGHT_UP)
    window_ms = window_of(max(one.cycle_ms for one in readings))
    quiet_ms = min((one.quiet_ms for one in readings if one.quiet_ms is not None), default=None)
    if quiet_ms is None or quiet_ms > window_ms:
        new = assigned_ms is not None and assigned_ms <= window_ms
        return Trend(STARTING if new else STALLED)
    parts = [_rates(readings, window_ms, -1 - back) for back in range(len(WINDOW_PARTS), 0, -1)]
    rates = [one for one in parts if one is not None]
    if not rates:
        overdue = all(one.quiet_ms is None or _is_overdue(one, one.quiet_ms) for one in readings)
        return Trend(STALLED if overdue else STARTING)
    words = {_word(*one) for one in rates}
    if len(words) > 1:
        # The end of the window contradicts the whole of it: the trend is just turning.
        return Trend(STEADY)
    word = words.pop()
    if word != DRAINING:
        return Trend(word)
    return Trend(word, _time_left(sum(one.lag for one in readings), rates))


def _rates(readings: Sequence[Reading], window_ms: int, first: int) -> tuple[float, float] | None:
    """Return how many events were appended and committed per ms, between two commits of each partition.

    Args:
        first: the index of the earlier commit, from the end.

    Returns:
        None if no partition has two commits in the window.
    """
    appended = committed = 0.0
    known = False
    for one in readings:
        if one.quiet_ms is None or one.quiet_ms > window_ms or not one.commits:
            continue
        commits = (*one.commits, *_overdue(one, one.quiet_ms))
        if len(commits) < 2:
            continue
        before, after = commits[max(first, -len(commits))], commits[-1]
        if after.at_ms > before.at_ms and after.offset >= before.offset:
            known = True
            appended += (after.end - before.end) / (after.at_ms - before.at_ms)
            committed += (after.offset - before.offset) / (after.at_ms - before.at_ms)
    return (appended, committed) if known else None


def _is_overdue(one: Reading, quiet_ms: int) -> bool:
    """Return True if the next commit is later than its cycle explains."""
    return quiet_ms > KEPT_UP_CYCLES * one.cycle_ms


def _overdue(one: Reading, quiet_ms: int) -> tuple[Commit, ...]:
    """Return the present as a commit that moved nothing, if the next commit is overdue; else nothing."""
    if not _is_overdue(one, quiet_ms):
        return ()
    last = one.commits[-1]
    return (Commit(last.at_ms + quiet_ms, last.offset, last.offset + one.lag),)


def _word(appended: float, committed: float) -> str:
    if abs(appended - committed) <= SIGNIFICANT * max(appended, committed):
        return STEADY
    return GROWING if appended > committed else DRAINING


def _time_left(lag: int, rates: Sequence[tuple[float, float]]) -> int | None:
    """Return the rounded time in ms until the lag is 0; None if the parts of the window disagree."""
    estimates = [lag / (committed - appended) for appended, committed in rates]
    if max(estimates) > AGREEING * min(estimates) or estimates[0] > LEFT_MAX_MS:
        return None
    step = next(step for limit, step in _ROUND_TO_MS if estimates[0] <= limit)
    return max(1, int(estimates[0] / step + 0.5)) * step
