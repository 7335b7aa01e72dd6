"""Compares two versions of a Protobuf schema by the rules of Confluent's registry.

Fields are compared by number, messages and enums by name. What matters is whether a reader gets the right values from
the bytes of the other version, so types of one group, such as all varints without zig-zag, are interchangeable.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.schemas.protobuf.differences import ProtobufDifference
from sandbox.schemas.protobuf.text import entry_type, label, type_name

SCALAR_KINDS = {
    "int32": "GENERAL_NUMBER",
    "int64": "GENERAL_NUMBER",
    "uint32": "GENERAL_NUMBER",
    "uint64": "GENERAL_NUMBER",
    "bool": "GENERAL_NUMBER",
    "enum": "GENERAL_NUMBER",
    "sint32": "SIGNED_NUMBER",
    "sint64": "SIGNED_NUMBER",
    "string": "STRING_OR_BYTES",
    "bytes": "STRING_OR_BYTES",
    "fixed32": "FIXED32",
    "sfixed32": "FIXED32",
    "fixed64": "FIXED64",
    "sfixed64": "FIXED64",
    "float": "FLOAT",
    "double": "DOUBLE",
}
"""The groups of scalar types within which a field's type may change."""

_ENUM, _GROUP = 14, 10


@dataclass(frozen=True, slots=True)
class MessageType:
    """A message, where it is, and the reference that brought it: None for the schema's own file.

    Attributes:
        file: The FileDescriptorProto.
        local: Its name without the package.
        proto: The DescriptorProto.
        origin: Subject and version of the reference; None for an import without one, such as a well-known type; an
            empty tuple for the schema's own file.
    """

    file: Any
    local: str
    proto: Any
    origin: tuple[str, int] | tuple[()] | None


Types = Mapping[str, MessageType]


@dataclass(frozen=True, slots=True)
class _Field:
    label: str
    kind: str
    """SCALAR, MESSAGE or MAP."""
    type: str
    """A scalar's type, the full name of a message."""
    entry: "tuple[_Field, _Field] | None" = None


def message_types(files: list[Any], own: Any, origins: Mapping[str, tuple[str, int]]) -> Types:
    """Return all messages of the compiled files by full name.

    Args:
        files: The FileDescriptorProtos.
        own: The one of the schema itself.
        origins: Subject and version of each referenced file by its name.
    """
    types: dict[str, MessageType] = {}
    for file in files:
        origin: tuple[str, int] | tuple[()] | None = () if file is own else origins.get(file.name)
        waiting = [(message.name, message) for message in file.message_type]
        while waiting:
            local, message = waiting.pop()
            full = f".{file.package}.{local}" if file.package else f".{local}"
            types[full] = MessageType(file, local, message, origin)
            waiting += [(f"{local}.{nested.name}", nested) for nested in message.nested_type]
    return types


def differences(original: Any, update: Any, original_types: Types, update_types: Types) -> list[ProtobufDifference]:
    """Return the differences of two FileDescriptorProtos; those that are not compatible break a reader."""
    return list(_ProtobufComparison(original_types, update_types).files(original, update))


