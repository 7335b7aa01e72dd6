"""Deletes versions, subjects and contexts.

A soft delete hides a version: it is not found unless `deleted` asks for it, but its schema is still found by its id. A
permanent delete follows a soft delete, and removes it. No id is assigned twice.
"""

from sandbox.model.registry import DEFAULT_CONTEXT, Subject, VersionRow
from sandbox.registry import errors
from sandbox.registry.lookups import find_version, referrers
from sandbox.registry.registration import check_writable
from sandbox.storage import registry as storage
from sandbox.storage.file.database import Database
from sandbox.storage.registry import RegistryRows


def delete_version(database: Database, subject: Subject, number: int, *, permanent: bool) -> int:
    """Delete a version.

    Returns:
        Its number.

    Raises:
        RegistryError: 40401, 40402, 40406, 40407, 42205, 42206.
    """
    rows = RegistryRows(database)
    row = find_version(rows, subject, number, deleted=True)
    if row is None:
        if not rows.has_versions(subject, deleted=True):
            raise errors.subject_not_found(subject)
        raise errors.version_not_found(number)
    if row.deleted and not permanent:
        raise errors.version_soft_deleted(subject, row.version)
    check_writable(rows, subject)
    if referrers(rows, subject, row.version, deleted=permanent):
        raise errors.reference_exists(subject, row.version)
    if not permanent:
        storage.soft_delete_version(database, subject, row.version)
    elif not row.deleted:
        raise errors.version_not_soft_deleted(subject, row.version)
    else:
        storage.delete_version(database, row)
        if not rows.versions(subject):
            _forget_settings(database, subject)
    return row.version


def delete_subject(database: Database, subject: Subject, *, permanent: bool) -> list[int]:
    """Delete a subject: all its versions, and with a permanent delete its level and mode.

    Returns:
        The numbers of the deleted versions.

    Raises:
        RegistryError: 40401, 40404, 40405, 42205, 42206.
    """
    rows = RegistryRows(database)
    versions = rows.versions(subject)
    if not versions:
        raise errors.subject_not_found(subject)
    affected = versions if permanent else [row for row in versions if not row.deleted]
    if not affected:
        raise errors.subject_soft_deleted(subject)
    check_writable(rows, subject)
    for row in affected:
        _check_unreferenced(rows, row, permanent=permanent)
        if permanent and not row.deleted:
            raise errors.subject_not_soft_deleted(subject)
    for row in reversed(affected):
        if permanent:
            storage.delete_version(database, row)
        else:
            storage.soft_delete_version(database, subject, row.version)
    if permanent:
        _forget_settings(database, subject)
    return [row.version for row in affected]


def _check_unreferenced(rows: RegistryRows, row: VersionRow, *, permanent: bool) -> None:
    """Refuse to delete a version that a schema of another subject refers to."""
    for context, schema_id in referrers(rows, row.subject, row.version, deleted=permanent):
        users = rows.versions_of(context, schema_id)
        if any(user.subject != row.subject and (permanent or not user.deleted) for user in users):
            raise errors.reference_exists(row.subject, row.version)


def _forget_settings(database: Database, subject: Subject) -> None:
    storage.save_config(database, subject, None)
    storage.save_mode(database, subject, None)


def delete_context(database: Database, context: str) -> None:
    """Delete a context without subjects; the context may be missing. The default context stays.

    Raises:
        RegistryError: 42211.
    """
    place = Subject(context, "")
    if RegistryRows(database).has_versions(place, deleted=True):
        raise errors.context_not_empty(place)
    if context != DEFAULT_CONTEXT:
        storage.delete_context(database, context)


def clear_deleted(database: Database, rows: list[VersionRow]) -> None:
    """Permanently delete soft-deleted versions.

    Raises:
        RegistryError: 42206.
    """
    found = RegistryRows(database)
    for row in rows:
        if referrers(found, row.subject, row.version, deleted=True):
            raise errors.reference_exists(row.subject, row.version)
    for row in rows:
        storage.delete_version(database, row)
