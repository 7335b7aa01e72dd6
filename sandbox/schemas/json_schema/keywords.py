"""Reads keywords with the type that they must have; errors name the path."""

import re
from decimal import Decimal
from typing import Any

from sandbox.schemas.json_text import compact
from sandbox.schemas.schema import InvalidSchema

INTEGERS = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
STRINGS = ("minLength", "maxLength", "pattern", "format")


def number(json: dict[str, Any], name: str, path: str) -> int | Decimal | None:
    """Return a number; None if the keyword is missing."""
    value: int | Decimal | None = _typed(json, name, path, (int, Decimal), "a number")
    return value


def integer(json: dict[str, Any], name: str, path: str) -> int | None:
    """Return an integer; None if the keyword is missing."""
    value = _typed(json, name, path, (int, Decimal), "an integer")
    if value is not None and value != int(value):
        raise _wrong(json, name, path, "an integer")
    return None if value is None else int(value)


def text(json: dict[str, Any], name: str, path: str) -> str | None:
    """Return a string; None if the keyword is missing."""
    value: str | None = _typed(json, name, path, (str,), "a string")
    return value


def array(json: dict[str, Any], name: str, path: str) -> list[Any]:
    """Return a list; an empty one if the keyword is missing."""
    return _typed(json, name, path, (list,), "an array") or []


def mapping(json: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    """Return an object; an empty one if the keyword is missing."""
    return _typed(json, name, path, (dict,), "an object") or {}


def boolean(json: dict[str, Any], name: str, path: str) -> bool:
    """Return a boolean; False if the keyword is missing."""
    if name in json and not isinstance(json[name], bool):
        raise _wrong(json, name, path, "true or false")
    return bool(json.get(name))


def names(json: dict[str, Any], name: str, path: str) -> list[str]:
    """Return a list of strings; an empty one if the keyword is missing."""
    found = array(json, name, path)
    if not all(isinstance(one, str) for one in found):
        raise _wrong(json, name, path, "an array of strings")
    return found


def pattern(expression: str, path: str) -> str:
    """Return a regular expression that can be compiled, at least once Java's own syntax is set aside."""
    try:
        re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        if expression.count("(") != expression.count(")") or expression.count("[") > expression.count("]"):
            raise InvalidSchema(f"{expression!r} is not a regular expression: {error} (at {path})") from None
    return expression


def _typed(json: dict[str, Any], name: str, path: str, types: tuple[type, ...], expected: str) -> Any:
    if name not in json:
        return None
    value = json[name]
    if not isinstance(value, types) or isinstance(value, bool):
        raise _wrong(json, name, path, expected)
    return value


def _wrong(json: dict[str, Any], name: str, path: str, expected: str) -> InvalidSchema:
    shown = compact(json[name])
    return InvalidSchema(f"{path}/{name}: expected {expected}, found {shown[:100]}{'...' if len(shown) > 100 else ''}")