class _ProtobufComparison:
    def __init__(self, original_types: Types, update_types: Types) -> None:
        self._original_types = original_types
        self._update_types = update_types
        self._running: set[int] = set()

    def files(self, original: Any, update: Any) -> Iterator[ProtobufDifference]:
        if original.package != update.package:
            yield ProtobufDifference("PACKAGE_CHANGED", ())
        yield from self._types(
            (original, original.message_type, original.enum_type),
            (update, update.message_type, update.enum_type),
            (),
        )

    def _types(
        self, original: tuple[Any, Any, Any], update: tuple[Any, Any, Any], path: tuple[str, ...]
    ) -> Iterator[ProtobufDifference]:
        before = {one.name: (at, one) for at, one in enumerate(original[1])}
        after = {one.name: (at, one) for at, one in enumerate(update[1])}
        for name in dict.fromkeys([*before, *after]):
            if name not in after:
                yield ProtobufDifference("MESSAGE_REMOVED", (*path, name))
            elif name not in before:
                yield ProtobufDifference("MESSAGE_ADDED", (*path, name))
            else:
                yield from self._messages(original[0], before[name][1], update[0], after[name][1], (*path, name))
                if before[name][0] != after[name][0]:
                    yield ProtobufDifference("MESSAGE_MOVED", (*path, name))
        enums_before = {one.name: one for one in original[2]}
        enums_after = {one.name: one for one in update[2]}
        for name in dict.fromkeys([*enums_before, *enums_after]):
            if name not in enums_after:
                yield ProtobufDifference("ENUM_REMOVED", (*path, name))
            elif name not in enums_before:
                yield ProtobufDifference("ENUM_ADDED", (*path, name))
            else:
                yield from _enums(enums_before[name], enums_after[name], (*path, name))

    def _messages(
        self, original_file: Any, original: Any, update_file: Any, update: Any, path: tuple[str, ...]
    ) -> Iterator[ProtobufDifference]:
        entered = id(original) not in self._running
        if entered:
            self._running.add(id(original))
            yield from self._fields(original_file, original, update_file, update, path)
        yield from self._types(
            (original_file, _nested(original), original.enum_type),
            (update_file, _nested(update), update.enum_type),
            path,
        )
        if entered:
            self._running.discard(id(original))

    def _fields(
        self, original_file: Any, original: Any, update_file: Any, update: Any, path: tuple[str, ...]
    ) -> Iterator[ProtobufDifference]:
        before, after = _by_number(original), _by_number(update)
        before_oneofs, after_oneofs = _oneofs(original), _oneofs(update)
        before_oneof = {number: name for name, numbers in before_oneofs.items() for number in numbers}
        after_oneof = {number: name for name, numbers in after_oneofs.items() for number in numbers}
        yield from _new_exclusions(before, before_oneof, after_oneofs, path)
        for name in sorted(before_oneofs.keys() ^ after_oneofs.keys()):
            yield ProtobufDifference("ONEOF_REMOVED" if name in before_oneofs else "ONEOF_ADDED", (*path, name))
        # Removing a oneof with all its fields is compatible, removing some of its fields is not.
        gone = {name for name in before_oneofs.keys() - after_oneofs if not before_oneofs[name] & after.keys()}
        for number in sorted({*before, *after}):
            place = (*path, str(number))
            if number not in after:
                oneof = before_oneof.get(number)
                if oneof is None:
                    required = label(original_file, before[number]) == "required"
                    yield ProtobufDifference("REQUIRED_FIELD_REMOVED" if required else "FIELD_REMOVED", place)
                elif oneof not in gone:
                    yield ProtobufDifference("ONEOF_FIELD_REMOVED", (*path, oneof, str(number)))
            elif number not in before:
                if number in after_oneof:
                    yield ProtobufDifference("ONEOF_FIELD_ADDED", (*path, after_oneof[number], str(number)))
                else:
                    required = label(update_file, after[number]) == "required"
                    yield ProtobufDifference("REQUIRED_FIELD_ADDED" if required else "FIELD_ADDED", place)
            else:
                if number in before_oneof and number not in after_oneof:
                    yield ProtobufDifference("ONEOF_FIELD_MOVED_TO_TOP_LEVEL", place)
                if number in after_oneof:
                    place = (*path, after_oneof[number], str(number))
                if before[number].name != after[number].name:
                    yield ProtobufDifference("FIELD_NAME_CHANGED", place)
                yield from self._field_types(
                    _field(original_file, original, before[number]), _field(update_file, update, after[number]), place
                )

    def _field_types(self, original: _Field, update: _Field, path: tuple[str, ...]) -> Iterator[ProtobufDifference]:
        if original.kind != update.kind:
            yield ProtobufDifference("FIELD_KIND_CHANGED", path)
        elif original.entry is not None and update.entry is not None:
            for before, after in zip(original.entry, update.entry, strict=True):
                yield from self._field_types(before, after, path)
        elif original.kind == "MESSAGE":
            yield from self._named_types(original.type, update.type, path)
        else:
            kind = SCALAR_KINDS[original.type]
            if kind != SCALAR_KINDS[update.type]:
                yield ProtobufDifference("FIELD_SCALAR_KIND_CHANGED", path)
            elif original.label and update.label and original.label != update.label:
                numeric = kind != "STRING_OR_BYTES"
                yield ProtobufDifference(f"FIELD_{'NUMERIC' if numeric else 'STRING_OR_BYTES'}_LABEL_CHANGED", path)

    def _named_types(self, original: str, update: str, path: tuple[str, ...]) -> Iterator[ProtobufDifference]:
        before, after = self._original_types[original], self._update_types[update]
        if before.local != after.local:
            yield ProtobufDifference("FIELD_NAMED_TYPE_CHANGED", path)
        elif before.origin is None or after.origin is None or before.origin != after.origin:
            # The schema's own messages are compared anyway, and a version of a reference never changes.
            place = tuple(before.local.split("."))
            found = list(self._messages(before.file, before.proto, after.file, after.proto, place))
            yield from found
            if not all(one.is_compatible for one in found):
                yield ProtobufDifference("FIELD_NAMED_TYPE_CHANGED", path)


