"""Messages: the events of a topic, filtered and paged."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.csv_text import Json, encoding_of
from sandbox.model.json_conditions import OPERATORS, JsonPath
from sandbox.model.json_values import MISSING, Number, json_text, parse_value
from sandbox.model.jsonl import to_line
from sandbox.model.log_order import merged_by_time
from sandbox.model.messages import MessagePage, MessageQuery, Volume
from sandbox.model.topics import TopicDescription
from sandbox.web.decoding import readable_value, schemas_json
from sandbox.web.json_shapes import event_json
from sandbox.web.messages.dead_letters import why_column
from sandbox.web.messages.histogram import histogram_of, in_frame, volume_json, volume_of
from sandbox.web.messages.query import (
    CONDITION_FIELDS,
    LIMITS,
    Field,
    and_also,
    is_filtered,
    link,
    looks_inside,
    reached_ms,
    read_columns,
    read_query,
    several,
    typed_condition,
    without,
)
from sandbox.web.messages.table import MARKS_MAX, cells_of, committed_in, fields_seen, rows_of
from sandbox.web.responses import QUICK_S, Interest, attachment, backend, csv_file, data, is_live, page, see

blueprint = Blueprint("messages", __name__)

CSV_COLUMNS = (
    "topic", "partition", "offset", "timestamp", "timestamp_type", "key", "value", "headers", "transaction",
    "key_encoding", "value_encoding",
)  # fmt: skip
OPEN_COLUMNS = "#columns"
"""The menu of columns stays open after a choice."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A repeatable filter: its text, and the address without it."""

    text: str
    remove: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column for a JSON field or header, and the addresses that move or remove it."""

    path: Field
    remove: str
    left: str | None
    right: str | None


def _chips(path: str) -> list[Chip]:
    return [
        Chip(text if name == "where" else f"header {text}", link(path, **{name: without(name, text), "cursor": None}))
        for name in ("where", "header")
        for text in several(name)
    ]


def _columns(path: str, shown: tuple[Field, ...]) -> list[Column]:
    names = [str(column) for column in shown]

    def moved(at: int, to: int) -> str | None:
        if not 0 <= to < len(names):
            return None
        order = names.copy()
        order.insert(to, order.pop(at))
        return link(path, col=order) + OPEN_COLUMNS

    return [
        Column(
            column,
            link(path, col=names[:at] + names[at + 1 :] or [""]) + OPEN_COLUMNS,
            moved(at, at - 1),
            moved(at, at + 1),
        )
        for at, column in enumerate(shown)
    ]


def _folded(path: str) -> AnyResponse | None:
    """Redirect to the address that contains the form's condition; None if the form has no valid condition."""
    if is_live() or not any(request.args.get(name, "").strip() for name in ("path", "operand")):
        return None
    try:
        condition = typed_condition()
    except BrokerError:
        return None
    texts = dict.fromkeys([*several("where"), str(condition)])
    return see(link(path, where=list(texts), cursor=None))


@blueprint.get("/topics/<topic>/messages")
def index(topic: str) -> AnyResponse:
    """The page: one page of events."""
    found = backend().topic(topic)
    path = f"/topics/{topic}/messages"
    folded = _folded(path)
    if folded is not None:
        return folded
    error: str | None = None
    query = MessageQuery(topic)
    result: MessagePage | None = None
    columns: tuple[Field, ...] = ()
    try:
        query, columns = read_query(topic), read_columns()
        result = backend().messages(query)
        if "col" not in request.args and (why := why_column(result.events)) is not None:
            columns = (why,)
    except BrokerError as refusal:
        if refusal.error.name == "UNKNOWN_TOPIC_OR_PARTITION" and not query.partitions:
            raise
        error = refusal.detail
    committed = committed_in(topic)
    shown = _shown(path, found, query, columns, result) if result else {}
    return page(
        "messages/index",
        Interest(frozenset((topic,)), frozenset(committed), 5, QUICK_S),
        400 if error else 200,
        topic=found,
        query=query,
        result=result,
        error=error,
        form=request.args,
        partitions_text=", ".join(request.args.getlist("p")),
        filtered=is_filtered(query),
        chips=_chips(path),
        columns=_columns(path, columns),
        readers=list(committed),
        readers_max=MARKS_MAX,
        operators=OPERATORS,
        typed={name: request.args.get(name, "") for name in CONDITION_FIELDS},
        limits=LIMITS,
        mark=sum(partition.end for partition in found.partitions),
        first_page=link(path, cursor=None),
        **shown,
    )


def _shown(
    path: str, topic: TopicDescription, query: MessageQuery, columns: tuple[Field, ...], result: MessagePage
) -> dict[str, Any]:
    """Return the template's values for a result."""
    counted_on = request.args.get("count") == "1"
    volume = volume_of(query, result, whole=counted_on)
    filtered = is_filtered(query)
    event_row: Any = current_app.jinja_env.get_template("messages/_row.html").module
    around = link(path, since=None, until=None, cursor=None)
    chosen = link(path, col=[str(column) for column in columns])
    fields = [(field, and_also(chosen, col=str(field)) + OPEN_COLUMNS) for field in fields_seen(result.events)]
    return {
        "rows": rows_of(event_row.event_row, result.events, columns, committed_in(topic.topic)),
        "volume": volume,
        "histogram": histogram_of(in_frame(query, volume), filtered),
        "tally": _tally(query, result, volume, counted_on),
        "as_table": request.args.get("table") == "1",
        "table_on": and_also(link(path), table="1") + "#volume",
        "table_off": link(path) + "#volume",
        "count_on": None if counted_on else and_also(link(path), count="1"),
        "fields": [field for field in fields if field[0] not in columns],
        "closer": lambda since, until: and_also(around, since=since, until=until),
        "lately": lambda since: and_also(around, since=since),
        "all_time": around,
        "tail": query.order == "newest" and query.cursor is None,
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
        kind: "all" (no filter), "exact" (all matches counted), "least" (counting ran out of time), or "stopped" (the
            search ran out of time before the page was full).
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


def _tally(query: MessageQuery, result: MessagePage, volume: Volume, counted_on: bool) -> Tally:
    kind = "exact" if volume.complete else "least"
    if not is_filtered(query):
        kind = "all"
    if not result.complete:
        kind = "stopped"
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


@blueprint.get("/topics/<topic>/messages.json")
def index_json(topic: str) -> Response:
    """The page's events as JSON. Columns are text, with numbers as written in the value."""
    columns = read_columns()
    result = backend().messages(read_query(topic))
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
    query = read_query(topic)
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
    paths = read_columns()
    rows = []
    for event in backend().messages(read_query(topic)).events:
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
    events = merged_by_time(backend().messages(read_query(topic)).events)
    partitions = len(backend().topic(topic).partitions)
    return attachment(f"{topic}.jsonl", "".join(to_line(event, partitions) + "\n" for event in events))
