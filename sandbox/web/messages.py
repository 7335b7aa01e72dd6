"""Messages: the events of a topic, filtered and paged, and one event by its address."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, current_app, request
from jinja2 import Template
from markupsafe import Markup

from sandbox.description import GroupDescription, MessagePage, MessageQuery, TopicDescription
from sandbox.errors import BrokerError
from sandbox.event import TIMESTAMP_TYPES, Event
from sandbox.web import words
from sandbox.web.page import Interest, backend, by_htmx, csv_file, data, fragment, overview, page
from sandbox.web.payload import describe, header_name, json_value, show
from sandbox.web.shapes import event_json

blueprint = Blueprint("messages", __name__)

ORDERS = ("newest", "oldest", "offset")
LIMITS = (50, 100, 200, 500)
VIEWS = ("pretty", "raw", "hex")
ROWS_KEPT = 4096
ROW_KEPT_MAX_BYTES = 2048
FIELDS = ("order", "from", "since", "until", "p", "key", "exact", "value", "header", "limit", "cursor")


def _whole(name: str, least: int = 0) -> int | None:
    text = request.args.get(name, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"\d{1,18}", text) or int(text) < least:
        raise BrokerError("INVALID_REQUEST", f"{name} must be a whole number from {least}, not {text!r}.")
    return int(text)


def _time(name: str) -> int | None:
    text = request.args.get(name, "").strip()
    if not text:
        return None
    try:
        return words.as_ms(text, overview().as_of_ms)
    except ValueError as error:
        raise BrokerError("INVALID_REQUEST", str(error)) from None


def _partitions() -> tuple[int, ...]:
    found: set[int] = set()
    for part in ",".join(request.args.getlist("p")).replace(" ", ",").split(","):
        if not part:
            continue
        span = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        if span is None or int(span[2] or 0) - int(span[1]) > 10_000:
            raise BrokerError("INVALID_REQUEST", f"Write partitions as 0, 2, 4-6, not {part!r}.")
        found.update(range(int(span[1]), int(span[2] or span[1]) + 1))
    return tuple(sorted(found))


def read_query(topic: str) -> MessageQuery:
    """Read the query string of a Messages page.

    Args:
        topic: the topic's name.

    Raises:
        BrokerError: INVALID_REQUEST with what is wrong.
    """
    order = request.args.get("order", "newest")
    if order not in ORDERS:
        raise BrokerError("INVALID_REQUEST", f"order is one of {', '.join(ORDERS)}, not {order!r}.")
    from_offset = _whole("from")
    return MessageQuery(
        topic=topic,
        partitions=_partitions(),
        order="offset" if from_offset is not None else order,
        from_offset=from_offset,
        since_ms=_time("since"),
        until_ms=_time("until"),
        key=request.args.get("key") or None,
        key_exact=request.args.get("exact") == "1",
        value=request.args.get("value") or None,
        header=request.args.get("header") or None,
        limit=min(_whole("limit", 1) or LIMITS[0], LIMITS[-1]),
        cursor=request.args.get("cursor") or None,
    )


def is_filtered(query: MessageQuery) -> bool:
    """True where the query leaves events out."""
    plain = MessageQuery(query.topic)
    parts = ("partitions", "since_ms", "until_ms", "key", "value", "header", "from_offset")
    return any(getattr(query, part) != getattr(plain, part) for part in parts)


@lru_cache(maxsize=ROWS_KEPT)
def _small_row(template: Template, event: Event) -> Markup:
    return Markup(template.render(event=event))


def _row(template: Template, event: Event) -> Markup:
    """One row of the table. An event never changes, so the row of a small one is kept for the next swap."""
    small = len(event.key or b"") + len(event.value or b"") + sum(len(value or b"") for _, value in event.headers)
    if small <= ROW_KEPT_MAX_BYTES:
        return _small_row(template, event)
    return Markup(template.render(event=event))


def _link(path: str, **changes: str | None) -> str:
    """This view's address with some of its query string changed; None takes a field out."""
    pairs = [(name, value) for name in FIELDS if name not in changes for value in request.args.getlist(name) if value]
    pairs += [(name, value) for name, value in changes.items() if value is not None]
    return path + ("?" + urlencode(pairs) if pairs else "")


@blueprint.get("/topics/<topic>/messages")
def index(topic: str) -> Response:
    """A page of events."""
    found = backend().topic(topic)
    path = f"/topics/{topic}/messages"
    interest = Interest(frozenset((topic,)), frozenset())
    error: str | None = None
    template = current_app.jinja_env.get_template("messages/_row.html")
    query = MessageQuery(topic)
    result: MessagePage | None = None
    try:
        query = read_query(topic)
        result = backend().messages(query)
    except BrokerError as refusal:
        if refusal.error.name == "UNKNOWN_TOPIC_OR_PARTITION" and not query.partitions:
            raise
        error = refusal.detail
    return page(
        "messages/index",
        interest,
        400 if error else 200,
        topic=found,
        query=query,
        result=result,
        rows=Markup("").join(_row(template, event) for event in result.events) if result else "",
        error=error,
        form=request.args,
        partitions_text=", ".join(request.args.getlist("p")),
        filtered=is_filtered(query),
        limits=LIMITS,
        mark=sum(partition.end for partition in found.partitions),
        next_page=_link(path, cursor=result.next) if result and result.next else None,
        previous_page=_link(path, cursor=result.previous) if result and result.previous else None,
        first_page=_link(path, cursor=None),
        json_address=_link(path + ".json"),
        csv_address=_link(path + ".csv"),
    )


