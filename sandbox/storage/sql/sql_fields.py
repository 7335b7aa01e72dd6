"""Chooses the JSON fields of a topic that become columns of its view.

`SELECT *` and the page's list have the fields of a sample: the newest events. Any other field becomes a column once a
query names it: older events are searched for it, so a saved query keeps working whatever is produced later. A search
that runs out of time never changes the meaning of a query: see `Fields`.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sandbox.model.deserializers import KEY, VALUE
from sandbox.model.json_values import parse_value
from sandbox.model.sql_result import SqlColumn, SqlRefused
from sandbox.model.sql_tokens import Token
from sandbox.storage.deserializers import MAY_BE_DECODED
from sandbox.storage.file.database import Reader, Row
from sandbox.storage.file.read_only import read_only
from sandbox.storage.file.schema import OFFSET_BITS, OFFSET_LIMIT
from sandbox.storage.sql.clock import STEPS, Clock
from sandbox.storage.sql.sql_decoding import SqlDecoder
from sandbox.storage.sql.sql_names import TopicView

SAMPLED_EVENTS = 48
SAMPLED_PARTITIONS = 16
SAMPLED_CHARACTERS = 65_536
FIELDS_MAX = 60
FIELD_NAME_MAX = 80
SEARCHED_MAX = 60
"""The maximum number of names per query that are searched for."""

BASE_COLUMNS = (
    SqlColumn("partition", "its partition"),
    SqlColumn("offset", "its offset there"),
    SqlColumn("timestamp", "its time, ISO 8601 in UTC"),
    SqlColumn("timestamp_ms", "the same in ms since 1970"),
    SqlColumn("key", "text, decoded if it has a schema; a BLOB where it is not UTF-8; NULL for null"),
    SqlColumn("value", "text, decoded if it has a schema; a BLOB where it is not UTF-8; NULL for null"),
    SqlColumn("headers", "JSON: [[name, value], …]"),
)
STORED_COLUMNS = (
    SqlColumn("key_bytes", "the key as it is stored, a BLOB; only if a query names it"),
    SqlColumn("value_bytes", "the value as it is stored, a BLOB; only if a query names it"),
)
BASE = frozenset(column.name for column in (*BASE_COLUMNS, *STORED_COLUMNS))
_NUMBERED = re.compile(r"(.+):\d+", re.DOTALL)


class Field(NamedTuple):
    """A top-level member of the JSON objects in a topic's values or keys."""

    name: str
    is_key: bool = False

    @property
    def part(self) -> str:
        """The column of `events` that has it."""
        return KEY if self.is_key else VALUE

    @property
    def column(self) -> str:
        """The name of its column: its own, or with its part before it if the name is taken or it is in the key."""
        return f"{self.part}.{self.name}" if self.is_key or self.name.lower() in BASE else self.name


Columns = tuple[tuple[str, Field], ...]
"""Pairs of column name and field."""


