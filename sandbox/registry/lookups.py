"""Finds subjects, versions and schemas."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import groupby
from typing import Literal

from sandbox.model.registry import (
    DEFAULT_CONTEXT,
    LATEST,
    RegisteredSchema,
    SchemaContent,
    SchemaRequest,
    Subject,
    VersionRow,
)
from sandbox.registry import errors
from sandbox.registry.parsing import Prepared, can_look_up, prepare
from sandbox.registry.scope import config_in_scope, is_importing, merged_metadata, merged_rule_set
from sandbox.registry.subjects import prefix_matcher, within
from sandbox.registry.tags import with_tags
from sandbox.storage.registry import RegistryRows

Deleted = Literal["exclude", "include", "only"]
"""Whether soft-deleted versions are found."""
INT_MAX = 2**31 - 1


def parse_version(text: str) -> int:
    """Return the version of a path: a number from 1, or `LATEST` for "latest" and "-1".

    Raises:
        RegistryError: 42202.
    """
    stripped = text.strip()
    if stripped.lower() == "latest":
        return LATEST
    version = int(stripped) if re.fullmatch(r"[+-]?\d{1,19}", stripped, re.ASCII) else 0
    if version != LATEST and not 0 < version <= INT_MAX:
        raise errors.invalid_version(text)
    return version


def is_wanted(deleted: bool, wanted: Deleted) -> bool:
    """Return whether a version with this mark is found."""
    return wanted == "include" or deleted == (wanted == "only")


def subjects(rows: RegistryRows, prefix: str, wanted: Deleted) -> list[Subject]:
    """Return the subjects that begin with a prefix, sorted by their whole names.

    Args:
        wanted: "only" finds the subjects whose versions are all soft-deleted.
    """
    matches = prefix_matcher(prefix)
    found = []
    for subject, versions in groupby(rows.all_versions(), key=lambda row: row.subject):
        if matches(subject) and is_wanted(all(row.deleted for row in versions), wanted):
            found.append(subject)
    return sorted(found, key=str)


def schemas(rows: RegistryRows, prefix: str, wanted: Deleted, *, latest_only: bool) -> list[VersionRow]:
    """Return the versions of the subjects that begin with a prefix, sorted by subject and version.

    Args:
        latest_only: True returns only the last one of each subject.
    """
    matches = prefix_matcher(prefix)
    found = [row for row in rows.all_versions() if matches(row.subject) and is_wanted(row.deleted, wanted)]
    if latest_only:
        found = [list(versions)[-1] for _, versions in groupby(found, key=lambda row: row.subject)]
    return sorted(found, key=lambda row: (str(row.subject), row.version))


def aliases(rows: RegistryRows) -> dict[Subject, list[str]]:
    """Return the aliases of each subject that has one, sorted."""
    found: dict[Subject, list[str]] = {}
    for place, config in rows.all_configs():
        target = config.others.get("alias")
        if target:
            found.setdefault(within(place, str(target)), []).append(str(place))
    return {subject: sorted(names) for subject, names in found.items()}


def versions(rows: RegistryRows, subject: Subject, wanted: Deleted) -> list[VersionRow]:
    """Return the versions of a subject.

    Raises:
        RegistryError: 40401.
    """
    if not rows.has_versions(subject, deleted=wanted != "exclude"):
        raise errors.subject_not_found(subject)
    return [row for row in rows.versions(subject) if is_wanted(row.deleted, wanted)]


def latest(rows: RegistryRows, subject: Subject) -> VersionRow | None:
    """Return the latest version that is not deleted, None if there is none."""
    return next((row for row in reversed(rows.versions(subject)) if not row.deleted), None)


def find_version(rows: RegistryRows, subject: Subject, version: int, *, deleted: bool = False) -> VersionRow | None:
    """Return a version of a subject, None if it doesn't exist."""
    if version == LATEST:
        return latest(rows, subject)
    row = rows.version(subject, version)
    return row if row is not None and (deleted or not row.deleted) else None


