"""Generates the function that decodes one version of one message.

The bytes come from a peer and are not trusted: a length is compared with the remaining bytes before anything is
allocated, a varint has at most five bytes, null is refused in a non-nullable field, and unknown tagged fields are
skipped (KIP-482). The function never reads beyond the bytes.

Source: https://kafka.apache.org/protocol#protocol_types, and KIP-482 for the compact forms.
"""

import struct
import uuid
from functools import lru_cache
from struct import Struct
from types import SimpleNamespace
from typing import Any

from sandbox.kafka.client_text import STRING_BYTES_MAX
from sandbox.wire.messages.schemas import MessageField
from sandbox.wire.messages.source import CODES, SIZES, FunctionSource, Refusal

VARINT_BYTES_MAX = 5


def read_varint(data: Any, p: int) -> tuple[int, int]:
    """An unsigned varint of at most five bytes at ``p``: its value, and the position after it."""
    value = shift = 0
    for position in range(p, p + VARINT_BYTES_MAX):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
    raise Refusal("is a varint of more than five bytes")


def skip_tagged_fields(data: Any, p: int, end: int) -> int:
    """Return the position after a section of unknown tagged fields."""
    count, p = read_varint(data, p)
    for _ in range(count):
        _tag, p = read_varint(data, p)
        size_bytes, p = read_varint(data, p)
        p += size_bytes
        if p > end:
            raise Refusal(f"has a tagged field of {size_bytes} bytes, {p - end} more than the message has")
    return p


@lru_cache(maxsize=4096)
def _uuid(value: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=value)


KNOWN = {
    "N": SimpleNamespace,
    "E": Refusal,
    "V": read_varint,
    "T": skip_tagged_fields,
    "U": _uuid,
    "ZERO": uuid.UUID(int=0),
    "unpack": struct.unpack_from,
    "I": Struct(">i").unpack_from,
    "view": memoryview,
}


def size_bytes_min(field: MessageField, flexible: bool) -> int:
    """Return the minimum size of a field in bytes, which bounds an array's length."""
    if not field.present or field.tag is not None:
        return 0
    if field.is_array:
        return 1 if flexible else 4
    return element_bytes_min(field, flexible)


def element_bytes_min(field: MessageField, flexible: bool) -> int:
    """The fewest bytes that a value of the field's type can take, or one element of an array."""
    if field.type in SIZES:
        return SIZES[field.type]
    if field.type == "struct":
        nullable = field.nullable and not field.is_array
        return 1 if nullable else sum(size_bytes_min(child, flexible) for child in field.fields) + flexible
    if flexible:
        return 1
    return 2 if field.type == "string" else 4


def default_source(field: MessageField) -> str:
    """The expression for a field's default: fresh each time, as lists and namespaces can be changed."""
    if field.default_is_null:
        return "None"
    if field.is_array:
        return "[]"
    if field.type == "struct":
        return f"N({', '.join(f'{child.name}={default_source(child)}' for child in field.fields)})"
    if field.type == "uuid":
        return "ZERO"
    if field.type == "bool":
        return repr(bool(field.default))
    return repr(field.default)


