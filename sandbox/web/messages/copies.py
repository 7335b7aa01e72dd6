"""Exports selected events as lines, or sends copies of them to the same topic or another.

A selection is written as text, so that an address can contain it: `0:41-52,55 1:7` means offsets 41 to 52 and 55 of
partition 0 and offset 7 of partition 1. A copy has the same bytes for key, value and headers. By default, its key
determines its partition, events of aborted or open transactions are omitted, and a dead letter that returns to its
topic loses the headers added by its refusal.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.kafka.event import Event, Headers
from sandbox.model.jsonl import merged_by_time, to_line
from sandbox.web.capabilities import changes_nothing
from sandbox.web.formats import plural
from sandbox.web.messages.dead_letters import (
    dead_letter,
    one_origin,
    origin_of,
    partition_header,
    sent_back,
    tell_returned,
)
from sandbox.web.notices import Notice, current_notice
from sandbox.web.responses import Interest, attachment, backend, by_htmx, fragment, page, see

blueprint = Blueprint("copies", __name__)

SELECTED_MAX = 500
SHOWN_MAX = 20
HOW = (
    ("murmur2", "by key: murmur2, as the Java clients do"),
    ("consistent_random", "by key: consistent_random, librdkafka's default"),
    ("origin", "the one that it was in before"),
    ("kept", "the number it has now"),
    ("round", "round robin, whatever the key"),
)
"""How a copy's partition is chosen; "origin" is for dead letters."""
HEADERS = (
    ("mended", "as before the refusal, and dlq.sent-back-from"),
    ("kept", "as they are"),
)
"""Which headers the copies of dead letters have that return to their topic. All other copies keep theirs."""
PLACE = re.compile(r"(\d{1,9})/(\d{1,18})")
RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")

Selection = dict[int, list[int]]
"""Partition to offsets, sorted and without duplicates."""


def written(selection: Selection) -> str:
    """Format a selection as text."""
    parts = []
    for partition, offsets in sorted(selection.items()):
        ranges: list[list[int]] = []
        for offset in sorted(set(offsets)):
            if ranges and offset == ranges[-1][1] + 1:
                ranges[-1][1] = offset
            else:
                ranges.append([offset, offset])
        shown = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
        parts.append(f"{partition}:{shown}")
    return " ".join(parts)


def read_selection(text: str) -> Selection:
    """Parse a selection.

    Raises:
        BrokerError: INVALID_REQUEST for invalid text, or for more than `SELECTED_MAX` events.
    """
    found: Selection = {}
    count = 0
    for part in text.split():
        partition, colon, ranges = part.partition(":")
        if not colon or not re.fullmatch(r"\d{1,9}", partition):
            raise _unreadable(part)
        for piece in ranges.split(","):
            span = RANGE.fullmatch(piece)
            if span is None:
                raise _unreadable(part)
            first, last = int(span[1]), int(span[2] or span[1])
            count += max(0, last - first + 1)
            if count > SELECTED_MAX:
                raise BrokerError("INVALID_REQUEST", f"At most {SELECTED_MAX} events are taken at once.")
            found.setdefault(int(partition), []).extend(range(first, last + 1))
    return {partition: sorted(set(offsets)) for partition, offsets in found.items()}


def _unreadable(part: str) -> BrokerError:
    return BrokerError("INVALID_REQUEST", f"{part!r} does not say which events: write 0:41-52,55 1:7.")


def _picked() -> Selection:
    """Return the selection of a Messages page's form: each `event`, or `shown` if `all` is set."""
    texts = request.form.getlist("event")
    if request.form.get("all") == "1":
        texts = request.form.get("shown", "").split()
    if len(texts) > SELECTED_MAX:
        raise BrokerError("INVALID_REQUEST", f"At most {SELECTED_MAX} events are taken at once.")
    found: Selection = {}
    for text in texts:
        place = PLACE.fullmatch(text)
        if place is None:
            raise BrokerError("INVALID_REQUEST", f"{text!r} is no event: write partition/offset.")
        found.setdefault(int(place[1]), []).append(int(place[2]))
    return found


def _events(topic: str, selection: Selection) -> tuple[list[Event], int]:
    """Return a selection's events, each partition in offset order, and how many are no longer in the log."""
    found = backend().survey.events(topic, selection)
    gone = sum(map(len, selection.values())) - len(found)
    return [event for event in merged_by_time(found) if not event.control], gone


