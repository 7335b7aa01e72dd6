"""Messages: the events of a topic, filtered and paged."""

import re
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.csv_text import Json, encoding_of
from sandbox.model.json_conditions import OPERATORS, Condition, JsonPath, check_header
from sandbox.model.json_values import MISSING, Number, json_text, parse_value
from sandbox.model.jsonl import merged_by_time, to_line
from sandbox.model.messages import MessagePage, Volume
from sandbox.model.topics import TopicDescription
from sandbox.web import formats as words
from sandbox.web.decoding import readable_value, schemas_json
from sandbox.web.json_shapes import event_json
from sandbox.web.messages.consume_program import consume_programs
from sandbox.web.messages.dead_letters import why_column
from sandbox.web.messages.histogram import histogram_of, in_frame, opened, volume_json, volume_of
from sandbox.web.messages.query import (
    CONDITION_FIELDS,
    LIMITS,
    Field,
    MessagesView,
    Sort,
    and_also,
    is_filtered,
    link,
    looks_inside,
    reached_ms,
    read_view,
    several,
    typed_condition,
    without,
)
from sandbox.web.messages.sorting import found_by
from sandbox.web.messages.sql_link import sql_address
from sandbox.web.messages.table import MARKS_MAX, cells_of, committed_in, fields_seen, rows_of
from sandbox.web.notices import Notice
from sandbox.web.responses import (
    QUICK_S,
    Interest,
    attachment,
    backend,
    capabilities,
    csv_file,
    data,
    is_live,
    page,
    see,
    typed_ms,
)
from sandbox.web.topics.deserializers import chosen_in
from sandbox.web.zone import chosen

blueprint = Blueprint("messages", __name__)

CSV_COLUMNS = (
    "topic", "partition", "offset", "timestamp", "timestamp_type", "key", "value", "headers", "transaction",
    "key_encoding", "value_encoding",
)  # fmt: skip
SORTED_SPACING_S = 2.0
"""A view that is sorted by a field reads all its events anew for each update."""
LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d([.,]\d+)?)?)?")
"""A time without a zone."""
OPEN_COLUMNS = "#columns"
"""The menu of columns stays open after a choice."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A repeatable filter: its text, the address without it, and why it is invalid (None if it isn't)."""

    text: str
    remove: str
    wrong: str | None


@dataclass(frozen=True, slots=True)
class ShownField:
    """A column for a JSON field or header, and the addresses that move, remove or sort it.

    Attributes:
        sorted: "ascending" or "descending"; None if the events are not sorted by this column.
        sort: the address of the next order: descending, ascending, then by time again.
    """

    path: Field
    remove: str
    left: str | None
    right: str | None
    sorted: str | None
    sort: str


def _chips(path: str) -> list[Chip]:
    return [
        Chip(
            text if name == "where" else f"header {text}",
            link(path, **{name: without(name, text), "cursor": None}),
            _refused(name, text),
        )
        for name in ("where", "header")
        for text in several(name)
    ]


def _refused(name: str, text: str) -> str | None:
    """Return why a condition or header is invalid; None if it is valid."""
    try:
        Condition.parse(text) if name == "where" else check_header(text)
    except BrokerError as error:
        return error.detail
    return None


def _next_sort(field: Field, sort: Sort | None) -> str | None:
    """Return the sorting that a click on a column's header chooses; None for the order by time."""
    if sort is None or sort.field != field:
        return str(Sort(field, descending=True))
    return str(Sort(field, descending=False)) if sort.descending else None


def _columns(path: str, shown: tuple[Field, ...], sort: Sort | None) -> list[ShownField]:
    names = [str(column) for column in shown]

    def moved(at: int, to: int) -> str | None:
        if not 0 <= to < len(names):
            return None
        order = names.copy()
        order.insert(to, order.pop(at))
        return link(path, col=order) + OPEN_COLUMNS

    return [
        ShownField(
            column,
            link(path, col=names[:at] + names[at + 1 :] or [""]) + OPEN_COLUMNS,
            moved(at, at - 1),
            moved(at, at + 1),
            None if sort is None or sort.field != column else "descending" if sort.descending else "ascending",
            link(path, sort=_next_sort(column, sort), cursor=None),
        )
        for at, column in enumerate(shown)
    ]


def _folded(path: str) -> AnyResponse | None:
    """Redirect to the address that contains the form's condition, and times that mean the same in every time zone; None
    if the address is like that already, or a field is invalid.
    """
    if is_live():
        return None
    changes: dict[str, str | list[str] | None] = {}
    try:
        if (condition := typed_condition()) is not None:
            changes["where"] = list(dict.fromkeys([*several("where"), str(condition)]))
        for name in ("since", "until") if chosen() else ():
            text = request.args.get(name, "").strip()
            if LOCAL_TIME.fullmatch(text):
                changes[name] = words.written(typed_ms(text))
    except BrokerError:
        return None
    return see(link(path, **changes, cursor=None)) if changes else None


