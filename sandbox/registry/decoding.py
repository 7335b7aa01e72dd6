"""Decodes events with the schemas of a file's own registry."""

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager

from sandbox.model.registry import DEFAULT_CONTEXT, RegisteredSchema, VersionRow
from sandbox.registry.errors import RegistryError
from sandbox.registry.parsing import parse_stored
from sandbox.schemas.decoding import EventDecoder, FoundSchema, SchemaId
from sandbox.schemas.schema import InvalidValue, ParsedSchema
from sandbox.storage.registry import RegistryRows

OpenRows = Callable[[], AbstractContextManager[RegistryRows]]
"""Opens the registry's rows for reading."""


def registry_decoder(rows: OpenRows) -> EventDecoder:
    """Return a decoder of events for one page, search or command.

    Args:
        rows: opens the registry's rows, at the first event with a frame.
    """
    return EventDecoder(_LocalSchemas(rows).find)


class _LocalSchemas:
    def __init__(self, rows: OpenRows) -> None:
        self._rows = rows

    def find(self, schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | None:
        """Return a schema with the version that fits a topic best."""
        with self._rows() as rows:
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
        with self._rows() as rows:
            try:
                return parse_stored(rows, registered)
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
