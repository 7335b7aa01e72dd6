"""Descriptions of the registry for people: its subjects, one subject whole, and the levels that accept a schema."""

from dataclasses import dataclass

from sandbox.model.registry import DEFAULT_LEVEL, LEVELS, RegisteredSchema, SchemaRequest, Subject, VersionRow
from sandbox.registry.errors import invalid_schema, subject_not_found
from sandbox.registry.lookups import content_of
from sandbox.registry.parsing import incompatibilities, prepare
from sandbox.registry.scope import config_in_scope, mode_in_scope
from sandbox.storage.registry import RegistryRows


@dataclass(frozen=True, slots=True)
class SubjectSummary:
    """A subject in a list.

    Attributes:
        latest: its latest version.
        versions: the number of versions that are not deleted.
        level: the compatibility level that applies to it.
        own_level: True if the level is its own, and not the registry's.
    """

    subject: Subject
    latest: RegisteredSchema
    versions: int
    level: str
    own_level: bool


@dataclass(frozen=True, slots=True)
class SubjectDescription:
    """One subject.

    Attributes:
        versions: those that are not deleted, the latest first.
        referrers: version to the versions of other subjects that refer to it; deleted ones are left out.
        level, own_level: as in `SubjectSummary`.
        mode: the mode that applies to it.
    """

    subject: Subject
    versions: tuple[RegisteredSchema, ...]
    referrers: dict[int, tuple[VersionRow, ...]]
    level: str
    own_level: bool
    mode: str


@dataclass(frozen=True, slots=True)
class LevelAnswer:
    """Whether a level accepts a schema.

    Attributes:
        messages: why not, in the registry's words; empty if it does.
    """

    level: str
    messages: tuple[str, ...]


def list_subjects(rows: RegistryRows) -> list[SubjectSummary]:
    """Return the subjects that have a version, sorted by name."""
    found: dict[Subject, list[VersionRow]] = {}
    for row in rows.all_versions():
        if not row.deleted:
            found.setdefault(row.subject, []).append(row)
    return [
        SubjectSummary(subject, rows.registered(versions[-1]), len(versions), *_level(rows, subject))
        for subject, versions in sorted(found.items(), key=lambda one: str(one[0]))
    ]


def describe(rows: RegistryRows, subject: Subject) -> SubjectDescription:
    """Return one subject. Raises RegistryError 40401."""
    versions = [row for row in rows.versions(subject) if not row.deleted]
    if not versions:
        raise subject_not_found(subject)
    referrers = {
        row.version: tuple(
            one
            for context, id in rows.referrers(subject, row.version)
            for one in rows.versions_of(context, id)
            if not one.deleted and one.subject != subject
        )
        for row in versions
    }
    registered = tuple(rows.registered(row) for row in reversed(versions))
    return SubjectDescription(subject, registered, referrers, *_level(rows, subject), mode_in_scope(rows, subject))


def try_schema(rows: RegistryRows, subject: Subject, request: SchemaRequest) -> list[LevelAnswer]:
    """Return whether each level would accept a schema as the subject's next version. Stores nothing.

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
    return answers


def level(rows: RegistryRows, subject: Subject) -> str:
    """Return the compatibility level that applies to a subject, whether it exists or not."""
    return config_in_scope(rows, subject).level or DEFAULT_LEVEL


def _level(rows: RegistryRows, subject: Subject) -> tuple[str, bool]:
    own = rows.config(subject)
    return level(rows, subject), own is not None and own.level is not None
