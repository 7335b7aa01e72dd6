"""The list of groups: which are shown, in what order, and which of them are above an alert's threshold."""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.model.alerts import FiringAlert, firing_alerts
from sandbox.model.groups import GroupDescription, GroupSummary
from sandbox.model.lag_trend import CAUGHT_UP
from sandbox.web import formats as words
from sandbox.web.groups.lag_chart import draw_sparks
from sandbox.web.list_address import ROWS, ListAddress, ListColumn
from sandbox.web.responses import backend, capabilities, overview

COLUMNS = (
    ListColumn("Group", "name", "col-name", "asc"),
    ListColumn("Status", "status", "col-status", "asc"),
    ListColumn("Lag", "lag", "num col-lag"),
    ListColumn("Last 5 min", "", "spark-cell"),
    ListColumn("Oldest unread", "age", "num wide col-age"),
    ListColumn("State", "state", "wide col-state", "asc"),
    ListColumn("Members", "members", "num col-members"),
    ListColumn("Topics", "topics", "wide col-topics"),
)
FILTERS = ("q", "state", "topic", "alert")
KEEPING_UP = "keeping up"
UNREAD_MS = 1_000
"""A group that leaves events unread for a shorter time commits about as often as it reads."""


def _key(sort: str, now_ms: int) -> Callable[[GroupSummary], Any]:
    keys: dict[str, Callable[[GroupSummary], Any]] = {
        "name": lambda group: group.group,
        "status": lambda group: group_status(group, now_ms),
        "lag": lambda group: ((group.lag or 0) + group.uncommitted_lag, group.lag is not None),
        "age": lambda group: -1 if group.unread_since_ms is None else now_ms - group.unread_since_ms,
        "state": lambda group: group.state,
        "members": lambda group: group.members,
        "topics": lambda group: len(group.topics),
    }
    return keys[sort]


def _oldest(group: GroupSummary, now_ms: int) -> str:
    """Return the age of a group's oldest unread event."""
    if group.unread_since_ms is None:
        return "–"
    return words.duration(max(0, now_ms - group.unread_since_ms))


def group_list(arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the list's template.

    Args:
        arguments: the query string's fields: `q`, `state`, `topic`, `alert`, `sort`, `order`, `page`.
    """
    asked = ListAddress.of("/groups", COLUMNS, FILTERS, arguments)
    found = backend().group_summaries()
    now_ms = overview().as_of_ms
    firing = alerts_of(found, now_ms)
    listed = [group for group in found if _is_wanted(group, asked.filters, firing)]
    listed.sort(key=lambda group: group.group)
    listed.sort(key=_key(asked.sort, now_ms), reverse=asked.order == "desc")
    first = asked.first_row(len(listed))
    shown = listed[first : first + ROWS]
    return {
        "asked": asked,
        "wanted": asked.filters.get("q", ""),
        "groups": shown,
        "found": len(listed),
        "total": len(found),
        "first": first,
        "rows": ROWS,
        "states": sorted({group.state for group in found} | {asked.filters.get("state", "")} - {""}),
        "firing": firing,
        "sparks": draw_sparks(shown),
        "oldest": _oldest,
    }


def alerts_of(groups: tuple[GroupSummary, ...], now_ms: int) -> dict[str, list[FiringAlert]]:
    """Return what is above its threshold, by group."""
    if not capabilities().alerts:
        return {}
    alerts = {one.group: one for one in backend().alerts.list()}
    firing: dict[str, list[FiringAlert]] = {}
    for one in firing_alerts(alerts, groups, now_ms):
        firing.setdefault(one.group, []).append(one)
    return firing


def _is_wanted(group: GroupSummary, filters: Mapping[str, str], firing: Mapping[str, object]) -> bool:
    if filters.get("alert") and group.group not in firing:
        return False
    if "state" in filters and group.state != filters["state"]:
        return False
    # Part of a topic's name finds it too: it is typed. A link gives the whole name.
    topic = filters.get("topic", "")
    if topic and not any(topic == one or topic.lower() in one.lower() for one in group.topics):
        return False
    return filters.get("q", "").lower() in group.group.lower()


def group_status(group: GroupSummary | GroupDescription, now_ms: int) -> str:
    """Return a group's status as lists show it: "keeping up", not "caught up", if it has left events unread for
    `UNREAD_MS` or longer, and only because its next commit is not due yet.
    """
    if isinstance(group, GroupSummary):
        age_ms = 0 if group.unread_since_ms is None else now_ms - group.unread_since_ms
    else:
        age_ms = group.lag_ms or 0
    return KEEPING_UP if group.trend == CAUGHT_UP and group.lag and age_ms >= UNREAD_MS else group.trend


def firing_count() -> int:
    """Return how many groups are above a threshold; every page shows the number."""
    if not capabilities().alerts:
        return 0
    try:
        return len({one.group for one in backend().alerts.firing()})
    except BrokerError:
        # The page says what is wrong with the file.
        return 0