class ReaderSource:
    """Writes the source that reads one version of a message."""

    def __init__(self, title: str, flexible: bool) -> None:
        self.out = FunctionSource(title, "def read(d, p, end):")
        self.flexible = flexible

    def message(self, fields: tuple[MessageField, ...]) -> Any:
        """The compiled function ``read(data, position, end) -> (namespace, position after it)``."""
        value = self.struct(fields, "")
        self.out.add(f"return {value}, p")
        return self.out.function(KNOWN)

    def struct(self, fields: tuple[MessageField, ...], path: str) -> str:
        """Read a struct's fields into locals. Returns the expression that creates the namespace."""
        values: dict[str, str] = {}
        run: list[MessageField] = []
        for field in fields:
            if not field.present or field.tag is not None:
                continue
            if field.type in CODES and not field.is_array:
                run.append(field)
                continue
            self.numbers(run, path, values)
            run = []
            values[field.name] = self.field(field, path + field.name)
        self.numbers(run, path, values)
        if self.flexible:
            self.tagged_fields([field for field in fields if field.present and field.tag is not None], path, values)
        arguments = ", ".join(f"{field.name}={values.get(field.name) or default_source(field)}" for field in fields)
        return f"N({arguments})"

    def numbers(self, run: list[MessageField], path: str, values: dict[str, str]) -> None:
        """Reads neighbours of fixed size in one go."""
        if not run:
            return
        codes = "".join("?" if field.type == "bool" else CODES[field.type] for field in run)
        unpack = self.out.constant("S", Struct(">" + codes).unpack_from)
        names, places, size_bytes = [], [], 0
        for field in run:
            name = self.out.name("v")
            names.append(name)
            values[field.name] = f"U({name})" if field.type == "uuid" else name
            size_bytes += SIZES[field.type]
            places.append((path + field.name, size_bytes))
        self.out.add(f"{', '.join(names)}, = {unpack}(d, p)", *places)
        self.out.add(f"p += {size_bytes}")

    def field(self, field: MessageField, path: str) -> str:
        """Reads one field that is not part of a run; returns the expression for its value."""
        name = self.out.name("v")
        if field.is_array:
            self.array(field, path, name)
        elif field.type == "struct":
            self.inner_struct(field, path, name)
        elif field.type in CODES:
            values: dict[str, str] = {}
            self.numbers([field], path.removesuffix(field.name), values)
            return values[field.name]
        else:
            self.text(field.type, field.nullable, path, name)
        return name

    def length(self, width: int, path: str) -> None:
        """Reads a length into ``n``: -1 for null."""
        add = self.out.add
        if self.flexible:
            add("n = d[p] - 1", (path, 0))
            add("p += 1")
            add("if n > 126:")
            add("    n, p = V(d, p - 1)")
            add("    n -= 1")
            if width == 2:
                add(f"    if n > {STRING_BYTES_MAX}: raise E(f'is {{n}} bytes long, the most is {STRING_BYTES_MAX}')")
        elif width == 2:
            add("n = (d[p] << 8) | d[p + 1]", (path, 0))
            add("p += 2")
            add("if n > 32767: n -= 65536")
        else:
            add("n, = I(d, p)", (path, 0))
            add("p += 4")
        if not self.flexible:
            add("if n < -1: raise E(f'has a length of {n}')")

    def null(self, nullable: bool, name: str) -> None:
        """The branch for a length of -1."""
        self.out.add(f"if n < 0: {name} = None" if nullable else "if n < 0: raise E('is null, but may not be')")
        self.out.add("else:")

    def text(self, kind: str, nullable: bool, path: str, name: str) -> None:
        """Reads a string, bytes or records."""
        self.length(2 if kind == "string" else 4, path)
        self.null(nullable, name)
        self.out.add("    e = p + n")
        self.out.add("    if e > end: raise E(f'is {n} bytes long, but only {end - p} are left')")
        value = {"string": "str(d[p:e], 'utf-8')", "bytes": "bytes(d[p:e])", "records": "view(d)[p:e]"}[kind]
        self.out.add(f"    {name} = {value}")
        self.out.add("    p = e")

    def array(self, field: MessageField, path: str, name: str) -> None:
        """Reads an array: its length against the bytes that are left, then its elements."""
        add = self.out.add
        self.length(4, path)
        self.null(field.nullable, name)
        self.out.indent += 1
        size_bytes = max(1, element_bytes_min(field, self.flexible))
        add(f"if n * {size_bytes} > end - p: raise E(f'has {{n}} elements, but only {{end - p}} bytes are left')")
        if field.type in CODES and field.type not in ("uuid", "bool"):
            add(f"{name} = list(unpack(f'>{{n}}{CODES[field.type]}', d, p))")
            add(f"p += n * {size_bytes}")
        else:
            add(f"{name} = []")
            add("for _ in range(n):")
            self.out.indent += 1
            if field.type == "struct":
                value = self.struct(field.fields, path + ".")
            else:
                value = self.field(field._replace(is_array=False, nullable=False), path)
            add(f"{name}.append({value})")
            self.out.indent -= 1
        self.out.indent -= 1

    def inner_struct(self, field: MessageField, path: str, name: str) -> None:
        """Read a struct. A nullable struct has one byte before it, negative for null."""
        if not field.nullable:
            self.out.add(f"{name} = {self.struct(field.fields, path + '.')}")
            return
        self.out.add("n = d[p]", (path, 0))
        self.out.add("p += 1")
        self.out.add(f"{name} = None")
        self.out.add("if n < 128:")
        self.out.indent += 1
        self.out.add(f"{name} = {self.struct(field.fields, path + '.')}")
        self.out.indent -= 1

    def tagged_fields(self, fields: list[MessageField], path: str, values: dict[str, str]) -> None:
        """Read the section of tagged fields: ``fields`` in any order; other fields are skipped."""
        add = self.out.add
        place = (f"{path}tagged fields", 0)
        if not fields:
            add("if d[p]: p = T(d, p, end)", place)
            add("else: p += 1")
            return
        for field in fields:
            values[field.name] = self.out.name("t")
            add(f"{values[field.name]} = {default_source(field)}", place)
        count, tag, stop = self.out.name("c"), self.out.name("k"), self.out.name("s")
        add(f"{count}, p = V(d, p)", place)
        add(f"for _ in range({count}):")
        self.out.indent += 1
        add(f"{tag}, p = V(d, p)")
        add("n, p = V(d, p)")
        add(f"{stop} = p + n")
        add(f"if {stop} > end: raise E(f'has a tagged field of {{n}} bytes, but only {{end - p}} are left')")
        for position, field in enumerate(fields):
            add(f"{'elif' if position else 'if'} {tag} == {field.tag}:", place)
            self.out.indent += 1
            add(f"{values[field.name]} = {self.field(field, path + field.name)}")
            add(f"if p != {stop}: raise E(f'ends at {{p}}, but its size says {{{stop}}}')")
            self.out.indent -= 1
        add(f"else: p = {stop}", place)
        self.out.indent -= 1
