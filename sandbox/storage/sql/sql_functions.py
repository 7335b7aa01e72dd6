"""Replaces or refuses SQLite functions that could run for too long.

Problem: SQLite checks the clock between the steps of its virtual machine, and one call of a function is one step. Some
functions take hours on values of ten megabytes: `instr` compares the whole needle at every position. Here these are
Python's own, which take linear time; others are refused; LIKE patterns are short.
"""

import sqlite3
from collections.abc import Callable
from functools import lru_cache

from sandbox.kafka.errors import BrokerError
from sandbox.model.json_conditions import JsonPath
from sandbox.model.json_values import SqlFields

VALUE_MAX_BYTES = 10 * 1024 * 1024
TRIMMED_MAX = 1_000
"""The maximum number of characters in the second argument of `trim`."""
PATTERN_MAX = 100
"""The maximum length of LIKE and GLOB patterns: at worst, they take that many steps per character of the value."""
PATTERNS_MAX = 10
"""The maximum number of LIKE and GLOB in a query: all of a row's run before anything can stop them."""
PATTERNS = frozenset(("like", "glob"))
REFUSED = frozenset(
    (
        "load_extension",
        "fts3_tokenizer",
        "icu_load_collation",
        "sqlite_compileoption_get",
        "sqlite_log",
        # With a width of 1,000,000,000, these two take 20 s in one step.
        "printf",
        "format",
        # These take quadratic time, or return text of quadratic size.
        "json_patch",
        "jsonb_patch",
        "json_pretty",
        "unhex",
        "regexp",
    )
)

Value = None | int | float | str | bytes


def put_in_place(connection: sqlite3.Connection, look: Callable[[], None]) -> None:
    """Replace some of SQLite's functions on a connection.

    Args:
        look: called by each of them; an exception that it raises ends the query.
    """

    def add(name: str, arguments: int, function: Callable[..., Value]) -> None:
        def looking(*values: Value) -> Value:
            look()
            return None if any(value is None for value in values) else function(*values)

        connection.create_function(name, arguments, looking, deterministic=True)

    add("instr", 2, _instr)
    add("replace", 3, _replace)
    add("trim", 2, lambda text, characters: _text(text).strip(_few(characters)))
    add("ltrim", 2, lambda text, characters: _text(text).lstrip(_few(characters)))
    add("rtrim", 2, lambda text, characters: _text(text).rstrip(_few(characters)))


def add_json(
    connection: sqlite3.Connection,
    on_exact: Callable[[str], object],
    look: Callable[[], None],
    on_wrong: Callable[[str], object],
) -> None:
    """Add functions to a connection that read JSON as the rest of the sandbox does (`sandbox.model.json_values`).

    `json_field(value, name)` returns a member of an object, `json_value(value, path)` the value at a path as on the
    Messages page.

    Args:
        on_exact: called with the name or path of each number that is text because SQL cannot represent it.
        look: as in `put_in_place`.
        on_wrong: called with the description of an invalid path, before the query ends.
    """
    fields = SqlFields(on_exact)

    def field(value: Value, name: Value) -> Value:
        look()
        return fields.field(value, str(name)) if isinstance(value, str) else None

    def at(value: Value, path: Value) -> Value:
        look()
        if not isinstance(value, str) or path is None:
            return None
        try:
            place = _path(str(path))
        except BrokerError as error:
            on_wrong(error.detail)
            raise
        return fields.at(value, place.find, str(place))

    connection.create_function("json_field", 2, field, deterministic=True)
    connection.create_function("json_value", 2, at, deterministic=True)


_path = lru_cache(256)(JsonPath.parse)


def _instr(hay: Value, needle: Value) -> int:
    if isinstance(hay, bytes) and isinstance(needle, bytes):
        return hay.find(needle) + 1
    return _text(hay).find(_text(needle)) + 1


def _replace(value: Value, old: Value, new: Value) -> Value:
    text, before, after = _text(value), _text(old), _text(new)
    if not before:
        return text if isinstance(value, bytes) else value
    if len(text) + text.count(before) * (len(after) - len(before)) > VALUE_MAX_BYTES:
        # SQLite's "string or blob too big".
        raise OverflowError
    return text.replace(before, after)


def _few(characters: Value) -> str:
    text = _text(characters)
    if len(text) > TRIMMED_MAX:
        raise OverflowError
    return text


def _text(value: Value) -> str:
    """A value as text, formatted as SQLite does."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        digits, exponent, power = f"{value:.15g}".partition("e")
        return f"{digits if '.' in digits or 'n' in digits else digits + '.0'}{exponent}{power}"
    return str(value)
