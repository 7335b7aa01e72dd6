"""Reads and writes the rows of the schema registry. `sandbox.registry` has its rules."""

import json
from collections.abc import Iterable
from typing import Any

from sandbox.model.registry import (
    DEFAULT_CONTEXT,
    RegisteredSchema,
    RegistryConfig,
    SchemaContent,
    SchemaReference,
    Subject,
    VersionRow,
)
from sandbox.storage.deserializers import decoding_changed
from sandbox.storage.file.database import Database, Reader

TOPICS_PER_QUERY = 500
_VERSION = "v.context, v.subject, v.version, v.schema_id, v.registered_ms, v.deleted"


class RegistryRows:
    """The registry as one read transaction sees it.

    Args:
        reader: a reader, or the database itself within a write.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def contexts(self) -> list[str]:
        """Return the names of all contexts except the default one, sorted."""
        rows = self._reader.rows("SELECT context FROM schema_contexts WHERE context <> ?", (DEFAULT_CONTEXT,))
        return sorted(row[0] for row in rows)

    def last_id(self, context: str) -> int:
        """Return the largest id that was ever assigned in a context, 0 if none was."""
        row = self._reader.one("SELECT last_id FROM schema_contexts WHERE context = ?", (context,))
        return row[0] if row else 0

    def all_versions(self) -> list[VersionRow]:
        """Return every version, soft-deleted ones too, sorted by context, subject and version."""
        return self._versions("ORDER BY v.context, v.subject, v.version", ())

    def versions(self, subject: Subject) -> list[VersionRow]:
        """Return a subject's versions, soft-deleted ones too, in ascending order."""
        return self._versions("WHERE v.context = ? AND v.subject = ? ORDER BY v.version", tuple(subject))

    def version(self, subject: Subject, version: int) -> VersionRow | None:
        """Return one version, None if it doesn't exist."""
        found = self._versions("WHERE v.context = ? AND v.subject = ? AND v.version = ?", (*subject, version))
        return found[0] if found else None

    def versions_of(self, context: str, schema_id: int) -> list[VersionRow]:
        """Return the versions that have a schema's id, sorted by subject and version."""
        where = "WHERE v.context = ? AND v.schema_id = ? ORDER BY v.subject, v.version"
        return self._versions(where, (context, schema_id))

    def _versions(self, clause: str, parameters: tuple[Any, ...]) -> list[VersionRow]:
        return [
            VersionRow(Subject(context, subject), version, schema_id, at_ms, bool(deleted))
            for context, subject, version, schema_id, at_ms, deleted in self._reader.rows(
                f"SELECT {_VERSION} FROM schema_versions v {clause}", parameters
            )
        ]

    def has_versions(self, subject: Subject, *, deleted: bool) -> bool:
        """Return True if a subject exists, or any subject of a context if the name is empty.

        Args:
            deleted: True counts soft-deleted versions too.
        """
        row = self._reader.one(
            "SELECT 1 FROM schema_versions WHERE context = ? AND (subject = ? OR ? = '') AND deleted <= ? LIMIT 1",
            (subject.context, subject.name, subject.name, int(deleted)),
        )
        return row is not None

    def content(self, context: str, schema_id: int) -> tuple[str, SchemaContent] | None:
        """Return a schema's GUID and content, None if it doesn't exist."""
        row = self._reader.one(
            "SELECT guid, schema_type, schema, metadata, rule_set FROM schemas WHERE context = ? AND schema_id = ?",
            (context, schema_id),
        )
        if row is None:
            return None
        guid, schema_type, text, metadata, rule_set = row
        references = self._reader.rows(
            "SELECT name, subject, version FROM schema_references WHERE context = ? AND schema_id = ? "
            "ORDER BY position",
            (context, schema_id),
        )
        return guid, SchemaContent(
            schema_type, text, tuple(SchemaReference(*one) for one in references), _object(metadata), _object(rule_set)
        )

    def registered(self, row: VersionRow) -> RegisteredSchema:
        """Return a version with its schema."""
        found = self.content(row.subject.context, row.schema_id)
        assert found is not None, "a version's schema is deleted after it"
        return RegisteredSchema(
            row.subject, row.version, row.schema_id, found[0], found[1], row.registered_ms, row.deleted
        )

    def ids_of_guid(self, guid: str) -> list[tuple[str, int]]:
        """Return context and id of the schemas that have a GUID, sorted."""
        rows = self._reader.rows(
            "SELECT context, schema_id FROM schemas WHERE guid = ? ORDER BY context, schema_id", (guid,)
        )
        return [(context, schema_id) for context, schema_id in rows]

    def referrers(self, subject: Subject, version: int) -> list[tuple[str, int]]:
        """Return context and id of the schemas that refer to a version, sorted."""
        rows = self._reader.rows(
            "SELECT DISTINCT context, schema_id FROM schema_references "
            "WHERE target_context = ? AND target_subject = ? AND version = ? ORDER BY context, schema_id",
            (*subject, version),
        )
        return [(context, schema_id) for context, schema_id in rows]

    def config(self, subject: Subject) -> RegistryConfig | None:
        """Return what was set for a subject or a context, None if nothing was."""
        row = self._reader.one("SELECT config FROM schema_configs WHERE context = ? AND subject = ?", tuple(subject))
        if row is None:
            return None
        config = json.loads(row[0])
        return RegistryConfig(config.pop("compatibilityLevel", None), config)

    def all_configs(self) -> list[tuple[Subject, RegistryConfig]]:
        """Return the settings of all subjects and contexts that have some."""
        found = []
        for context, subject, text in self._reader.rows("SELECT context, subject, config FROM schema_configs"):
            config = json.loads(text)
            found.append((Subject(context, subject), RegistryConfig(config.pop("compatibilityLevel", None), config)))
        return found

    def mode(self, subject: Subject) -> str | None:
        """Return the mode that was set for a subject or a context, None if none was."""
        row = self._reader.one("SELECT mode FROM schema_modes WHERE context = ? AND subject = ?", tuple(subject))
        return row[0] if row else None

    def subjects_with_mode(self, context: str) -> list[str]:
        """Return the names of a context's subjects that have a mode."""
        return [row[0] for row in self._reader.rows("SELECT subject FROM schema_modes WHERE context = ?", (context,))]


