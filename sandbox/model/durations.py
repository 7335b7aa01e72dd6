"""Formats durations, with one rule for the page, the history of groups and the activity stream, and parses them."""

import re
from datetime import timedelta
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