@blueprint.get("/topics/<topic>/messages")
def index(topic: str) -> AnyResponse:
    """The page: one page of events."""
    found = backend().topic(topic)
    path = f"/topics/{topic}/messages"
    folded = _folded(path)
    if folded is not None:
        return folded
    view = read_view(topic, keep=True)
    result = _found(found, view)
    if "col" not in request.args and (why := why_column(result.events)) is not None:
        view.columns = (why,)
    committed = committed_in(topic)
    spacing_s = QUICK_S if view.sort is None else SORTED_SPACING_S
    return page(
        "messages/index",
        Interest(frozenset((topic,)), frozenset(committed), 5, spacing_s),
        400 if view.wrong else 200,
        topic=found,
        query=view.query,
        result=result,
        wrong=view.wrong,
        sort=view.sort,
        form=request.args,
        partitions_text=", ".join(request.args.getlist("p")),
        filtered=is_filtered(view.query),
        chips=_chips(path),
        columns=_columns(path, view.columns, view.sort),
        readers=list(committed),
        readers_max=MARKS_MAX,
        operators=OPERATORS,
        typed={name: request.args.get(name, "") for name in CONDITION_FIELDS},
        limits=LIMITS,
        mark=sum(partition.end for partition in found.partitions),
        chosen=chosen_in(topic),
        first_page=link(path, cursor=None),
        saved=backend().filters.list(topic) if capabilities().save_filters and not is_live() else {},
        query_text=link("", cursor=None).removeprefix("?"),
        **_shown(path, found, view, result),
    )


def _found(topic: TopicDescription, view: MessagesView) -> MessagePage:
    """Return the page's events. Filters that only the search can refuse are left out, and reported in `view.wrong`."""
    there = {partition.partition for partition in topic.partitions}
    if missing := [str(partition) for partition in view.query.partitions if partition not in there]:
        view.wrong["p"] = f"Topic {topic.topic} has no partition {', '.join(missing)}."
        view.query = replace(view.query, partitions=tuple(there & set(view.query.partitions)))
    try:
        return found_by(view)
    except BrokerError as error:
        if error.error.name != "INVALID_REQUEST" or view.query.cursor is None:
            raise
        view.wrong["cursor"] = error.detail
        view.query = replace(view.query, cursor=None)
        return found_by(view)


def _shown(path: str, topic: TopicDescription, view: MessagesView, result: MessagePage) -> dict[str, Any]:
    """Return the template's values for a result."""
    query, columns = view.query, view.columns
    counted_on = request.args.get("count") == "1"
    volume = volume_of(query, result, whole=counted_on, ranked=view.sort is not None)
    filtered = is_filtered(query)
    whole_time = request.args.get("time") == "all"
    framed = in_frame(query, volume)
    framed, part = (framed, None) if whole_time else opened(query, framed)
    event_row: Any = current_app.jinja_env.get_template("messages/_row.html").module
    around = link(path, since=None, until=None, cursor=None)
    chosen = link(path, col=[str(column) for column in columns])
    unsorted = link(path, col=[str(column) for column in columns], sort=None, cursor=None)
    fields = [
        (
            field,
            and_also(chosen, col=str(field)) + OPEN_COLUMNS,
            and_also(unsorted, col=str(field), sort=str(Sort(field, descending=True))),
        )
        for field in fields_seen(result.events)
    ]
    return {
        "rows": rows_of(event_row.event_row, result.events, columns, committed_in(topic.topic)),
        "volume": volume,
        "histogram": histogram_of(framed, filtered),
        "part": part,
        "whole_time": and_also(link(path), time="all") + "#volume",
        "whole_on": whole_time,
        "tally": _tally(view, result, volume, counted_on),
        "as_table": request.args.get("table") == "1",
        "table_on": and_also(link(path), table="1") + "#volume",
        "table_off": link(path) + "#volume",
        "count_on": None if counted_on else and_also(link(path), count="1"),
        "fields": [field for field in fields if field[0] not in columns],
        "closer": lambda since, until: and_also(around, since=since, until=until),
        "lately": lambda since: and_also(around, since=since),
        "all_time": around,
        "tail": query.order == "newest" and query.cursor is None and view.sort is None,
        "by_time": link(path, order="oldest" if query.order == "newest" else "newest", sort=None, cursor=None),
        "shown_programs": [] if is_live() else consume_programs(view, result.events),
        "sql_address": sql_address(view) if capabilities().sql else None,
        "selected": " ".join(f"{event.partition}/{event.offset}" for event in result.events),
        "next_page": link(path, cursor=result.next) if result.next else None,
        "previous_page": link(path, cursor=result.previous) if result.previous else None,
        "json_address": link(path + ".json"),
        "csv_address": link(path + ".csv"),
        "jsonl_address": link(path + ".jsonl"),
        "volume_address": link(path + "/volume.json", cursor=None),
    }


