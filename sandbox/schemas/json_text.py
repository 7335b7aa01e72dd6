"""Reads and writes the JSON of schemas as Jackson does, the library in which Confluent's registry stores them."""

import json
import math
import re
import struct
from decimal import Decimal
from typing import Any

from sandbox.schemas.schema import InvalidSchema

MAX_DEPTH = 150
"""Nesting of objects and lists above which a text is refused."""


def parse_json(text: str, *, decimals: bool = False) -> Any:
    """Parse a schema's JSON text. If a name occurs more than once in an object, the last one counts.

    Args:
        text: The JSON text.
        decimals: Numbers with a fraction or exponent become `Decimal` and are printed as they are, not as doubles.

    Raises:
        InvalidSchema: It is not JSON; the message has the line and column. Or it is nested too deeply, or has text
            that is not valid Unicode.
    """
    try:
        value = json.loads(text, parse_float=Decimal if decimals else float, parse_constant=_refuse)
    except RecursionError:
        raise InvalidSchema(f"the schema is nested more than {MAX_DEPTH} levels deep") from None
    except json.JSONDecodeError as error:
        raise InvalidSchema(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise InvalidSchema(f"not JSON: {error}") from None
    _check_depth(value)
    if "\\ud" in text.lower():
        _check_unicode(value)
    return value


def _check_unicode(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise InvalidSchema("an escape such as \\ud800 is half of a pair, which is not valid Unicode") from None


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise InvalidSchema(f"the schema is nested more than {MAX_DEPTH} levels deep")


def compact(value: Any, *, sort_keys: bool = False) -> str:
    """Print JSON values without white space, non-ASCII characters as they are and doubles as Java prints them."""
    parts: list[str] = []
    _write(value, parts, sort_keys)
    return "".join(parts)


_string = json.JSONEncoder(ensure_ascii=False).encode


def _write(value: Any, parts: list[str], sort_keys: bool) -> None:
    if isinstance(value, dict):
        parts.append("{")
        for place, key in enumerate(sorted(value) if sort_keys else value):
            parts.append(("," if place else "") + string_text(key) + ":")
            _write(value[key], parts, sort_keys)
        parts.append("}")
    elif isinstance(value, list | tuple):
        parts.append("[")
        for place, inner in enumerate(value):
            if place:
                parts.append(",")
            _write(inner, parts, sort_keys)
        parts.append("]")
    elif isinstance(value, str):
        parts.append(string_text(value))
    elif isinstance(value, float):
        parts.append(double_text(value))
    elif isinstance(value, Decimal):
        parts.append(str(value))
    else:
        parts.append(json.dumps(value))


def string_text(text: str) -> str:
    """Return a JSON string; control characters have upper-case hexadecimal digits, as in Jackson."""
    printed = _string(text)
    if "\\u00" in printed:
        printed = re.sub(r"\\u00[01][0-9a-f]", lambda found: "\\u" + found[0][2:].upper(), printed)
    return printed


def double_text(value: float) -> str:
    """Return a double as Java's Double.toString prints it: 1.0E10, not 10000000000.0."""
    if math.isinf(value) or math.isnan(value):
        return {math.inf: '"Infinity"', -math.inf: '"-Infinity"'}.get(value, '"NaN"')
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = repr(value)
        return text if "." in text and "e" not in text else format(Decimal(text), "f")
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    figures = "".join(map(str, digits))
    power = int(exponent) + len(figures) - 1
    return f"{'-' if sign else ''}{figures[0]}.{figures[1:] or '0'}E{power}"


def shortest_single(data: bytes) -> float | str:
    """Return a 4-byte little-endian float as the number with the fewest digits that is stored as the same bytes."""
    (number,) = struct.unpack("<f", data)
    if number - number != 0:
        return not_finite(number)
    for digits in (7, 8):
        short = float(f"{number:.{digits}g}")
        if abs(short) < 3.4e38 and struct.pack("<f", short) == data:
            return short
    return float(f"{number:.9g}") if abs(number) < 3.4e38 else float(number)


def not_finite(number: float) -> str:
    """Return the text for numbers that JSON does not have, as Protobuf's JSON has them."""
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def value_text(value: Any) -> str:
    """Return a decoded value as compact JSON. Decimals are numbers with all their digits."""
    return compact(value)
