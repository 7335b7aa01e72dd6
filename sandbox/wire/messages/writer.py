"""Generates the function that encodes one version of one message.

The function accepts a mapping with the names of any version of the message. It writes its own version's fields, with
the default for missing ones. Names that no version has are refused: a typing error would otherwise silently leave a
field at its default.

Source: https://kafka.apache.org/protocol#protocol_types, and KIP-482 for the compact forms and tagged fields.
"""

import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import Any

from sandbox.wire.messages.schemas import MessageField
from sandbox.wire.messages.source import CODES, FunctionSource, Refusal

ONE_BYTE = tuple(bytes([value]) for value in range(128))
SHORT_ARRAY = 8


class EncodedArray(list[bytes]):
    """The elements of a message's own array of structs, each already encoded in the message's version."""


class UnknownField(KeyError):
    """A mapping to be written has a key that no version of the message has."""

    def __str__(self) -> str:
        return str(self.args[0])


def varint(value: int) -> bytes:
    """Encode an unsigned varint."""
    if value < 0:
        raise Refusal(f"has a length of {value}")
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def refuse_names(message: Mapping[str, Any], known: frozenset[str], path: str) -> None:
    """Raises for the first name of ``message`` that is not in ``known``, with the nearest that is."""
    import difflib  # here, because it is slow to import and only an error needs it

    for name in message:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
            raise UnknownField(f"no version of {path} has a field {name!r}{hint}")


def array_packer(code: str, compact: bool) -> Callable[[Sequence[int]], bytes]:
    """A function that writes an array of numbers, its length included."""
    prefix, extra = (">B", 1) if compact else (">i", 0)
    short = [Struct(f"{prefix}{count}{code}").pack for count in range(SHORT_ARRAY + 1)]

    def pack(values: Sequence[int]) -> bytes:
        count = len(values)
        if count <= SHORT_ARRAY:
            return short[count](count + extra, *values)
        head = varint(count + 1) if compact else struct.pack(">i", count)
        return head + struct.pack(f">{count}{code}", *values)

    return pack


def tagged(tag: int, pieces: list[bytes]) -> bytes:
    """One tagged field: tag, size, content."""
    content = b"".join(pieces)
    return varint(tag) + varint(len(content)) + content


KNOWN = {
    "E": Refusal,
    "B": ONE_BYTE,
    "V": varint,
    "T": tagged,
    "H": Struct(">h").pack,
    "I": Struct(">i").pack,
    "ZERO": uuid.UUID(int=0),
    "EMPTY": {},
    "MISSING": object(),
    "ENCODED": EncodedArray,
    "refuse": refuse_names,
}


def default_source(field: MessageField) -> str:
    """Return the expression that writes a missing field."""
    if field.default_is_null:
        return "None"
    if field.is_array:
        return "()"
    if field.type == "struct":
        return "EMPTY"
    if field.type == "uuid":
        return "ZERO"
    return repr(field.default)


def differs(field: MessageField, value: str) -> str:
    """The condition under which a tagged field must be written: its value is not the default."""
    if field.default_is_null:
        return f"{value} is not None"
    if field.is_array:
        return f"({value} is None or len({value}) > 0)"
    if field.type == "struct":
        children = [child for child in field.fields if child.present]
        parts = [differs(child, f"{value}.get({child.name!r}, {default_source(child)})") for child in children]
        return f"({' or '.join([f'{value} is None', *parts])})"
    if field.type == "uuid":
        return f"({value} or ZERO) != ZERO"
    return f"{value} != {field.default!r}"


