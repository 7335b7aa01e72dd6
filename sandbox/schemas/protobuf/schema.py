"""A parsed Protobuf schema."""

import base64
import binascii
import random
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Self

from sandbox.schemas.protobuf.compatibility import Types, differences, message_types
from sandbox.schemas.protobuf.compiler import FILE_NAME, compile_files, load_pool
from sandbox.schemas.protobuf.examples import example
from sandbox.schemas.protobuf.shape import shape
from sandbox.schemas.protobuf.text import FilePrinter
from sandbox.schemas.protobuf.values import decode, encode
from sandbox.schemas.schema import PROTOBUF, InvalidSchema, InvalidValue, ParsedSchema, Reference, other_format
from sandbox.schemas.shape import Shape


class ProtobufSchema(ParsedSchema):
    """See `ParsedSchema`; `sandbox.schemas.parsing.parse_schema` makes it.

    The text is a `.proto` file's, or a FileDescriptorProto in base64, as confluent-kafka-python registers it.
    """

    schema_type = PROTOBUF

    def __init__(self, text: str, references: tuple[Reference, ...], resolved: Mapping[str, str], new: bool) -> None:
        self._new = new
        self.references = references
        self.resolved = dict(resolved)
        self._dependencies = {name: _as_text(one, resolved) for name, one in resolved.items()}
        source = _as_text(text, self._dependencies)
        self._descriptors = compile_files(source, self._dependencies)
        self._pool, _ = load_pool(self._descriptors)
        self.text = FilePrinter(self.file, self._pool, source, normal=False).text()

    @cached_property
    def _files(self) -> list[Any]:
        from google.protobuf import descriptor_pb2

        return list(descriptor_pb2.FileDescriptorSet.FromString(self._descriptors).file)

    @property
    def file(self) -> Any:
        """The FileDescriptorProto of the schema's own file, which is the last one."""
        return self._files[-1]

    @cached_property
    def types(self) -> Types:
        """All messages of the schema and its imports."""
        origins = {one.name: (one.subject, one.version) for one in self.references}
        return message_types(self._files, self.file, origins)

    @property
    def name(self) -> str | None:
        """The full name of the first message; the first enum's if there is none."""
        first = next(iter((*self.file.message_type, *self.file.enum_type)), None)
        if first is None:
            return None
        return f"{self.file.package}.{first.name}" if self.file.package else str(first.name)

    def formatted(self, output_format: str) -> str:
        """Return the canonical text; with `serialized`, the FileDescriptorProto in base64."""
        if output_format.lower() != "serialized":
            return self.text
        from google.protobuf import descriptor_pb2

        own = descriptor_pb2.FileDescriptorProto()
        own.CopyFrom(self.file)
        own.ClearField("source_code_info")
        return base64.b64encode(own.SerializeToString()).decode()

    def normalized(self) -> Self:
        text = FilePrinter(self.file, self._pool, None, normal=True).text()
        references = sorted(set(self.references), key=lambda one: (one.name, one.subject, one.version))
        return type(self)(text, tuple(references), self.resolved, self._new)

    def top_level_fields(self) -> frozenset[str]:
        """Return the names of the first message's fields."""
        first = next(iter(self.file.message_type), None)
        return frozenset() if first is None else frozenset(field.name for field in first.field)

    def identity(self) -> object:
        return self.text

    def backward_errors(self, previous: ParsedSchema) -> list[str]:
        assert isinstance(previous, ProtobufSchema)
        found = differences(previous.file, self.file, previous.types, self.types)
        return [one.message() for one in found if not one.is_compatible]

    def message(self, indexes: tuple[int, ...]) -> Any:
        """Return the descriptor of the message at a path of indexes. Raises `InvalidValue` if there is none."""
        types = self.file.message_type
        path = []
        for index in indexes:
            if not 0 <= index < len(types):
                raise InvalidValue(f"the schema has no message with the indexes {list(indexes)}")
            path.append(types[index].name)
            types = types[index].nested_type
        local = ".".join(path)
        return self._pool.FindMessageTypeByName(f"{self.file.package}.{local}" if self.file.package else local)

    def message_indexes(self, name: str) -> tuple[int, ...]:
        """Return the path of indexes to a message by its name, with or without the package.

        Raises:
            InvalidValue: The schema has no such message.
        """
        package = f"{self.file.package}." if self.file.package else ""
        types, indexes = self.file.message_type, []
        for part in name.removeprefix(package).split("."):
            found = next((at for at, one in enumerate(types) if one.name == part), None)
            if found is None:
                raise InvalidValue(f"the schema has no message {name!r}")
            indexes.append(found)
            types = types[found].nested_type
        return tuple(indexes)

    def decode(self, payload: bytes, message_indexes: tuple[int, ...] = (0,)) -> Any:
        return decode(self.message(message_indexes), payload)

    def read(self, writer: ParsedSchema, payload: bytes, message_indexes: tuple[int, ...] = (0,)) -> Any:
        if not isinstance(writer, ProtobufSchema):
            raise other_format(self, writer)
        written = writer.message(message_indexes)
        try:
            descriptor = self._pool.FindMessageTypeByName(written.full_name)
        except KeyError:
            raise InvalidValue(f"the schema has no message {written.full_name}") from None
        return decode(descriptor, payload, strict=True)

    def encode(self, value: Any, message_indexes: tuple[int, ...] = (0,)) -> bytes:
        return encode(self.message(message_indexes), value, self._pool)

    def example(self, rng: random.Random, message_indexes: tuple[int, ...] = (0,)) -> Any:
        return example(self.message(message_indexes), rng)

    def shape(self, message_indexes: tuple[int, ...] = (0,)) -> Shape:
        return shape(self.message(message_indexes))

    def message_names(self) -> tuple[str, ...]:
        return tuple(_names(self.file.message_type, ""))


def _as_text(text: str, dependencies: Mapping[str, str]) -> str:
    """Return the `.proto` text for a FileDescriptorProto in base64; any other text as it is."""
    if not text or any(character in text for character in '{};"'):
        return text if text else _refuse_empty()
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text
    from google.protobuf import descriptor_pb2, message

    try:
        file = descriptor_pb2.FileDescriptorProto.FromString(data)
    except message.DecodeError:
        raise InvalidSchema("neither the text of a .proto file nor a FileDescriptorProto in base64") from None
    return FilePrinter(file, _pool_of(file, dependencies), None, normal=False).text()


def _names(types: Any, prefix: str) -> Iterator[str]:
    for one in types:
        if not one.options.map_entry:
            yield prefix + one.name
            yield from _names(one.nested_type, f"{prefix}{one.name}.")


def _refuse_empty() -> str:
    raise InvalidSchema("the schema is empty")


def _pool_of(file: Any, dependencies: Mapping[str, str]) -> Any:
    """A pool of what a file imports, so that its custom options can be read."""
    imports = "".join(f'import "{name}";\n' for name in file.dependency)
    pool, _ = load_pool(compile_files(f'syntax = "proto3";\n{imports}', dependencies))
    return pool


__all__ = ["FILE_NAME", "ProtobufSchema"]
