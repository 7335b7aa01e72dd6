"""The histogram of a Messages page: bars, the table behind them, and the sentence about its accuracy."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sandbox.kafka.event import Event
from sandbox.model.messages import MessagePage, MessageQuery, Volume, dense, width_for
from sandbox.web import formats as words
from sandbox.web.messages.query import BUDGET_MS, looks_inside
from sandbox.web.responses import backend

COUNT_MS = 150
"""The time limit for counting matches before the page is shown."""
LABELS = 5
DAY_MS = 86_400_000
HEIGHT = 40
LEAST = 1.2
"""The height of the drawing, and of the smallest bar that isn't 0."""


@dataclass(frozen=True, slots=True)
class HistogramBar:
    """The bar of one bucket.

    Attributes:
        x, y, height: in a drawing whose width is the number of bars, and whose height is `HEIGHT`.
        since, until: the bucket's times as the query string takes them.
    """

    x: int
    y: float
    height: float
    events: int
    title: str
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """The drawing.

    Attributes:
        labels: texts under the bars, at equal distances.
        most: events of the largest bar.
        note: what was counted, and how exactly.
    """

    bars: tuple[HistogramBar, ...]
    labels: tuple[str, ...]
    most: int
    from_ms: int
    until_ms: int
    width: str
    note: str


def volume_of(query: MessageQuery, result: MessagePage, *, whole: bool = False, ranked: bool = False) -> Volume:
    """Return a view's events over time.

    Args:
        query: the page's query.
        result: the page's result. It is used alone if it has every match, or if its search ran out of time.
        whole: True to count for as long as a search may take.
        ranked: True if the result is sorted by a field: its events are not the newest.
    """
    alone = result.next is None and result.previous is None
    if (not result.complete and not ranked) or (alone and result.complete and looks_inside(query)):
        return _volume_of_events(result, complete=result.complete and alone)
    return backend().survey.volume(query, budget_ms=BUDGET_MS if whole else COUNT_MS)


def _volume_of_events(result: MessagePage, *, complete: bool) -> Volume:
    events: Iterable[Event] = result.events
    timed = [event.timestamp_ms for event in events if event.timestamp_ms >= 0]
    width_ms = width_for(max(timed) - min(timed)) if timed else 1
    buckets = dense(Counter(at_ms // width_ms for at_ms in timed), width_ms)
    matched = len(result.events)
    looked_at = result.total if complete else min(result.scanned, result.total)
    return Volume(buckets, width_ms, matched, matched - len(timed), looked_at, result.total, complete, True, False, 0.0)


def in_frame(query: MessageQuery, volume: Volume) -> Volume:
    """If all matches are in one bucket, return them on the time axis of all events: a single bar is not informative."""
    if len(volume.buckets) != 1 or not looks_inside(query):
        return volume
    plain = replace(query, key=None, key_exact=False, value=None, headers=(), conditions=(), from_offset=None)
    whole = backend().survey.volume(replace(plain, cursor=None), budget_ms=COUNT_MS)
    only = volume.buckets[0]
    buckets = tuple(
        replace(bucket, events=only.events if bucket.from_ms <= only.from_ms < bucket.until_ms else 0)
        for bucket in whole.buckets
    )
    if sum(bucket.events for bucket in buckets) != only.events:
        return volume
    return replace(volume, buckets=buckets, width_ms=whole.width_ms)


def histogram_of(volume: Volume, filtered: bool) -> Histogram | None:
    """Draw a histogram; None without buckets, or with one bucket of one event.

    Args:
        filtered: True if the events are matches of a filter.
    """
    if not volume.buckets or (len(volume.buckets) == 1 and volume.buckets[0].events < 2):
        return None
    most = max(bucket.events for bucket in volume.buckets)
    bars = []
    for number, bucket in enumerate(volume.buckets):
        height = max(LEAST, HEIGHT * bucket.events / most) if bucket.events else 0.0
        title = f"{_piece(bucket.from_ms, bucket.until_ms)}: {words.plural(bucket.events, 'event')}"
        since, until = written(bucket.from_ms), written(bucket.until_ms)
        bars.append(
            HistogramBar(number, round(HEIGHT - height, 2), round(height, 2), bucket.events, title, since, until)
        )
    first, last = volume.buckets[0].from_ms, volume.buckets[-1].until_ms
    return Histogram(
        bars=tuple(bars),
        labels=tuple(_label(first + (last - first) * n // (LABELS - 1), last - first, n) for n in range(LABELS)),
        most=most,
        from_ms=first,
        until_ms=last,
        width=words.duration(volume.width_ms),
        note=_note(volume, filtered),
    )


def _note(volume: Volume, filtered: bool) -> str:
    parts = []
    if not volume.complete:
        parts.append(f"of the first {words.number(volume.looked_at)} events looked at")
    elif filtered and not volume.by_batches:
        parts.append("every match")
    elif volume.exact:
        parts.append("every event")
    if not volume.exact:
        parts.append("estimated: events of large or many record batches are spread evenly over their time")
    if volume.untimed:
        parts.append(f"{words.plural(volume.untimed, 'event')} without a timestamp left out")
    return "; ".join(parts)


def written(at_ms: int) -> str:
    """Format a time as the fields since and until show and accept it."""
    text = words.at(at_ms)
    return text.removesuffix(".000") if len(text) == 23 else str(at_ms)


def _piece(from_ms: int, until_ms: int) -> str:
    first, last = written(from_ms), written(until_ms)
    return f"{first} to {last[11:] if first[:11] == last[:11] else last}"


def _label(at_ms: int, span_ms: int, number: int) -> str:
    text = words.at(at_ms)
    if len(text) != 23:
        return str(at_ms)
    if span_ms >= 60 * DAY_MS:
        return text[:10]
    day = f"{_day(text)} " if span_ms >= DAY_MS or number == 0 else ""
    if span_ms >= 20 * DAY_MS:
        return day.strip()
    return day + (text[11:16] if span_ms >= 600_000 else text[11:19] if span_ms >= 10_000 else text[11:])


def _day(text: str) -> str:
    day = datetime.fromisoformat(text[:10])
    return f"{day:%b} {day.day}"


def volume_json(volume: Volume) -> dict[str, Any]:
    """A volume as JSON."""
    return {
        "width_ms": volume.width_ms,
        "matched": volume.matched,
        "without_timestamp": volume.untimed,
        "scanned": volume.looked_at,
        "total": volume.total,
        "complete": volume.complete,
        "exact": volume.exact,
        "elapsed_ms": round(volume.elapsed_ms, 3),
        "buckets": [{"from_ms": one.from_ms, "until_ms": one.until_ms, "events": one.events} for one in volume.buckets],
    }