@blueprint.get("/topics/<topic>/messages.json")
def index_json(topic: str) -> Response:
    """The same page as data."""
    result = backend().messages(read_query(topic))
    return data(
        {
            "as_of": result.as_of_ms,
            "topic": topic,
            "events": [event_json(event) for event in result.events],
            "next": result.next,
            "previous": result.previous,
            "scanned": result.scanned,
            "total": result.total,
            "complete": result.complete,
            "elapsed_ms": round(result.elapsed_ms, 3),
            "end_offsets": {str(partition): end for partition, end in result.as_of.items()},
        }
    )


def _cell(value: bytes | None) -> object:
    """A CSV cell: text as it is, null as nothing, other bytes as `base64:...`."""
    if value is None:
        return None
    shape = json_value(value)
    return "base64:" + shape["base64"] if isinstance(shape, dict) else shape


@blueprint.get("/topics/<topic>/messages.csv")
def index_csv(topic: str) -> Response:
    """The same page as a table."""
    columns = ("topic", "partition", "offset", "timestamp", "timestamp_type", "key", "value", "headers")
    rows = []
    for event in backend().messages(read_query(topic)).events:
        headers = " ".join(f"{name}={_cell(value)}" for name, value in _header_cells(event))
        kind = TIMESTAMP_TYPES[event.timestamp_type]
        row = (topic, event.partition, event.offset, event.timestamp_ms, kind, _cell(event.key), _cell(event.value))
        rows.append((*row, headers))
    return csv_file(f"{topic}.csv", columns, rows)


def _header_cells(event: Event) -> list[tuple[object, bytes | None]]:
    return [(_cell(header_name(name)), value) for name, value in event.headers]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event lies: its address, its neighbours, and who has read it."""

    address: str
    previous: int | None
    next: int | None
    readers: tuple[tuple[GroupDescription, bool], ...]


def _place(event: Event, topic: TopicDescription) -> Place:
    log = next(partition for partition in topic.partitions if partition.partition == event.partition)
    readers = [
        (group, lag.committed > event.offset)
        for group in backend().groups()
        for lag in group.partitions
        if (lag.topic, lag.partition) == (event.topic, event.partition) and lag.committed is not None
    ]
    return Place(
        f"/topics/{event.topic}/{event.partition}/{event.offset}",
        event.offset - 1 if event.offset > log.start else None,
        event.offset + 1 if event.offset + 1 < log.end else None,
        tuple(readers),
    )


def _event(topic: str, partition: int, offset: int) -> Event:
    """The event, or BrokerError with whether it is gone or not written yet."""
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


@blueprint.get("/topics/<topic>/<int:partition>/<int:offset>")
def one(topic: str, partition: int, offset: int) -> Response:
    """One event: a page, or (`?inline=1`) what opens in its row."""
    event = _event(topic, partition, offset)
    view = request.args.get("view", "pretty")
    view = view if view in VIEWS else "pretty"
    shown = show(event.value, view, whole=request.args.get("all") == "1") if event.value else None
    place = _place(event, backend().topic(topic))
    context: dict[str, Any] = {"event": event, "view": view, "shown": shown, "place": place, "types": TIMESTAMP_TYPES}
    if request.args.get("inline") == "1" and by_htmx():
        return fragment("messages/_detail.html", inline=True, **context)
    return page("messages/one", Interest(frozenset((topic,)), frozenset(g.group for g, _ in place.readers)), **context)


@blueprint.get("/topics/<topic>/<int:partition>/<int:offset>.json")
def one_json(topic: str, partition: int, offset: int) -> Response:
    """One event as data."""
    return data(event_json(_event(topic, partition, offset)))


@blueprint.get("/topics/<topic>/<int:partition>/<int:offset>/<any(key, value):part>")
def download(topic: str, partition: int, offset: int, part: str) -> Response:
    """The exact bytes of a key or a value, as a file."""
    event = _event(topic, partition, offset)
    stored = event.key if part == "key" else event.value
    if stored is None:
        raise BrokerError("RESOURCE_NOT_FOUND", f"This event has no {part}: it is null.")
    ending = "json" if describe(stored).kind == "json" else "bin" if describe(stored).kind == "bytes" else "txt"
    name = f"{topic}-{partition}-{offset}-{part}.{ending}"
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}", "Cache-Control": "no-store"}
    return Response(stored, content_type="application/octet-stream", headers=headers)
