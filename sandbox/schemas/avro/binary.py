"""Avro's binary encoding: converts it into JSON values, and JSON values into it."""

import math
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sandbox.schemas.avro import logical
from sandbox.schemas.avro.types import NO_DEFAULT, AvroType
from sandbox.schemas.json_text import compact, not_finite, shortest_single
from sandbox.schemas.schema import InvalidValue

Reader = Callable[[bytes, int], tuple[Any, int]]
"""Reads one value at a position of a payload; returns it and the position after it."""

MAX_EMPTY_ITEMS = 100_000
"""The longest list of items that take no bytes, such as nulls."""


class Broken(InvalidValue):
    """Collects the path while it passes through the readers of the enclosing types."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.path = ""


class Decoder:
    """Decodes payloads of one type.

    Args:
        read: reads a payload; None to read it as the type says.
    """

    def __init__(self, type_: AvroType, read: Reader | None = None) -> None:
        self._named: dict[int, list[Reader]] = {}
        self._read = self.reader(type_) if read is None else read

    def decode(self, payload: bytes) -> Any:
        """Return the value of a payload. Raises `InvalidValue`."""
        try:
            value, end = self._read(payload, 0)
        except Broken as broken:
            raise InvalidValue(f"${broken.path}: {broken.cause}") from None
        except RecursionError:
            raise InvalidValue("the value is nested too deeply") from None
        except IndexError:
            raise InvalidValue(f"the {len(payload)} bytes end in the middle of a value") from None
        if end != len(payload):
            raise InvalidValue(f"{len(payload) - end} of {len(payload)} bytes are left after the value")
        return value

    def reader(self, type_: AvroType) -> Reader:
        """Return the reader of a type."""
        converted = logical.reader(type_)
        if converted is not None:
            return _converting(_PRIMITIVES.get(type_.kind) or _fixed(type_.size), converted)
        match type_.kind:
            case "record":
                return self._record(type_)
            case "enum":
                return _enum(type_.symbols)
            case "fixed":
                return _converting(_fixed(type_.size), logical.bytes_text)
            case "array":
                return array_of(self.reader(type_.element), type_.element)
            case "map":
                return map_of(self.reader(type_.element))
            case "union":
                return union_of([self.reader(branch) for branch in type_.branches])
            case "bytes":
                return _converting(_bytes, logical.bytes_text)
        return _PRIMITIVES[type_.kind]

    def _record(self, type_: AvroType) -> Reader:
        known = self._named.get(id(type_))
        if known is not None:
            # A recursive type's own reader is not made yet.
            return known[0] if known else lambda data, at: known[0](data, at)
        holder: list[Reader] = []
        self._named[id(type_)] = holder
        holder.append(_record([(field.name, self.reader(field.type)) for field in type_.fields]))
        return holder[0]


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Read a zig-zag varint of at most 10 bytes."""
    byte = data[at]
    at += 1
    number = byte & 0x7F
    shift = 7
    while byte > 0x7F:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if shift > 70:
            raise Broken("a number has more than 10 bytes")
    return (number >> 1) ^ -(number & 1), at


def _int(data: bytes, at: int) -> tuple[int, int]:
    number, at = read_long(data, at)
    if not -(2**31) <= number < 2**31:
        raise Broken(f"{number} does not fit in an int")
    return number, at


def _long(data: bytes, at: int) -> tuple[int, int]:
    number, at = read_long(data, at)
    if not -(2**63) <= number < 2**63:
        raise Broken(f"{number} does not fit in a long")
    return number, at


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at]
    if byte > 1:
        raise Broken(f"0x{byte:02x} is not a boolean")
    return byte == 1, at + 1


def _cut(data: bytes, at: int, size: int) -> bytes:
    if size < 0 or size > len(data) - at:
        raise Broken(f"a length of {size} bytes, but {len(data) - at} are left")
    return data[at : at + size]


def _float(data: bytes, at: int) -> tuple[float | str, int]:
    return shortest_single(_cut(data, at, 4)), at + 4


def _double(data: bytes, at: int) -> tuple[float | str, int]:
    (number,) = struct.unpack("<d", _cut(data, at, 8))
    return number if number - number == 0 else not_finite(number), at + 8


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = read_long(data, at)
    return _cut(data, at, size), at + size


