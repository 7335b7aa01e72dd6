"""Changes of the registry from the page: try and register a schema, delete versions, set levels and modes."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.model.registry import SCHEMA_TYPES, RegisteredSchema, SchemaReference, SchemaRequest, Subject
from sandbox.model.registry import TYPE_NAMES as NAMES
from sandbox.registry.errors import RegistryError, invalid_schema
from sandbox.web.capabilities import changes_nothing
from sandbox.web.notices import Notice
from sandbox.web.responses import backend, data, page, see
from sandbox.web.schemas.views import (
    address,
    described,
    name_of,
    newest,
    pretty,
    registry,
    topic_of,
    uses_of,
)

if TYPE_CHECKING:
    from sandbox.registry.stored_events import EventTrial
    from sandbox.registry.survey import LevelAnswer, SubjectDescription
    from sandbox.storage.registry import RegistryRows

blueprint = Blueprint("schemas_changes", __name__)

_OLD_VERSION = re.compile(r"\{oldSchemaVersion: (\d+)\}")
_ADDED = ("{oldSchema:", "{validateFields:")
INHERIT = ""
"""The choice of a form that deletes a subject's own level or mode."""


@blueprint.get("/schemas/~new")
def new() -> Response:
    """The form for a new version of a subject."""
    return _form(request.args.get("subject", ""))


@blueprint.post("/schemas/~try")
@blueprint.post("/schemas/~try.json")
@changes_nothing
def attempt() -> Response:
    """Whether a schema would be accepted at each level, and reads the newest events. Nothing is stored."""
    subject = request.form.get("subject", "")
    if not request.path.endswith(".json"):
        return _form(subject, tried=True)
    try:
        level, answers, trial = _tried(subject.strip())
    except RegistryError as error:
        raise BrokerError("INVALID_REQUEST", error.message) from error
    return data(_trial_json(level, answers, trial))


@blueprint.post("/schemas")
def register() -> AnyResponse:
    """Register a schema as the next version of a subject."""
    from sandbox.registry.subjects import check_subject

    try:
        subject = check_subject(request.form.get("subject", "").strip())
        found = registry().register(subject, _asked())
    except (RegistryError, BrokerError) as error:
        return _form(request.form.get("subject", ""), tried=True, refused=str(error))
    said = f"{found.subject} has version {found.version} with the id {found.schema_id}"
    return see(address(found.subject), Notice(said))


@blueprint.get("/schemas/<subject>/delete")
@blueprint.get("/schema/delete")
def ask_delete(subject: str | None = None) -> Response:
    """What a deletion of a subject or a version breaks."""
    found = described(name_of(subject))
    version, permanent = request.args.get("version", type=int), request.args.get("permanent") == "1"
    chosen = _chosen(found, version, permanent)
    numbers = {one.version for one in chosen}
    return page(
        "schemas/delete",
        found=found,
        deleted_version=version,
        permanent=permanent,
        chosen=chosen,
        uses=[use for use in uses_of(found) if use.version in numbers],
        topic=topic_of(found.subject),
        address=address,
    )


def _chosen(found: "SubjectDescription", version: int | None, permanent: bool) -> Sequence[RegisteredSchema]:
    """Return the versions to delete. A permanent deletion is of soft-deleted ones."""
    chosen = [
        one for one in (found.deleted if permanent else found.versions) if version is None or one.version == version
    ]
    if not chosen:
        kind = "soft-deleted version" if permanent else "version"
        text = f"{found.subject} has no {kind}" + ("" if version is None else f" {version}")
        raise BrokerError("RESOURCE_NOT_FOUND", f"{text}.")
    return chosen


@blueprint.post("/schemas/<subject>/delete")
@blueprint.post("/schema/delete")
def delete(subject: str | None = None) -> AnyResponse:
    """Delete a subject, or one version. A soft deletion leaves the ids: events can still be decoded."""
    from sandbox.registry.subjects import parse_subject

    named = parse_subject(name_of(subject))
    version, permanent = request.args.get("version", type=int), request.args.get("permanent") == "1"
    try:
        if version is None:
            gone = registry().delete_subject(named, permanent=permanent)
        else:
            gone = [registry().delete_version(named, version, permanent=permanent)]
    except RegistryError as error:
        return see(address(named), Notice(refused=error.message))
    what = f"{named} is" if version is None else f"Version {version} of {named} is"
    count = f", with {len(gone)} version{'s' if len(gone) > 1 else ''}" if version is None else ""
    said = Notice(f"{what} deleted{' permanently' if permanent else ''}{count}")
    return see(address(named) if _has_versions(named) and version is not None else "/schemas", said)


def _has_versions(subject: Subject) -> bool:
    with registry().rows() as rows:
        return rows.has_versions(subject, deleted=True)


@blueprint.post("/schemas/~settings")
@blueprint.post("/schemas/<subject>/settings")
@blueprint.post("/schema/settings")
def change_settings(subject: str | None = None) -> AnyResponse:
    """Set the level or the mode of a subject or, without a name, of the registry."""
    from sandbox.registry.subjects import REGISTRY, check_subject, parse_subject

    whole = request.path.endswith("/~settings")
    name = "" if whole else name_of(subject)
    if not whole and not name:
        return see("/schemas", Notice(refused="Name the subject whose settings change."))
    back = "/schemas" if whole else address(parse_subject(name))
    try:
        place = REGISTRY if whole else check_subject(name, for_settings=True)
        shown = "The registry" if whole else f"{place}"
        if "level" in request.form:
            level = request.form["level"]
            _set_level(place, level)
            said = (
                f"{shown} has the compatibility level {level}" if level else f"{shown} inherits its compatibility level"
            )
        else:
            mode = request.form.get("mode", INHERIT)
            registry().set_mode(place, mode or None, force=False)
            said = f"{shown} has the mode {mode}" if mode else f"{shown} inherits its mode"
    except RegistryError as error:
        return see(back, Notice(refused=error.message))
    return see(back, Notice(said))


