"""Descriptions of the registry for people: its subjects, one subject whole, and the levels that accept a schema."""

from dataclasses import dataclass

from sandbox.model.registry import DEFAULT_LEVEL, LEVELS, RegisteredSchema, SchemaRequest, Subject, VersionRow
from sandbox.registry.errors import invalid_schema, subject_not_found
from sandbox.registry.lookups import content_of
from sandbox.registry.parsing import incompatibilities, parsed, prepare
from sandbox.registry.scope import config_in_scope, mode_in_scope
from sandbox.schemas.schema import ParsedSchema
from sandbox.storage.registry import RegistryRows


@dataclass(frozen=True, slots=True)
class SubjectSummary:
    """A subject in a list.

    Attributes:
        latest: its latest version; a soft-deleted one if there is no other.
        versions: the number of versions that are not deleted.
        versions_by_id: the latest version of each id, and of the latest schema's GUID.
        level: the compatibility level that applies to it.
        own_level: True if the level is its own, and not the registry's.
    """

    subject: Subject
    latest: RegisteredSchema
    versions: int
    versions_by_id: dict[int | str, int]
    level: str
    own_level: bool


@dataclass(frozen=True, slots=True)
class SubjectDescription:
    """One subject.

    Attributes:
        versions: those that are not deleted, the latest first.
        deleted: the soft-deleted ones, the latest first.
        referrers: version to the versions of other subjects that refer to it; deleted ones are left out, unless the
            version is deleted too.
        level, own_level: as in `SubjectSummary`.
        mode: the mode that applies to it.
        own_mode: True if the mode is its own.
    """

    subject: Subject
    versions: tuple[RegisteredSchema, ...]
    deleted: tuple[RegisteredSchema, ...]
    referrers: dict[int, tuple[VersionRow, ...]]
    level: str
    own_level: bool
    mode: str
    own_mode: bool


@dataclass(frozen=True, slots=True)
class LevelAnswer:
    """Whether a level accepts a schema.

    Attributes:
        messages: why not, in the registry's words; empty if it does.
    """

    level: str
    messages: tuple[str, ...]


def list_subjects(rows: RegistryRows) -> list[SubjectSummary]:
    """Return the subjects that have a version, sorted by name. Without undeleted versions, `versions` is 0."""
    found: dict[Subject, list[VersionRow]] = {}
    for row in rows.all_versions():
        found.setdefault(row.subject, []).append(row)
    return [_summary(rows, subject, found[subject]) for subject in sorted(found, key=str)]


def _summary(rows: RegistryRows, subject: Subject, versions: list[VersionRow]) -> SubjectSummary:
    active = [row for row in versions if not row.deleted]
    latest = rows.registered((active or versions)[-1])
    by_id: dict[int | str, int] = {row.schema_id: row.version for row in versions}
    by_id[latest.guid] = latest.version
    return SubjectSummary(subject, latest, len(active), by_id, *_level(rows, subject))


def describe(rows: RegistryRows, subject: Subject) -> SubjectDescription:
    """Return one subject, also if all its versions are soft-deleted. Raises RegistryError 40401."""
    rows_found = rows.versions(subject)
    if not rows_found:
        raise subject_not_found(subject)
    referrers = {
        row.version: tuple(
            one
            for context, id in rows.referrers(subject, row.version)
            for one in rows.versions_of(context, id)
            if (row.deleted or not one.deleted) and one.subject != subject
        )
        for row in rows_found
    }
    registered = [rows.registered(row) for row in reversed(rows_found)]
    return SubjectDescription(
        subject,
        tuple(one for one in registered if not one.deleted),
        tuple(one for one in registered if one.deleted),
        referrers,
        *_level(rows, subject),
        mode_in_scope(rows, subject),
        rows.mode(subject) is not None,
    )


def try_schema(rows: RegistryRows, subject: Subject, request: SchemaRequest) -> tuple[list[LevelAnswer], ParsedSchema]:
    """Return whether each level would accept a schema as the subject's next version, and the parsed schema. Stores
    nothing.

    Raises:
        RegistryError: 42201.
    """
    content = content_of(request)
    if content is None:
        raise invalid_schema("Empty schema")
    prepared = prepare(rows, subject, content, new=True)
    previous = [rows.registered(row) for row in rows.versions(subject) if not row.deleted]
    answers = []
    for level in LEVELS:
        compared = previous if level.endswith("_TRANSITIVE") else previous[-1:]
        messages = [] if level == "NONE" else incompatibilities(rows, level, prepared, subject, compared)
        answers.append(LevelAnswer(level, tuple(messages)))
    return answers, parsed(prepared)


def level(rows: RegistryRows, subject: Subject) -> str:
    """Return the compatibility level that applies to a subject, whether it exists or not."""
    return config_in_scope(rows, subject).level or DEFAULT_LEVEL


def _level(rows: RegistryRows, subject: Subject) -> tuple[str, bool]:
    own = rows.config(subject)
    return level(rows, subject), own is not None and own.level is not None
