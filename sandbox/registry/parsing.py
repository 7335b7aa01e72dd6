"""Parses schemas with what they refer to.

Parsing and comparing may take long. Both are cached, so that a worker thread does the work and the thread that writes
finds the results.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from sandbox.model.gc_pause import gc_paused
from sandbox.model.registry import (
    LATEST,
    SCHEMA_TYPES,
    RegisteredSchema,
    SchemaContent,
    SchemaReference,
    Subject,
)
from sandbox.registry.errors import invalid_schema
from sandbox.registry.subjects import within
from sandbox.schemas.compatibility import compatibility_errors
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.schema import InvalidSchema, MissingLibrary, ParsedSchema, Reference
from sandbox.storage.registry import RegistryRows

CACHED_MAX = 128
CACHED_CHARS_MAX = 1_000_000
"""How many characters the texts of the cached schemas have together. A parsed schema takes some 100 bytes for each."""
CACHED_MIN = 4
"""How many schemas are cached whatever their size: those that one request compares."""
RESOLVED_MAX = 300
"""The maximum number of schemas that one schema may refer to, directly and indirectly."""


class Source(NamedTuple):
    """A schema's text and all that it refers to: what its meaning depends on.

    Attributes:
        resolved: name and text of the schemas that it refers to, directly and indirectly, dependencies first.
    """

    schema_type: str
    text: str
    references: tuple[SchemaReference, ...]
    resolved: tuple[tuple[str, str], ...]
    new: bool = False


class Prepared(NamedTuple):
    """A schema in the form in which it is stored.

    Attributes:
        targets: the subjects of its references, in their order.
        source: the schema as it was sent.
        normalized: True if it was brought to its normal form.
    """

    content: SchemaContent
    targets: tuple[Subject, ...]
    source: Source
    normalized: bool
    guid: str


def prepare(
    rows: RegistryRows, parent: Subject, content: SchemaContent, *, new: bool, normalize: bool = False
) -> Prepared:
    """Parse a schema that a client sent.

    Args:
        parent: its subject; references are relative to its context.
        new: True applies the checks of a new registration, and does not find soft-deleted references.
        normalize: True brings the schema to its normal form.

    Raises:
        RegistryError: 42201.
    """
    source, targets = _source(rows, parent, content, new=new)
    form = _normalized(source) if normalize else _parsed(source)
    references = tuple(SchemaReference(*_fields(one)) for one in form.references) if normalize else source.references
    if references != source.references:
        by_name = dict(zip(source.references, targets, strict=True))
        targets = tuple(by_name.get(one) or within(parent, one.subject) for one in references)
    stored = replace(content, text=form.text, references=references)
    return Prepared(stored, targets, source, normalize, guid_of(stored))


def parsed(prepared: Prepared) -> ParsedSchema:
    """Return a schema that was sent, parsed."""
    return _parsed(prepared.source)


def parse_stored(rows: RegistryRows, schema: RegisteredSchema) -> ParsedSchema:
    """Parse a schema of the registry."""
    return _parsed(_source(rows, schema.subject, schema.content, new=False)[0])


def incompatibilities(
    rows: RegistryRows, level: str, prepared: Prepared, parent: Subject, previous: list[RegisteredSchema]
) -> list[str]:
    """Return why a schema is not compatible with earlier ones, empty if it is.

    Args:
        previous: in ascending order of versions.
    """
    compared = previous if level.endswith("_TRANSITIVE") else previous[-1:]
    source = _source(rows, parent, prepared.content, new=False)[0]
    earlier = tuple((one.version, _source(rows, one.subject, one.content, new=False)[0]) for one in compared)
    return list(_compared(level, source, earlier))


def format_schema(rows: RegistryRows, schema: RegisteredSchema, output_format: str) -> str:
    """Return a schema's text in one of the formats of its type, such as `serialized` for Protobuf."""
    if not output_format.strip():
        return schema.content.text
    with _refusing(schema.content.schema_type):
        return parse_stored(rows, schema).formatted(output_format)


def can_look_up(sent: Prepared, rows: RegistryRows, stored: RegisteredSchema) -> bool:
    """Return whether a schema that was sent is a stored one.

    It may be sent with everything that it refers to in its text (Avro), and without the version that the registry
    writes into the metadata.
    """
    if sent.content.schema_type != stored.content.schema_type:
        return False
    same_references = sent.content.references == stored.content.references
    if not (same_references or (not sent.content.references and stored.content.references)):
        return False
    if not _same_metadata(sent.content.metadata or {}, stored.content.metadata or {}, stored.version):
        return False
    if sent.content.rule_set != stored.content.rule_set:
        return False
    return _equivalent(sent.source, sent.normalized, _source(rows, stored.subject, stored.content, new=False)[0])


def guid_of(content: SchemaContent) -> str:
    """Return the GUID of a schema: it depends on its content alone, so it is the same in every registry."""
    digest = hashlib.md5(content.text.encode("utf-8", "surrogatepass"), usedforsecurity=False)
    for reference in content.references:
        digest.update(reference.name.encode())
        digest.update(reference.subject.encode())
        digest.update(reference.version.to_bytes(4, "big", signed=True))
    if content.metadata is not None:
        digest.update(b"\x01")
        for text in _metadata_texts(content.metadata):
            digest.update(text.encode())
    if content.rule_set is not None:
        digest.update(b"\x01" + json.dumps(content.rule_set, sort_keys=True).encode())
    found = digest.hexdigest()
    return "-".join((found[:8], found[8:12], found[12:16], found[16:20], found[20:]))


