"""What a JSON value is: the one rule for Messages, SQL and exports. `docs/sql.md` has it for users.

* A value is JSON if its bytes are UTF-8 and one JSON text (RFC 8259), without a byte order mark, NaN or Infinity.
* Names are exact, upper and lower case included. Of a name that an object has more than once, the last one counts: so
  JavaScript, Python and most Java parsers read it.
* Numbers are never rounded. They are compared by their exact decimal value and shown as they were written. SQL has
  integers of 64 bits and doubles: a number that neither gives back is text there.
* Text is whole, a NUL character included.
"""

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1

Cell = None | int | float | str
"""What SQL has for a JSON value."""


class Number(str):
    """A JSON number, as it is written."""

    __slots__ = ()

    def exact(self) -> Decimal | None:
        """Its exact value; None if its exponent is too large for a decimal."""
        return decimal_of(self)


class _Missing:
    pass


MISSING = _Missing()
"""What a path leads to where there is nothing; null is something."""


def _refuse(name: str) -> object:
    raise ValueError(name)


# `json.loads` would make a decoder for each value.
_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse)


def parse_value(data: bytes | None) -> Any:
    """The JSON in some bytes: numbers as `Number`; MISSING for what is not JSON."""
    if not data:
        return MISSING
    try:
        return _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        return MISSING


def decimal_of(text: str) -> Decimal | None:
    """The exact value of a number; None if its exponent is too large."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def json_text(node: Any, comma: str = ", ", colon: str = ": ") -> str:
    """A parsed value as JSON again, on one line, each number as it was written."""
    if isinstance(node, dict):
        members = (json_text(name) + colon + json_text(one, comma, colon) for name, one in node.items())
        return "{" + comma.join(members) + "}"
    if isinstance(node, list):
        return "[" + comma.join(json_text(one, comma, colon) for one in node) + "]"
    if isinstance(node, Number):
        return str(node)
    return json.dumps(node, ensure_ascii=False)


def shown_text(node: Any) -> str | None:
    """What a cell shows of a place in a value: text without quotes, the rest as JSON; None for MISSING."""
    if node is MISSING:
        return None
    return node if isinstance(node, str) and not isinstance(node, Number) else json_text(node)


# SQL


def number_cell(text: str) -> int | float | str:
    """A JSON number for SQL: an integer of 64 bits, a double that gives it back, else the text as written."""
    if text.lstrip("-").isdigit():
        # The digits first: Python refuses to read thousands of them.
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
    """Reads JSON values for SQL. Consecutive calls are about the same value, which is then parsed once.

    Args:
        on_exact: called with the place of each number that is text because SQL has no number for it.
    """

    def __init__(self, on_exact: Callable[[str], object]) -> None:
        self._on_exact = on_exact
        self._text: str | None = None
        self._root: Any = MISSING
        # Integers are exact in Python, and read three times as fast as with a function of ours.
        self._decoder = json.JSONDecoder(parse_float=_float, parse_constant=_refuse)

    def field(self, text: str, name: str) -> Cell:
        """The member of an object, by its exact name; None if there is none, or the text is not a JSON object."""
        root = self._parsed(text)
        if type(root) is not dict:
            return None
        return self._cell(root.get(name), name, lambda: parse_value(text.encode())[name])

    def at(self, text: str, find: Callable[[Any], Any], place: str) -> Cell:
        """What a path finds in a value; None if it finds nothing."""
        root = parse_value(text.encode("utf-8", "surrogatepass"))
        found = MISSING if root is MISSING else find(root)
        return None if found is MISSING else self._cell(found, place, lambda: found)

    def _parsed(self, text: str) -> Any:
        if text != self._text:
            self._text = text
            try:
                self._root = self._decoder.decode(text)
            except (ValueError, RecursionError):
                # Also an integer that is too long for Python.
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
    """A number with a fraction or an exponent: a double if that gives it back."""
    found = float(text)
    if repr(found) == text:
        return found
    cell = number_cell(text)
    return cell if isinstance(cell, float) else Number(text)


def _encodable(text: str) -> str:
    """Text that UTF-8 has: half of a surrogate pair, which JSON can escape, becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
