"""A group's lag over time: the data of its chart, the table behind it, and the sparklines of the list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import request

from sandbox.model.group_history import LagPoint, LagSpark, Mark
from sandbox.model.groups import GroupDescription, GroupSummary, PartitionLag
from sandbox.model.latest_cache import Remembered
from sandbox.web import formats as words
from sandbox.web.responses import backend, overview

RANGES = {"1m": 60_000, "15m": 900_000, "1h": 3_600_000, "24h": 86_400_000, "all": None}
RANGE_WORDS = {"1m": "1 min", "15m": "15 min", "1h": "1 h", "24h": "24 h", "all": "all"}
UNITS = {"events": "events", "time": "time"}
POINTS = (40, 240)
POINTS_MAX = 2_400
"""The maximum number of points in all partitions of a chart; it limits the time to draw it."""
TABLE_POINTS = 20
PARTITIONS_MAX = 24
SPARK_WIDTH, SPARK_HEIGHT = 100, 20


@dataclass(frozen=True, slots=True)
class Chart:
    """The data of a chart.

    Attributes:
        partitions: the partitions in the chart: those with the most lag, sorted by name.
        left_out: how many partitions are not in the chart.
        points: their lag at the same times, partition by partition.
    """

    since_ms: int
    partitions: tuple[PartitionLag, ...]
    left_out: int
    points: tuple[LagPoint, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table behind the chart: the sum over the chart's partitions.

    Attributes:
        lag_ms: the age of the oldest unread event in any of them.
        marks: the rebalances and resets since the previous row (in time).
    """

    at_ms: int
    lag: int | None
    lag_ms: int | None
    end: int
    marks: tuple[Mark, ...]


def chosen_range() -> str:
    """Return the range in the query string."""
    wanted = request.args.get("range", "15m")
    return wanted if wanted in RANGES else "15m"


def chosen_unit() -> str:
    """Return the unit of lag in the query string, "events" or "time"."""
    wanted = request.args.get("in", "events")
    return wanted if wanted in UNITS else "events"


def chart(group: GroupDescription, length_ms: int | None, points: int | None = None) -> Chart:
    """Compute a chart.

    Args:
        length_ms: its length; None for the whole time since the first commit. A younger group's chart is shorter.
        points: how many points in time; None for as many as `POINTS_MAX` allows.
    """
    past = backend().group_history
    now_ms = overview().as_of_ms
    committed = [one for one in group.partitions if one.committed is not None]
    largest = sorted(committed, key=lambda one: (-(one.lag or 0), one.topic, one.partition))[:PARTITIONS_MAX]
    drawn = tuple(sorted(largest, key=lambda one: (one.topic, one.partition)))
    count = points or max(POINTS[0], min(POINTS[1], POINTS_MAX // max(1, len(drawn))))
    first_ms = past.first_commit_ms(group.group)
    since_ms = now_ms - (length_ms or 0)
    if first_ms is not None:
        # Slightly before the first commit, so that the start of the curve is visible.
        birth_ms = first_ms - max(1_000, (now_ms - first_ms) // 30)
        since_ms = birth_ms if length_ms is None else max(since_ms, birth_ms)
    since_ms = min(since_ms, now_ms - 1_000)
    names = [(one.topic, one.partition) for one in drawn]
    found = past.lag(group.group, since_ms=since_ms, points=count, partitions=names)
    marks = past.marks(group.group, found, since_ms=since_ms)
    return Chart(since_ms, drawn, len(committed) - len(drawn), tuple(found), tuple(marks))


def table(drawn: Chart) -> list[Row]:
    """Return the table behind a chart, newest first."""
    sums: dict[int, tuple[int | None, int | None, int]] = {}
    for point in drawn.points:
        lag, lag_ms, end = sums.get(point.at_ms, (None, None, 0))
        if point.lag is not None:
            lag = (lag or 0) + point.lag
        if point.lag_ms is not None:
            lag_ms = max(lag_ms or 0, point.lag_ms)
        sums[point.at_ms] = (lag, lag_ms, end + point.end)
    rows = []
    before_ms = drawn.since_ms - 1
    for at_ms, (lag, lag_ms, end) in sorted(sums.items()):
        marks = tuple(mark for mark in drawn.marks if before_ms < mark.at_ms <= at_ms)
        rows.append(Row(at_ms, lag, lag_ms, end, marks))
        before_ms = at_ms
    return rows[::-1]


@dataclass(frozen=True, slots=True)
class DrawnSpark:
    """A sparkline as SVG.

    Attributes:
        line: the points of a polyline in a box of `SPARK_WIDTH` by `SPARK_HEIGHT`; empty if there is no commit.
        text: the same in words.
    """

    line: str
    text: str


_drawn: Remembered[DrawnSpark] = Remembered(2_000)


def draw_spark(group: str, spark: LagSpark) -> DrawnSpark:
    """Draw a group's lag of the last minutes."""
    length_ms = spark.until_ms - spark.since_ms
    # Rounded to ten seconds, so that an unchanged curve isn't redrawn and sent every second.
    length = words.duration(length_ms if length_ms < 60_000 else round(length_ms, -4))
    return _drawn.get(group, (length, spark.lags), lambda: _draw(spark.lags, length))


def _draw(lags: Sequence[int | None], length: str) -> DrawnSpark:
    known = [(index, lag) for index, lag in enumerate(lags) if lag is not None]
    if not known:
        return DrawnSpark("", "no commit yet")
    most = max(lag for _, lag in known)
    least = min(lag for _, lag in known)
    step = SPARK_WIDTH / max(1, len(lags) - 1)
    height = SPARK_HEIGHT - 2
    line = " ".join(f"{index * step:.1f},{1 + height - height * lag / (most or 1):.1f}" for index, lag in known)
    return DrawnSpark(line, f"lag over the last {length}: {least:,} to {most:,}, now {known[-1][1]:,}")


def draw_sparks(groups: Sequence[GroupSummary]) -> Mapping[str, DrawnSpark]:
    """Return the sparklines of a list of groups, by group id. Some may be missing until the next update."""
    return {group: draw_spark(group, spark) for group, spark in backend().group_history.sparks(groups).items()}


def per_second(rate: float | None) -> str:
    """Format a rate for the tables: 0, 0.4, 12, 3,400; a dash for None."""
    if rate is None:
        return "–"
    return f"{rate:,.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"