class WriterSource:
    """Writes the source that writes one version of a message."""

    def __init__(self, title: str, flexible: bool) -> None:
        self.out = FunctionSource(title, "def write(m, w, x):")
        self.title = title
        self.flexible = flexible

    def message(self, fields: tuple[MessageField, ...]) -> Any:
        """The compiled function ``write(mapping, append, extend)``."""
        self.struct(fields, "m", "", "w", "x")
        return self.out.function(KNOWN)

    def struct(self, fields: tuple[MessageField, ...], mapping: str, path: str, w: str, x: str) -> None:
        """Writes a struct from the mapping in the local ``mapping``."""
        names = self.out.constant("K", frozenset(field.name for field in fields))
        where = f"{self.title.strip('<>')} {path.removesuffix('.')}".rstrip()
        self.out.add(
            f"if not {mapping}.keys() <= {names}: refuse({mapping}, {names}, {where!r})", (path or "message", 0)
        )
        get = self.out.name("g")
        self.out.add(f"{get} = {mapping}.get")
        run: list[MessageField] = []
        for field in fields:
            if not field.present or field.tag is not None:
                continue
            if field.type in CODES and not field.is_array:
                run.append(field)
                continue
            self.numbers(run, get, path, w)
            run = []
            name = self.out.name("v")
            self.out.add(f"{name} = {get}({field.name!r}, {default_source(field)})", (path + field.name, 0))
            self.field(field, name, path + field.name, w, x)
        self.numbers(run, get, path, w)
        if self.flexible:
            self.tagged_fields([field for field in fields if field.present and field.tag is not None], get, path, w)

    def numbers(self, run: list[MessageField], get: str, path: str, w: str) -> None:
        """Writes neighbours of fixed size in one go."""
        if not run:
            return
        pack = self.out.constant("S", Struct(">" + "".join(CODES[field.type] for field in run)).pack)
        values = []
        for field in run:
            value = f"{get}({field.name!r}, {default_source(field)})"
            values.append(f"({value} or ZERO).bytes" if field.type == "uuid" else value)
        label = ", ".join(path + field.name for field in run)
        self.out.add(f"{w}({pack}({', '.join(values)}))", (label, 0))

    def field(self, field: MessageField, value: str, path: str, w: str, x: str) -> None:
        """Write one field whose value is in the local ``value``."""
        add = self.out.add
        if field.type in CODES and not field.is_array:
            self.numbers([field], f"{{{field.name!r}: {value}}}.get", path.removesuffix(field.name), w)
            return
        if field.nullable:
            null = "B[0]" if self.flexible else "H(-1)" if self.is_short(field) else "I(-1)"
            if field.type == "struct" and not field.is_array:
                null = "b'\\xff'"
            add(f"if {value} is None: {w}({null})", (path, 0))
        else:
            add(f"if {value} is None: raise E('is null, but may not be')", (path, 0))
        add("else:")
        self.out.indent += 1
        if field.is_array:
            self.array(field, value, path, w, x)
        elif field.type == "struct":
            if field.nullable:
                add(f"{w}(B[1])")
            self.struct(field.fields, value, path + ".", w, x)
        else:
            self.text(field, value, w, x)
        self.out.indent -= 1

    def is_short(self, field: MessageField) -> bool:
        """True if the length is an int16, as in non-flexible versions."""
        return field.type == "string" and not field.is_array

    def length(self, field: MessageField, w: str) -> None:
        """Writes the length in the local ``n``."""
        if self.flexible:
            self.out.add(f"{w}(B[n + 1] if n < 127 else V(n + 1))")
        else:
            self.out.add(f"{w}({'H' if self.is_short(field) else 'I'}(n))")

    def text(self, field: MessageField, value: str, w: str, x: str) -> None:
        """Write a string, bytes or records; bytes and records may be in pieces."""
        if field.type == "string":
            self.out.add(f"{value} = {value}.encode()")
            self.out.add(f"n = len({value})")
            self.length(field, w)
            self.out.add(f"{w}({value})")
            return
        self.out.add(f"if isinstance({value}, (list, tuple)):")
        self.out.add(f"    n = sum(map(len, {value}))")
        self.out.indent += 1
        self.length(field, w)
        self.out.indent -= 1
        self.out.add(f"    {x}({value})")
        self.out.add("else:")
        self.out.add(f"    n = len({value})")
        self.out.indent += 1
        self.length(field, w)
        self.out.indent -= 1
        self.out.add(f"    {w}({value})")

    def array(self, field: MessageField, value: str, path: str, w: str, x: str) -> None:
        """Writes an array: its length, then its elements."""
        if field.type in CODES and field.type not in ("uuid", "bool"):
            pack = self.out.constant("A", array_packer(CODES[field.type], self.flexible))
            self.out.add(f"{w}({pack}({value}))")
            return
        element = self.out.name("m")
        self.out.add(f"n = len({value})")
        self.length(field, w)
        if field.type == "struct" and "." not in path:
            self.out.add(f"if {value}.__class__ is ENCODED:")
            self.out.add(f"    {x}({value})")
            self.out.add(f"    {value} = ()")
        self.out.add(f"for {element} in {value}:")
        self.out.indent += 1
        if field.type == "struct":
            self.struct(field.fields, element, path + ".", w, x)
        else:
            self.field(field._replace(is_array=False, nullable=False), element, path, w, x)
        self.out.indent -= 1

    def tagged_fields(self, fields: list[MessageField], get: str, path: str, w: str) -> None:
        """Write the section of tagged fields: the ones that differ from their default, in tag order."""
        add = self.out.add
        place = (f"{path}tagged fields", 0)
        if not fields:
            add(f"{w}(B[0])", place)
            return
        section = self.out.name("t")
        add(f"{section} = []", place)
        for field in sorted(fields, key=lambda field: field.tag or 0):
            value, pieces = self.out.name("v"), self.out.name("q")
            add(f"{value} = {get}({field.name!r}, MISSING)", (path + field.name, 0))
            add(f"if {value} is not MISSING and {differs(field, value)}:")
            self.out.indent += 1
            add(f"{pieces} = []")
            self.field(field, value, path + field.name, f"{pieces}.append", f"{pieces}.extend")
            add(f"{section}.append(T({field.tag}, {pieces}))")
            self.out.indent -= 1
        # At most as many as the schema has, which are few.
        add(f"{w}(B[len({section})])", place)
        add(f"for n in {section}: {w}(n)")