def _metadata_texts(metadata: Mapping[str, Any]) -> Iterator[str]:
    for tag, values in sorted((metadata.get("tags") or {}).items()):
        yield tag
        yield from sorted(map(str, values))
    for key, value in sorted((metadata.get("properties") or {}).items()):
        yield key
        yield str(value)
    yield from sorted(map(str, metadata.get("sensitive") or ()))


def _same_metadata(sent: dict[str, Any], stored: dict[str, Any], version: int) -> bool:
    """Compare metadata. If only one has a version, it is left out; one that was sent must be the schema's."""
    ours, theirs = _version_in(sent), _version_in(stored)
    if (ours is None) == (theirs is None):
        return sent == stored
    if ours is not None and ours != str(version):
        return False
    return _without_version(sent) == _without_version(stored)


def _version_in(metadata: dict[str, Any]) -> str | None:
    found = (metadata.get("properties") or {}).get(VERSION_PROPERTY)
    return None if found is None else str(found)


def _without_version(metadata: dict[str, Any]) -> dict[str, Any]:
    found = dict(metadata)
    properties = {key: value for key, value in (found.pop("properties", None) or {}).items() if key != VERSION_PROPERTY}
    return {**found, **({"properties": properties} if properties else {})}


VERSION_PROPERTY = "confluent:version"


def _fields(reference: Reference) -> tuple[str, str, int]:
    return reference.name, reference.subject, reference.version


def _source(
    rows: RegistryRows, parent: Subject, content: SchemaContent, *, new: bool
) -> tuple[Source, tuple[Subject, ...]]:
    if content.schema_type not in SCHEMA_TYPES:
        raise invalid_schema(f"Invalid schema type {content.schema_type}")
    resolved: dict[str, str] = {}
    with _refusing(content.schema_type):
        found = _resolve(rows, parent, content.references, resolved, set(), deleted=not new)
    references = tuple(reference for reference, _ in found)
    source = Source(content.schema_type, content.text, references, tuple(resolved.items()), new)
    return source, tuple(target for _, target in found)


def _resolve(
    rows: RegistryRows,
    parent: Subject,
    references: tuple[SchemaReference, ...],
    resolved: dict[str, str],
    seen: set[str],
    *,
    deleted: bool,
) -> list[tuple[SchemaReference, Subject]]:
    """Return the references with their versions and subjects. Adds what they refer to before them, each name once."""
    found = []
    for reference in references:
        target = within(parent, reference.subject)
        schema = _find(rows, target, reference.version, deleted=deleted)
        if schema is None:
            raise InvalidSchema(f'No schema reference found for subject "{target}" and version {reference.version}')
        found.append((reference._replace(version=schema.version), target))
        if reference.name in seen:
            continue
        seen.add(reference.name)
        if len(seen) > RESOLVED_MAX:
            raise InvalidSchema(f"The schema refers to more than {RESOLVED_MAX:,} others")
        _resolve(rows, schema.subject, schema.content.references, resolved, seen, deleted=True)
        resolved[reference.name] = schema.content.text
    return found


def _find(rows: RegistryRows, subject: Subject, version: int, *, deleted: bool) -> RegisteredSchema | None:
    if version == LATEST:
        row = next((one for one in reversed(rows.versions(subject)) if not one.deleted), None)
    else:
        row = rows.version(subject, version)
    return None if row is None or (row.deleted and not deleted) else rows.registered(row)


@contextmanager
def _refusing(schema_type: str) -> Iterator[None]:
    """Turn an error of a format into the registry's."""
    try:
        yield
    except (InvalidSchema, MissingLibrary) as error:
        raise invalid_schema(f"Invalid schema of type {schema_type}, details: {error}") from error
    except RecursionError as error:
        raise invalid_schema(f"Invalid schema of type {schema_type}, details: it is nested too deeply") from error


class _ParsedCache:
    """Parsed schemas by their sources, bounded by the length of their texts. Thread-safe.

    Args:
        parse: returns a schema that is not cached. It may run twice at the same time.
    """

    def __init__(self, parse: Callable[[Source], ParsedSchema]) -> None:
        self._parse = parse
        self._lock = threading.Lock()
        self._known: OrderedDict[Source, ParsedSchema] = OrderedDict()
        self._chars = 0

    def __call__(self, source: Source) -> ParsedSchema:
        """Return a parsed schema."""
        with self._lock:
            found = self._known.get(source)
            if found is not None:
                self._known.move_to_end(source)
                return found
        parsed = self._parse(source)
        with self._lock:
            if source not in self._known:
                self._known[source] = parsed
                self._chars += _chars(source)
            while len(self._known) > CACHED_MIN and (self._chars > CACHED_CHARS_MAX or len(self._known) > CACHED_MAX):
                self._chars -= _chars(self._known.popitem(last=False)[0])
        return parsed


def _chars(source: Source) -> int:
    return len(source.text) + sum(len(text) for _, text in source.resolved)


@_ParsedCache
def _parsed(source: Source) -> ParsedSchema:
    references = [Reference(*one) for one in source.references]
    with _refusing(source.schema_type), gc_paused():
        return parse_schema(source.schema_type, source.text, references, dict(source.resolved), new=source.new)


@_ParsedCache
def _normalized(source: Source) -> ParsedSchema:
    with _refusing(source.schema_type):
        return _parsed(source).normalized()


@lru_cache(CACHED_MAX)
def _equivalent(sent: Source, normalized: bool, stored: Source) -> bool:
    return (_normalized(sent) if normalized else _parsed(sent)).is_equivalent(_parsed(stored))


@lru_cache(CACHED_MAX)
def _compared(level: str, source: Source, earlier: tuple[tuple[int, Source], ...]) -> tuple[str, ...]:
    previous = [(version, _parsed(one)) for version, one in earlier]
    with _refusing(source.schema_type), gc_paused():
        return tuple(compatibility_errors(level, _parsed(source), previous))
