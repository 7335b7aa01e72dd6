"""Parses the position to start reading at or to reset a group to: earliest, latest, offset, time or shift."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from sandbox.model.times import duration_ms, iso_ms, time_meant

EARLIEST, LATEST, OFFSET, TIME, SHIFT = "earliest", "latest", "offset", "time", "shift"
_AGO = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a log.

    Attributes:
        kind: `EARLIEST`, `LATEST`, `OFFSET`, `TIME` or `SHIFT`.
        number: the offset, the time in milliseconds since 1970, or the shift (negative: backwards).
    """

    kind: str
    number: int = 0

    def offset(self, start: int, end: int, at_time: int | None, committed: int | None) -> int:
        """Return the offset of this position in one partition.

        Args:
            start: the log start offset.
            end: the high watermark.
            at_time: the first offset at or after the time, None if there is none.
            committed: the offset to shift from; None counts as `start`.

        Returns:
            An offset from `start` to `end`. Positions outside the log become its nearer end.
        """
        wanted = {
            EARLIEST: start,
            LATEST: end,
            OFFSET: self.number,
            TIME: end if at_time is None else at_time,
            SHIFT: (start if committed is None else committed) + self.number,
        }[self.kind]
        return min(max(wanted, start), end)


def parse_start(text: str) -> Position:
    """Parse a value of `consume --from`: `earliest`, `latest`, an offset or a time; also `offset:N` and `time:T`."""
    if text in (EARLIEST, LATEST):
        return Position(text)
    if text.isascii() and text.isdigit():
        return Position(OFFSET, _number(text))
    if text.startswith((f"{OFFSET}:", f"{TIME}:")):
        return parse_reset(text)
    return Position(TIME, parse_time(text))


def check_start(text: str, position: Position, ends: Iterable[int]) -> None:
    """Refuse an offset that is beyond the end of every partition and looks like a time.

    Args:
        text: the text that `position` was parsed from.
        ends: the end of each partition.

    Raises:
        click.BadParameter: with both spellings.
    """
    if position.kind != OFFSET or text.startswith(OFFSET) or any(end >= position.number for end in ends):
        return
    meant = time_meant(position.number)
    if meant is not None:
        raise click.BadParameter(
            f"{text} is an offset, and every partition has fewer events. For the time write time:{meant}, for the "
            f"offset offset:{text}",
            param_hint="--from",
        )


def parse_reset(text: str) -> Position:
    """Parse a value of `groups reset --to`: `earliest`, `latest`, `offset:N`, `time:ISO` or `shift:N`."""
    kind, colon, rest = text.partition(":")
    if not colon and kind in (EARLIEST, LATEST):
        return Position(kind)
    if kind == TIME and rest:
        # After "time:" a number can only be milliseconds.
        return Position(TIME, parse_time(f"@{rest}" if rest.isascii() and rest.isdigit() else rest))
    if kind == OFFSET and rest.isascii() and rest.isdigit():
        return Position(OFFSET, _number(rest))
    if kind == SHIFT and re.fullmatch(r"[+-]?\d+", rest, re.ASCII):
        return Position(SHIFT, _number(rest))
    raise click.BadParameter(f"{text!r} is none of earliest, latest, offset:N, time:ISO, shift:N")


def _number(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise click.BadParameter(f"{text[:30]} is no 64-bit number")
    return int(text)


def parse_time(text: str, now_ms: int | None = None) -> int:
    """Parse a time.

    Args:
        text: ISO 8601 (UTC if it names no zone), `@` and milliseconds since 1970, or an age such as `10m` (ms, s, m,
            h, d) or `PT10M`.
        now_ms: the time from which an age is subtracted; None for the clock.

    Returns:
        Milliseconds since 1970, negative before.

    Raises:
        click.BadParameter: it is none of these.
    """
    if ago := _AGO.fullmatch(text):
        now_ms = int(time.time() * 1000) if now_ms is None else now_ms
        return max(0, now_ms - _number(ago[1]) * _UNIT_MS[ago[2]])
    if (duration := duration_ms(text)) is not None:
        now_ms = int(time.time() * 1000) if now_ms is None else now_ms
        return max(0, now_ms - duration)
    if text.startswith("@") and text[1:].isascii() and text[1:].isdigit():
        return _number(text[1:])
    try:
        return iso_ms(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no offset and no time; times look like 2026-01-31T12:00:00Z, @1769860800000 or 10m (ago)"
        ) from None


def time_text(timestamp_ms: int) -> str:
    """Format milliseconds since 1970 as ISO time in UTC. Times outside the calendar are @ms; "-" means no time."""
    if timestamp_ms < 0:
        return "-"
    try:
        moment = datetime.fromtimestamp(timestamp_ms // 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"@{timestamp_ms}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{timestamp_ms % 1000:03d}Z"
