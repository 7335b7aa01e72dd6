"""SQL: read-only queries of the file. The address contains the query; `.json` and `.csv` return the same result."""

import base64
import json
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from flask import Blueprint, Response, request

from sandbox.model.csv_text import with_encodings
from sandbox.model.messages import MessageQuery
from sandbox.model.sql_result import (
    ROWS_MAX,
    TIME_LIMIT_MAX_S,
    TIME_LIMIT_S,
    Bounds,
    Cell,
    LongCell,
    SqlRefused,
    SqlResult,
    SqlTable,
)
from sandbox.model.sql_tokens import parameters, quoted_name, value_of
from sandbox.model.topics import TopicDescription
from sandbox.web.payload import visible
from sandbox.web.programs import ShownProgram, programs
from sandbox.web.responses import backend, csv_file, data, fragment, is_live, page


@dataclass(frozen=True, slots=True)
class Example:
    """One query.

    Attributes:
        title: the question that it answers.
        values: the values of its parameters.
        chart: True if its result is best shown as a chart.
    """

    title: str
    query: str
    values: dict[str, str]
    chart: bool = False

    def address(self) -> dict[str, str]:
        """The query string of its page."""
        fields = {f"p_{name}": text for name, text in self.values.items()}
        return {"q": self.query} | fields | ({"as": "chart"} if self.chart else {})


REPEATED = 0.7
"""A field isn't used for counts if more than this share of its values are different."""
BASE = ("partition", "offset", "timestamp", "timestamp_ms", "key", "value", "headers")


def _name(name: str) -> str:
    """Quote a name if SQL requires quotes."""
    return name if name.isidentifier() and name.isascii() else quoted_name(name)


def examples(tables: Sequence[SqlTable], liked: str | None, key: str | None, values: Sequence[bytes]) -> list[Example]:
    """Return the example queries; those about a topic are omitted if there is none.

    Args:
        liked: the topic to query.
        key: one of its keys, None if it has none.
        values: some of its values.
    """
    topic = next((one for one in tables if one.topic is not None and one.topic == liked), None)
    about = _of_topic(topic, key, values) if topic is not None else []
    return [
        *about,
        Example(
            "Events per minute",
            "SELECT strftime('%Y-%m-%dT%H:%M:00Z', b.max_timestamp / 1000, 'unixepoch') AS minute,\n"
            "  sum(b.last_offset - b.base_offset + 1) AS events\n"
            "FROM batches b JOIN partitions p ON p.id = b.partition_id\n"
            "WHERE b.control = 0\nGROUP BY minute ORDER BY minute DESC LIMIT 200",
            {},
            chart=True,
        ),
        Example(
            "Groups that are behind",
            "SELECT group_id, topic, partition, committed, end_offset, lag\nFROM lag\n"
            "WHERE lag >= coalesce(:at_least, 0)\nORDER BY lag DESC LIMIT 100",
            {"at_least": "1"},
        ),
        Example(
            "Why groups rebalanced",
            "SELECT group_id, generation, members, ended_ms - started_ms AS took_ms,\n"
            "  details ->> '$.causes[0].cause' AS cause, details ->> '$.causes[0].member' AS member, details\n"
            "FROM rebalances ORDER BY id DESC LIMIT 50",
            {},
        ),
    ]


def _of_topic(topic: SqlTable, key: str | None, values: Sequence[bytes]) -> list[Example]:
    name = _name(topic.name)
    field = _repeated([one.name for one in topic.columns or () if one.name not in BASE], values)
    newest = f"SELECT partition, offset, timestamp, key, value\nFROM {name} ORDER BY offset DESC LIMIT 20"
    grouped = field or "key"
    return [
        Example("Newest offsets of a topic", newest, {}),
        Example(
            "All events of one key",
            f"SELECT partition, offset, timestamp, value\nFROM {name} WHERE key = :key\nORDER BY offset DESC LIMIT 100",
            {"key": key or ""},
        ),
        Example(
            f"Events by JSON field {field}" if field else "Busiest keys",
            f"SELECT {grouped}, count(*) AS events\nFROM {name}\nGROUP BY {grouped} ORDER BY events DESC LIMIT 20",
            {},
            chart=True,
        ),
    ]


