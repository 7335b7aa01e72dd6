"""The rules by which an Avro reader's schema can read what a writer's schema wrote.

Source: org.apache.avro.SchemaCompatibility of Apache Avro 1.12, and the specification's chapter on schema resolution.
Names match without their namespaces, as they do there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.schemas.avro.types import NO_DEFAULT, AvroType, RecordField
from sandbox.schemas.schema import READER, WRITER, TooManyComparisons

PROMOTIONS = {
    "long": {"int"},
    "float": {"int", "long"},
    "double": {"int", "long", "float"},
    "bytes": {"string"},
    "string": {"bytes"},
}
"""The writer's types that each type of a reader accepts besides its own."""

DESCRIPTIONS = {
    "NAME_MISMATCH": "The name of the schema has changed (path '{path}')",
    "FIXED_SIZE_MISMATCH": (
        "The size of FIXED type field at path '{path}' in the {reader} schema does not match with the {writer} schema"
    ),
    "MISSING_ENUM_SYMBOLS": (
        "The {reader} schema is missing enum symbols '{detail}' at path '{path}' in the {writer} schema"
    ),
    "READER_FIELD_MISSING_DEFAULT_VALUE": (
        "The field '{detail}' at path '{path}' in the {reader} schema has no default value and is missing in the "
        "{writer} schema"
    ),
    "TYPE_MISMATCH": (
        "The type (path '{path}') of a field in the {reader} schema does not match with the {writer} schema"
    ),
    "MISSING_UNION_BRANCH": (
        "The {reader} schema is missing a type inside a union field at path '{path}' in the {writer} schema"
    ),
}


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """A reason why the reader cannot read: a key of `DESCRIPTIONS`, the path in the reader's schema, a detail."""

    kind: str
    path: str
    detail: str

    def message(self) -> str:
        """Return it in the registry's form."""
        description = DESCRIPTIONS[self.kind].format(path=self.path, detail=self.detail, reader=READER, writer=WRITER)
        return f"{{errorType:'{self.kind}', description:'{description}', additionalInfo:'{self.detail}'}}"


COMPARISONS_MAX = 200_000
"""How many pairs of types are compared at most: unions compare each branch with each."""


class AmbiguousAlias(Exception):
    """A reader's field matches several fields of the writer by its aliases."""


def incompatibilities(reader: AvroType, writer: AvroType) -> list[Incompatibility]:
    """Return why a reader cannot read what a writer wrote; empty if it can.

    Raises:
        AmbiguousAlias: A field matches several.
        TooManyComparisons: See `COMPARISONS_MAX`.
    """
    return _Checker().compare(reader, writer, ())


class _Checker:
    def __init__(self) -> None:
        # None while a pair is being compared: recursive types are compatible unless a difference is found.
        self._compared: dict[tuple[int, int], list[Incompatibility] | None] = {}

    def compare(self, reader: AvroType, writer: AvroType, path: tuple[str, ...]) -> list[Incompatibility]:
        pair = (id(reader), id(writer))
        if pair in self._compared:
            return self._compared[pair] or []
        if len(self._compared) >= COMPARISONS_MAX:
            raise TooManyComparisons(f"the schemas need more than {COMPARISONS_MAX:,} comparisons")
        self._compared[pair] = None
        found = list(self._differences(reader, writer, path))
        self._compared[pair] = found
        return found

    def _differences(self, reader: AvroType, writer: AvroType, path: tuple[str, ...]) -> Iterator[Incompatibility]:
        if reader.kind != writer.kind:
            yield from self._different_kinds(reader, writer, path)
        elif reader.items is not None:
            inner = "items" if reader.kind == "array" else "values"
            yield from self.compare(reader.items, writer.element, (*path, inner))
        elif reader.kind == "union":
            for place, branch in enumerate(writer.branches):
                if self.compare(reader, branch, ()):
                    yield _lacking(branch, (*path, str(place)))
        elif reader.name:
            yield from self._named(reader, writer, path)

    def _different_kinds(self, reader: AvroType, writer: AvroType, path: tuple[str, ...]) -> Iterator[Incompatibility]:
        if writer.kind == "union":
            for place, branch in enumerate(writer.branches):
                yield from self.compare(reader, branch, (*path, str(place)))
        elif reader.kind == "union":
            if not any(self._fits(branch, writer) for branch in reader.branches):
                yield _lacking(writer, path)
        elif writer.kind not in PROMOTIONS.get(reader.kind, ()):
            detail = f"reader type: {reader.kind.upper()} not compatible with writer type: {writer.kind.upper()}"
            yield _found("TYPE_MISMATCH", path, detail)

    def _fits(self, branch: AvroType, writer: AvroType) -> bool:
        """Return whether a branch of a reader's union reads what was written. Most do not by their kind or name."""
        if branch.kind != writer.kind:
            return writer.kind in PROMOTIONS.get(branch.kind, ())
        if branch.name and not _same_name(branch, writer):
            return False
        return not self.compare(branch, writer, ())

    def _named(self, reader: AvroType, writer: AvroType, path: tuple[str, ...]) -> Iterator[Incompatibility]:
        if not _same_name(reader, writer):
            yield _found("NAME_MISMATCH", (*path, "name"), f"expected: {writer.name}")
        if reader.kind == "fixed" and reader.size != writer.size:
            detail = f"expected: {writer.size}, found: {reader.size}"
            yield _found("FIXED_SIZE_MISMATCH", (*path, "size"), detail)
        if reader.kind == "enum" and reader.default_symbol is None:
            missing = sorted(set(writer.symbols) - set(reader.symbols))
            if missing:
                yield _found("MISSING_ENUM_SYMBOLS", (*path, "symbols"), f"[{', '.join(missing)}]")
        writer_fields = {field.name: field for field in writer.fields}
        for place, field in enumerate(reader.fields):
            yield from self._field(field, writer, writer_fields, (*path, "fields", str(place)))

    def _field(
        self, field: RecordField, writer: AvroType, writer_fields: dict[str, RecordField], path: tuple[str, ...]
    ) -> Iterator[Incompatibility]:
        written = [writer_fields[name] for name in (field.name, *field.aliases) if name in writer_fields]
        if len(written) > 1:
            raise AmbiguousAlias(f"Reader record field {field.name} matches multiple fields in {writer.name}")
        if written:
            yield from self.compare(field.type, written[0].type, (*path, "type"))
        elif field.default is NO_DEFAULT:
            if field.type.default_symbol is not None:
                # Avro for Java compares the enum with the whole record here, and so finds a difference.
                yield from self.compare(field.type, writer, (*path, "type"))
            else:
                yield _found("READER_FIELD_MISSING_DEFAULT_VALUE", path, field.name)


def _same_name(reader: AvroType, writer: AvroType) -> bool:
    return reader.simple_name == writer.simple_name or writer.name in reader.aliases


def _lacking(branch: AvroType, path: tuple[str, ...]) -> Incompatibility:
    return _found("MISSING_UNION_BRANCH", path, f"reader union lacking writer type: {branch.kind.upper()}")


def _found(kind: str, path: tuple[str, ...], detail: str) -> Incompatibility:
    return Incompatibility(kind, "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path), detail)
