"""Defines JSON values for Messages, SQL and exports. `docs/sql.md` describes the rules for users.

* A value is JSON if its bytes are UTF-8 and one JSON text (RFC 8259), without a byte order mark, NaN or Infinity.
* Names are exact and case-sensitive. If an object has a name more than once, the last one counts, as in JavaScript,
  Python and most Java parsers.
* Numbers are never rounded. They are compared by their exact decimal value and shown as they were written. SQL has
  64-bit integers and doubles: a number that neither can represent is text there.
* Text is complete, including NUL characters.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1

Cell = None | int | float | str
"""The SQL types of a JSON value."""


class Number(str):
    """A JSON number, as it is written."""

    __slots__ = ()

    def exact(self) -> Decimal | None:
        """Its exact value; None if its exponent is too large for a decimal."""
        return decimal_of(self)


class _Missing:
    pass


MISSING = _Missing()
"""The result of a path that finds nothing; null is a value."""


def _refuse(name: str) -> object:
    raise ValueError(name)


# `json.loads` would create a decoder for each value.
_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse)


def parse_value(data: bytes | None) -> Any:
    """Parse JSON bytes, with numbers as `Number`; MISSING if they are not JSON."""
    if not data:
        return MISSING
    try:
        return _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        return MISSING


def decimal_of(text: str) -> Decimal | None:
    """Return the exact value of a number; None if its exponent is too large."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def json_text(node: Any, comma: str = ", ", colon: str = ": ") -> str:
    """Write a parsed value as JSON on one line, each number as it was written.

    Not recursive: everything that the parser accepts can be written, however deep.
    """
    parts: list[str] = []
    open_nodes: list[tuple[Iterator[Any], str]] = []
    before = ""
    while True:
        parts.append(before)
        if isinstance(node, dict):
            open_nodes.append((iter(node.items()), "}"))
            parts.append("{")
            before = ""
        elif isinstance(node, list):
            open_nodes.append((iter(node), "]"))
            parts.append("[")
            before = ""
        else:
            parts.append(str(node) if isinstance(node, Number) else json.dumps(node, ensure_ascii=False))
            before = comma
        while open_nodes:
            members, end = open_nodes[-1]
            node = next(members, MISSING)
            if node is not MISSING:
                if end == "}":
                    name, node = node
                    before += json.dumps(name, ensure_ascii=False) + colon
                break
            parts.append(end)
            before = comma
            open_nodes.pop()
        else:
            return "".join(parts)


def shown_text(node: Any) -> str | None:
    """Return the text of a cell for a parsed value: text without quotes, anything else as JSON; None for MISSING."""
    if node is MISSING:
        return None
    return node if isinstance(node, str) and not isinstance(node, Number) else json_text(node)


# SQL


def number_cell(text: str) -> int | float | str:
    """Convert a JSON number for SQL: a 64-bit integer, a double that represents it exactly, or its text."""
    if text.lstrip("-").isdigit():
        # Check the length first: Python refuses to parse thousands of digits.
        if len(text) <= 20 and INTEGER_MIN <= int(text) <= INTEGER_MAX:
            return int(text)
        return str(text)
    found = float(text)
    if repr(found) == text:
        return found
    try:
        return found if Decimal(repr(found)) == Decimal(text) else str(text)
    except InvalidOperation:
        return str(text)


class SqlFields:
    """Reads JSON values for SQL. A value that consecutive calls share is parsed once.

    Args:
        on_exact: called with the place of each number that is text because SQL cannot represent it.
    """

    def __init__(self, on_exact: Callable[[str], object]) -> None:
        self._on_exact = on_exact
        self._text: str | None = None
        self._root: Any = MISSING
        # Integers are exact in Python, and parsed three times as fast without a function of ours.
        self._decoder = json.JSONDecoder(parse_float=_float, parse_constant=_refuse)

    def field(self, text: str, name: str) -> Cell:
        """Return an object's member by its exact name; None if there is none, or the text is not a JSON object."""
        root = self._parsed(text)
        if type(root) is not dict:
            return None
        return self._cell(root.get(name), name, lambda: parse_value(text.encode())[name])

    def at(self, text: str, find: Callable[[Any], Any], place: str) -> Cell:
        """Return the value that a path finds; None if it finds nothing."""
        root = parse_value(text.encode("utf-8", "surrogatepass"))
        found = MISSING if root is MISSING else find(root)
        return None if found is MISSING else self._cell(found, place, lambda: found)

    def _parsed(self, text: str) -> Any:
        if text != self._text:
            self._text = text
            try:
                self._root = self._decoder.decode(text)
            except (ValueError, RecursionError):
                # The text may also be valid JSON with an integer that is too long for Python.
                self._root = parse_value(text.encode("utf-8", "surrogatepass"))
        return self._root

    def _cell(self, node: Any, place: str, exact: Callable[[], Any]) -> Cell:
        kind = type(node)
        if kind is str:
            return node if node.isascii() else _encodable(node)
        if node is None or kind is float:
            return node  # type: ignore[no-any-return]
        if kind is bool:
            return int(node)
        if kind is int:
            if INTEGER_MIN <= node <= INTEGER_MAX:
                return int(node)
            self._on_exact(place)
            return str(node)
        if kind is Number:
            cell = number_cell(node)
            if isinstance(cell, str):
                self._on_exact(place)
            return cell
        return _encodable(json_text(exact(), ",", ":"))


def _float(text: str) -> float | Number:
    """Parse a number with a fraction or an exponent: a double if that represents it exactly, otherwise a Number."""
    found = float(text)
    if repr(found) == text:
        return found
    cell = number_cell(text)
    return cell if isinstance(cell, float) else Number(text)


def _encodable(text: str) -> str:
    """Replace an unpaired surrogate, which JSON can escape and UTF-8 can't encode, with U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