@dataclass(frozen=True, slots=True)
class Tally:
    """The line about the number of results.

    Attributes:
        kind: "all" (no filter), "exact" (all matches counted), "least" (counting ran out of time), "stopped" (the
            search ran out of time before the page was full), or "sorted" (only the newest events were sorted in time).
        reached_ms: the timestamp where a search stopped, None in offset order.
    """

    kind: str
    matched: int
    about: bool
    looked_at: int
    total: int
    elapsed_ms: float
    reached_ms: int | None
    on_page: int


def _tally(view: MessagesView, result: MessagePage, volume: Volume, counted_on: bool) -> Tally:
    query = view.query
    kind = "exact" if volume.complete else "least"
    if not is_filtered(query):
        kind = "all"
    if not result.complete:
        kind = "stopped" if view.sort is None else "sorted"
    took_ms = result.elapsed_ms + (volume.elapsed_ms if looks_inside(query) or counted_on else 0)
    return Tally(
        kind=kind,
        matched=volume.matched,
        about=not volume.exact,
        looked_at=volume.looked_at,
        total=result.total,
        elapsed_ms=took_ms,
        reached_ms=reached_ms(result.next or result.previous),
        on_page=len(result.events),
    )


@blueprint.post("/topics/<topic>/messages/filters/<any(save, delete):what>")
def saved_filters(topic: str, what: str) -> AnyResponse:
    """Save the page's filters under a name, or delete saved ones."""
    backend().topic(topic)
    name, query = request.form.get("name", "").strip(), request.form.get("query", "")
    address = f"/topics/{topic}/messages" + (f"?{query}" if query else "")
    try:
        if what == "save":
            backend().filters.save(topic, name, query)
        else:
            backend().filters.delete(topic, name)
    except BrokerError as error:
        return see(address, Notice(refused=error.detail))
    return see(address, Notice(f"{'saved' if what == 'save' else 'deleted'} the filter {name}"))


@blueprint.get("/topics/<topic>/messages.json")
def index_json(topic: str) -> Response:
    """The page's events as JSON. Columns are text, with numbers as written in the value."""
    view = read_view(topic)
    result, columns = found_by(view), view.columns
    events = []
    for event in result.events:
        shape = event_json(event) | schemas_json(event)
        if columns:
            cells = cells_of(event, columns)
            shape["columns"] = {str(column): cell.text for column, cell in zip(columns, cells, strict=True)}
        events.append(shape)
    return data(
        {
            "as_of_ms": result.as_of_ms,
            "topic": topic,
            "events": events,
            "next": result.next,
            "previous": result.previous,
            "scanned": result.scanned,
            "total": result.total,
            "complete": result.complete,
            "elapsed_ms": round(result.elapsed_ms, 3),
            "end_offsets": {str(partition): end for partition, end in result.as_of.items()},
        }
    )


@blueprint.get("/topics/<topic>/messages/volume.json")
def volume(topic: str) -> Response:
    """The query's events over time, as JSON."""
    query = read_view(topic).query
    return data({"topic": topic, **volume_json(volume_of(query, backend().messages(query), whole=True))})


def _cell(value: bytes | None) -> str | bytes | None:
    """Return a CSV cell: text if it is UTF-8."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _field_cell(node: object) -> object:
    """Return a JSON field as a CSV cell: empty if missing, `null` for null."""
    if node is MISSING:
        return None
    return node if isinstance(node, str) and not isinstance(node, Number) else Json(json_text(node))


@blueprint.get("/topics/<topic>/messages.csv")
def index_csv(topic: str) -> Response:
    """The page's events as CSV, in the page's order. (JSON lines, which `import` reads, are in log order.)"""
    view = read_view(topic)
    paths = view.columns
    rows = []
    for event in found_by(view).events:
        shape, key, value = event_json(event), _cell(event.key), _cell(event.value)
        known = shape | {"key": key, "value": value, "key_encoding": encoding_of(key)}
        known["value_encoding"] = encoding_of(value)
        rows.append((*(known[column] for column in CSV_COLUMNS), *_field_cells(event, paths)))
    return csv_file(f"{topic}.csv", (*CSV_COLUMNS, *map(str, paths)), rows)


def _field_cells(event: Event, paths: tuple[Field, ...]) -> list[object]:
    """Return the cells of the JSON fields and headers shown as columns."""
    if not paths:
        return []
    root = parse_value(readable_value(event))
    shown = zip(paths, cells_of(event, paths), strict=True)
    return [_field_cell(path.find(root)) if isinstance(path, JsonPath) else cell.text for path, cell in shown]


@blueprint.get("/topics/<topic>/messages.jsonl")
def index_jsonl(topic: str) -> Response:
    """The page's events as JSON lines for `import`, each partition in offset order."""
    events = merged_by_time(found_by(read_view(topic)).events)
    partitions = len(backend().topic(topic).partitions)
    return attachment(f"{topic}.jsonl", "".join(to_line(event, partitions) + "\n" for event in events))
