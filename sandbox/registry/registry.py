"""The schema registry of one file, for any thread.

Reads use a reader of the calling thread. The thread that writes the file makes all changes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from sandbox.model.registry import CONFLICT_CODES, LATEST, RegisteredSchema, SchemaRequest, Subject, VersionRow
from sandbox.registry import errors, registration
from sandbox.registry.lookups import content_of, find_version
from sandbox.registry.parsing import prepare
from sandbox.registry.scope import config_in_scope, is_importing
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
    """

    def __init__(
        self,
        database: Database,
        call: Writer,
        cluster_id: str = "",
        conflict_code: Callable[[], int] = lambda: CONFLICT_CODES[0],
    ) -> None:
        self._database = database
        self._call = call
        self.cluster_id = cluster_id
        self.conflict_code = conflict_code

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
        with self.rows() as rows:
            planned = registration.plan(rows, subject, request, normalize=normalize, force=force)
        if isinstance(planned, RegisteredSchema):
            return planned

        def write(database: Database, now_ms: int) -> RegisteredSchema:
            # Planned again: another request may have changed the registry, and these rows are the ones that count.
            planned = registration.plan(RegistryRows(database), subject, request, normalize=normalize, force=force)
            return planned if isinstance(planned, RegisteredSchema) else registration.store(database, planned, now_ms)

        return self.change(write)

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
            content = content_of(request)
            if content is None:
                raise errors.invalid_schema("Empty schema")
            normalize = normalize or bool(config_in_scope(rows, subject).others.get("normalize"))
            importing = is_importing(rows, subject)
            prepared = prepare(rows, subject, content, new=not importing, normalize=normalize and not importing)
            return registration.compatibility_messages(rows, subject, prepared, versions)

    @staticmethod
    def _compared(rows: RegistryRows, subject: Subject, version: int | None) -> list[VersionRow]:
        if version is None:
            return [row for row in rows.versions(subject) if not row.deleted]
        row = find_version(rows, subject, version)
        if row is None and version != LATEST:
            raise errors.version_not_found(version)
        return [] if row is None else [row]