def _repeated(fields: Sequence[str], values: Sequence[bytes]) -> str | None:
    """Return the field whose values repeat most, so that counts are useful; None if no field's values repeat."""
    found: dict[str, list[str]] = {field: [] for field in fields}
    for value in values:
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError):
            continue
        for field in fields if isinstance(decoded, dict) else ():
            if isinstance(decoded.get(field), str | int | bool):
                found[field].append(str(decoded[field]))
    counted = {field: len(set(seen)) / len(seen) for field, seen in found.items() if len(set(seen)) > 1}
    best = min(counted, key=lambda field: counted[field], default=None)
    return None if best is None or counted[best] > REPEATED else _name(best)


BYTES_SHOWN = 24
SERIES_MAX = 8


@dataclass(frozen=True, slots=True)
class SqlCell:
    """A value as the page shows it.

    Attributes:
        kind: "null", "empty", "bytes", "text" or "number".
        cut: True if only the beginning is shown.
        size: the full length, in characters or bytes.
    """

    kind: str
    text: str
    size: int
    cut: bool


def shown(value: Cell) -> SqlCell:
    """Classify a value, and return its beginning. Integers have all their digits."""
    whole, size, cut = value, 0, False
    if isinstance(value, LongCell):
        whole, size, cut = value.head, value.length, True
    if isinstance(whole, bytes):
        size = size or len(whole)
        return SqlCell("bytes", whole[:BYTES_SHOWN].hex(" "), size, cut or size > BYTES_SHOWN)
    if isinstance(whole, str):
        return SqlCell("text" if whole else "empty", visible(whole), size or len(whole), cut)
    if whole is None:
        return SqlCell("null", "NULL", 0, False)
    return SqlCell("number", repr(whole), 0, False)