@blueprint.post("/topics/<topic>/messages/selected")
@changes_nothing
def selected(topic: str) -> AnyResponse:
    """Export the ticked events, or show the form that sends them."""
    selection = _picked()
    if not selection:
        return page(
            "messages/refused",
            status=400,
            topic=backend().topic(topic),
            title="Nothing is ticked",
            text="Tick the events in the table first, or tick all on the page. Then export or send them.",
        )
    if request.form.get("action") == "send":
        return see(f"/topics/{topic}/messages/send", events=written(selection))
    events, _ = _events(topic, selection)
    partitions = len(backend().topic(topic).partitions)
    return attachment(f"{topic}-selected.jsonl", "".join(to_line(event, partitions) + "\n" for event in events))


@dataclass(frozen=True, slots=True)
class Planned:
    """An event and its partition in the target topic; None if the partition is only known after sending."""

    event: Event
    partition: int | None


@blueprint.get("/topics/<topic>/messages/send")
def preview(topic: str) -> Response:
    """The form that sends the selected events, with a preview."""
    found = backend().topic(topic)
    selection = read_selection(request.args.get("events", ""))
    picked, gone = _events(topic, selection)
    events = _chosen(request.args, picked)
    names = [one.topic for one in backend().topics()]
    to = request.args.get("to") or None
    origin = one_origin(events)
    if "to" not in request.args and origin in names:
        to = origin
    error = None
    if to is not None and to not in names:
        error, to = f"There is no topic {shown_name(to)}. Create it first, or choose another.", None
    back = sum(_goes_back(event, to) for event in events)
    placed = to is not None and back == len(events) and _all_placed(events, to)
    how = "origin" if placed and "how" not in request.args else _how(request.args)
    planned = [Planned(event, None) for event in events]
    if to is not None:
        try:
            planned = _planned(events, to, how)
        except BrokerError as refusal:
            error = refusal.detail
    return page(
        "messages/send",
        Interest(frozenset((topic,)), frozenset()),
        400 if error else 200,
        topic=found,
        events=events,
        gone=gone,
        aborted=sum(event.aborted for event in picked),
        open=sum(event.pending for event in picked),
        uncommitted=request.args.get("uncommitted") == "sent",
        planned=planned[:SHOWN_MAX],
        how=how,
        ways=[way for way in HOW if way[0] != "origin" or placed],
        origin=origin,
        back=back,
        header_ways=HEADERS,
        mended=back > 0 and _mended(request.args),
        placed_by=sorted({name for event in events if (name := partition_header(event))}) if placed else (),
        selection=written(selection),
        chosen=[(event.partition, event.offset) for event in events],
        sending=written(_places_of(events)),
        names=sorted(names, key=lambda name: (name == topic, name)),
        to=to,
        keep_time=request.args.get("time") == "kept",
        error=error,
    )


def _how(form: Mapping[str, str]) -> str:
    how = form.get("how") or HOW[0][0]
    if how not in dict(HOW):
        raise BrokerError("INVALID_REQUEST", f"how is one of {', '.join(dict(HOW))}, not {how!r}.")
    return how


def _uncommitted(event: Event) -> bool:
    return event.aborted or event.pending


def _chosen(form: Mapping[str, str], events: list[Event]) -> list[Event]:
    """Return the events to send. By default, those that read_committed consumers don't receive are omitted."""
    return events if form.get("uncommitted") == "sent" else [event for event in events if not _uncommitted(event)]


def _places_of(events: list[Event]) -> Selection:
    places: Selection = {}
    for event in events:
        places.setdefault(event.partition, []).append(event.offset)
    return places


def _goes_back(event: Event, to: str | None) -> bool:
    """Return True if a dead letter is sent to its original topic."""
    return to is not None and to != event.topic and to == origin_of(event)


def _mended(form: Mapping[str, str]) -> bool:
    """Return True if returning dead letters lose the headers added by their refusal (the default)."""
    return form.get("headers") != "kept"


def _place_before(event: Event) -> tuple[int, int] | None:
    letter = dead_letter(event)
    return letter.place if letter is not None else None


def _all_placed(events: list[Event], to: str) -> bool:
    """Return True if each dead letter names its original partition, and the topic still has it."""
    count = len(backend().topic(to).partitions)
    places = [_place_before(event) for event in events]
    return bool(events) and all(place is not None and place[0] < count for place in places)


