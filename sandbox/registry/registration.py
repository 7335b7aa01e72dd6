"""Registers schemas.

A registration is planned first, from the rows alone, and stored afterwards. So a worker thread plans it and finds most
errors, and the thread that writes plans it again, with the parsed schemas in the cache, and stores it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sandbox.model.registry import (
    IMPORT,
    LATEST,
    READWRITE,
    SCHEMA_BYTES_MAX,
    RegisteredSchema,
    SchemaContent,
    SchemaRequest,
    Subject,
    VersionRow,
)
from sandbox.registry import errors
from sandbox.registry.lookups import INT_MAX, content_of, find_equal, id_of, latest, prepared_for, referrers
from sandbox.registry.parsing import Prepared, incompatibilities, parsed, prepare
from sandbox.registry.scope import (
    config_in_scope,
    is_importing,
    is_read_only,
    merged_metadata,
    merged_rule_set,
    mode_in_scope,
    with_version,
)
from sandbox.registry.tags import tags_in, with_tags
from sandbox.storage import registry as storage
from sandbox.storage.file.database import Database
from sandbox.storage.registry import RegistryRows

MERGED = ("defaultMetadata", "overrideMetadata", "defaultRuleSet", "overrideRuleSet")


@dataclass(frozen=True, slots=True)
class Plan:
    """A registration to store.

    Attributes:
        schema: the new version.
        prepared: its schema.
        replaced: the version of the same number, which an import overwrites.
        dropped: soft-deleted versions of the same schema, which the new one replaces.
    """

    schema: RegisteredSchema
    prepared: Prepared
    replaced: VersionRow | None
    dropped: tuple[VersionRow, ...]


def plan(
    rows: RegistryRows, subject: Subject, request: SchemaRequest, *, normalize: bool, force: bool = False
) -> RegisteredSchema | Plan:
    """Plan a registration.

    Args:
        normalize: True brings the schema to its normal form first.
        force: True skips the compatibility check.

    Returns:
        The subject's version that has the schema already, or the plan to register it.

    Raises:
        RegistryError: 409, 42201, 42205, 42209.
    """
    if request.text is not None and len(request.text.encode("utf-8", "surrogatepass")) > SCHEMA_BYTES_MAX:
        raise errors.schema_too_large()
    normalize = normalize or bool(config_in_scope(rows, subject).others.get("normalize"))
    existing = _registered_already(rows, subject, request, normalize=normalize)
    if existing is not None:
        return existing
    _check_mode(rows, subject, request)
    versions = rows.versions(subject)
    validate = config_in_scope(rows, subject).others.get("validateNewSchemas") is not False
    number = 1 + max((row.version for row in versions), default=0)
    content = _content(rows, subject, request, number)
    importing = is_importing(rows, subject)
    prepared = prepare(
        rows,
        subject,
        content,
        new=request.schema_id < 0 and not importing and validate,
        normalize=normalize and not importing,
    )
    return _planned(rows, subject, request, prepared, versions, number, force=force)


def _planned(
    rows: RegistryRows,
    subject: Subject,
    request: SchemaRequest,
    prepared: Prepared,
    versions: list[VersionRow],
    number: int,
    *,
    force: bool,
) -> RegisteredSchema | Plan:
    if request.version == 0:
        existing = find_equal(rows, subject, prepared, deleted=False, matches=_has_id(request.schema_id))
        if existing is not None:
            return existing
    importing = is_importing(rows, subject)
    if not importing and not force:
        check_compatibility(rows, subject, prepared, [row for row in versions if not row.deleted])
    version = number if request.version <= 0 else request.version
    if version != number and not importing:
        raise errors.invalid_schema("Version is not one more than previous version")
    schema_id = _choose_id(rows, subject, request, prepared)
    replaced = next((row for row in versions if row.version == version), None)
    dropped = tuple(
        row
        for row in versions
        if row.deleted
        and row.schema_id == schema_id
        and row.version < version
        and not referrers(rows, subject, row.version, deleted=True)
    )
    schema = RegisteredSchema(subject, version, schema_id, prepared.guid, prepared.content)
    return Plan(schema, prepared, replaced, dropped)


def store(database: Database, planned: Plan, now_ms: int) -> RegisteredSchema:
    """Store a registration that was planned in the same transaction."""
    schema = planned.schema
    context = schema.subject.context
    storage.add_context(database, context, schema.schema_id)
    if planned.replaced is not None:
        storage.delete_version(database, planned.replaced)
    if RegistryRows(database).content(context, schema.schema_id) is None:
        targets = planned.prepared.targets
        storage.insert_schema(database, context, schema.schema_id, schema.guid, schema.content, targets, now_ms)
    storage.insert_version(database, schema.subject, schema.version, schema.schema_id, now_ms)
    for row in planned.dropped:
        storage.delete_version(database, row)
    return replace(schema, registered_ms=now_ms)


def check_compatibility(rows: RegistryRows, subject: Subject, prepared: Prepared, versions: list[VersionRow]) -> None:
    """Check a schema against earlier versions, at the subject's level.

    Raises:
        RegistryError: 409.
    """
    messages = compatibility_messages(rows, subject, prepared, versions)
    if messages:
        raise errors.incompatible(subject, messages)


def compatibility_messages(
    rows: RegistryRows, subject: Subject, prepared: Prepared, versions: list[VersionRow]
) -> list[str]:
    """Return why a schema is not compatible with earlier versions at the subject's level, empty if it is.

    With a `compatibilityGroup`, only versions count whose metadata has the same value for that property.
    """
    config = config_in_scope(rows, subject)
    level = config.level or "BACKWARD"
    reserved = _reserved_errors(rows, prepared, versions) if config.others.get("validateFields") else []
    if level == "NONE":
        return _with_settings(reserved, level)
    group = config.others.get("compatibilityGroup")
    if group is None and not level.endswith("_TRANSITIVE"):
        versions = versions[-1:]
    previous = [rows.registered(row) for row in versions]
    if group is not None:
        value = _property(prepared.content, group)
        previous = [one for one in previous if _property(one.content, group) == value]
    found = incompatibilities(rows, level, prepared, subject, previous)
    return _with_settings([*reserved, *found[:-1]], level) if reserved else found


def _with_settings(messages: list[str], level: str) -> list[str]:
    """Add the settings that refused a schema, as Confluent's registry does."""
    return [*messages, f"{{validateFields: 'true', compatibility: '{level}'}}"] if messages else []


