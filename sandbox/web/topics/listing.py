"""The list of topics: which are shown, in what order, with what beside their names."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.model.groups import GroupSummary
from sandbox.model.logs import AppendRate
from sandbox.model.topics import TopicDescription
from sandbox.web import formats as words
from sandbox.web.groups.listing import group_status
from sandbox.web.list_address import ROWS, ListAddress, ListColumn
from sandbox.web.messages.dead_letters import not_resent
from sandbox.web.responses import backend, capabilities, overview

INTERNAL_PREFIX = "_"
"""Topics of Kafka and its tools begin with this: `__consumer_offsets`, `_schemas`."""
BAR_GAP, BAR_WIDTH = 0.6, 3.8
"""Of the bars of a rate, in a box that is 100 wide."""


@dataclass(frozen=True, slots=True)
class RateSpark:
    """A topic's rate, as a sparkline and in words.

    Attributes:
        now: "12.3/s" or "idle".
        path: the SVG path of a bar per step with events, in a box of 100 by 20.
        text: the description of the drawing.
    """

    now: str
    path: str
    text: str


def sparks(topics: Collection[str]) -> dict[str, RateSpark]:
    """Return each topic's rate; empty if the backend can't report rates."""
    if not capabilities().append_rates:
        return {}
    return {topic: _spark(rate) for topic, rate in backend().logs.rates(topics).items()}


def _spark(rate: AppendRate) -> RateSpark:
    most = max(rate.counts, default=0)
    step_s = rate.step_ms / 1000
    width = 100 / max(1, len(rate.counts))
    if not most:
        return RateSpark("idle", "", "nothing was written in the last minute")
    heights = [
        (round(at * width) + BAR_GAP, max(1.5, 20 * count / most)) for at, count in enumerate(rate.counts) if count
    ]
    path = "".join(f"M{x:g} 20v-{height:.1f}h{BAR_WIDTH}V20" for x, height in heights)
    total = words.plural(sum(rate.counts), "event")
    return RateSpark(words.rate(rate.per_s), path, f"{total} in the last minute, at most {most / step_s:,.1f} a second")


@dataclass(frozen=True, slots=True)
class TopicGroups:
    """The groups of a topic.

    Attributes:
        count: how many read it or have committed in it.
        group: the one with the most lag; None if there is none.
        trend: its status.
        lag: its lag in the topic; None without a commit.
        uncommitted: what the topic's partitions without a commit of that group hold.
    """

    count: int
    group: str | None = None
    trend: str = ""
    lag: int | None = None
    uncommitted: int = 0

    @property
    def most(self) -> int:
        """The most that the group may have left to read, for sorting; -1 without groups."""
        return -1 if self.group is None else (self.lag or 0) + self.uncommitted


def readers_of(topic: TopicDescription, groups: Mapping[str, GroupSummary]) -> TopicGroups:
    """Return the groups of a topic, and the one with the most lag there."""
    name, worst = topic.topic, TopicGroups(len(topic.groups))
    for id in topic.groups:
        group = groups.get(id)
        if group is None:
            continue
        lag, uncommitted = group.lags.get(name), group.uncommitted_lags.get(name, 0)
        if (lag or 0) + uncommitted > worst.most:
            worst = TopicGroups(worst.count, id, group_status(group, overview().as_of_ms), lag, uncommitted)
    return worst


def is_internal(topic: str) -> bool:
    """Return True for a topic of Kafka itself or of a tool, by its name."""
    return topic.startswith(INTERNAL_PREFIX)


COLUMNS = (
    ListColumn("Topic", "name", "col-name", "asc"),
    ListColumn("Partitions", "partitions", "num wide col-count"),
    ListColumn("Events", "events", "num col-events"),
    ListColumn("Rate", "rate", "rate-cell"),
    ListColumn("Log size", "size", "num wide col-size"),
    ListColumn("Last event", "last", "wide col-time"),
    ListColumn("Retention", "retention", "wide col-kept"),
    ListColumn("Groups", "lag", "col-readers"),
)


def _key(
    sort: str, groups: Mapping[str, GroupSummary], rates: Mapping[str, AppendRate]
) -> Callable[[TopicDescription], Any]:
    defaults = backend().logs.default_settings() if sort == "retention" else {}

    def retention(topic: TopicDescription) -> float:
        policy = topic.settings.get("cleanup.policy", defaults["cleanup.policy"])
        ms = int(topic.settings.get("retention.ms", defaults["retention.ms"]))
        return float("inf") if ms < 0 or "delete" not in policy else ms

    keys: dict[str, Callable[[TopicDescription], Any]] = {
        "name": lambda topic: topic.topic,
        "partitions": lambda topic: len(topic.partitions),
        "events": lambda topic: topic.events,
        "rate": lambda topic: rates[topic.topic].per_s if topic.topic in rates else 0,
        "size": lambda topic: topic.size_bytes,
        "last": lambda topic: topic.last_append_ms or 0,
        "retention": retention,
        "lag": lambda topic: readers_of(topic, groups).most,
    }
    return keys[sort]


def topic_list(arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the list's template.

    Args:
        arguments: the query string's fields: `q`, `sort`, `order`, `internal`, `page`.
    """
    asked = ListAddress.of("/topics", COLUMNS, ("q", "internal"), arguments)
    found = backend().topics()
    wanted = asked.filters.get("q", "")
    low = wanted.lower()
    named = [topic for topic in found if low in topic.topic.lower()]
    # Who types the prefix, or a whole name, wants to see it.
    all_shown = asked.filters.get("internal") == "1" or low.startswith(INTERNAL_PREFIX)
    listed = [topic for topic in named if all_shown or not is_internal(topic.topic)]
    summaries = backend().group_summaries() if any(topic.groups for topic in listed) else ()
    groups = {group.group: group for group in summaries}
    by_rate = asked.sort == "rate" and capabilities().append_rates
    rates = backend().logs.rates([topic.topic for topic in listed]) if by_rate else {}
    listed.sort(key=lambda topic: topic.topic)
    listed.sort(key=_key(asked.sort, groups, rates), reverse=asked.order == "desc")
    first = asked.first_row(len(listed))
    shown = listed[first : first + ROWS]
    return {
        "asked": asked,
        "wanted": wanted,
        "internal": all_shown,
        "topics": shown,
        "sparks": sparks([topic.topic for topic in shown]),
        "not_resent": not_resent(shown),
        "schema_types": backend().schema_types([topic.topic for topic in shown]),
        "found": len(listed),
        "total": len(found),
        "internal_hidden": len(named) - len(listed),
        "internal_there": any(is_internal(topic.topic) for topic in found),
        "events": sum(topic.events for topic in found),
        "first": first,
        "rows": ROWS,
        "readers": lambda topic: readers_of(topic, groups),
    }