def _planned(events: list[Event], to: str, how: str) -> list[Planned]:
    """Return each event's partition.

    Raises:
        BrokerError: INVALID_REQUEST if the topic doesn't have an event's partition.
    """
    count = len(backend().topic(to).partitions)
    if how == "round":
        return [Planned(event, number % count) for number, event in enumerate(events)]
    if how == "origin":
        return _placed(events, to, count)
    if how != "kept":
        return [Planned(event, backend().partition_for(to, event.key, how)) for event in events]
    beyond = sorted({event.partition for event in events if event.partition >= count})
    if beyond:
        raise BrokerError(
            "INVALID_REQUEST",
            f"{to} has partitions 0 to {count - 1}, and some of these events are in {', '.join(map(str, beyond))}. Let "
            "the key choose, or add partitions to it.",
        )
    return [Planned(event, event.partition) for event in events]


def _placed(events: list[Event], to: str, count: int) -> list[Planned]:
    """Return each dead letter with its original partition."""
    planned = []
    for event in events:
        place = _place_before(event) if _goes_back(event, to) else None
        if place is None or place[0] >= count:
            where = f"Partition {event.partition} offset {event.offset}"
            raise BrokerError("INVALID_REQUEST", f"{where} does not say which of the {count} partitions it was in.")
        planned.append(Planned(event, place[0]))
    return planned


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of sending.

    Attributes:
        places: partition to offsets of the copies.
        refused: why sending stopped early, or None.
        back: the copies of dead letters that returned to their topic, as stored.
    """

    places: Selection
    refused: str | None
    back: tuple[Event, ...] = ()

    @property
    def count(self) -> int:
        """The number of copies."""
        return sum(map(len, self.places.values()))


def _send(planned: list[Planned], to: str, *, keep_time: bool, mended: bool) -> Sent:
    places: Selection = {}
    back: list[Event] = []
    for one in planned:
        event = one.event
        returns = mended and _goes_back(event, to)
        headers: Headers = sent_back(event) if returns else event.headers
        try:
            stored = backend().append(
                to,
                event.value,
                key=event.key,
                headers=headers,
                timestamp_ms=event.timestamp_ms if keep_time and event.timestamp_ms >= 0 else None,
                partition=one.partition,
            )
        except BrokerError as error:
            where = f"partition {event.partition} offset {event.offset}"
            return Sent(places, f"{where} was refused, and nothing after it was sent: {error.detail}", tuple(back))
        if returns:
            back.append(stored)
        places.setdefault(stored.partition, []).append(stored.offset)
    return Sent(places, None, tuple(back))


@blueprint.post("/topics/<topic>/messages/copy")
def copy(topic: str) -> AnyResponse:
    """Send copies of events with the same bytes, and show where they were stored."""
    to = request.form.get("to") or topic
    backend().topic(to)
    selection = read_selection(request.form["events"]) if request.form.get("events") else _picked()
    picked, gone = _events(topic, selection)
    if not picked:
        raise BrokerError("OFFSET_OUT_OF_RANGE", "None of these events is there any more: nothing was sent.")
    events = _chosen(request.form, picked)
    if not events:
        raise BrokerError("INVALID_REQUEST", "Their transactions were aborted, or are open: nothing was sent.")
    planned = _planned(events, to, _how(request.form))
    sent = _send(planned, to, keep_time=request.form.get("time") == "kept", mended=_mended(request.form))
    tell_returned(sent.back)
    if by_htmx():
        return fragment("messages/_answer.html", sent=sent, to=to)
    left_out = [f"{plural(gone, 'event')} of the selection had left the log"] if gone else []
    if uncommitted := len(picked) - len(events):
        left_out.append(f"{plural(uncommitted, 'event')} of aborted or open transactions were left out")
    report = {"to": to, "sent": sent, "left_out": "; ".join(left_out)}
    return see(f"/topics/{topic}/messages/sent", Notice(shown=report))


@blueprint.get("/topics/<topic>/messages/sent")
def sent(topic: str) -> AnyResponse:
    """Show once where the copies were stored; later requests show the topic's messages."""
    found = backend().topic(topic)
    report = current_notice().shown
    if "sent" not in report:
        return see(f"/topics/{topic}/messages")
    places = report["sent"].places
    ranges = [(partition, written({partition: offsets}), offsets) for partition, offsets in places.items()]
    return page("messages/sent", topic=found, ranges=ranges, **report)
