"""Avro types as Apache Avro 1.12 for Java reads them, which Confluent's registry uses.

Source: https://avro.apache.org/docs/1.12.0/specification/ and the behaviour of org.apache.avro.Schema.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from sandbox.schemas.json_text import compact
from sandbox.schemas.schema import InvalidSchema

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAMED = frozenset({"record", "enum", "fixed"})
TYPE_NAMES = PRIMITIVES | NAMED | {"array", "map", "union"}

_TYPE_ATTRIBUTES = {"doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"}
_FIELD_ATTRIBUTES = {"default", "doc", "name", "order", "type", "aliases"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNICODE_NAME = re.compile(r"[^\W\d]\w*")
_ORDERS = {"ascending", "descending", "ignore"}


class _NoDefault:
    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT = _NoDefault()
"""A field has no default; null is a default."""


@dataclass(eq=False, slots=True)
class RecordField:
    """A field of a record."""

    name: str
    type: "AvroType"
    doc: str | None
    default: Any
    order: str
    aliases: tuple[str, ...]
    properties: dict[str, Any]


@dataclass(eq=False, slots=True)
class AvroType:
    """One type of a schema. Recursive types refer to themselves, so types are compared by identity.

    Attributes:
        kind: One of `TYPE_NAMES`.
        name: The full name of a record, enum or fixed type; "" for the others.
        items: The element type of an array, the value type of a map.
        properties: All attributes that the specification does not reserve, the logical type among them.
    """

    kind: str
    name: str = ""
    doc: str | None = None
    aliases: tuple[str, ...] = ()
    properties: dict[str, Any] = field(default_factory=dict)
    is_error: bool = False
    fields: list[RecordField] = field(default_factory=list)
    symbols: tuple[str, ...] = ()
    default_symbol: str | None = None
    size: int = 0
    items: "AvroType | None" = None
    branches: list["AvroType"] = field(default_factory=list)

    @property
    def simple_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def namespace(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def label(self) -> str:
        """The name by which a union knows its branch."""
        return self.name or self.kind

    @property
    def element(self) -> "AvroType":
        """The type of an array's elements or of a map's values."""
        assert self.items is not None
        return self.items

    def logical_type(self) -> str | None:
        """Return the logical type; None if it is missing, unknown or not valid here, which Avro ignores."""
        name = self.properties.get("logicalType")
        return name if isinstance(name, str) and _logical_type_fits(self, name) else None


_LOGICAL_TYPES = {
    "date": {"int"},
    "time-millis": {"int"},
    "time-micros": {"long"},
    "timestamp-millis": {"long"},
    "timestamp-micros": {"long"},
    "timestamp-nanos": {"long"},
    "local-timestamp-millis": {"long"},
    "local-timestamp-micros": {"long"},
    "local-timestamp-nanos": {"long"},
    "big-decimal": {"bytes"},
    "decimal": {"bytes", "fixed"},
    "uuid": {"string", "fixed"},
    "duration": {"fixed"},
}


def _logical_type_fits(type_: AvroType, name: str) -> bool:
    if type_.kind not in _LOGICAL_TYPES.get(name, ()):
        return False
    if name == "uuid":
        return type_.kind == "string" or type_.size == 16
    if name == "duration":
        return type_.size == 12
    if name != "decimal":
        return True
    precision, scale = type_.properties.get("precision"), type_.properties.get("scale", 0)
    if not _is_integer(precision) or not _is_integer(scale) or not 0 <= scale <= precision or precision < 1:
        return False
    # The most digits that the bytes of a fixed type hold.
    return type_.kind == "bytes" or 10**precision <= 2 ** (8 * type_.size - 1)


def _is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


class Parser:
    """Reads the JSON of types. One parser knows the names of all types that it has read.

    Args:
        strict: Apply the rules for new schemas: defaults fit their types, names are ASCII.
    """

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self.names: dict[str, AvroType] = {}
        # Types that are used before they are defined: the placeholder, its name without and with namespace, its path.
        self._unresolved: dict[str, tuple[AvroType, str, str]] = {}
        self._defaults: list[tuple[str, RecordField]] = []
        # Names that are defined twice, which is permitted if both definitions are equal.
        self._repeated: list[tuple[str, AvroType, AvroType]] = []

    def parse(self, json: Any) -> AvroType:
        """Return the type that a schema's JSON defines. Raises `InvalidSchema`."""
        parsed = self._type(json, "", "")
        return self._finished(parsed)

    def _type(self, json: Any, namespace: str, path: str) -> AvroType:
        if isinstance(json, str):
            return self._found(json, namespace, path)
        if isinstance(json, list):
            return self._union(json, namespace, path)
        if not isinstance(json, dict):
            raise _refused(path, f"a type is a name, an object or a list, not {_shown(json)}")
        kind = json.get("type")
        if not isinstance(kind, str):
            raise _refused(path, f"No type: {_shown(json)}")
        if kind in PRIMITIVES:
            return AvroType(kind, properties=_properties(json, _TYPE_ATTRIBUTES))
        match kind:
            case "record" | "error":
                return self._record(json, namespace, path)
            case "enum":
                return self._enum(json, namespace, path)
            case "fixed":
                return self._fixed(json, namespace, path)
            case "array" | "map":
                return self._collection(json, kind, namespace, path)
        return self._found(kind, namespace, path)

    def _found(self, name: str, namespace: str, path: str) -> AvroType:
        if name in PRIMITIVES:
            return AvroType(name)
        full = f"{namespace}.{name}" if namespace and "." not in name else name
        known = self.names.get(full) or self.names.get(name)
        if known is None:
            known, _, _ = self._unresolved.setdefault(full, (AvroType("unresolved", full), name, path))
        return known

    def _union(self, json: list[Any], namespace: str, path: str) -> AvroType:
        union = AvroType("union")
        for place, inner in enumerate(json):
            branch = self._type(inner, namespace, f"{path}/{place}")
            if branch.kind == "union":
                raise _refused(f"{path}/{place}", f"Nested union: {_shown(json)}")
            union.branches.append(branch)
        labels = [branch.label for branch in union.branches]
        for place, label in enumerate(labels):
            if label in labels[:place]:
                raise _refused(path, f"Duplicate in union: {label}")
        return union

    def _record(self, json: dict[str, Any], namespace: str, path: str) -> AvroType:
        record = self._named("record", json, namespace, path)
        record.is_error = json["type"] == "error"
        fields = json.get("fields")
        if not isinstance(fields, list):
            raise _refused(path, f"Record has no fields: {_shown(json)}")
        seen: set[str] = set()
        for place, inner in enumerate(fields):
            one = self._field(inner, record, f"{path}/fields/{place}")
            if one.name in seen:
                raise _refused(f"{path}/fields/{place}", f"Duplicate field {one.name} in record {record.name}")
            seen.add(one.name)
            record.fields.append(one)
        return record

    def _field(self, json: Any, record: AvroType, path: str) -> RecordField:
        if not isinstance(json, dict) or not isinstance(json.get("name"), str):
            raise _refused(path, f"No field name: {_shown(json)}")
        if json.get("type") is None:
            raise _refused(path, f"No field type: {_shown(json)}")
        self._check_name(json["name"], path)
        type_ = self._type(json["type"], record.namespace, f"{path}/type")
        order = json.get("order", "ascending")
        if not isinstance(order, str) or order.lower() not in _ORDERS:
            raise _refused(path, f"order {_shown(order)} is not one of ascending, descending, ignore")
        default = json.get("default", NO_DEFAULT)
        if type_.kind in ("float", "double") and isinstance(default, str):
            default = _number(default, path)
        aliases = tuple(_aliases(json, path))
        one = RecordField(json["name"], type_, _text(json, "doc"), default, order.lower(), aliases, {})
        one.properties = _properties(json, _FIELD_ATTRIBUTES)
        if default is not NO_DEFAULT:
            self._defaults.append((path, one))
        return one

    def _enum(self, json: dict[str, Any], namespace: str, path: str) -> AvroType:
        enum = self._named("enum", json, namespace, path)
        symbols = json.get("symbols")
        if not isinstance(symbols, list):
            raise _refused(path, f"Enum has no symbols: {_shown(json)}")
        for place, symbol in enumerate(symbols):
            if not isinstance(symbol, str):
                raise _refused(f"{path}/symbols/{place}", f"{_shown(symbol)} is not a string")
            self._check_name(symbol, f"{path}/symbols/{place}")
        if len(set(symbols)) < len(symbols):
            twice = next(symbol for place, symbol in enumerate(symbols) if symbol in symbols[:place])
            raise _refused(f"{path}/symbols", f"Duplicate enum symbol: {twice}")
        enum.symbols = tuple(symbols)
        enum.default_symbol = _text(json, "default")
        if enum.default_symbol is not None and enum.default_symbol not in symbols:
            raise _refused(path, f"The enum default {enum.default_symbol!r} is not one of the symbols {symbols}")
        enum.properties.pop("default", None)
        return enum

    def _fixed(self, json: dict[str, Any], namespace: str, path: str) -> AvroType:
        fixed = self._named("fixed", json, namespace, path)
        size = json.get("size")
        if not _is_integer(size) or not 0 <= size < 2**31:
            raise _refused(path, f"Invalid or no size: {_shown(json)}")
        fixed.size = size
        return fixed

    def _collection(self, json: dict[str, Any], kind: str, namespace: str, path: str) -> AvroType:
        attribute = "items" if kind == "array" else "values"
        if json.get(attribute) is None:
            raise _refused(path, f"{kind.capitalize()} has no {attribute} type: {_shown(json)}")
        items = self._type(json[attribute], namespace, f"{path}/{attribute}")
        return AvroType(kind, items=items, properties=_properties(json, _TYPE_ATTRIBUTES))

    def _named(self, kind: str, json: dict[str, Any], namespace: str, path: str) -> AvroType:
        name = json.get("name")
        if not isinstance(name, str):
            raise _refused(path, f"No name in schema: {_shown(json)}")
        space = _text(json, "namespace")
        full = full_name(name, namespace if space is None else space)
        for part in full.split(".") if self._strict else [full.rpartition(".")[2]]:
            self._check_name(part, path)
        aliases = tuple(full_name(alias, full.rpartition(".")[0]) for alias in _aliases(json, path))
        type_ = AvroType(kind, full, _text(json, "doc"), aliases, _properties(json, _TYPE_ATTRIBUTES))
        known = self.names.get(full)
        if known is not None:
            self._repeated.append((path, known, type_))
            return type_
        # A placeholder becomes the type itself, so that references to it stay valid.
        waiting = self._unresolved.pop(full, None)
        if waiting is not None:
            placeholder = waiting[0]
            for attribute in ("kind", "doc", "aliases", "properties"):
                setattr(placeholder, attribute, getattr(type_, attribute))
            type_ = placeholder
        self.names[full] = type_
        return type_

    def _check_name(self, name: str, path: str) -> None:
        pattern = _NAME if self._strict else _UNICODE_NAME
        if not pattern.fullmatch(name):
            raise _refused(path, f"Illegal name {_shown(name)}: letters, digits and _, not beginning with a digit")

    def _finished(self, parsed: AvroType) -> AvroType:
        for full, (_, name, path) in list(self._unresolved.items()):
            raise _refused(path, f'Undefined schema: "{full}"' + (f' or "{name}"' if name != full else ""))
        if self._strict:
            for path, one in self._defaults:
                if not is_valid_default(one.type, one.default):
                    expected = compact(type_label(one.type))
                    raise _refused(
                        path, f"Invalid default for field {one.name}: {_shown(one.default)} not a {expected}"
                    )
        self._defaults.clear()
        for path, first, second in self._repeated:
            if not _are_equal(first, second, set()):
                raise _refused(path, f"Can't redefine: {first.name}")
        self._repeated.clear()
        return parsed