def _string(data: bytes, at: int) -> tuple[str, int]:
    size, at = read_long(data, at)
    cut = _cut(data, at, size)
    try:
        return cut.decode(), at + size
    except UnicodeDecodeError:
        raise Broken("a string is not UTF-8") from None


_PRIMITIVES: dict[str, Reader] = {
    "null": lambda data, at: (None, at),
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "float": _float,
    "double": _double,
    "bytes": _bytes,
    "string": _string,
}


def _fixed(size: int) -> Reader:
    return lambda data, at: (_cut(data, at, size), at + size)


def _converting(read: Reader, convert: Callable[[Any], Any]) -> Reader:
    def converting(data: bytes, at: int) -> tuple[Any, int]:
        value, at = read(data, at)
        try:
            return convert(value), at
        except ValueError as error:
            raise Broken(str(error)) from None

    return converting


def _enum(symbols: tuple[str, ...]) -> Reader:
    def read(data: bytes, at: int) -> tuple[str, int]:
        place, at = read_long(data, at)
        if not 0 <= place < len(symbols):
            raise Broken(f"symbol {place} of an enum with {len(symbols)}")
        return symbols[place], at

    return read


def raw_reader(type_: AvroType) -> Reader:
    """Return the reader of a primitive type, enum or fixed type that leaves its logical type out."""
    if type_.kind == "enum":
        return _enum(type_.symbols)
    return _fixed(type_.size) if type_.kind == "fixed" else _PRIMITIVES[type_.kind]


def union_of(branches: list[Reader]) -> Reader:
    """Return the reader of a union whose branches have these readers."""

    def read(data: bytes, at: int) -> tuple[Any, int]:
        place, at = read_long(data, at)
        if not 0 <= place < len(branches):
            raise Broken(f"branch {place} of a union with {len(branches)}")
        return branches[place](data, at)

    return read


def _record(fields: list[tuple[str, Reader]]) -> Reader:
    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        record = {}
        name = ""
        try:
            for name, field in fields:
                record[name], at = field(data, at)
        except Broken as broken:
            broken.path = f".{name}{broken.path}"
            raise
        return record, at

    return read


def _blocks(data: bytes, at: int, least_size: int) -> tuple[int, int]:
    """Read the head of a block: the number of its items, 0 at the end."""
    count, at = read_long(data, at)
    if count < 0:
        count = -count
        _, at = read_long(data, at)
    if count * least_size > len(data) - at:
        raise Broken(f"{count} items, but {len(data) - at} bytes are left")
    return count, at


def array_of(item: Reader, written: AvroType) -> Reader:
    """Return the reader of an array.

    Args:
        item: the reader of its items.
        written: the type of the items as they were written.
    """
    least_size = _least_size(written, set())

    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        count, at = _blocks(data, at, least_size)
        try:
            while count:
                if not least_size and len(items) + count > MAX_EMPTY_ITEMS:
                    raise Broken(f"more than {MAX_EMPTY_ITEMS} items of no bytes")
                for _ in range(count):
                    value, at = item(data, at)
                    items.append(value)
                count, at = _blocks(data, at, least_size)
        except Broken as broken:
            broken.path = f"[{len(items)}]{broken.path}"
            raise
        return items, at

    return read


def map_of(item: Reader) -> Reader:
    """Return the reader of a map whose values have a reader."""

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        items: dict[str, Any] = {}
        key = ""
        count, at = _blocks(data, at, 1)
        try:
            while count:
                for _ in range(count):
                    key, at = _string(data, at)
                    items[key], at = item(data, at)
                count, at = _blocks(data, at, 1)
        except Broken as broken:
            broken.path = f".{key}{broken.path}"
            raise
        return items, at

    return read


def _least_size(type_: AvroType, seen: set[int]) -> int:
    """Return 0 if a value of the type may take no bytes, else 1."""
    if type_.kind == "null" or (type_.kind == "fixed" and not type_.size):
        return 0
    if type_.kind == "record":
        if id(type_) in seen:
            return 1
        seen.add(id(type_))
        return max((_least_size(field.type, seen) for field in type_.fields), default=0)
    return 1


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