def in_contexts(rows: RegistryRows, subject: Subject) -> Iterable[Subject]:
    """Yield a subject, and then the subjects with its name in the other contexts if it is in the default one."""
    yield subject
    if subject.context == DEFAULT_CONTEXT:
        for context in rows.contexts():
            yield Subject(context, subject.name)


def version(rows: RegistryRows, subject: Subject, number: int, *, deleted: bool = False) -> RegisteredSchema:
    """Return a version of a subject. A subject without a context is looked for in all contexts.

    Args:
        deleted: True also finds a soft-deleted version.

    Raises:
        RegistryError: 40401, 40402.
    """
    for place in in_contexts(rows, subject):
        row = find_version(rows, place, number, deleted=deleted)
        if row is not None:
            return rows.registered(row)
    if not rows.has_versions(subject, deleted=deleted):
        raise errors.subject_not_found(subject)
    raise errors.version_not_found(number)


def schema_by_id(rows: RegistryRows, schema_id: int, subject: Subject | None) -> RegisteredSchema:
    """Return a schema with one of its versions.

    Args:
        subject: the context in which the id is looked for, or a subject that has it; None for the default context.

    Raises:
        RegistryError: 40403.
    """
    row = _version_with_id(rows, schema_id, subject)
    if row is None:
        raise errors.schema_not_found(schema_id)
    return rows.registered(row)


def _version_with_id(rows: RegistryRows, schema_id: int, subject: Subject | None) -> VersionRow | None:
    if subject is None or not subject.name:
        found = rows.versions_of(subject.context if subject else DEFAULT_CONTEXT, schema_id)
        return found[0] if found else None
    for place in in_contexts(rows, subject):
        for row in reversed(rows.versions_of(place.context, schema_id)):
            if row.subject == place:
                return row
    found = rows.versions_of(DEFAULT_CONTEXT, schema_id) if subject.context == DEFAULT_CONTEXT else []
    return found[0] if found else None


def versions_by_id(rows: RegistryRows, schema_id: int, subject: Subject | None, wanted: Deleted) -> list[VersionRow]:
    """Return the versions that have an id.

    Raises:
        RegistryError: 40403.
    """
    one = _version_with_id(rows, schema_id, subject)
    if one is None:
        raise errors.schema_not_found()
    return [row for row in rows.versions_of(one.subject.context, schema_id) if is_wanted(row.deleted, wanted)]


def schema_by_guid(rows: RegistryRows, guid: str) -> RegisteredSchema:
    """Return a schema by its GUID, from the default context if it is there.

    Raises:
        RegistryError: 40403.
    """
    for context, schema_id in sorted(rows.ids_of_guid(canonical_guid(guid)), key=lambda one: (one[0] != ".", one)):
        return rows.registered(rows.versions_of(context, schema_id)[0])
    raise errors.schema_not_found(guid)


def canonical_guid(text: str) -> str:
    """Return a GUID in the form in which it is stored."""
    digits = text.replace("-", "").lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def referenced_by(rows: RegistryRows, subject: Subject, number: int, *, deleted: bool) -> list[int]:
    """Return the ids of the schemas that refer to a version.

    Raises:
        RegistryError: 40401, 40402.
    """
    target = version(rows, subject, number, deleted=True)
    return [schema_id for _, schema_id in referrers(rows, target.subject, target.version, deleted=deleted)]


def referrers(rows: RegistryRows, subject: Subject, number: int, *, deleted: bool) -> list[tuple[str, int]]:
    """Return context and id of the schemas that refer to a version.

    Args:
        deleted: False leaves out schemas whose versions are all soft-deleted.
    """
    return [
        (context, schema_id)
        for context, schema_id in rows.referrers(subject, number)
        if deleted or any(not row.deleted for row in rows.versions_of(context, schema_id))
    ]


def latest_with_metadata(
    rows: RegistryRows, subject: Subject, properties: dict[str, str], *, deleted: bool
) -> RegisteredSchema:
    """Return a subject's latest version whose metadata has all the given properties.

    Raises:
        RegistryError: 40401, 40403.
    """
    for row in reversed(rows.versions(subject)):
        if row.deleted and not deleted:
            continue
        schema = rows.registered(row)
        found = (schema.content.metadata or {}).get("properties")
        if found is not None and properties.items() <= found.items():
            return schema
    if not rows.has_versions(subject, deleted=deleted):
        raise errors.subject_not_found(subject)
    raise errors.schema_not_found()