def data_value(value: Cell) -> object:
    """A value as JSON: bytes are `{"base64": …}`; a number that JSON can't express (infinity, NaN) is a string."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def event_links(result: SqlResult, topics: Sequence[str]) -> dict[int, str]:
    """Return row number to event address, for rows with partition, offset and topic; one queried topic replaces the
    column.

    Args:
        topics: the topics that the query names.
    """
    names = [name.lower() for name in result.columns]
    if "partition" not in names or "offset" not in names:
        return {}
    by_row = names.index("topic") if "topic" in names else None
    if by_row is None and len(topics) != 1:
        return {}
    partition, offset = names.index("partition"), names.index("offset")
    found = {}
    for at, row in enumerate(result.rows):
        topic = topics[0] if by_row is None else row[by_row]
        number, place = row[partition], row[offset]
        if isinstance(topic, str) and isinstance(number, int) and isinstance(place, int):
            found[at] = f"/topics/{quote(topic, safe='')}/{number}/{place}"
    return found


def chartable(result: SqlResult) -> tuple[int, ...]:
    """Return the columns that a chart draws: the numeric ones except the first column, which is its x axis."""
    return tuple(
        at
        for at in range(1, len(result.columns))
        if any(row[at] is not None for row in result.rows)
        and all(row[at] is None or isinstance(row[at], int | float) for row in result.rows)
    )[:SERIES_MAX]


blueprint = Blueprint("sql", __name__)

SHOWN_ROWS = 1000
CELL_CHARACTERS = 400
CELL_MAX = 8 * 1024 * 1024
TOPICS_LISTED = 150
TOPICS_LOOKED_AT = 40
QUERY_MAX = 100_000
PREFIX = "p_"


@dataclass(frozen=True, slots=True)
class Asked:
    """The query of an address, with its options.

    Attributes:
        fields: the text of each parameter, None if the address has none.
        limit_s: the time limit in seconds.
        view: "table" or "chart".
    """

    query: str
    fields: dict[str, str | None]
    limit_s: float
    view: str

    def values(self) -> dict[str, object]:
        """The parameters as SQLite receives them."""
        return {name: value_of(text) for name, text in self.fields.items()}

    def address(self, **other: object) -> dict[str, object]:
        """Return the query string, with some fields changed."""
        kept: dict[str, object] = {"q": self.query}
        kept |= {PREFIX + name: text for name, text in self.fields.items() if text is not None}
        if self.limit_s != TIME_LIMIT_S:
            kept["limit_s"] = f"{self.limit_s:g}"
        if self.view != "table":
            kept["as"] = self.view
        return kept | other


def _asked() -> Asked:
    query = request.args.get("q", "")
    fields = {name: request.args.get(PREFIX + name) for name in parameters(query[:QUERY_MAX])}
    limit_s = request.args.get("limit_s", TIME_LIMIT_S, type=float)
    limit_s = min(max(limit_s, 0.1), TIME_LIMIT_MAX_S) if limit_s == limit_s else TIME_LIMIT_S
    return Asked(query, fields, limit_s, "chart" if request.args.get("as") == "chart" else "table")


@blueprint.get("/sql")
def index() -> Response:
    """The page: the query, its result, the tables and columns, and examples."""
    asked = _asked()
    result, refused = None, None
    missing = [name for name, text in asked.fields.items() if text is None]
    topics = () if is_live() else backend().topics()
    named = _named(topics, asked.query)
    # An open tab requests the live part. A result isn't live: it stays as of the time of its query.
    if asked.query.strip() and not missing and not is_live():
        try:
            result = backend().queries.run(
                asked.query, asked.values(), Bounds(asked.limit_s, SHOWN_ROWS, CELL_CHARACTERS)
            )
        except SqlRefused as error:
            refused = error
    return page(
        "sql/index",
        status=400 if refused else 200,
        asked=asked,
        missing=missing,
        result=result,
        numeric=_numeric(result),
        links=event_links(result, result.topics) if result else {},
        series=chartable(result) if result else (),
        shown=shown,
        refused=refused,
        place=_place(asked.query, refused),
        shown_rows=SHOWN_ROWS,
        rows_max=ROWS_MAX,
        limit_max=TIME_LIMIT_MAX_S,
        tables=() if is_live() else _tables(named),
        examples=() if is_live() else _examples(topics),
        about=request.args.get("about", ""),
        code=_code(asked),
        listed=TOPICS_LISTED,
    )


def _code(asked: Asked) -> list[ShownProgram]:
    """Return the Python program and the command that run the same query."""
    query = asked.query.strip() or "SELECT * FROM messages LIMIT 10"
    fields = {name: text or "" for name, text in asked.fields.items()}
    question = {"q": query} | {PREFIX + name: text for name, text in fields.items()}
    arguments = [shlex.quote(query)] + [f"-P {shlex.quote(f'{name}={text}')}" for name, text in fields.items()]
    return programs("sql", question=question, arguments=" ".join(arguments))


def _named(topics: Sequence[TopicDescription], query: str) -> tuple[str, ...]:
    """Return the topics whose names appear in a query."""
    low = query.lower()
    return tuple(topic.topic for topic in topics if topic.topic.lower() in low)


def _tables(named: tuple[str, ...]) -> list[SqlTable]:
    about = request.args.get("about")
    detailed = named[:TOPICS_LOOKED_AT]
    return backend().queries.tables((*detailed, about) if about else detailed, TOPICS_LISTED)


def _examples(topics: Sequence[TopicDescription]) -> list[Example]:
    written = [topic for topic in topics if topic.events]
    liked = max(written, key=lambda topic: topic.events, default=None)
    if liked is None:
        return examples((), None, None, ())
    tables = backend().queries.tables((liked.topic,), 0)
    newest = backend().messages(MessageQuery(liked.topic, limit=20)).events
    keys = (event.key for event in newest if event.key)
    values = [event.value for event in newest if event.value]
    return examples(tables, liked.topic, next((text for text in map(_text, keys) if text), None), values)


def _text(key: bytes) -> str | None:
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    # A key of digits is text in the file, but a parameter field treats digits as a number.
    return f"'{text}'" if re.fullmatch(r"[-+\d.eE]+", text) else text


def _numeric(result: SqlResult | None) -> frozenset[int]:
    """Return the columns that contain only numbers."""
    if result is None:
        return frozenset()
    return frozenset(
        at
        for at in range(len(result.columns))
        if any(row[at] is not None for row in result.rows)
        and all(row[at] is None or isinstance(row[at], int | float) for row in result.rows)
    )


def _place(query: str, refused: SqlRefused | None) -> dict[str, object] | None:
    """Return the line with the query's error, and the position in it."""
    if refused is None or refused.position is None:
        return None
    before = query[: refused.position]
    line = before.count("\n")
    text = query.splitlines()[line] if line < len(query.splitlines()) else ""
    column = len(before) - (before.rfind("\n") + 1)
    start = max(0, column - 60)
    return {
        "line": line + 1,
        "column": column + 1,
        "before": text[start:column],
        "at": text[column : column + 1],
        "after": text[column + 1 : column + 61],
        "position": refused.position,
    }


