"""Decodes Avro's binary encoding into JSON values.

Not fastavro: its native reader crashes the process when a short payload nests a recursive type some thousand levels
deep, accepts negative lengths, and reads lists of empty items of any stated length. Source of the encoding:
https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

import struct
from collections.abc import Callable
from typing import Any

from sandbox.schemas.avro import logical
from sandbox.schemas.avro.types import AvroType
from sandbox.schemas.floats import not_finite, shortest_single
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