def _are_equal(first: AvroType, second: AvroType, compared: set[tuple[int, int]]) -> bool:
    """Report whether two types are equal apart from documentation and aliases."""
    if first is second or (id(first), id(second)) in compared:
        return True
    compared.add((id(first), id(second)))
    if [one.name for one in first.fields] != [one.name for one in second.fields]:
        return False
    own = (first.kind, first.name, first.properties, first.symbols, first.size, first.is_error, len(first.branches))
    if own != (
        second.kind,
        second.name,
        second.properties,
        second.symbols,
        second.size,
        second.is_error,
        len(second.branches),
    ):
        return False
    inner = [(one.type, other.type) for one, other in zip(first.fields, second.fields, strict=True)]
    inner += zip(first.branches, second.branches, strict=True)
    if first.items is not None:
        inner.append((first.items, second.element))
    same_fields = all(
        (one.default, one.order, one.properties) == (other.default, other.order, other.properties)
        for one, other in zip(first.fields, second.fields, strict=True)
    )
    return same_fields and all(_are_equal(one, other, compared) for one, other in inner)


def full_name(name: str, namespace: str) -> str:
    """Return the full name; a name with a dot has its namespace in it."""
    if "." in name:
        return name.removeprefix(".")
    return f"{namespace}.{name}" if namespace else name


