"""The schema registry of one file, for any thread.

Reads use a reader of the calling thread. The thread that writes the file makes all changes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from sandbox.model.activity import Details
from sandbox.model.registry import (
    CONFLICT_CODES,
    LATEST,
    RegisteredSchema,
    RegistryConfig,
    SchemaRequest,
    Subject,
    VersionRow,
)
from sandbox.registry import deletion, errors, registration, settings
from sandbox.registry.lookups import content_of, find_version, version, with_tag_changes
from sandbox.registry.parsing import VERSION_PROPERTY, prepare
from sandbox.registry.scope import config_in_scope, is_importing, merge_rules, without_rules
from sandbox.registry.tags import with_tags
from sandbox.storage.file.database import Database
from sandbox.storage.registry import RegistryRows

T = TypeVar("T")


class Writer(Protocol):
    """Runs a function of the time in the thread that writes, and returns its result once that is durable."""

    def __call__(self, function: Callable[[int], T]) -> T: ...


class SchemaRegistry:
    """The schema registry of a sandbox.

    Args:
        database: the file.
        call: runs a change.
        cluster_id: the id of the Kafka cluster.
        conflict_code: returns the error code of an incompatible schema, one of `CONFLICT_CODES`.
        record: called in the thread that writes with the activity's details of each change.
    """

    def __init__(
        self,
        database: Database,
        call: Writer,
        cluster_id: str = "",
        conflict_code: Callable[[], int] = lambda: CONFLICT_CODES[0],
        record: Callable[[Details], None] = lambda details: None,
    ) -> None:
        self._database = database
        self._call = call
        self.cluster_id = cluster_id
        self.conflict_code = conflict_code
        self._record = record

    @contextmanager
    def rows(self) -> Iterator[RegistryRows]:
        """Read the registry in one read transaction."""
        with self._database.reader() as reader:
            yield RegistryRows(reader)

    def change(self, function: Callable[[Database, int], T]) -> T:
        """Run a change of the rows at a time in ms; return its result once it is durable.

        Raises:
            BrokerError: CLUSTER_AUTHORIZATION_FAILED if the sandbox is read-only, KAFKA_STORAGE_ERROR.
        """
        return self._call(lambda now_ms: function(self._database, now_ms))

    def register(
        self, subject: Subject, request: SchemaRequest, *, normalize: bool = False, force: bool = False
    ) -> RegisteredSchema:
        """Register a schema; a subject's existing version with this schema is returned.

        Args:
            normalize: True brings the schema to its normal form first.
            force: True skips the compatibility check.

        Raises:
            RegistryError: 409, 42201, 42205, 42209.
            BrokerError: see `change`.
        """
        request = with_tag_changes(request)
        with self.rows() as rows:
            planned = registration.plan(rows, subject, request, normalize=normalize, force=force)
        if isinstance(planned, RegisteredSchema):
            return planned

        def write(database: Database, now_ms: int) -> RegisteredSchema:
            # Planned again: another request may have changed the registry, and these rows are the ones that count.
            planned = registration.plan(RegistryRows(database), subject, request, normalize=normalize, force=force)
            if isinstance(planned, RegisteredSchema):
                return planned
            stored = registration.store(database, planned, now_ms)
            fields = {"version": stored.version, "id": stored.schema_id, "type": stored.content.schema_type}
            self._note(subject, "registered", **fields)
            return stored

        return self.change(write)

    def modify_tags(
        self,
        subject: Subject,
        number: int,
        request: SchemaRequest,
        rules_to_merge: dict[str, Any] | None = None,
        rules_to_remove: Sequence[str] | None = None,
    ) -> RegisteredSchema:
        """Register a version's schema again, with other tags, metadata and rules.

        Args:
            number: the version.
            request: the tags, metadata and rules; its `version` is the new one's number, 0 for the next.
            rules_to_merge: rules that are added to the previous version's.
            rules_to_remove: names of rules that are removed from them.

        Raises:
            RegistryError: 40401, 40402, 42201 and the codes of `register`.
        """
        with self.rows() as rows:
            found = version(rows, subject, number)
            rule_set = request.rule_set
            if rules_to_merge is not None or rules_to_remove is not None:
                old = find_version(rows, found.subject, request.version - 1 if request.version > 0 else LATEST)
                before = rows.registered(old).content.rule_set if old is not None else None
                rule_set = without_rules(merge_rules(before, rules_to_merge), rules_to_remove or ())
        content = found.content
        metadata = request.metadata if request.metadata is not None else content.metadata
        properties = {**((metadata or {}).get("properties") or {}), VERSION_PROPERTY: str(request.version)}
        changed = replace(
            request,
            text=with_tags(content.schema_type, content.text, request.tags_to_add, request.tags_to_remove),
            schema_type=content.schema_type,
            references=content.references,
            metadata={**(metadata or {}), "properties": properties},
            rule_set=rule_set,
            tags_to_add=(),
            tags_to_remove=(),
        )
        return self.register(found.subject, changed)

    def _note(self, subject: Subject, action: str, **fields: object) -> None:
        self._record({"subject": str(subject), "action": action, **fields})

    def delete_version(self, subject: Subject, number: int, *, permanent: bool) -> int:
        """Delete a version; see `deletion.delete_version`."""

        def delete(database: Database, now_ms: int) -> int:
            version = deletion.delete_version(database, subject, number, permanent=permanent)
            self._note(subject, "deleted", versions=[version], permanent=permanent)
            return version

        return self.change(delete)

    def delete_subject(self, subject: Subject, *, permanent: bool) -> list[int]:
        """Delete a subject; see `deletion.delete_subject`."""

        def delete(database: Database, now_ms: int) -> list[int]:
            versions = deletion.delete_subject(database, subject, permanent=permanent)
            self._note(subject, "deleted", versions=versions, permanent=permanent)
            return versions

        return self.change(delete)

    def delete_context(self, context: str) -> None:
        """Delete an empty context; see `deletion.delete_context`."""

        def delete(database: Database, now_ms: int) -> None:
            deletion.delete_context(database, context)
            self._note(Subject(context, ""), "deleted", versions=[], permanent=True)

        self.change(delete)

    def update_config(self, subject: Subject, changes: Mapping[str, Any]) -> RegistryConfig:
        """Change settings; see `settings.update_config`."""

        def update(database: Database, now_ms: int) -> RegistryConfig:
            config = settings.update_config(database, subject, changes)
            self._note(subject, "level", value=config.level)
            return config

        return self.change(update)

    def delete_config(self, subject: Subject) -> RegistryConfig:
        """Delete settings; see `settings.delete_config`."""

        def delete(database: Database, now_ms: int) -> RegistryConfig:
            config = settings.delete_config(database, subject)
            self._note(subject, "level", value=None)
            return config

        return self.change(delete)

    def set_mode(self, subject: Subject, mode: str | None, *, force: bool) -> None:
        """Set a mode; see `settings.set_mode`."""

        def update(database: Database, now_ms: int) -> None:
            settings.set_mode(database, subject, mode, force=force)
            self._note(subject, "mode", value=mode and mode.upper())

        self.change(update)

    def delete_mode(self, subject: Subject, *, recursive: bool) -> str | None:
        """Delete a mode; see `settings.delete_mode`."""

        def delete(database: Database, now_ms: int) -> str | None:
            mode = settings.delete_mode(database, subject, recursive=recursive)
            self._note(subject, "mode", value=None)
            return mode

        return self.change(delete)

    def check(
        self, subject: Subject, request: SchemaRequest, version: int | None, *, normalize: bool = False
    ) -> list[str]:
        """Return why a schema is not compatible with a subject's versions at its level, empty if it is.

        Args:
            version: the version to compare with, `LATEST` for the latest one if there is one; None for all that the
                level compares with.

        Raises:
            RegistryError: 40402, 42201.
        """
        with self.rows() as rows:
            versions = self._compared(rows, subject, version)
            content = content_of(with_tag_changes(request))
            if content is None:
                raise errors.invalid_schema("Empty schema")
            normalize = normalize or bool(config_in_scope(rows, subject).others.get("normalize"))
            importing = is_importing(rows, subject)
            new = not importing and config_in_scope(rows, subject).others.get("validateNewSchemas") is not False
            prepared = prepare(rows, subject, content, new=new, normalize=normalize and not importing)
            return registration.compatibility_messages(rows, subject, prepared, versions)

    @staticmethod
    def _compared(rows: RegistryRows, subject: Subject, version: int | None) -> list[VersionRow]:
        if version is None:
            return [row for row in rows.versions(subject) if not row.deleted]
        row = find_version(rows, subject, version)
        if row is None and version != LATEST:
            raise errors.version_not_found(version)
        return [] if row is None else [row]
