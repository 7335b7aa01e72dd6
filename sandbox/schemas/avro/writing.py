"""Encodes JSON values into Avro's binary encoding. Errors name the path of the value that does not fit."""

import math
import struct
from decimal import Decimal
from typing import Any

from sandbox.schemas.avro import logical
from sandbox.schemas.avro.types import NO_DEFAULT, AvroType
from sandbox.schemas.json_text import compact
from sandbox.schemas.schema import InvalidValue

_RANGES = {"int": 2**31, "long": 2**63}
_NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def encode(type_: AvroType, value: Any) -> bytes:
    """Return a JSON value as Avro bytes.

    A union's value is plain, or an object with the branch's name as in Avro's JSON encoding: `{"string": "x"}`. A
    plain value takes the first branch that it fits without a conversion.

    Raises:
        InvalidValue: The value does not fit.
    """
    out = bytearray()
    try:
        _write(type_, value, "$", out)
    except RecursionError:
        raise InvalidValue("the value is nested too deeply") from None
    return bytes(out)


def long_bytes(number: int) -> bytes:
    """Return the zig-zag varint of a number."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _write(type_: AvroType, value: Any, path: str, out: bytearray) -> None:
    convert = logical.writer(type_)
    if convert is not None:
        try:
            value = convert(value)
        except ValueError as error:
            raise InvalidValue(f"{path}: {error}") from None
    match type_.kind:
        case "record":
            _write_record(type_, value, path, out)
        case "union":
            place = _branch(type_, value, path)
            branch = type_.branches[place]
            out += long_bytes(place)
            tagged = isinstance(value, dict) and list(value) == [branch.label] and not _fits(branch, value)
            _write(branch, value[branch.label] if tagged else value, path, out)
        case "array":
            _expect(isinstance(value, list), "an array", value, path)
            if value:
                out += long_bytes(len(value))
            for place, item in enumerate(value):
                _write(type_.element, item, f"{path}[{place}]", out)
            out.append(0)
        case "map":
            _expect(isinstance(value, dict), "an object", value, path)
            if value:
                out += long_bytes(len(value))
            for key, item in value.items():
                _write_bytes(key.encode(), out)
                _write(type_.element, item, f"{path}.{key}", out)
            out.append(0)
        case _:
            _write_scalar(type_, value, path, out)


def _write_bytes(data: bytes, out: bytearray) -> None:
    out += long_bytes(len(data))
    out += data


def _write_record(type_: AvroType, value: Any, path: str, out: bytearray) -> None:
    _expect(isinstance(value, dict), f"an object for record {type_.name}", value, path)
    names = {field.name for field in type_.fields}
    for name in value:
        if name not in names:
            raise InvalidValue(f"{path}.{name}: record {type_.name} has no such field; it has {', '.join(names)}")
    for field in type_.fields:
        item = value.get(field.name, field.default)
        if item is NO_DEFAULT:
            raise InvalidValue(f"{path}.{field.name}: missing, and the field has no default")
        _write(field.type, item, f"{path}.{field.name}", out)


def _write_scalar(type_: AvroType, value: Any, path: str, out: bytearray) -> None:
    match type_.kind:
        case "null":
            _expect(value is None, "null", value, path)
        case "boolean":
            _expect(isinstance(value, bool), "true or false", value, path)
            out.append(value)
        case "int" | "long":
            limit = _RANGES[type_.kind]
            whole = _whole(value)
            _expect(whole is not None and -limit <= whole < limit, f"an integer ({type_.kind})", value, path)
            out += long_bytes(whole or 0)
        case "float" | "double":
            _write_float(type_.kind, value, path, out)
        case "enum":
            _expect(value in type_.symbols, f"one of {', '.join(type_.symbols)}", value, path)
            out += long_bytes(type_.symbols.index(value))
        case "string":
            _expect(isinstance(value, str), "a string", value, path)
            try:
                _write_bytes(value.encode(), out)
            except UnicodeEncodeError:
                raise InvalidValue(f"{path}: the text has a lone surrogate") from None
        case _:
            _write_data(type_, value, path, out)


def _write_float(kind: str, value: Any, path: str, out: bytearray) -> None:
    number = _NOT_FINITE.get(value, value) if isinstance(value, str) else value
    _expect(_is_number(number), f"a number ({kind})", value, path)
    try:
        out += struct.pack("<f" if kind == "float" else "<d", number)
    except OverflowError:
        raise InvalidValue(f"{path}: {value} does not fit in a {kind}") from None


def _write_data(type_: AvroType, value: Any, path: str, out: bytearray) -> None:
    if isinstance(value, str):
        try:
            value = logical.text_bytes(value)
        except ValueError as error:
            raise InvalidValue(f"{path}: {error}") from None
    _expect(isinstance(value, bytes), "bytes, as text with one character for each", value, path)
    if type_.kind == "bytes":
        _write_bytes(value, out)
    else:
        _expect(len(value) == type_.size, f"{type_.size} bytes", value, path)
        out += value


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _branch(union: AvroType, value: Any, path: str) -> int:
    if isinstance(value, dict) and len(value) == 1:
        (tag,) = value
        for place, branch in enumerate(union.branches):
            if branch.label == tag and not any(_fits(one, value) for one in union.branches if one.kind == "record"):
                return place
    for place, branch in enumerate(union.branches):
        if _fits(branch, value):
            return place
    for place, branch in enumerate(union.branches):
        try:
            _write(branch, value, path, bytearray())
        except InvalidValue:
            continue
        return place
    raise _mismatch(f"one of {', '.join(branch.label for branch in union.branches)}", value, path)


def _fits(type_: AvroType, value: Any) -> bool:
    """Report whether a value has the type without any conversion, the values inside it included."""
    if type_.logical_type() in ("decimal", "big-decimal"):
        return isinstance(value, Decimal) and _writes(type_, value)
    if type_.logical_type() is not None:
        return isinstance(value, str) and _writes(type_, value)
    match type_.kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "int" | "long":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _RANGES[type_.kind]
        case "float" | "double":
            return isinstance(value, float)
        case "enum" | "string" | "bytes" | "fixed":
            return isinstance(value, str) and _writes(type_, value)
        case "array":
            return isinstance(value, list) and _writes(type_, value)
    return isinstance(value, dict) and _writes(type_, value)


def _writes(type_: AvroType, value: Any) -> bool:
    try:
        _write(type_, value, "", bytearray())
    except InvalidValue:
        return False
    return True


def _expect(fits: bool, expected: str, value: Any, path: str) -> None:
    if not fits:
        raise _mismatch(expected, value, path)


def _mismatch(expected: str, value: Any, path: str) -> InvalidValue:
    shown = compact(value) if not isinstance(value, bytes) else value.hex()
    return InvalidValue(f"{path}: expected {expected}, got {shown[:100]}{'...' if len(shown) > 100 else ''}")
