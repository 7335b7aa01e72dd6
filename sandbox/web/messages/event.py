"""One event by its address: its page, or the details that open in its row."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, request

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import TIMESTAMP_TYPES, Event
from sandbox.model.jsonl import to_line
from sandbox.model.messages import MessageQuery, Neighbours
from sandbox.model.topics import TopicDescription
from sandbox.playground.spec import SENT_BACK_HEADER
from sandbox.web.decoding import decoded_key, decoded_value, key_text, readable_value, schemas_json
from sandbox.web.json_shapes import event_json
from sandbox.web.messages.dead_letters import ORIGIN_HEADERS, Story, number_in, story_of
from sandbox.web.messages.table import Marks, committed_in, marks_of
from sandbox.web.payload import describe, header_name, show
from sandbox.web.programs import programs
from sandbox.web.responses import Interest, backend, by_htmx, data, fragment, is_live, page

blueprint = Blueprint("event", __name__)

VIEWS = ("pretty", "raw", "hex")
COPIED_MAX_BYTES = 64 * 1024
"""A JSON line of a longer value is downloaded, not copied."""
KEY_MAX_BYTES = 1_000
"""Longer keys aren't put into an address."""


@dataclass(frozen=True, slots=True)
class EventContext:
    """An event's address, neighbours, readers and links.

    Attributes:
        address: its page.
        beside: its neighbours, also those with the same key; None in a row's details.
        readers: the groups that have read it.
        same_key: address of all events with its key; None if an address can't contain the key.
        edit, reuse: addresses of the Produce form, filled with the whole event or with its key only. A dead letter's
            `edit` is the form of its original topic; if that is unknown, the form asks for a topic.
        story: its history as a refused event or dead letter.
        copies: label and text of what can be copied: the key, programs that read the event, a JSON line.
    """

    address: str
    beside: Neighbours | None
    readers: Marks
    same_key: str | None
    edit: str
    reuse: str
    story: Story
    copies: tuple[tuple[str, str], ...]


def _copies(event: Event) -> tuple[tuple[str, str], ...]:
    found = []
    if event.key is not None and describe(event.key).kind != "bytes":
        found.append(("key", event.key.decode()))
    shown = programs("event", topic=event.topic, partition=event.partition, offset=event.offset)
    found += [(one.label, one.text) for one in shown]
    if len(event.value or b"") <= COPIED_MAX_BYTES:
        found.append(("JSONL", to_line(event)))
    return tuple(found)


def _place(event: Event, topic: TopicDescription, *, inline: bool) -> EventContext:
    copied = f"{event.topic}/{event.partition}/{event.offset}"
    form = f"/topics/{event.topic}/produce?copy={quote(copied, safe='/')}"
    story = story_of(event)
    edit = form
    if story.letter is not None:
        edit = f"/topics/{story.letter.topic}/produce?copy={quote(copied, safe='/')}"
    elif story.untold is not None:
        likely = story.untold.likely
        edit = f"/produce?copy={quote(copied, safe='/')}" + (f"&topic={likely}" if likely else "")
    same_key = None
    key = key_text(event)
    if key is not None and len(key.encode()) <= KEY_MAX_BYTES:
        query = urlencode({"key": key, "exact": "1"})
        same_key = f"/topics/{event.topic}/messages?{query}"
    return EventContext(
        address=f"/topics/{copied}",
        beside=None if inline else backend().survey.neighbours(event.topic, event.partition, event.offset),
        readers=marks_of(event, committed_in(event.topic)),
        same_key=same_key,
        edit=edit,
        reuse=form + "&only=key",
        story=story,
        copies=_copies(event),
    )


def _event(topic: str, partition: int, offset: int) -> Event:
    """Return the event.

    Raises:
        BrokerError: OFFSET_OUT_OF_RANGE if it was deleted or isn't written yet; the detail states which.
    """
    try:
        return backend().event(topic, partition, offset)
    except BrokerError as error:
        if error.error.name != "OFFSET_OUT_OF_RANGE":
            raise
        logs = [log for log in backend().topic(topic).partitions if log.partition == partition]
        if logs and offset >= logs[0].end:
            detail = f"It is not written yet: the next event of partition {partition} gets offset {logs[0].end}."
        elif logs and offset < logs[0].start:
            detail = f"It is gone: the log of partition {partition} starts at offset {logs[0].start} now."
        else:
            detail = error.detail
        raise BrokerError("OFFSET_OUT_OF_RANGE", detail) from None


