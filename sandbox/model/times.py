"""Reads ISO 8601 times, and formats durations with one rule for the page, the history and the activity."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal


def duration(length_ms: int | None) -> str:
    """Format a duration with its two largest units: 0 s, 40 s, 3 min 5 s, 2 h 10 min, 3 d 4 h.

    Args:
        length_ms: 0 and up; exact to the millisecond below one second. None (unknown) is a dash.
    """
    if length_ms is None:
        return "–"
    if length_ms < 1000:
        return f"{length_ms} ms" if length_ms else "0 s"
    seconds = round(length_ms / 1000)
    for unit_s, unit, smaller_s, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= unit_s:
            whole, rest = divmod(seconds, unit_s)
            part = rest // smaller_s
            return f"{whole:,} {unit}" + (f" {part} {smaller}" if part else "")
    return f"{seconds} s"


_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def duration_in_ms(length: str | timedelta | float) -> int:
    """Return a duration in ms, rounded down.

    Args:
        length: text of numbers with units (ms, s, m or min, h, d, w), such as "5s", "200ms" or "1h 30m"; a timedelta;
            or a number of seconds.

    Raises:
        ValueError: it is negative, or not a duration.
    """
    if isinstance(length, str):
        parts = _PART.findall(length)
        if parts and not _PART.sub("", length) and all(unit in _UNIT_MS for _, unit in parts):
            return int(sum(Decimal(count) * _UNIT_MS[unit] for count, unit in parts))
        raise ValueError(f"{length!r} isn't a duration. Try 200ms, 5s, 15m, 2h or 7d.")
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise ValueError(f"{length!r} isn't a duration. Try 200ms, 5s, 15m, 2h or 7d; seconds are 0 or more.")
    return int(1000 * seconds)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000
_MIDNIGHT = re.compile(r"([T ])24:00(?::00(?:[.,]0+)?)?(?=$|[+\-Z])")
_DURATION = re.compile(r"P(?=.)(?:(\d{1,9})D)?(?:T(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,9}))?S)?)?")
# Digits to how many of a number's units make a millisecond: seconds, ms, microseconds, nanoseconds.
_UNITS = {10: (1000, 1), 12: (1, 1), 13: (1, 1), 14: (1, 1), 16: (1, 1000), 19: (1, 1_000_000)}


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def iso_ms(text: str, with_zone: Callable[[datetime], datetime] = _in_utc) -> int:
    """Parse a date, or a date and time, of ISO 8601.

    Args:
        text: 24:00 is the end of the day.
        with_zone: adds the zone to a time that has none; UTC by default.

    Returns:
        Milliseconds since 1970, negative before.

    Raises:
        ValueError: it is not such a time.
    """
    upper = text.strip().upper()
    midnight = _MIDNIGHT.sub(r"\g<1>00:00", upper)
    moment = datetime.fromisoformat(midnight)
    moment = moment if moment.tzinfo else with_zone(moment)
    return (moment - EPOCH) // timedelta(milliseconds=1) + (DAY_MS if midnight != upper else 0)


def duration_ms(text: str) -> int | None:
    """Parse a duration as for `kafka-consumer-groups --by-duration`, PnDTnHnMnS; None if it is not one."""
    found = _DURATION.fullmatch(text.strip().upper())
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:4])
    ms = int((found[5] or "").ljust(3, "0")[:3])
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + ms


def time_meant(number: int) -> str | None:
    """Return the time, as ISO text, that a number probably means; None if it looks like an offset.

    Recognizes seconds, milliseconds, microseconds and nanoseconds since 1970 by their digits, and 20260131.
    """
    digits = str(number)
    try:
        if len(digits) == 8:
            found = datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC)
            return f"{found:%Y-%m-%d}" if 1970 <= found.year < 2100 else None
        if len(digits) not in _UNITS:
            return None
        times, over = _UNITS[len(digits)]
        moment = EPOCH + timedelta(milliseconds=number * times // over)
        return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return None