def content_of(request: SchemaRequest) -> SchemaContent | None:
    """Return the schema of a request, None if it has no text."""
    if request.text is None or not request.text.strip():
        return None
    return SchemaContent(request.schema_type, request.text, request.references, request.metadata, request.rule_set)


def with_tag_changes(request: SchemaRequest) -> SchemaRequest:
    """Return a request with its changes of tags applied to its text. A change of tags asks for a version's metadata.

    Raises:
        RegistryError: 42201.
    """
    if not request.text or not (request.tags_to_add or request.tags_to_remove):
        return request
    text = with_tags(request.schema_type, request.text, request.tags_to_add, request.tags_to_remove)
    return replace(request, text=text, version=request.version or LATEST, tags_to_add=(), tags_to_remove=())


def look_up(
    rows: RegistryRows, subject: Subject, request: SchemaRequest, *, normalize: bool, deleted: bool
) -> RegisteredSchema:
    """Return the version of a subject that has a schema. A subject without a context is looked for in all contexts.

    Raises:
        RegistryError: 40401, 40403, 42201.
    """
    content = content_of(request)
    for place in in_contexts(rows, subject):
        if content is None:
            break
        try:
            found = look_up_there(rows, place, content, normalize=normalize, deleted=deleted)
        except errors.RegistryError:
            if place == subject:
                raise
            continue
        if found is not None:
            return found
    if not rows.has_versions(subject, deleted=deleted):
        raise errors.subject_not_found(subject)
    raise errors.schema_not_found()


def look_up_there(
    rows: RegistryRows, subject: Subject, content: SchemaContent, *, normalize: bool, deleted: bool
) -> RegisteredSchema | None:
    """Return the version of exactly this subject that has a schema, None if there is none.

    A schema without metadata or rules is also looked for with those that it would get if it was registered.
    """
    normalize = normalize or bool(config_in_scope(rows, subject).others.get("normalize"))
    found = find_equal(rows, subject, prepared_for(rows, subject, content, normalize=normalize), deleted=deleted)
    previous = latest(rows, subject)
    if found is not None or previous is None:
        return found
    config = config_in_scope(rows, subject)
    before = rows.registered(previous).content
    full = SchemaContent(
        content.schema_type,
        content.text,
        content.references,
        merged_metadata(config, content.metadata, before.metadata),
        merged_rule_set(config, content.rule_set, before.rule_set),
    )
    if full == content:
        return None
    return find_equal(rows, subject, prepared_for(rows, subject, full, normalize=normalize), deleted=deleted)


def prepared_for(rows: RegistryRows, subject: Subject, content: SchemaContent, *, normalize: bool) -> Prepared:
    """Parse a schema to look it up."""
    return prepare(rows, subject, content, new=False, normalize=normalize and not is_importing(rows, subject))


def find_equal(
    rows: RegistryRows,
    subject: Subject,
    sent: Prepared,
    *,
    deleted: bool,
    matches: Callable[[VersionRow], bool] = lambda row: True,
) -> RegisteredSchema | None:
    """Return the latest version of a subject that has this schema, None if there is none."""
    found = [row for row in reversed(rows.versions(subject)) if (deleted or not row.deleted) and matches(row)]
    same = id_of(rows, subject.context, sent)
    for row in found:
        if row.schema_id == same:
            return rows.registered(row)
    for row in found:
        schema = rows.registered(row)
        if can_look_up(sent, rows, schema):
            return schema
    return None


def id_of(rows: RegistryRows, context: str, prepared: Prepared) -> int | None:
    """Return the id of a schema in a context, None if the context doesn't have it."""
    for place, schema_id in reversed(rows.ids_of_guid(prepared.guid)):
        # The GUID does not depend on the type: "string" is an Avro schema and a JSON text.
        if place == context and (found := rows.content(context, schema_id)) and found[1] == prepared.content:
            return schema_id
    return None