def _shown(topic: str, partition: int, offset: int) -> tuple[Event, str | None]:
    """Return the event, and its record batch's damage (None if intact): damaged batches are shown anyway."""
    try:
        return _event(topic, partition, offset), None
    except BrokerError as error:
        if error.error.name != "CORRUPT_MESSAGE":
            raise
        query = MessageQuery(topic, partitions=(partition,), order="offset", from_offset=offset, limit=1)
        found = backend().messages(query).events
        if not found or found[0].offset != offset:
            raise
        return found[0], error.detail


@blueprint.get("/topics/<topic>/<int:partition>/<int:offset>")
def one(topic: str, partition: int, offset: int) -> Response:
    """One event: its page, or (`?inline=1`) the details that open in its row."""
    try:
        event, damage = _shown(topic, partition, offset)
    except BrokerError as error:
        if error.error.name != "OFFSET_OUT_OF_RANGE" or by_htmx() or is_live():
            raise
        return _absent(topic, partition, offset, error)
    view = request.args.get("view", "pretty")
    view = view if view in VIEWS else "pretty"
    inline = request.args.get("inline") == "1" and by_htmx()
    value, decoded = event.value, decoded_value(event)
    form = view
    if decoded is not None:
        # Bytes with a frame are no text, even where they happen to be UTF-8.
        form = "pretty" if view == "pretty" and not decoded.problem else "hex"
        value = readable_value(event) if form == "pretty" else value
    shown = show(value, form, whole=request.args.get("all") == "1") if value else None
    if shown is not None and decoded is not None and decoded.problem:
        shown = replace(shown, note=decoded.problem)
    place = _place(event, backend().topic(topic), inline=inline)
    context: dict[str, Any] = {"event": event, "view": view, "shown": shown, "place": place, "types": TIMESTAMP_TYPES}
    context |= {"schemas": {"key": decoded_key(event), "value": decoded}}
    context |= {
        "damage": damage,
        "number_in": number_in,
        "origin_headers": ORIGIN_HEADERS,
        "sent_back_header": SENT_BACK_HEADER,
    }
    context["header_bytes"] = sum(len(header_name(name)) + len(value or b"") for name, value in event.headers)
    if inline:
        return fragment("messages/_detail.html", inline=True, **context)
    groups = frozenset(group for group, _ in place.readers.read)
    return page("messages/one", Interest(frozenset((topic, *place.story.topics)), groups), **context)


def _absent(topic: str, partition: int, offset: int, error: BrokerError) -> Response:
    """Explain why there is no event at an offset, with links to existing ones."""
    found = backend().topic(topic)
    log = next((one for one in found.partitions if one.partition == partition), None)
    if log is None:
        raise error
    return page("messages/gone", status=404, topic=found, log=log, partition=partition, offset=offset, why=error.detail)


@blueprint.get("/topics/<topic>/<int:partition>/<int:offset>.json")
def one_json(topic: str, partition: int, offset: int) -> Response:
    """One event as JSON."""
    event = _event(topic, partition, offset)
    return data(event_json(event) | schemas_json(event))


@blueprint.get("/topics/<topic>/<int:partition>/<int:offset>/<any(key, value):part>")
def download(topic: str, partition: int, offset: int, part: str) -> Response:
    """Download the exact bytes of a key or a value."""
    event = _event(topic, partition, offset)
    stored = event.key if part == "key" else event.value
    if stored is None:
        raise BrokerError("RESOURCE_NOT_FOUND", f"This event has no {part}: it is null.")
    ending = "json" if describe(stored).kind == "json" else "bin" if describe(stored).kind == "bytes" else "txt"
    name = f"{topic}-{partition}-{offset}-{part}.{ending}"
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}", "Cache-Control": "no-store"}
    return Response(stored, content_type="application/octet-stream", headers=headers)
