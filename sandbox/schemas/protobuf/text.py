"""Prints file descriptors as `.proto` text, in the layout of Confluent's registry. Comments are not kept.

Messages come before enums, fields outside of oneofs before the oneofs. The names of types are printed as they were
written; in normal form with their full names, and fields in the order of their numbers.
"""

from collections.abc import Iterable
from typing import Any

_TYPES = {
    1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool", 9: "string",
    12: "bytes", 13: "uint32", 15: "sfixed32", 16: "sfixed64", 17: "sint32", 18: "sint64",
}  # fmt: skip
_GROUP = 10
_OPTIONAL, _REQUIRED, _REPEATED = 1, 2, 3
_LAST_TAG = 2**29 - 1
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_LAST_ENUM_VALUE = 2**31 - 1


def type_name(field: Any) -> str:
    """Return the name of a field's scalar type; "" for a message, enum or group."""
    return _TYPES.get(field.type, "")


def label(file: Any, field: Any) -> str:
    """Return the label that is written before a field; "" for none."""
    if field.label == _REPEATED:
        return "repeated"
    if field.HasField("oneof_index") and not field.proto3_optional:
        return ""
    if file.syntax in ("proto3", "editions"):
        return "optional" if field.proto3_optional else ""
    return "required" if field.label == _REQUIRED else "optional"


def entry_type(message: Any, field: Any) -> Any:
    """Return the map entry that a field repeats; None if it is no map."""
    if field.label == _REPEATED and field.type == 11:
        for nested in message.nested_type:
            if nested.options.map_entry and field.type_name.endswith("." + nested.name):
                return nested
    return None


