"""Formats numbers and times for all pages."""

import re
from datetime import UTC, datetime, timedelta

from sandbox.model.times import duration as duration
from sandbox.model.times import duration_ms, iso_ms
from sandbox.web import zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_10000_MS = 253_402_300_800_000


def number(value: int | None) -> str:
    """An integer with thousands separators; a dash for None."""
    return "–" if value is None else f"{value:,}"


def size(size_bytes: int | None) -> str:
    """A size with three digits: 512 B, 1.21 KB, 48.2 MB (powers of 1,024); -1 is an unknown size."""
    if size_bytes is None:
        return "–"
    if size_bytes < 0:
        return "unknown"
    if size_bytes < 1024:
        return f"{size_bytes} B"
    amount = float(size_bytes)
    for unit in ("KB", "MB", "GB", "TB"):
        amount /= 1024
        if amount < 999.5 or unit == "TB":
            break
    return f"{amount:.{2 if amount < 9.995 else 1 if amount < 99.95 else 0}f} {unit}"


def at(timestamp_ms: int | None) -> str:
    """An absolute time with milliseconds, in the reader's zone; "no timestamp" for -1, and the number itself if it is
    outside the calendar.
    """
    if timestamp_ms is None:
        return "–"
    if timestamp_ms == -1:
        return "no timestamp"
    if not -62_135_596_800_000 <= timestamp_ms < YEAR_10000_MS:
        return f"{timestamp_ms} ms"
    moment = zone.in_zone(EPOCH + timedelta(milliseconds=timestamp_ms))
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}".rjust(23, "0")


def clock(timestamp_ms: int | None) -> str:
    """The time of day with milliseconds, in the reader's zone."""
    text = at(timestamp_ms)
    return text[11:] if len(text) == 23 else text


def written(timestamp_ms: int) -> str:
    """A time as the fields since and until show and accept it. It means the same in every time zone."""
    text = at(timestamp_ms)
    if len(text) != 23:
        return str(timestamp_ms)
    utc = EPOCH + timedelta(milliseconds=timestamp_ms)
    moment = zone.in_zone(utc)
    if (moment.utcoffset() or timedelta()).total_seconds() % 60:
        # Before standard time, offsets have seconds, which fields of times do not accept.
        return f"{utc:%Y-%m-%d %H:%M:%S}Z"
    return text.removesuffix(".000") + (moment.isoformat()[-6:] if zone.chosen() else "")


def to_second(text: str) -> str:
    """Leave out the milliseconds of a time that `at` or `clock` has formatted."""
    return text[:-4] if len(text) in (12, 23) and text[-4] == "." else text


def ago(timestamp_ms: int | None, now_ms: int) -> str:
    """The elapsed time in words."""
    if timestamp_ms is None or timestamp_ms < 0:
        return "at no known time"
    distance_ms = now_ms - timestamp_ms
    if abs(distance_ms) < 1000:
        return "just now"
    return f"{duration(distance_ms)} ago" if distance_ms > 0 else f"in {duration(-distance_ms)}"


def rate(per_s: float) -> str:
    """Return events per second, such as "12/s" or "0.4/s"; "idle" below 0.05."""
    if per_s >= 10:
        return f"{per_s:,.0f}/s"
    return f"{per_s:.1f}/s" if per_s >= 0.05 else "idle"


def percent(share: float, digits: int = 0) -> str:
    """A percentage, "12 %". Only the whole rounds to 100 %, and only nothing rounds to 0 %.

    Args:
        share: 0 to 100.
        digits: digits after the decimal point.
    """
    least = 10**-digits
    if 0 < share < least:
        return f"<{least:.{digits}f} %"
    return f"{min(share, 100 - least) if share < 100 else share:.{digits}f} %"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: 1 event, 2 events."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def as_ms(text: str, now_ms: int) -> int:
    """Parse a time that a person wrote.

    Args:
        text: milliseconds since 1970, an ISO date or date and time (in the reader's zone if it has none), or a
            duration before now, such as `15m`, `2h`, `7d` or `PT15M`.
        now_ms: the current time.

    Raises:
        ValueError: it is none of these; the text lists what is valid.
    """
    text = text.strip()
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    back = re.fullmatch(r"-?(\d{1,9})\s*(s|m|min|h|d)", text)
    if back:
        unit_s = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}[back[2]]
        return now_ms - int(back[1]) * unit_s * 1000
    if (duration_back := duration_ms(text)) is not None:
        return now_ms - duration_back
    try:
        return iso_ms(text, zone.with_zone)
    except ValueError:
        raise ValueError(
            f"{text!r} isn't a valid time. Try 15m, 2h or 7d, 2024-05-01 12:30:00, or milliseconds since 1970"
        ) from None
