"""The time zone in which a browser shows times: UTC, or its own. A cookie stores the choice.

The cookie has the zone's IANA name, or "local" from a browser without scripts, which means this machine's zone.
"""

import re
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

COOKIE = "zone"
LOCAL = "local"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}")
_chosen: ContextVar[str] = ContextVar("zone", default="")


def choose(name: str) -> None:
    """Set the zone of the current request; "" or an invalid name is UTC."""
    _chosen.set(name if _NAME.fullmatch(name) and name != "UTC" else "")


def chosen() -> str:
    """Return the zone's name as the cookie has it; "" for UTC."""
    return _chosen.get()


def label() -> str:
    """Return what a page writes after a time: UTC or local."""
    return LOCAL if chosen() else "UTC"


def in_zone(moment: datetime) -> datetime:
    """Convert a time to the current zone; a time at the calendar's edge stays in UTC."""
    name = chosen()
    if not name:
        return moment
    try:
        return moment.astimezone(_zone(name))
    except (OverflowError, OSError, ValueError):
        return moment


def with_zone(moment: datetime) -> datetime:
    """Return a time that was typed without a zone, in the current zone."""
    name = chosen()
    if not name:
        return moment.replace(tzinfo=UTC)
    zone = _zone(name)
    return moment.replace(tzinfo=zone) if zone is not None else moment.astimezone()


@lru_cache(64)
def _zone(name: str) -> tzinfo | None:
    """Return a zone by its IANA name; None, which is this machine's zone, for "local" and names it doesn't know."""
    try:
        return None if name == LOCAL else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
