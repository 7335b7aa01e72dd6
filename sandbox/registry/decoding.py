"""Decodes events with the schemas of a file's own registry, and with the deserializers that were chosen in it."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sandbox.model.dead_letters import letters_of
from sandbox.model.deserializers import Deserializer
from sandbox.model.registry import DEFAULT_CONTEXT, RegisteredSchema, VersionRow
from sandbox.schemas.decoding import EventDecoder, FoundSchema, SchemaId
from sandbox.schemas.schema import InvalidValue, ParsedSchema
from sandbox.storage.deserializers import load_deserializer
from sandbox.storage.file.database import Reader
from sandbox.storage.file.read_only import read_only
from sandbox.storage.registry import RegistryRows

OpenReader = Callable[[], AbstractContextManager[Reader]]
"""Opens the file for reading, in one read transaction."""


def registry_decoder(reader: OpenReader) -> EventDecoder:
    """Return a decoder of events for one page, search or command.

    Args:
        reader: opens the file, for each look-up.
    """
    file = _FileRegistry(reader)
    return EventDecoder(file.find, file.chosen)


def file_decoder(path: Path) -> EventDecoder:
    """Return a decoder for a file that any process may own. It is opened for each look-up, read-only, and closed again.

    Args:
        path: the sandbox file.
    """

    @contextmanager
    def reader() -> Iterator[Reader]:
        with read_only(path) as connection:
            yield Reader(connection)

    return registry_decoder(reader)


class _FileRegistry:
    def __init__(self, reader: OpenReader) -> None:
        self._reader = reader

    def chosen(self, topic: str, *, is_key: bool) -> Deserializer | None:
        """Return what was chosen for a topic; a dead-letter topic without a choice has the one of its topic."""
        with self._reader() as reader:
            found = load_deserializer(reader, topic, is_key=is_key)
            origin = letters_of(topic) if found is None else None
            return load_deserializer(reader, origin, is_key=is_key) if origin else found

    def find(self, schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | None:
        """Return a schema with the version that fits a topic best."""
        with self._reader() as reader:
            rows = RegistryRows(reader)
            versions = _versions(rows, schema)
            if not versions:
                return None
            row = min(versions, key=lambda one: _distance(one, topic, is_key))
            registered = rows.registered(row)
        return FoundSchema(
            lambda: self._parsed(registered),
            registered.content.schema_type,
            str(row.subject),
            row.version,
            row.schema_id,
        )

    def _parsed(self, registered: RegisteredSchema) -> ParsedSchema:
        # The rules of the registry: only a schema that is used needs them.
        from sandbox.registry.errors import RegistryError
        from sandbox.registry.parsing import parse_stored

        with self._reader() as reader:
            try:
                return parse_stored(RegistryRows(reader), registered)
            except RegistryError as error:
                raise InvalidValue(str(error)) from error


def _versions(rows: RegistryRows, schema: SchemaId) -> list[VersionRow]:
    if isinstance(schema, uuid.UUID):
        return [one for place in rows.ids_of_guid(str(schema)) for one in rows.versions_of(*place)]
    return [one for context in (DEFAULT_CONTEXT, *rows.contexts()) for one in rows.versions_of(context, schema)]


def _distance(row: VersionRow, topic: str, is_key: bool) -> tuple[bool, bool, bool, bool]:
    """Smaller for what more likely wrote the event: the topic's own subject, the default context, not deleted."""
    own = f"{topic}-{'key' if is_key else 'value'}"
    return (
        row.subject.name != own,
        not row.subject.name.startswith(f"{topic}-"),
        row.subject.context != DEFAULT_CONTEXT,
        row.deleted,
    )
