"""The page of one group, with the preview of a reset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.model.alerts import GroupAlert
from sandbox.model.group_history import LastReset, Rates, RebalancePage
from sandbox.model.groups import GroupDescription, PartitionLag, ResetLine
from sandbox.model.lag_trend import DRAINING, GROWING
from sandbox.web import formats as words
from sandbox.web.groups.lag_chart import (
    RANGE_WORDS,
    RANGES,
    TABLE_POINTS,
    UNITS,
    Chart,
    chart,
    chosen_range,
    chosen_unit,
    per_second,
    table,
)
from sandbox.web.groups.waits import is_eager, names_of, waits_of
from sandbox.web.notices import Notice
from sandbox.web.responses import (
    QUICK_S,
    Interest,
    backend,
    capabilities,
    demo,
    group_address,
    is_live,
    overview,
    page,
    see,
    typed_ms,
)

REBALANCES_SHOWN = 10
PARTITIONS_SHOWN = 500
UNREAD_MAX = 500
TOPICS_LOOKED_AT = 50
HEARD_MS = 4_000
"""A live member sends a heartbeat every 3 s (`heartbeat.interval.ms`)."""
RESETS = (
    ("earliest", "the earliest event", ""),
    ("latest", "the end: only new events", ""),
    ("offset", "an offset", "42"),
    ("time", "a time", "2024-05-01 12:30:00 or 15m"),
    ("shift", "shift by N events", "-10"),
    ("group", "where another group is", "its group id"),
    ("back", "where it was before the last reset", ""),
)
VALUE_WORDS = {"offset": "the offset", "shift": "the number of events"}


@dataclass(frozen=True, slots=True)
class LagCause:
    """The reason why a group's lag grows.

    Attributes:
        worst: the partition with the most lag.
        share: its share of the group's lag, 0 to 1.
        rate: its rates of appended and committed events; None if the group has no members.
    """

    worst: PartitionLag
    share: float
    rate: Rates | None


def blockers(group: GroupDescription) -> tuple[int, list[str]]:
    """Return the members that prevent a reset.

    Returns:
        How many members are the Playground's own consumers, and the names of the others.
    """
    own = set(backend().playground.members(group.group)) if group.members else set()
    names = names_of(group)
    others = [
        f"{names[member.member_id]} ({member.client_host.lstrip('/')})"
        for member in group.members
        if member.client_id not in own
    ]
    return len(group.members) - len(others), others


def show(group: GroupDescription, form: MultiDict[str, str], error: str | None = None) -> Response:
    """Answer with the page of a group.

    Args:
        form: the fields of a reset, for its preview.
        error: why an action was refused, or None.
    """
    preview: list[ResetLine] | None = None
    if form.get("to"):
        try:
            preview = backend().preview_reset(group.group, **read_reset(form))
        except BrokerError as refusal:
            error = error or refusal.detail
    own, others = blockers(group)
    rates = backend().group_history.rates(group) if len(group.partitions) <= PARTITIONS_SHOWN else {}
    return page(
        "groups/one",
        Interest(frozenset(group.topics), frozenset((group.group,)), 2, QUICK_S),
        400 if error and not is_live() else 200,
        group=group,
        shown=group.partitions[:PARTITIONS_SHOWN],
        most=max((lag.lag or 0 for lag in group.partitions), default=0) or 1,
        rates=rates,
        cause=cause(group, rates, overview().as_of_ms),
        per_second=per_second,
        idle=idle_reason(group),
        rebalances=_rebalances(group.group),
        eager=is_eager(group),
        names=names_of(group),
        waits=waits_of(group, overview().as_of_ms),
        form=form,
        preview=preview,
        own=own,
        others=others,
        demo_members=_demo_members(group),
        error=error,
        last_reset=_last_reset(group),
        resets=[one for one in RESETS if one[0] != "back" or capabilities().commit_history],
        **({} if is_live() else {"unread": _unread(group), "alert": _alert(group), **_chart_context(group)}),
    )


def _unread(group: GroupDescription) -> list[str]:
    """Return the first topics, by name, that the group neither reads nor has committed in. A reset can add them."""
    known = {*group.topics, *(lag.topic for lag in group.partitions)}
    return [topic.topic for topic in backend().topics() if topic.topic not in known][:UNREAD_MAX]


def _alert(group: GroupDescription) -> GroupAlert | None:
    alerts = backend().alerts.list() if capabilities().alerts else ()
    return next((one for one in alerts if one.group == group.group), None)


def _demo_members(group: GroupDescription) -> bool:
    switch = demo()
    running = switch is not None and switch.state == "on"
    return running and any(member.client_id.startswith("demo-") for member in group.members)


def _last_reset(group: GroupDescription) -> LastReset | None:
    return None if group.members else backend().group_history.last_reset(group)


def _chart_context(group: GroupDescription) -> dict[str, Any]:
    drawn: Chart = chart(group, RANGES[chosen_range()], TABLE_POINTS)
    return {
        "chart": drawn,
        "history": table(drawn),
        "ranges": RANGE_WORDS,
        "units": UNITS,
        "chart_range": chosen_range(),
        "unit": chosen_unit(),
        "range_ms": RANGES[chosen_range()],
    }


def _rebalances(group: str) -> RebalancePage:
    before = request.args.get("before", type=int)
    return backend().group_history.rebalances(group, before=before, limit=REBALANCES_SHOWN)


def idle_reason(group: GroupDescription) -> str:
    """Explain in a sentence why some members have no partition; empty if all have one."""
    idle = [member for member in group.members if not member.assignment]
    waited_for = group.waits.awaited if group.waits is not None else ()
    if not idle or waited_for or group.state not in ("Stable", "Reconciling"):
        # While the group waits for a member, the partitions are about to be reassigned.
        return ""
    there = sum(_partitions(topic) for topic in sorted(_subscribed(group))[:TOPICS_LOOKED_AT])
    if len(group.members) > there:
        return (
            f"{words.plural(len(group.members), 'member')} share {words.plural(there, 'partition')}. A partition is "
            f"read by one member of a group, so {len(idle)} must wait. More partitions would give them work."
        )
    return "The assignor gave them nothing: their topics may differ, or a partition is still being handed over."


def cause(group: GroupDescription, rates: Mapping[tuple[str, int], Rates], now_ms: int) -> LagCause | None:
    """Return the partition with the most lag, if events are appended to it faster than the group commits.

    Args:
        rates: each partition's rates of appended and committed events.
        now_ms: in ms since 1970. A member without a recent heartbeat may be dead, and is not called slow.
    """
    behind = [one for one in group.partitions if one.lag and one.unread != 0]
    if not behind or group.trend == DRAINING:
        return None
    worst = max(behind, key=lambda one: one.lag or 0)
    if not group.members:
        return LagCause(worst, 0.0, None) if group.state in ("Empty", "Dead") else None
    if group.waits is not None and any(one.member_id == worst.member_id for one in group.waits.awaited):
        # The member doesn't read at all; the page shows separately which members the group waits for.
        return None
    owner = next((member for member in group.members if member.member_id == worst.member_id), None)
    heard_ms = owner.last_heartbeat_ms if owner is not None else None
    if heard_ms is not None and now_ms - heard_ms > HEARD_MS:
        return None
    rate = rates.get((worst.topic, worst.partition))
    if group.trend != GROWING or not worst.member_id or rate is None or rate.committed_per_s is None:
        return None
    if rate.appended_per_s <= rate.committed_per_s:
        return None
    return LagCause(worst, (worst.lag or 0) / sum(one.lag or 0 for one in behind), rate)


def _subscribed(group: GroupDescription) -> set[str]:
    return {topic for member in group.members for topic in (*member.subscription, *member.assignment)}


def _partitions(topic: str) -> int:
    """Return a topic's number of partitions, 0 if it doesn't exist: members may subscribe to missing topics."""
    try:
        return len(backend().topic(topic).partitions)
    except BrokerError:
        return 0


def read_reset(form: Mapping[str, str]) -> dict[str, Any]:
    """Read the form of a reset: which partitions, and the target.

    Raises:
        BrokerError: INVALID_REQUEST with the reason.
    """
    topic, partition = None, None
    which = form.get("which", "")
    if which:
        topic, _, number = which.partition(":")
        if number:
            partition = integer(number, "the partition")
    to, value = form.get("to", ""), form.get("at", "").strip()
    hints = {name: hint for name, _, hint in RESETS}
    if to not in hints:
        raise BrokerError("INVALID_REQUEST", f"There is no reset to {to!r}.")
    if not hints[to]:
        return {"topic": topic, "partition": partition, "to": to}
    if not value:
        raise BrokerError("INVALID_REQUEST", f"Write where to: {hints[to]}.")
    if to == "time":
        value = str(typed_ms(value))
    elif to in VALUE_WORDS:
        number_wanted = integer(value, VALUE_WORDS[to])
        value = f"{number_wanted:+d}" if to == "shift" else str(number_wanted)
    return {"topic": topic, "partition": partition, "to": f"{to}:{value}"}


def integer(text: str, what: str) -> int:
    """Parse a whole number.

    Raises:
        BrokerError: INVALID_REQUEST, naming the field as `what`.
    """
    try:
        return int(text)
    except ValueError:
        raise BrokerError(
            "INVALID_REQUEST", f"{what[0].upper()}{what[1:]} must be a whole number, not {text!r}."
        ) from None


def back(name: str, notice: Notice) -> AnyResponse:
    """Redirect to the group's page."""
    address, _, identity = group_address(name).partition("?id=")
    return see(address, notice, id=name if identity or address == "/group" else None)