class FilePrinter:
    """Prints one file.

    Args:
        file: The FileDescriptorProto.
        pool: The pool that has the file, for its custom options.
        source: The text that it was compiled from; None prints full names.
        normal: Print the normal form.
    """

    def __init__(self, file: Any, pool: Any, source: str | None, normal: bool) -> None:
        self._file = file
        self._pool = pool
        self._normal = normal
        self._lines = None if source is None or normal else source.split("\n")
        # The path of a statement that may be repeated, such as `reserved`, has several places.
        self._places: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for place in file.source_code_info.location:
            self._places.setdefault(tuple(place.path), []).append(tuple(place.span))
        self._declares_proto2 = source is not None and _declares_proto2(source)

    def text(self) -> str:
        """Return the whole text."""
        file = self._file
        parts = [self._syntax()]
        if file.package:
            parts.append(f"package {file.package};\n")
        parts.append(self._imports())
        options = self._option_lines(file.options)
        if options:
            parts.append("\n" + options)
        bodies = [self._message(one, (4, at)) for at, one in enumerate(file.message_type)]
        bodies += [self._enum(one, (5, at)) for at, one in enumerate(file.enum_type)]
        if bodies:
            parts.append("\n" + "".join(bodies))
        if file.extension:
            parts.append("\n" + self._extends(None, file.extension, (7,)))
        if file.service:
            parts.append("\n" + "".join(self._service(one, (6, at)) for at, one in enumerate(file.service)))
        return "".join(parts)

    def _syntax(self) -> str:
        if self._file.syntax == "editions":
            from google.protobuf import descriptor_pb2

            edition = descriptor_pb2.Edition.Name(self._file.edition).removeprefix("EDITION_")
            return f'edition = "{edition}";\n'
        if self._file.syntax == "proto3":
            return 'syntax = "proto3";\n'
        return 'syntax = "proto2";\n' if self._declares_proto2 and not self._normal else ""

    def _imports(self) -> str:
        public = {self._file.dependency[at] for at in self._file.public_dependency}
        weak = {self._file.dependency[at] for at in self._file.weak_dependency}
        names = sorted(set(self._file.dependency)) if self._normal else list(self._file.dependency)
        lines = [f'import {"weak " if name in weak else ""}"{name}";\n' for name in names if name not in public]
        lines += [f'import public "{name}";\n' for name in names if name in public]
        return "\n" + "".join(lines) if lines else ""

    def _message(self, message: Any, path: tuple[int, ...]) -> str:
        blocks = [self._reserved(message, _LAST_TAG, (*path, 9), (*path, 10))]
        blocks.append(self._option_lines(message.options, skipped={"map_entry"}))
        fields = list(enumerate(message.field))
        if self._normal:
            fields.sort(key=lambda pair: pair[1].number)
        blocks.append(
            "".join(
                self._field(message, one, (*path, 2, at))
                for at, one in fields
                if not one.HasField("oneof_index") or one.proto3_optional
            )
        )
        blocks.append(self._oneofs(message, fields, path))
        blocks.append(self._extension_ranges(message))
        blocks.append(self._extends(message, message.extension, (*path, 6)))
        groups = {field.type_name.rpartition(".")[2] for field in message.field if field.type == _GROUP}
        nested = [
            self._message(one, (*path, 3, at))
            for at, one in enumerate(message.nested_type)
            if not one.options.map_entry and one.name not in groups
        ]
        nested += [self._enum(one, (*path, 4, at)) for at, one in enumerate(message.enum_type)]
        blocks.append("".join(nested))
        return f"message {message.name} {{{_body(blocks)}}}\n"

    def _oneofs(self, message: Any, fields: list[tuple[int, Any]], path: tuple[int, ...]) -> str:
        texts = []
        for index, oneof in enumerate(message.oneof_decl):
            members = [
                (at, one) for at, one in fields
                if one.HasField("oneof_index") and one.oneof_index == index and not one.proto3_optional
            ]  # fmt: skip
            if members:
                body = [self._option_lines(oneof.options)]
                body.append("".join(self._field(message, one, (*path, 2, at)) for at, one in members))
                texts.append((members[0][1].number, f"oneof {oneof.name} {{{_body(body)}}}\n"))
        if self._normal:
            texts.sort(key=lambda pair: pair[0])
        return "".join(text for _, text in texts)

    def _field(self, message: Any, field: Any, path: tuple[int, ...]) -> str:
        if field.type == _GROUP:
            return self._group(message, field, path)
        entry = None if message is None else entry_type(message, field)
        if entry is not None:
            key, value = entry.field
            written = f"map<{type_name(key)}, {type_name(value) or self._map_value(value, path)}>"
        else:
            written = type_name(field) or self._reference(field.type_name, (*path, 6))
            before = label(self._file, field)
            written = f"{before} {written}" if before else written
        options = self._field_options(field)
        return f"{written} {field.name} = {field.number}{' ' + options if options else ''};\n"

    def _group(self, message: Any, field: Any, path: tuple[int, ...]) -> str:
        name = field.type_name.rpartition(".")[2]
        before = label(self._file, field)
        for at, nested in enumerate(message.nested_type if message is not None else ()):
            if nested.name == name:
                body = self._message(nested, (*path[:-2], 3, at)).partition("{")[2]
                return f"{before} group {name} = {field.number} {{{body}"
        return f"{before} group {name} = {field.number} {{}}\n"

    def _map_value(self, value: Any, path: tuple[int, ...]) -> str:
        written = self._written((*path, 6))
        if written is not None and written.startswith("map"):
            return written.partition(",")[2].removesuffix(">").strip()
        return str(value.type_name)

    def _reference(self, full: str, path: tuple[int, ...]) -> str:
        return self._written(path) or full

    def _written(self, path: tuple[int, ...]) -> str | None:
        """What the source has at the place of a name."""
        spans = self._places.get(path)
        if self._lines is None or spans is None or len(spans[0]) != 3:
            return None
        line, begin, end = spans[0]
        written: str = self._lines[line][begin:end]
        return written

    def _field_options(self, field: Any) -> str:
        options = self._options(field.options)
        if field.HasField("default_value"):
            quoted = field.type in (9, 12)
            value = _quoted(field.default_value) if field.type == 9 else field.default_value
            options.append(f"default = {value if not quoted or field.type == 9 else chr(34) + value + chr(34)}")
        if field.HasField("json_name") and field.json_name != _json_name(field.name):
            options.append(f"json_name = {_quoted(field.json_name)}")
        return _bracketed(options)

    def _enum(self, enum: Any, path: tuple[int, ...]) -> str:
        values = list(enum.value)
        if self._normal:
            values.sort(key=lambda one: (one.number, one.name))
        lines = []
        for one in values:
            options = _bracketed(self._options(one.options))
            lines.append(f"{one.name} = {one.number}{' ' + options if options else ''};\n")
        reserved = self._reserved(enum, _LAST_ENUM_VALUE, (*path, 4), (*path, 5))
        inner = _indented(reserved + self._option_lines(enum.options) + "".join(lines))
        return f"enum {enum.name} {{\n{inner}}}\n"

    def _reserved(self, type_: Any, last: int, numbers_path: tuple[int, ...], names_path: tuple[int, ...]) -> str:
        # The end of a message's range is exclusive, the end of an enum's inclusive.
        exclusive = last == _LAST_TAG
        ranges = [(one.start, one.end - 1 if exclusive else one.end) for one in type_.reserved_range]
        numbers = [_range(start, end, last) for start, end in (sorted(ranges) if self._normal else ranges)]
        names = [_quoted(name) for name in (sorted(type_.reserved_name) if self._normal else type_.reserved_name)]
        if self._normal:
            return "".join(f"reserved {one};\n" for one in (*numbers, *names))
        statements = self._statements(numbers, numbers_path) + self._statements(names, names_path)
        return "".join(f"reserved {', '.join(group)};\n" for _, group in sorted(statements))

    def _statements(self, items: list[str], path: tuple[int, ...]) -> list[tuple[tuple[int, ...], list[str]]]:
        """Group reserved numbers or names by the statements in which they were written, with the place of each."""
        begins = [one[:2] for one in self._places.get(path, ())]
        groups: dict[tuple[int, ...], list[str]] = {}
        for at, item in enumerate(items):
            spans = self._places.get((*path, at), [()])
            begin = max((one for one in begins if one <= spans[0][:2]), default=path)
            groups.setdefault(begin, []).append(item)
        return list(groups.items())

    def _extension_ranges(self, message: Any) -> str:
        ranges = [_range(one.start, one.end - 1, _LAST_TAG) for one in message.extension_range]
        return "".join(f"extensions {one};\n" for one in ranges)

    def _extends(self, message: Any, extensions: Any, path: tuple[int, ...]) -> str:
        groups: dict[str, list[str]] = {}
        for at, field in enumerate(extensions):
            extendee = self._reference(field.extendee, (*path, at, 2))
            groups.setdefault(extendee, []).append(self._field(message, field, (*path, at)))
        return "".join(f"extend {name} {{\n{_indented(''.join(fields))}}}\n" for name, fields in groups.items())

    def _service(self, service: Any, path: tuple[int, ...]) -> str:
        blocks = [self._option_lines(service.options)]
        methods = []
        for at, method in enumerate(service.method):
            request = self._reference(method.input_type, (*path, 2, at, 2))
            response = self._reference(method.output_type, (*path, 2, at, 3))
            request = f"stream {request}" if method.client_streaming else request
            response = f"stream {response}" if method.server_streaming else response
            options = self._option_lines(method.options)
            end = f" {{\n{_indented(options)}}};\n" if options else ";\n"
            methods.append(f"rpc {method.name} ({request}) returns ({response}){end}")
        blocks.append("".join(methods))
        return f"service {service.name} {{{_body(blocks)}}}\n"

    def _option_lines(self, options: Any, skipped: Iterable[str] = ()) -> str:
        return "".join(
            f"option {one};\n" for one in self._options(options) if one.partition(" ")[0] not in set(skipped)
        )

    def _options(self, options: Any) -> list[str]:
        """The options that are set; custom ones need the pool's own classes."""
        if not options.ByteSize():
            return []
        known = self._known(options)
        found = []
        for field, value in known.ListFields():
            name = f"({field.full_name})" if field.is_extension else field.name
            found += [f"{name} = {_option_value(field, one)}" for one in (value if _is_list(field) else [value])]
        return sorted(found) if self._normal else found

    def _known(self, options: Any) -> Any:
        from google.protobuf import message_factory

        try:
            descriptor = self._pool.FindMessageTypeByName(options.DESCRIPTOR.full_name)
        except KeyError:
            return options
        return message_factory.GetMessageClass(descriptor).FromString(options.SerializeToString())


