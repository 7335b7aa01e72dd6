"""Formats durations: one rule for the page, the history of groups and the activity stream."""


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
