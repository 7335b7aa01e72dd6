"""The histogram of a Messages page: bars, the table behind them, and the sentence about its accuracy."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sandbox.kafka.event import Event
from sandbox.model.messages import WIDTHS_MS, MessagePage, MessageQuery, Volume, dense, width_for
from sandbox.web import formats as words
from sandbox.web.messages.query import BUDGET_MS, looks_inside
from sandbox.web.responses import backend
from sandbox.web.zone import in_zone

COUNT_MS = 150
"""The time limit for counting matches before the page is shown."""
LABELS = 5
MAIN_SHARE = 0.9
"""If this share of the events is within a small part of the time, the histogram opens on that part."""
MAIN_BUCKETS = 15
"""The largest such part, in buckets of about `BUCKETS`."""
MAIN_EVENTS_LEAST = 20
DAY_MS = 86_400_000
STEPS_MS = WIDTHS_MS
"""The distances between times under the bars."""
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
        labels: position in percent and text of each time under the bars.
        most: events of the largest bar.
        ticks: position from the top in percent and number of each line of the y-axis.
        note: what was counted, and how exactly.
    """

    bars: tuple[HistogramBar, ...]
    labels: tuple[tuple[float, str], ...]
    most: int
    ticks: tuple[tuple[float, int], ...]
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
    ticks = _ticks(most)
    top = ticks[-1]
    bars = []
    for number, bucket in enumerate(volume.buckets):
        height = max(LEAST, HEIGHT * bucket.events / top) if bucket.events else 0.0
        title = f"{_piece(bucket.from_ms, bucket.until_ms)}: {words.plural(bucket.events, 'event')}"
        since, until = words.written(bucket.from_ms), words.written(bucket.until_ms)
        bars.append(
            HistogramBar(number, round(HEIGHT - height, 2), round(height, 2), bucket.events, title, since, until)
        )
    first, last = volume.buckets[0].from_ms, volume.buckets[-1].until_ms
    return Histogram(
        bars=tuple(bars),
        labels=_labels(first, last),
        most=most,
        ticks=tuple((round(100 - 100 * tick / top, 2), tick) for tick in ticks),
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


def _ticks(most: int) -> tuple[int, ...]:
    """Return the numbers of the y-axis, from 0 to the first round number that isn't below the largest bar."""
    size = 10 ** (len(str(most)) - 1)
    step = next(step for step in (size // 2, size, 2 * size, 5 * size) if step >= 1 and 4 * step >= most)
    return tuple(range(0, most + step, step))


def _piece(from_ms: int, until_ms: int) -> str:
    first, last = (words.at(ms).removesuffix(".000") for ms in (from_ms, until_ms))
    return f"{first} to {last[11:] if first[:11] == last[:11] else last}"


def _labels(first_ms: int, last_ms: int) -> tuple[tuple[float, str], ...]:
    """Return times at round distances, each with a different text; the day where it changes."""
    step_ms = next((one for one in STEPS_MS if (last_ms - first_ms) // one <= LABELS), 0)
    step_ms = step_ms or max(1, (last_ms - first_ms) // LABELS)
    offset_ms = _offset_ms(first_ms)
    found: list[tuple[float, str]] = []
    day = ""
    start_ms = -(-(first_ms + offset_ms) // step_ms) * step_ms - offset_ms
    for at_ms in range(start_ms, last_ms + 1, step_ms):
        text = words.at(at_ms)
        if len(text) != 23:
            found.append((_share(at_ms, first_ms, last_ms), str(at_ms)))
            continue
        date = text[:10] if step_ms >= 365 * DAY_MS else _day(text)
        hour = text[11:16] if step_ms % 60_000 == 0 else text[11:19] if step_ms % 1_000 == 0 else text[11:]
        shown = date if step_ms % DAY_MS == 0 else hour if date == day else f"{date} {hour}"
        found.append((_share(at_ms, first_ms, last_ms), shown))
        day = date
    return tuple(found)


def _offset_ms(at_ms: int) -> int:
    """Return the difference of the reader's time zone to UTC, so that steps of hours and days begin at local ones."""
    moment = in_zone(words.EPOCH + timedelta(milliseconds=max(0, min(at_ms, words.YEAR_10000_MS - 1))))
    return (moment.utcoffset() or timedelta()) // timedelta(milliseconds=1)


def _share(at_ms: int, first_ms: int, last_ms: int) -> float:
    return round(100 * (at_ms - first_ms) / max(1, last_ms - first_ms), 2)


def _day(text: str) -> str:
    day = datetime.fromisoformat(text[:10])
    return f"{day:%b} {day.day}"


@dataclass(frozen=True, slots=True)
class MainPart:
    """The part of the time that holds nearly all events of a volume.

    Attributes:
        outside: how many events with a timestamp are before or after it.
    """

    from_ms: int
    until_ms: int
    outside: int


def main_part(query: MessageQuery, volume: Volume) -> MainPart | None:
    """Return the part on which the histogram of an unlimited time opens; None if the events fill the whole time."""
    if query.since_ms is not None or query.until_ms is not None or len(volume.buckets) <= 2 * MAIN_BUCKETS:
        return None
    counts = [bucket.events for bucket in volume.buckets]
    total = sum(counts)
    if total < MAIN_EVENTS_LEAST:
        return None
    sums = [sum(counts[at : at + MAIN_BUCKETS]) for at in range(len(counts) - MAIN_BUCKETS + 1)]
    best = max(range(len(sums)), key=lambda at: sums[at])
    if sums[best] < MAIN_SHARE * total:
        return None
    inside = [bucket for bucket in volume.buckets[best : best + MAIN_BUCKETS] if bucket.events]
    return MainPart(inside[0].from_ms, inside[-1].until_ms, total - sums[best])


def opened(query: MessageQuery, volume: Volume) -> tuple[Volume, MainPart | None]:
    """Return the volume that the histogram shows first: of the part that holds the data, in finer buckets."""
    part = main_part(query, volume)
    if part is None:
        return volume, None
    inside = replace(query, since_ms=part.from_ms, until_ms=part.until_ms, cursor=None)
    finer = backend().survey.volume(inside, budget_ms=COUNT_MS)
    return (finer, part) if finer.buckets else (volume, None)


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