def _reserved_errors(rows: RegistryRows, prepared: Prepared, versions: list[VersionRow]) -> list[str]:
    """Return why the names in the metadata's `confluent:reserved` are not kept free: they are of removed fields."""
    reserved = _reserved(prepared.content)
    before = _reserved(rows.registered(versions[-1]).content) if versions else []
    fields = parsed(prepared).top_level_fields()
    return [
        *(
            f"The new schema has reserved field {name} removed from its metadata which is present in the old "
            "schema's metadata."
            for name in before
            if name not in reserved
        ),
        *(
            f"The new schema has field that conflicts with the reserved field {name}."
            for name in reserved
            if name in fields
        ),
    ]


def _reserved(content: SchemaContent) -> list[str]:
    names = (_property(content, "confluent:reserved") or "").split(",")
    return [name.strip() for name in names if name.strip()]


def _property(content: SchemaContent, name: str) -> str | None:
    properties = (content.metadata or {}).get("properties") or {}
    found = properties.get(name)
    return None if found is None else str(found)


def _has_id(schema_id: int) -> Callable[[VersionRow], bool]:
    return lambda row: schema_id < 0 or row.schema_id == schema_id


def _registered_already(
    rows: RegistryRows, subject: Subject, request: SchemaRequest, *, normalize: bool
) -> RegisteredSchema | None:
    """Return the subject's version that has the schema; it is returned whatever the mode."""
    content = content_of(request)
    config = config_in_scope(rows, subject)
    if content is None or request.propagate_tags or any(config.others.get(name) for name in MERGED):
        return None
    sent = prepared_for(rows, subject, content, normalize=normalize)
    newest = latest(rows, subject) if request.version == LATEST else None
    existing = find_equal(
        rows, subject, sent, deleted=False, matches=lambda row: newest is None or row.version == newest.version
    )
    if existing is None or (request.schema_id >= 0 and request.schema_id != existing.schema_id):
        return None
    if request.version in (0, LATEST):
        return existing
    if request.schema_id < 0:
        return None
    same = find_equal(rows, subject, sent, deleted=False, matches=lambda row: row.version == request.version)
    return same if same is not None and same.schema_id == request.schema_id else None