def _all() -> tuple[SqlResult, str | None]:
    asked = _asked()
    missing = [f":{name}" for name, text in asked.fields.items() if text is None]
    if missing:
        raise SqlRefused(
            f"{', '.join(missing)} has no value.", f"Add {PREFIX}{missing[0][1:]}=… to the address; empty is NULL."
        )
    return backend().queries.run(asked.query, asked.values(), Bounds(asked.limit_s, ROWS_MAX)), asked.query


def _refusal(refused: SqlRefused) -> Response:
    answer = data(
        {"error": "INVALID_REQUEST", "message": refused.reason, "hint": refused.hint, "position": refused.position}
    )
    answer.status_code = 400
    return answer


@blueprint.get("/sql.json")
def index_json() -> Response:
    """The result as JSON, up to 100,000 rows. Integers are exact; bytes are `{"base64": …}`."""
    try:
        result, _ = _all()
    except SqlRefused as refused:
        return _refusal(refused)
    return data(
        {
            "columns": list(result.columns),
            "rows": [[data_value(value) for value in row] for row in result.rows],
            "more": result.more,
            "notes": list(result.notes),
            "elapsed_ms": round(result.took_ms, 3),
        }
    )


@blueprint.get("/sql.csv")
def index_csv() -> Response:
    """The result as CSV, up to 100,000 rows. Bytes are base64, with a column that marks them."""
    try:
        result, _ = _all()
    except SqlRefused as refused:
        return _refusal(refused)
    return csv_file("sql.csv", *with_encodings(result.columns, result.rows))


@blueprint.get("/sql/cell")
def cell() -> Response:
    """One whole value of a result: runs the query again, up to its row and column (from 0)."""
    asked = _asked()
    row, column = request.args.get("row", 0, type=int), request.args.get("column", 0, type=int)
    try:
        bounds = Bounds(asked.limit_s, SHOWN_ROWS, CELL_MAX, only=max(0, row))
        result = backend().queries.run(asked.query, asked.values(), bounds)
    except SqlRefused as refused:
        return _refusal(refused)
    if not result.rows or not 0 <= column < len(result.columns):
        return Response("That row is not there any more: run the query again.\n", 404, content_type="text/plain")
    value = result.rows[0][column]
    if isinstance(value, LongCell):
        value = value.head
    plain = "text/plain; charset=utf-8"
    body = value if isinstance(value, bytes) else ("" if value is None else str(value)).encode("utf-8", "replace")
    return Response(body, content_type="application/octet-stream" if isinstance(value, bytes) else plain)


@blueprint.get("/sql/columns")
def columns() -> Response:
    """The columns of one topic, for the list beside the query."""
    wanted = request.args.get("about", "")
    found = next((one for one in backend().queries.tables((wanted,), 0) if one.topic == wanted), None)
    return fragment("sql/_columns.html", table=found)
