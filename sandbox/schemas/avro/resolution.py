"""Decodes Avro payloads with a reader's schema that differs from the writer's.

A difference that matters fails at the value that has it, not at the schema: a reader without a branch of a union reads
every event that does not use the branch. Source: the specification's chapter on schema resolution, and
org.apache.avro.Resolver of Apache Avro 1.12 for the choice of a union's branch.
"""

from collections.abc import Callable
from typing import Any

from sandbox.schemas.avro import logical
from sandbox.schemas.avro.binary import Broken, Decoder, Reader, array_of, encode, map_of, raw_reader, union_of
from sandbox.schemas.avro.compatibility import PROMOTIONS, AmbiguousAlias, incompatibilities
from sandbox.schemas.avro.types import NO_DEFAULT, AvroType, RecordField
from sandbox.schemas.schema import InvalidValue, TooManyComparisons


class ResolvingDecoder(Decoder):
    """Decodes what was written with one type as another.

    Args:
        reader: the type that the consumer has.
        writer: the type with which the payloads were written.
    """

    def __init__(self, reader: AvroType, writer: AvroType) -> None:
        self._pairs: dict[tuple[int, int], list[Reader]] = {}
        self._plain = Decoder(writer)
        super().__init__(writer, self._resolved(reader, writer))

    def _resolved(self, reader: AvroType, writer: AvroType) -> Reader:
        if writer.kind == "union":
            return union_of([self._resolved(reader, branch) for branch in writer.branches])
        if reader.kind == "union":
            branch = _branch_for(reader, writer)
            if branch is None:
                return _failing(f"the union has no branch for {_label(writer)}")
            return self._resolved(branch, writer)
        if reader.kind != writer.kind:
            if writer.kind not in PROMOTIONS.get(reader.kind, ()):
                return _failing(f"expected {_label(reader)}, {_label(writer)} was written")
            return _promoted(reader, writer)
        if writer.name and reader.simple_name != writer.simple_name and writer.name not in reader.aliases:
            return _failing(f"expected {_label(reader)}, {_label(writer)} was written")
        match reader.kind:
            case "record":
                return self._record_pair(reader, writer)
            case "enum":
                return _enum(reader, writer)
            case "fixed" if reader.size != writer.size:
                return _failing(f"expected {reader.size} bytes, {writer.size} were written")
            case "array":
                return array_of(self._resolved(reader.element, writer.element), writer.element)
            case "map":
                return map_of(self._resolved(reader.element, writer.element))
        return _promoted(reader, writer)

    def _record_pair(self, reader: AvroType, writer: AvroType) -> Reader:
        pair = (id(reader), id(writer))
        known = self._pairs.get(pair)
        if known is not None:
            return known[0] if known else lambda data, at: known[0](data, at)
        holder: list[Reader] = []
        self._pairs[pair] = holder
        holder.append(self._fields(reader, writer))
        return holder[0]

    def _fields(self, reader: AvroType, writer: AvroType) -> Reader:
        by_name = {name: field for field in reversed(reader.fields) for name in (*field.aliases, field.name)}
        steps: list[tuple[str, Reader, bool]] = []
        written = set()
        for field in writer.fields:
            wanted = by_name.get(field.name)
            if wanted is None or wanted.name in written:
                steps.append((field.name, self._plain.reader(field.type), False))
            else:
                written.add(wanted.name)
                steps.append((wanted.name, self._resolved(wanted.type, field.type), True))
        missing = [field for field in reader.fields if field.name not in written]
        return _record(steps, [(field.name, _default(field)) for field in missing], [one.name for one in reader.fields])


def _record(
    steps: list[tuple[str, Reader, bool]], defaults: list[tuple[str, Callable[[], Any]]], names: list[str]
) -> Reader:
    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        found = {}
        name = ""
        try:
            for name, default in defaults:
                found[name] = default()
            for name, step, kept in steps:
                value, at = step(data, at)
                if kept:
                    found[name] = value
        except Broken as broken:
            broken.path = f".{name}{broken.path}"
            raise
        return {name: found[name] for name in names}, at

    return read


def _default(field: RecordField) -> Callable[[], Any]:
    if field.default is NO_DEFAULT:

        def refuse() -> Any:
            raise Broken("the field was not written, and has no default")

        return refuse
    # A default is one of the first branch.
    type_ = field.type.branches[0] if field.type.kind == "union" else field.type
    try:
        value = Decoder(type_).decode(encode(type_, field.default))
    except (InvalidValue, TypeError):
        value = field.default
    return lambda: value


def _enum(reader: AvroType, writer: AvroType) -> Reader:
    read_symbol = raw_reader(writer)
    known = frozenset(reader.symbols)

    def read(data: bytes, at: int) -> tuple[str, int]:
        symbol, at = read_symbol(data, at)
        if symbol in known:
            return symbol, at
        if reader.default_symbol is None:
            raise Broken(f"the enum has no symbol {symbol}")
        return reader.default_symbol, at

    return read


def _promoted(reader: AvroType, writer: AvroType) -> Reader:
    """Read a value of the writer's simple type, and show it as the reader's."""
    read_written = raw_reader(writer)
    converted = logical.reader(reader)
    if converted is None and reader.kind in ("bytes", "fixed"):
        converted = logical.bytes_text
    convert = _CONVERSIONS.get((reader.kind, writer.kind))

    def read(data: bytes, at: int) -> tuple[Any, int]:
        value, at = read_written(data, at)
        try:
            if convert is not None:
                value = convert(value)
            return value if converted is None else converted(value), at
        except ValueError as error:
            raise Broken(str(error)) from None

    return read


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Broken("the bytes are not UTF-8 text") from None


_CONVERSIONS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("string", "bytes"): _text,
    ("bytes", "string"): str.encode,
    **{(to, whole): float for to in ("float", "double") for whole in ("int", "long")},
}


def _branch_for(union: AvroType, writer: AvroType) -> AvroType | None:
    """Return the branch that reads a type: the first one that fits, one of the same kind before a promotion."""
    same = [one for one in union.branches if one.kind == writer.kind]
    for one in (*same, *(one for one in union.branches if one.kind != writer.kind)):
        if one.name and one.simple_name != writer.simple_name and writer.name not in one.aliases:
            continue
        try:
            if not incompatibilities(one, writer):
                return one
        except (AmbiguousAlias, TooManyComparisons):
            continue
    # It fails only at the value that does not fit.
    return next((one for one in same if one.simple_name == writer.simple_name), None)


def _failing(cause: str) -> Reader:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        raise Broken(cause)

    return read


def _label(type_: AvroType) -> str:
    return f"{type_.kind} {type_.name}" if type_.name else type_.kind
