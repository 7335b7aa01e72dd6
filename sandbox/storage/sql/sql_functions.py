"""SQLite's functions as far as a query may use them.

Problem: SQLite looks at the clock between the steps of its machine, and one call of a function is one step. Some work
for hours on values of ten megabytes: `instr` compares the whole needle at every place. Here these are Python's own,
which take time in proportion to what they are given; others are refused; LIKE is kept short.
"""

import sqlite3
from collections.abc import Callable

VALUE_MAX_BYTES = 10 * 1024 * 1024
TRIMMED_MAX = 1_000
"""How many characters `trim` may be told to take away."""
PATTERN_MAX = 100
"""Of LIKE and GLOB, which take as many steps for each character of what they look at, at worst."""
PATTERNS_MAX = 10
"""How many LIKE and GLOB a query may have: all those of a row run before anything can stop them."""
PATTERNS = frozenset(("like", "glob"))
REFUSED = frozenset(
    (
        "load_extension",
        "fts3_tokenizer",
        "icu_load_collation",
        "sqlite_compileoption_get",
        "sqlite_log",
        # With a width of 1,000,000,000 these two work for 20 s in one step.
        "printf",
        "format",
        # These take time, or give text, in proportion to the square of what they are given.
        "json_patch",
        "jsonb_patch",
        "json_pretty",
        "unhex",
        "regexp",
    )
)

Value = None | int | float | str | bytes


def put_in_place(connection: sqlite3.Connection, look: Callable[[], None]) -> None:
    """Let a connection use these functions in place of SQLite's.

    Args:
        look: called by each of them; what it raises ends the query.
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
    """A value as SQLite writes it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        digits, exponent, power = f"{value:.15g}".partition("e")
        return f"{digits if '.' in digits or 'n' in digits else digits + '.0'}{exponent}{power}"
    return str(value)