def type_label(type_: AvroType) -> Any:
    """Return a short JSON description of a type, for messages."""
    return [branch.label for branch in type_.branches] if type_.kind == "union" else type_.label


def is_valid_default(type_: AvroType, value: Any) -> bool:
    """Report whether a JSON value is a valid default of a type. A union's default may fit any of its branches."""
    match type_.kind:
        case "string" | "bytes" | "enum" | "fixed":
            return isinstance(value, str)
        case "int":
            return _is_integer(value) and -(2**31) <= value < 2**31
        case "long":
            return _is_integer(value) and -(2**63) <= value < 2**63
        case "float" | "double":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "array":
            return isinstance(value, list) and all(is_valid_default(type_.element, one) for one in value)
        case "map":
            return isinstance(value, dict) and all(is_valid_default(type_.element, one) for one in value.values())
        case "union":
            return any(is_valid_default(branch, value) for branch in type_.branches)
    return isinstance(value, dict) and all(
        is_valid_default(one.type, value.get(one.name, one.default)) for one in type_.fields
    )


def _properties(json: dict[str, Any], reserved: set[str]) -> dict[str, Any]:
    return {name: value for name, value in json.items() if name not in reserved}


def _aliases(json: dict[str, Any], path: str) -> Iterator[str]:
    aliases = json.get("aliases", [])
    if not isinstance(aliases, list):
        raise _refused(path, f"aliases not an array: {_shown(aliases)}")
    for alias in dict.fromkeys(map(_alias_text, aliases)):
        if alias is None:
            raise _refused(path, f"alias not a string: {_shown(aliases)}")
        yield alias


def _alias_text(alias: Any) -> str | None:
    return alias if isinstance(alias, str) else None


def _text(json: dict[str, Any], name: str) -> str | None:
    value = json.get(name)
    return value if isinstance(value, str) else None


def _number(text: str, path: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _refused(path, f"the default {_shown(text)} is not a number") from None


def _shown(value: Any) -> str:
    text = compact(value)
    return text if len(text) <= 200 else text[:200] + "..."


def _refused(path: str, cause: str) -> InvalidSchema:
    return InvalidSchema(f"{cause} (at {path or '/'})")
