"""Alerts of consumer groups: thresholds on lag and on the age of the oldest unread event."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.kafka.client_text import NAME_CHARACTERS_MAX
from sandbox.kafka.errors import BrokerError
from sandbox.model.groups import GroupSummary
from sandbox.model.times import duration

LAG, AGE = "lag", "age"
ALERTS_SETTING = "group.alerts"
"""The setting of the file that holds the alerts."""
ALERTS_MAX = 1_000
"""How many groups of a file may have an alert."""
TOO_MANY = f"At most {ALERTS_MAX} groups of a file have an alert."


@dataclass(frozen=True, slots=True)
class GroupAlert:
    """The thresholds of a group. An alert fires while a figure is above its threshold.

    Attributes:
        group: the group's id; the group need not exist.
        lag: in offsets, over the partitions with a commit; None for no threshold.
        age_ms: of the oldest unread event; None for no threshold.
    """

    group: str
    lag: int | None
    age_ms: int | None


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """A figure that is above its threshold.

    Attributes:
        figure: `LAG` or `AGE`.
        value, threshold: in offsets, or in ms.
    """

    group: str
    figure: str
    value: int
    threshold: int

    @property
    def text(self) -> str:
        """The alert in a few words."""
        if self.figure == AGE:
            return f"oldest unread event {duration(self.value)} > {duration(self.threshold)}"
        return f"lag {self.value:,} > {self.threshold:,}"


def checked_alert(group: str, lag: int | None, age_ms: int | None) -> GroupAlert:
    """Return an alert.

    Raises:
        BrokerError: INVALID_REQUEST without a threshold, with one below 0, or for a name that no group can have.
    """
    if len(group) > NAME_CHARACTERS_MAX or group != group.encode(errors="replace").decode():
        raise BrokerError(
            "INVALID_REQUEST",
            f"A group's id is valid Unicode of at most {NAME_CHARACTERS_MAX} characters: {group[:40]!a}.",
        )
    if lag is None and age_ms is None:
        raise BrokerError("INVALID_REQUEST", "An alert needs a threshold: a lag in events, an age such as 5m, or both.")
    for name, value in (("lag", lag), ("age", age_ms)):
        if value is not None and (not isinstance(value, int) or not 0 <= value < 2**63):
            raise BrokerError("INVALID_REQUEST", f"The threshold of the {name} is 0 or more, not {value}.")
    return GroupAlert(group, lag, age_ms)


def alerts_to_text(alerts: Mapping[str, GroupAlert]) -> str:
    """Return alerts as a setting of the file."""
    return json.dumps({group: {"lag": one.lag, "age_ms": one.age_ms} for group, one in sorted(alerts.items())})


def alerts_from_text(text: str) -> dict[str, GroupAlert]:
    """Return the alerts of a setting of the file, by group.

    Raises:
        BrokerError: INVALID_REQUEST if `alerts_to_text` cannot have written it.
    """
    try:
        found = json.loads(text)
        alerts = {group: checked_alert(group, **figures) for group, figures in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise BrokerError("INVALID_REQUEST", "The alerts are not an object of groups and their thresholds.") from None
    if len(alerts) > ALERTS_MAX:
        raise BrokerError("INVALID_REQUEST", TOO_MANY)
    return alerts


def firing_alerts(
    alerts: Mapping[str, GroupAlert], groups: Iterable[GroupSummary], now_ms: int
) -> tuple[FiringAlert, ...]:
    """Return what is above its threshold now, by group.

    Args:
        alerts: group id to its thresholds.
        now_ms: in ms since 1970.
    """
    found = []
    for group in groups:
        alert = alerts.get(group.group)
        if alert is None:
            continue
        if alert.lag is not None and group.lag is not None and group.lag > alert.lag:
            found.append(FiringAlert(group.group, LAG, group.lag, alert.lag))
        if alert.age_ms is not None and group.unread_since_ms is not None:
            age_ms = now_ms - group.unread_since_ms
            if age_ms > alert.age_ms:
                found.append(FiringAlert(group.group, AGE, age_ms, alert.age_ms))
    return tuple(found)