def formats_of_topics(reader: Reader, topics: Iterable[str]) -> dict[str, list[str]]:
    """Return the schema types of topics' subjects by the TopicNameStrategy, of keys first, each type once.

    Only topics with such a subject are returned. Quick: it is asked whenever the list of topics is shown.
    """
    if reader.one("SELECT 1 FROM schema_versions LIMIT 1") is None:
        return {}
    found: dict[str, list[str]] = {}
    names = list(topics)
    for start in range(0, len(names), TOPICS_PER_QUERY):
        some = names[start : start + TOPICS_PER_QUERY]
        places = {f"{topic}{part}": topic for topic in some for part in ("-key", "-value")}
        for subject, schema_type in reader.rows(
            "SELECT v.subject, s.schema_type FROM schema_versions v JOIN schemas s USING(context, schema_id) "
            f"WHERE v.context = '.' AND v.subject IN ({', '.join('?' * len(places))}) AND v.deleted = 0 "
            "ORDER BY v.subject, v.version DESC",
            tuple(places),
        ):
            formats = found.setdefault(places[subject], [])
            if schema_type not in formats:
                formats.append(schema_type)
    return found


def add_context(database: Database, context: str, last_id: int) -> None:
    """Create a context if it doesn't exist, and raise its largest id to `last_id`."""
    database.execute(
        "INSERT INTO schema_contexts(context, last_id) VALUES(?, ?) "
        "ON CONFLICT(context) DO UPDATE SET last_id = excluded.last_id WHERE excluded.last_id > last_id",
        (context, last_id),
    )


def delete_context(database: Database, context: str) -> None:
    """Delete an empty context."""
    database.execute("DELETE FROM schema_contexts WHERE context = ?", (context,))


def insert_schema(
    database: Database,
    context: str,
    schema_id: int,
    guid: str,
    content: SchemaContent,
    targets: Iterable[Subject],
    now_ms: int,
) -> None:
    """Insert a schema with its references.

    Args:
        targets: the subject of each reference, in their order.
    """
    database.execute(
        "INSERT INTO schemas(context, schema_id, guid, schema_type, schema, metadata, rule_set, registered_ms) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        (
            context,
            schema_id,
            guid,
            content.schema_type,
            content.text,
            _json(content.metadata),
            _json(content.rule_set),
            now_ms,
        ),
    )
    database.executemany(
        "INSERT INTO schema_references(context, schema_id, position, name, subject, version, target_context, "
        "target_subject) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (context, schema_id, position, reference.name, reference.subject, reference.version, *target)
            for position, (reference, target) in enumerate(zip(content.references, targets, strict=True))
        ],
    )


def insert_version(database: Database, subject: Subject, version: int, schema_id: int, now_ms: int) -> None:
    """Insert a version of a subject."""
    decoding_changed(database)
    database.execute(
        "INSERT INTO schema_versions(context, subject, version, schema_id, registered_ms) VALUES(?, ?, ?, ?, ?)",
        (*subject, version, schema_id, now_ms),
    )


def soft_delete_version(database: Database, subject: Subject, version: int) -> None:
    """Mark a version as deleted."""
    decoding_changed(database)
    database.execute(
        "UPDATE schema_versions SET deleted = 1 WHERE context = ? AND subject = ? AND version = ?", (*subject, version)
    )


def delete_version(database: Database, row: VersionRow) -> None:
    """Delete a version, and its schema if no other version has it."""
    decoding_changed(database)
    context, name = row.subject
    database.execute(
        "DELETE FROM schema_versions WHERE context = ? AND subject = ? AND version = ?", (context, name, row.version)
    )
    place = (context, row.schema_id)
    if not RegistryRows(database).versions_of(*place):
        database.execute("DELETE FROM schemas WHERE context = ? AND schema_id = ?", place)
        database.execute("DELETE FROM schema_references WHERE context = ? AND schema_id = ?", place)


def save_config(database: Database, subject: Subject, config: RegistryConfig | None) -> None:
    """Write the settings of a subject or a context; None deletes them."""
    if config is None:
        database.execute("DELETE FROM schema_configs WHERE context = ? AND subject = ?", tuple(subject))
        return
    found = {**({"compatibilityLevel": config.level} if config.level else {}), **config.others}
    database.execute(
        "INSERT INTO schema_configs(context, subject, config) VALUES(?, ?, ?) "
        "ON CONFLICT(context, subject) DO UPDATE SET config = excluded.config",
        (*subject, json.dumps(found)),
    )


def save_mode(database: Database, subject: Subject, mode: str | None) -> None:
    """Write the mode of a subject or a context; None deletes it."""
    if mode is None:
        database.execute("DELETE FROM schema_modes WHERE context = ? AND subject = ?", tuple(subject))
        return
    database.execute(
        "INSERT INTO schema_modes(context, subject, mode) VALUES(?, ?, ?) "
        "ON CONFLICT(context, subject) DO UPDATE SET mode = excluded.mode",
        (*subject, mode),
    )


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)


def _object(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)