def _declares_proto2(source: str) -> bool:
    return any(
        line.replace(" ", "").replace("'", '"').startswith('syntax="proto2"') for line in source.splitlines()[:200]
    )


def _is_list(field: Any) -> bool:
    return bool(field.is_repeated) and not (field.message_type and field.message_type.GetOptions().map_entry)


def _option_value(field: Any, value: Any) -> str:
    if field.message_type is not None:
        if field.message_type.GetOptions().map_entry:
            entries = ", ".join(f"{{key: {_literal(key)}, value: {_literal(value[key])}}}" for key in sorted(value))
            return f"[{entries}]"
        inner = []
        for part, content in value.ListFields():
            name = f"[{part.full_name}]" if part.is_extension else part.name
            if _is_list(part):
                inner.append(f"{name}: [{', '.join(_option_value(part, one) for one in content)}]")
            else:
                inner.append(f"{name}: {_option_value(part, content)}")
        return "{\n" + _indented(",\n".join(inner) + ("\n" if inner else "")) + "}"
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else str(value)
    return _literal(value)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in value)
        return f'"{"".join(plain)}"'
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def _range(start: int, end: int, last: int) -> str:
    return str(start) if start == end else f"{start} to {'max' if end >= last else end}"


def _bracketed(options: list[str]) -> str:
    if len(options) < 2:
        return f"[{options[0]}]" if options else ""
    return "[\n" + _indented(",\n".join(options) + "\n") + "]"


def _body(blocks: list[str]) -> str:
    """Blocks of declarations, with an empty line between them."""
    return "".join("\n" + _indented(block) for block in blocks if block)


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" if line else "\n" for line in text.splitlines())


def _json_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)
