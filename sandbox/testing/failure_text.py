"""The text of a failed expectation: what was seen, what nearly matched, the groups, and how to open the file."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from sandbox.model.groups import GroupDescription
from sandbox.testing.criteria import Criteria, SeenEvent, nearest, shown
from sandbox.testing.place import Place, SandboxPlace

if TYPE_CHECKING:
    from pathlib import Path

EVENTS_SHOWN = 10
MISSES_SHOWN = 3


def command_for(file: "Path") -> str:
    """Return the command that opens a kept file in the page."""
    return f"sandbox up {_quoted(str(file))}"


def _quoted(text: str) -> str:
    return text if all(one.isalnum() or one in "/\\._-:~" for one in text) else f'"{text}"'


def failure_text(
    summary: str, place: Place, topic: str, events: Sequence[SeenEvent], criteria: Criteria | None = None
) -> str:
    """Return a failure's whole text.

    Args:
        summary: what was expected and what was found, in one sentence.
        place: where the test runs.
        topic: the topic that the expectation is about; "" if it is about a group.
        events: the topic's events.
        criteria: what each expected event must have, for the near misses.
    """
    parts = [summary]
    if topic:
        parts.append(_events_text(place, topic, events, criteria))
    if criteria is not None and str(criteria):
        parts.append(_misses_text(criteria, events))
    parts += [_other_topics(place, topic), _groups_text(place.groups())]
    if isinstance(place, SandboxPlace):
        parts.append(f"The events are kept. To see them: {command_for(place.file)}")
    return "\n\n".join(part for part in parts if part)


def _events_text(place: Place, topic: str, events: Sequence[SeenEvent], criteria: Criteria | None) -> str:
    if not events:
        topics = place.topics()
        if topic in topics:
            return f"{topic} has no events."
        close = get_close_matches(topic, topics, 1)
        return f"There is no topic {topic}." + (f" Did you mean {close[0]}?" if close else "")
    first = max(0, len(events) - EVENTS_SHOWN)
    lines = [f"{topic} has {_count(len(events), 'event')}" + (f"; the last {EVENTS_SHOWN}:" if first else ":")]
    for event in events[first:]:
        matched = criteria is not None and bool(str(criteria)) and criteria.matches(event)
        lines.append(f"  {event_line(event)}{'   <- matches' if matched else ''}")
    return "\n".join(lines)


def event_line(event: SeenEvent) -> str:
    """Return an event on one line."""
    headers = ", ".join(f"{name}: {shown(value)}" for name, value in event.headers)
    return f"{event.partition}/{event.offset}  key {shown(event.key)}  value {shown(event.value)}" + (
        f"  headers {headers}" if headers else ""
    )


def _misses_text(criteria: Criteria, events: Sequence[SeenEvent]) -> str:
    misses = nearest(criteria, events, MISSES_SHOWN)
    if not misses:
        return ""
    lines = ["Nearest misses:"]
    for event, differences in misses:
        lines.append(f"  {event.place}")
        lines += [f"    {one}" for one in differences]
    return "\n".join(lines)


def _other_topics(place: Place, topic: str) -> str:
    others = [name for name in place.topics() if name != topic]
    if not others:
        return ""
    listed = ", ".join(f"{name} ({_count(len(place.events(name)), 'event')})" for name in others[:EVENTS_SHOWN])
    more = f" and {len(others) - EVENTS_SHOWN} more" if len(others) > EVENTS_SHOWN else ""
    return f"{'Other topics' if topic else 'Topics'}: {listed}{more}"


def _groups_text(groups: Sequence[GroupDescription]) -> str:
    if not groups:
        return "No consumer groups."
    return "\n".join(["Consumer groups:", *(line for group in groups for line in group_lines(group))])


def group_lines(group: GroupDescription) -> list[str]:
    """Return a group's state, and its lag in each partition, one line each."""
    lag = "nothing committed" if group.lag is None else f"lag {group.lag}"
    lines = [f"  {group.group}: {group.state}, {_count(len(group.members), 'member')}, {lag}"]
    for one in group.partitions:
        committed = "nothing committed" if one.committed is None else f"committed {one.committed}"
        owner = "" if one.member_id is None else f", owned by {one.client_id or one.member_id}"
        lines.append(f"    {one.topic}-{one.partition}: {committed}, end {one.end}{owner}")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