def _nested(message: Any) -> list[Any]:
    """The messages inside, without those that the compiler makes for maps and groups."""
    groups = {field.type_name.rpartition(".")[2] for field in message.field if field.type == _GROUP}
    return [one for one in message.nested_type if not one.options.map_entry and one.name not in groups]


def _by_number(message: Any) -> dict[int, Any]:
    # Groups are deprecated; the registry does not compare them.
    return {field.number: field for field in message.field if field.type != _GROUP}


def _oneofs(message: Any) -> dict[str, set[int]]:
    oneofs: dict[str, set[int]] = {}
    for field in message.field:
        if field.HasField("oneof_index") and not field.proto3_optional and field.type != _GROUP:
            oneofs.setdefault(message.oneof_decl[field.oneof_index].name, set()).add(field.number)
    return oneofs


def _new_exclusions(
    before: dict[int, Any], before_oneof: dict[int, str], after_oneofs: dict[str, set[int]], path: tuple[str, ...]
) -> Iterator[ProtobufDifference]:
    """Fields that could be set together and no longer can."""
    for name, numbers in after_oneofs.items():
        known = numbers & before.keys()
        moved = [number for number in known if number not in before_oneof]
        groups = len(moved) + len({before_oneof[number] for number in known if number in before_oneof})
        if groups > 1:
            kind = "MULTIPLE_FIELDS_MOVED_TO_ONEOF" if len(moved) > 1 else "FIELD_MOVED_TO_EXISTING_ONEOF"
            yield ProtobufDifference(kind, (*path, name))


def _field(file: Any, message: Any, field: Any) -> _Field:
    entry = entry_type(message, field)
    if entry is not None:
        key, value = (_field(file, entry, one) for one in entry.field)
        return _Field("", "MAP", "", (_unlabelled(key), _unlabelled(value)))
    scalar = "enum" if field.type == _ENUM else type_name(field)
    if scalar:
        return _Field(label(file, field), "SCALAR", scalar)
    return _Field(label(file, field), "MESSAGE", field.type_name)


def _unlabelled(field: _Field) -> _Field:
    return _Field("", field.kind, field.type, field.entry)


def _enums(original: Any, update: Any, path: tuple[str, ...]) -> Iterator[ProtobufDifference]:
    before = {one.number: one.name for one in original.value}
    after = {one.number: one.name for one in update.value}
    for number in sorted({*before, *after}):
        place = (*path, str(number))
        if number not in after:
            yield ProtobufDifference("ENUM_CONST_REMOVED", place)
        elif number not in before:
            yield ProtobufDifference("ENUM_CONST_ADDED", place)
        elif before[number] != after[number]:
            yield ProtobufDifference("ENUM_CONST_CHANGED", place)