def sampled_fields(reader: Reader, view: TopicView, decoder: SqlDecoder) -> list[Field]:
    """Return the top-level fields of a topic's newest events, at most `FIELDS_MAX`."""
    names: dict[Field, None] = {}
    partitions = reader.query(
        "SELECT id FROM main.partitions WHERE topic = ? ORDER BY partition LIMIT ?", (view.id, SAMPLED_PARTITIONS)
    )
    for (partition,) in partitions:
        first = partition << OFFSET_BITS
        rows = reader.rows(
            "SELECT value, key, headers FROM main.events WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?",
            (first, first + OFFSET_LIMIT - 1, max(2, SAMPLED_EVENTS // len(partitions))),
        )
        for name in _fields(rows, view.topic, decoder):
            names.setdefault(name)
    return sorted(names, key=lambda field: field.is_key)[:FIELDS_MAX]


def _fields(rows: Iterable[Row], topic: str, decoder: SqlDecoder) -> Iterator[Field]:
    for value, key, headers in rows:
        for is_key, stored in ((False, value), (True, key)):
            if stored is None or len(stored) > SAMPLED_CHARACTERS:
                continue
            text = decoder.text(stored, headers, topic, is_key=is_key)
            if not isinstance(text, str) or not text.lstrip().startswith("{"):
                continue
            root = parse_value(text.encode("utf-8", "surrogatepass"))
            if isinstance(root, dict):
                yield from (
                    Field(name, is_key) for name in root if 0 < len(name) <= FIELD_NAME_MAX and name.isprintable()
                )


def columns_of(names: Sequence[Field], spelled: Iterable[str] = ()) -> Columns:
    """Give each field a column: its own name, `value.NAME` if an event has a column of that name, or `key.NAME`.

    SQL names are case-insensitive, JSON names are not. Of fields that differ only in case, the one that the query
    spells gets the name, and the others get a number after it.

    Args:
        names: the fields.
        spelled: the names in a query.

    Raises:
        SqlRefused: a query names two such fields.
    """
    wanted = set(spelled)
    groups: dict[str, list[tuple[str, Field]]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(name.column.lower(), []).append((name.column, name))
    found: list[tuple[str, Field]] = []
    for low, same in groups.items():
        meant = [one for one in same if one[0] in wanted]
        if len(meant) > 1:
            both = " and ".join(column for column, _ in meant[:2])
            raise SqlRefused(
                f"{both} differ only in upper and lower case, and SQL does not tell such names apart.",
                f'Write one of them as "{meant[1][0]}:2".',
            )
        first = meant[0] if meant else same[0]
        found.append(first)
        number = 1
        for column, name in same:
            if (column, name) != first:
                number += 1
                while f"{low}:{number}" in groups:
                    number += 1
                found.append((f"{column}:{number}", name))
    return tuple(found)


class Fields:
    """The fields that one query may use.

    Args:
        path: the file, which is opened separately for each search.
        views: the topics that the query names.
        tokens: the tokens of the query.
        clock: limits the time of searches of older events.
        decoder: decodes keys and values.

    Attributes:
        notes: results of incomplete searches, one sentence each.
    """

    def __init__(
        self,
        path: Path,
        reader: Reader,
        views: Sequence[TopicView],
        tokens: Sequence[Token],
        clock: Clock,
        decoder: SqlDecoder,
    ) -> None:
        self._path = path
        self._views = views
        self._tokens = tokens
        self._clock = clock
        self._decoder = decoder
        self._names = {view.id: sampled_fields(reader, view, decoder) for view in views}
        self._spelled = {token.spelling: token for token in tokens if token.kind in ("word", "quoted")}
        self._searched: set[str] = set()
        self.notes: list[str] = []

    def columns(self, view: TopicView) -> Columns:
        """Return a view's columns: the whole sample for a query with a star, otherwise those that it names."""
        names = self._names[view.id]
        words = {token.name for token in self._tokens if token.kind == "word"}
        star = any(token.text == "*" for token in self._tokens) or "natural" in words
        found = columns_of(names, self._spelled)
        if star:
            return found
        lows = {name.lower() for name in self._spelled}
        return tuple(one for one in found if one[0].lower() in lows)

    @property
    def stored(self) -> list[str]:
        """The columns of the stored bytes that the query names."""
        lows = {name.lower() for name in self._spelled}
        return [column.name for column in STORED_COLUMNS if column.name in lows]

    def find_quoted(self, known: Iterable[str]) -> None:
        """Search for fields that SQLite would not report as missing.

        SQLite treats a name in double quotes that is not a column as text, and matches a name to a field of the sample
        that differs only in case.

        Args:
            known: names of tables.

        Raises:
            SqlRefused: the time was up before the search ended.
        """
        if not self._views:
            return
        lows = {name.lower() for name in known} | BASE | self._own_names()
        sampled = {field.column for names in self._names.values() for field in names}
        columns = {column.lower(): column for names in self._names.values() for column, _ in columns_of(names)}
        for spelling, token in list(self._spelled.items()):
            low = spelling.lower()
            if low in lows or spelling in sampled or not spelling:
                continue
            if low in columns and columns[low] != spelling:
                if self.find(spelling, exact=True) is None:
                    self.notes.append(f"Not every event was searched for a field {spelling}: {columns[low]} was taken.")
            elif low not in columns and token.text.startswith('"') and self.find(spelling) is None:
                raise SqlRefused(
                    f"There was no time to know whether {token.text} is a field.",
                    f"Write text in single quotes: '{spelling}'. For a field, give the query more time.",
                    token.start,
                    extendable=True,
                )

    def _own_names(self) -> set[str]:
        """The aliases that a query defines."""
        pairs = zip(self._tokens, self._tokens[1:], strict=False)
        return {token.spelling.lower() for before, token in pairs if before.kind == "word" and before.name == "as"}

    def resolve(self, missing: str) -> bool:
        """Search for a column that SQLite reports as missing; True if one was added.

        Args:
            missing: as SQLite reports it: the name, optionally with its table and a point before it.
        """
        parts = missing.split(".")
        for at in range(len(parts)):
            name = ".".join(parts[at:])
            if name not in self._spelled or name in self._searched:
                continue
            before = {view: len(names) for view, names in self._names.items()}
            if self.find(name) is None:
                self.notes.append(f"Not every event was searched for the field {name}: there was no time.")
                for names in self._names.values():
                    names.append(_named(name))
            return any(len(names) > before[view] for view, names in self._names.items())
        return False

    def find(self, name: str, *, exact: bool = False) -> bool | None:
        """Add a field to the views of the topics that have an event with it.

        Args:
            exact: match the case exactly; otherwise any case matches if no event has the exact spelling.

        Returns:
            True if an event has it; None if the time is up.
        """
        if name in self._searched or len(self._searched) >= SEARCHED_MAX:
            return False
        self._searched.add(name)
        wanted = list(dict.fromkeys((Field(name), _named(name))))
        if numbered := _NUMBERED.fullmatch(name):
            wanted.append(_named(numbered[1]))
        found: bool | None = False
        for view in self._views:
            for field in wanted:
                try:
                    is_exact = exact or field.name != name
                    variant = search(self._path, view, field, self._clock, self._decoder, exact=is_exact)
                except (sqlite3.Error, TimeoutError):
                    return None
                if variant is not None:
                    found = True
                    if variant not in self._names[view.id]:
                        self._names[view.id].append(variant)
                    break
        return found


def _named(column: str) -> Field:
    """Return the field of a column's name."""
    part, _, name = column.partition(".")
    if part.lower() == KEY and name:
        return Field(name, is_key=True)
    return Field(name) if part.lower() == VALUE and name.lower() in BASE else Field(column)


def search(
    path: Path, view: TopicView, field: Field, clock: Clock, decoder: SqlDecoder, *, exact: bool
) -> Field | None:
    """Search a topic for an event with a field, the newest of each partition first.

    Args:
        exact: match the case exactly; otherwise another case counts if no event has the exact spelling.

    Returns:
        The field as the events spell it; None if no event has it.

    Raises:
        TimeoutError, sqlite3.Error: the time is up.
    """
    name, part = field.name, field.part
    low = name.lower()
    others: dict[str, None] = {}
    lowered = part if exact or not name.isascii() else f"lower({part})"
    needle = name if lowered == part else low
    decoded = "1" if decoder.is_chosen(view.topic, is_key=field.is_key) else MAY_BE_DECODED[part]
    with read_only(path) as connection:
        connection.set_progress_handler(clock, STEPS)
        partitions = connection.execute(
            "SELECT id, log_start_offset FROM main.partitions WHERE topic = ? ORDER BY partition", (view.id,)
        ).fetchall()
        for partition, start in partitions:
            first = partition << OFFSET_BITS
            for stored, headers in connection.execute(
                f"SELECT {part}, headers FROM main.events WHERE id BETWEEN ? AND ? AND (typeof({part}) = 'text' "
                f"AND (instr({lowered}, ?) OR instr({part}, '\\')) OR {decoded}) ORDER BY id DESC",
                (first + start, first + OFFSET_LIMIT - 1, needle),
            ):
                clock.look()
                text = decoder.text(stored, headers, view.topic, is_key=field.is_key)
                root = parse_value(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else None
                if not isinstance(root, dict):
                    continue
                if name in root:
                    return field
                if not exact:
                    others.update((one, None) for one in root if one.lower() == low)
    return Field(min(others), field.is_key) if others else None


def literal(text: str) -> str:
    """Quote a text as an SQL literal, in single quotes."""
    return "'" + text.replace("'", "''") + "'"


_FAST = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_VALUE = """CASE WHEN e.value IS NULL THEN NULL WHEN typeof(e.value) <> 'text' THEN {any}
  WHEN e.value GLOB '*"{name}"*"{name}"*' OR e.value GLOB '*\\*' OR NOT json_valid(e.value) THEN {any}
  ELSE CASE json_type(e.value, '$.{name}')
    WHEN 'text' THEN json_extract(e.value, '$.{name}')
    WHEN 'true' THEN 1 WHEN 'false' THEN 0 WHEN 'null' THEN NULL
    WHEN 'integer' THEN CASE typeof(json_extract(e.value, '$.{name}'))
      WHEN 'integer' THEN json_extract(e.value, '$.{name}') ELSE json_field(e.value, '{name}') END
    WHEN 'real' THEN CASE WHEN length(e.value -> '$.{name}') <= 15
        AND (e.value -> '$.{name}') = CAST(json_extract(e.value, '$.{name}') AS TEXT)
      THEN json_extract(e.value, '$.{name}') ELSE json_field(e.value, '{name}') END
    WHEN 'object' THEN json_field(e.value, '{name}') WHEN 'array' THEN json_field(e.value, '{name}')
  END END"""
"""A field by SQLite's own JSON functions, which take a third of the time. They are used only if they return the same as
`json_field`: the value contains the name once and no escapes, so the name is not repeated, and SQL has the number. What
is no JSON text may be decoded.
"""


def value_of(topic: str, field: Field, *, fast: bool) -> str:
    """Return the SQL expression of a field."""
    called = f"decoded_field(e.{field.part}, e.headers, {literal(topic)}, {int(field.is_key)}, {literal(field.name)})"
    if fast and not field.is_key and _FAST.fullmatch(field.name):
        return _VALUE.format(name=field.name, any=called)
    return f"CASE WHEN e.{field.part} IS NOT NULL THEN {called} END"


def part_of(topic: str, part: str, decoder: SqlDecoder) -> str:
    """Return the SQL expression of a whole key or value: decoded if it can be."""
    called = f"decoded_part(e.{part}, e.headers, {literal(topic)}, {int(part == KEY)})"
    if decoder.is_chosen(topic, is_key=part == KEY):
        return f"CASE WHEN e.{part} IS NOT NULL THEN {called} END"
    may_be = MAY_BE_DECODED[part].replace(part, f"e.{part}", 2).replace("headers", "e.headers")
    return f"CASE WHEN {may_be} THEN {called} ELSE e.{part} END"