def _set_level(place: Subject, level: str) -> None:
    """Set a level; "" deletes it, and leaves the subject's other settings."""
    with registry().rows() as rows:
        own = rows.config(place)
    if level != INHERIT:
        registry().update_config(place, {"compatibility": level})
    elif own is not None and own.others:
        registry().update_config(place, {"compatibility": None})
    elif own is not None:
        registry().delete_config(place)


def _form(subject: str, *, tried: bool = False, refused: str | None = None) -> Response:
    from sandbox.registry import survey
    from sandbox.registry.subjects import parse_subject

    wanted = subject.strip()
    level, answers, trial = None, None, None
    if tried and refused is None:
        try:
            level, answers, trial = _tried(wanted)
        except RegistryError as error:
            refused = error.message
    with registry().rows() as rows:
        if wanted:
            level = survey.level(rows, parse_subject(wanted))
        latest = _latest(rows, parse_subject(wanted)) if wanted and not tried else None
    text = request.form.get("schema", "") if tried else "" if latest is None else pretty(latest)
    return page(
        "schemas/try",
        status=400 if refused else 200,
        live_at="/schemas/~new",
        subject=wanted,
        schema_type=request.form.get("schema_type") or (latest.content.schema_type if latest else "AVRO"),
        types=[(one, NAMES[one]) for one in reversed(SCHEMA_TYPES)],
        text=text,
        references=request.form.get("references", "") if tried else _references_text(latest),
        answers=answers,
        trial=trial,
        reasons=_reasons,
        level=level,
        refused=refused,
    )


def _tried(wanted: str) -> "tuple[str, list[LevelAnswer], EventTrial]":
    """Return the level that applies to a subject, each level's answer, and how a consumer reads the newest events."""
    from sandbox.registry import survey
    from sandbox.registry.stored_events import topics_of, try_on_events
    from sandbox.registry.subjects import check_subject

    subject = check_subject(wanted)
    with registry().rows() as rows:
        answers, parsed = survey.try_schema(rows, subject, _asked())
        level = survey.level(rows, subject)
        own = {key for row in rows.versions(subject) for key in (row.schema_id, _guid(rows.registered(row)))}
    places = topics_of(subject, backend().topics()) if own or topic_of(subject) else []
    return level, answers, try_on_events(parsed, own, places, newest, backend().decoder())


def _guid(schema: RegisteredSchema) -> Any:
    import uuid

    return uuid.UUID(schema.guid)


def _trial_json(level: str, answers: "list[LevelAnswer]", trial: "EventTrial") -> dict[str, Any]:
    return {
        "level": level,
        "levels": [{"level": one.level, "accepted": not one.messages, "messages": one.messages} for one in answers],
        "events": {
            "topics": trial.topics,
            "looked_at": trial.looked_at,
            "read": trial.read,
            "failed": trial.failed,
            "unframed": trial.unframed,
            "unknown": trial.unknown,
            "other_subjects": trial.other,
            "complete": trial.complete,
            "failures": [
                {
                    "reason": one.reason,
                    "written_with": one.written_with,
                    "part": "key" if one.is_key else "value",
                    "events": one.events,
                    "newest": {
                        "topic": one.first.topic,
                        "partition": one.first.partition,
                        "offset": one.first.offset,
                    },
                }
                for one in trial.failures
            ],
        },
    }


def _reasons(messages: tuple[str, ...]) -> list[str]:
    """Return the registry's messages without the old schema and the settings, which it adds to each answer."""
    found = []
    for message in messages:
        version = _OLD_VERSION.fullmatch(message)
        if version is not None:
            found.append(f"Compared with version {version[1]}.")
        elif not message.startswith(_ADDED):
            found.append(message)
    return found


def _latest(rows: "RegistryRows", subject: Subject) -> RegisteredSchema | None:
    from sandbox.registry.lookups import latest

    row = latest(rows, subject)
    return None if row is None else rows.registered(row)


def _asked() -> SchemaRequest:
    # Browsers send the ends of lines as CR LF.
    text = request.form.get("schema", "").replace("\r\n", "\n")
    return SchemaRequest(text, request.form.get("schema_type", "AVRO"), _references())


def _references() -> tuple[SchemaReference, ...]:
    """Return the references of the form, one per line. Raises RegistryError 42201."""
    found = []
    for line in request.form.get("references", "").splitlines():
        if not line.strip():
            continue
        name, _, place = line.strip().rpartition("=")
        subject, _, version = place.rpartition(":")
        if not name or not subject or not version.isdecimal():
            raise invalid_schema(f"The reference {line.strip()!r} is not NAME=SUBJECT:VERSION.")
        found.append(SchemaReference(name, subject, int(version)))
    return tuple(found)


def _references_text(schema: RegisteredSchema | None) -> str:
    if schema is None:
        return ""
    return "\n".join(f"{one.name}={one.subject}:{one.version}" for one in schema.content.references)