def _check_mode(rows: RegistryRows, subject: Subject, request: SchemaRequest) -> None:
    check_writable(rows, subject)
    where = f"Subject {subject} in context {_shown(subject)}"
    if request.schema_id >= 0:
        if not is_importing(rows, subject):
            raise errors.not_permitted(f"{where} is not in import mode")
        if request.schema_id > INT_MAX:
            raise errors.invalid_schema(f"An id is 1 to {INT_MAX}, not {request.schema_id}.")
    elif mode_in_scope(rows, subject) != READWRITE:
        raise errors.not_permitted(f"{where} is not in read-write mode")


def check_writable(rows: RegistryRows, subject: Subject) -> None:
    """Refuse a change of a subject in a read-only mode.

    Raises:
        RegistryError: 42205.
    """
    if is_read_only(rows, subject):
        raise errors.not_permitted(f"Subject {subject} in context {_shown(subject)} is in read-only mode")


def _shown(subject: Subject) -> str:
    return "" if subject.context == "." else f":{subject.context}:"


def _content(rows: RegistryRows, subject: Subject, request: SchemaRequest, number: int) -> SchemaContent:
    """Return the schema to register: without a text, the latest one; with the metadata and rules that apply."""
    content = content_of(request)
    if mode_in_scope(rows, subject) == IMPORT:
        if content is None:
            raise errors.invalid_schema("Empty schema")
        return content
    newest = [row for row in rows.versions(subject) if not row.deleted][-1:]
    previous = rows.registered(newest[0]).content if newest else None
    if content is None:
        if previous is None:
            raise errors.invalid_schema("Empty schema")
        content = replace(previous, metadata=request.metadata, rule_set=request.rule_set)
    if request.propagate_tags and previous is not None:
        inherited = tags_in(previous.schema_type, previous.text)
        if inherited:
            content = replace(content, text=with_tags(content.schema_type, content.text, inherited, ()))
    config = config_in_scope(rows, subject)
    metadata = merged_metadata(config, content.metadata, previous.metadata if previous else None)
    return replace(
        content,
        metadata=with_version(metadata, number, always=request.version != 0),
        rule_set=merged_rule_set(config, content.rule_set, previous.rule_set if previous else None),
    )


def _choose_id(rows: RegistryRows, subject: Subject, request: SchemaRequest, prepared: Prepared) -> int:
    """Return the schema's id: the client's in an import, the one that the context has for it, or a new one."""
    if request.schema_id >= 0:
        found = rows.content(subject.context, request.schema_id)
        if found is not None and found[1] != prepared.content:
            raise errors.not_permitted(
                f"Overwrite new schema with id {request.schema_id} in context {_shown(subject)} is not permitted."
            )
        return request.schema_id
    known = id_of(rows, subject.context, prepared)
    if known is not None:
        return known
    schema_id = rows.last_id(subject.context) + 1
    if schema_id > INT_MAX:
        raise errors.RegistryError(50001, f"All {INT_MAX:,} ids of the context {subject.context} are used.")
    return schema_id
