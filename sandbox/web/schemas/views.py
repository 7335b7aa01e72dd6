"""Schemas: the subjects of the registry, one subject with its versions, and the trial of a change.

Programs use the registry's own interface, at `/registry`.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.model.registry import PROTOBUF, SCHEMA_TYPES, RegisteredSchema, SchemaRequest, Subject
from sandbox.registry.errors import RegistryError
from sandbox.web.capabilities import changes_nothing
from sandbox.web.notices import Notice
from sandbox.web.responses import FORMATS, Interest, backend, data, overview, page, see

if TYPE_CHECKING:
    from sandbox.registry.registry import SchemaRegistry

# The rules of the registry are imported where they are used: a start must not wait for them.

blueprint = Blueprint("schemas", __name__)

INTEREST = Interest(frozenset(), frozenset(), 2)
"""A registration does not notify the pages."""
COMPARED_LINES_MAX = 4_000
"""Longer schemas are shown without a comparison, whose time grows with the square of their length."""
NAMES = {"AVRO": "Avro", "JSON": "JSON Schema", "PROTOBUF": "Protobuf"}
PARTS = ("-key", "-value")
_OLD_VERSION = re.compile(r"\{oldSchemaVersion: (\d+)\}")
_ADDED = ("{oldSchema:", "{validateFields:")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a comparison of two versions.

    Attributes:
        sign: "+" for one that was added, "-" for one that was removed, " " for one that stayed.
    """

    sign: str
    text: str


def _registry() -> "SchemaRegistry":
    found = backend().schema_registry
    # `capabilities.REQUIRED` refuses a request before it comes here if there is none.
    assert found is not None
    return found()


@blueprint.get("/schemas")
def index() -> Response:
    """All subjects."""
    from sandbox.registry import survey

    wanted = request.args.get("q", "").strip()
    with _registry().rows() as rows:
        found = survey.list_subjects(rows)
    shown = [one for one in found if wanted.lower() in str(one.subject).lower()]
    return page(
        "schemas/index",
        INTEREST,
        subjects=shown,
        total=len(found),
        wanted=wanted,
        names=NAMES,
        topic=_topic,
        address=_address,
    )


@blueprint.get("/schemas.json")
def index_json() -> Response:
    """All subjects as JSON."""
    from sandbox.registry import survey

    with _registry().rows() as rows:
        found = survey.list_subjects(rows)
    subjects = [
        {
            "subject": str(one.subject),
            "schema_type": one.latest.content.schema_type,
            "version": one.latest.version,
            "id": one.latest.schema_id,
            "versions": one.versions,
            "compatibility": one.level,
        }
        for one in found
    ]
    return data({"as_of_ms": overview().as_of_ms, "subjects": subjects})


@blueprint.get("/schemas/~new")
def new() -> Response:
    """The form for the first version of a subject."""
    return _form(request.args.get("subject", ""))


@blueprint.post("/schemas/~try")
@changes_nothing
def attempt() -> Response:
    """Whether a schema would be accepted at each level. Nothing is stored."""
    return _form(request.form.get("subject", ""), tried=True)


@blueprint.post("/schemas")
def register() -> AnyResponse:
    """Register a schema as the next version of a subject."""
    from sandbox.registry.subjects import check_subject

    try:
        subject = check_subject(request.form.get("subject", "").strip())
        found = _registry().register(subject, _asked())
    except (RegistryError, BrokerError) as error:
        return _form(request.form.get("subject", ""), tried=True, refused=str(error))
    said = f"{found.subject} has version {found.version} with the id {found.schema_id}"
    return see(_address(found.subject), Notice(said))


@blueprint.get("/schemas/<subject>")
@blueprint.get("/schema")
def one(subject: str | None = None) -> Response:
    """One subject: its versions, each with what changed."""
    from sandbox.registry import survey
    from sandbox.registry.subjects import parse_subject, within

    with _registry().rows() as rows:
        try:
            found = survey.describe(rows, parse_subject(_name(subject)))
        except RegistryError as error:
            raise BrokerError("RESOURCE_NOT_FOUND", error.message) from error
    pairs = zip(found.versions, (*found.versions[1:], None), strict=True)
    changes = {newer.version: _changes(older, newer) for newer, older in pairs}
    return page(
        "schemas/one",
        INTEREST,
        found=found,
        changes=changes,
        names=NAMES,
        topic=_topic(found.subject),
        address=_address,
        within=within,
    )


@blueprint.get("/schemas/<subject>/delete")
@blueprint.get("/schema/delete")
def ask_delete(subject: str | None = None) -> Response:
    """What a deletion of a subject breaks."""
    from sandbox.registry import survey
    from sandbox.registry.subjects import parse_subject

    with _registry().rows() as rows:
        try:
            found = survey.describe(rows, parse_subject(_name(subject)))
        except RegistryError as error:
            raise BrokerError("RESOURCE_NOT_FOUND", error.message) from error
    return page("schemas/delete", found=found, topic=_topic(found.subject), address=_address)


@blueprint.post("/schemas/<subject>/delete")
@blueprint.post("/schema/delete")
def delete(subject: str | None = None) -> AnyResponse:
    """Delete a subject softly: its ids still decode events."""
    from sandbox.registry import deletion
    from sandbox.registry.subjects import parse_subject

    named = parse_subject(_name(subject))
    try:
        gone = _registry().change(lambda database, _now_ms: deletion.delete_subject(database, named, permanent=False))
    except RegistryError as error:
        return see(_address(named), Notice(refused=error.message))
    return see("/schemas", Notice(f"{named} is deleted, with {len(gone)} version{'s' if len(gone) > 1 else ''}"))


def _form(subject: str, *, tried: bool = False, refused: str | None = None) -> Response:
    from sandbox.registry import survey
    from sandbox.registry.subjects import check_subject, parse_subject

    answers, level = None, None
    wanted = subject.strip()
    with _registry().rows() as rows:
        if wanted:
            level = survey.level(rows, parse_subject(wanted))
        if tried and refused is None:
            try:
                answers = survey.try_schema(rows, check_subject(wanted), _asked())
            except RegistryError as error:
                refused = error.message
        latest = _latest(rows, parse_subject(wanted)) if wanted and not tried else None
    text = request.form.get("schema", "") if tried else "" if latest is None else _pretty(latest)
    kind = request.form.get("schema_type") or (latest.content.schema_type if latest else "AVRO")
    return page(
        "schemas/try",
        status=400 if refused else 200,
        subject=wanted,
        schema_type=kind,
        types=[(one, NAMES[one]) for one in reversed(SCHEMA_TYPES)],
        text=text,
        answers=answers,
        reasons=_reasons,
        level=level,
        refused=refused,
    )


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


def _latest(rows: Any, subject: Subject) -> RegisteredSchema | None:
    from sandbox.registry import survey

    try:
        return survey.describe(rows, subject).versions[0]
    except RegistryError:
        return None


def _asked() -> SchemaRequest:
    # Browsers send the ends of lines as CR LF.
    text = request.form.get("schema", "").replace("\r\n", "\n")
    return SchemaRequest(text, request.form.get("schema_type", "AVRO"))


def _name(subject: str | None) -> str:
    return subject if subject is not None else request.args.get("name", "")


def _address(subject: Subject, suffix: str = "") -> str:
    """Return the path of a subject's page. A name that a path can't hold goes into the query string."""
    name = str(subject)
    if "/" in name or name.startswith("~") or name in (".", "..") or name.endswith(FORMATS):
        return f"/schema{suffix}?name={quote(name, safe='')}"
    return f"/schemas/{quote(name, safe='')}{suffix}"


def _topic(subject: Subject) -> str | None:
    """Return the topic whose events have this subject by the TopicNameStrategy, if it exists."""
    for part in PARTS:
        name = subject.name.removesuffix(part)
        if name != subject.name and any(topic.topic == name for topic in backend().topics()):
            return name
    return None


def _pretty(schema: RegisteredSchema) -> str:
    """Return the schema's text with one field per line."""
    if schema.content.schema_type == PROTOBUF:
        return schema.content.text
    try:
        return json.dumps(json.loads(schema.content.text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return schema.content.text


def _changes(older: RegisteredSchema | None, newer: RegisteredSchema) -> list[Line]:
    """Return the newer version's lines, with the signs of a comparison; all of them stay if there is no older one."""
    lines = _pretty(newer).splitlines()
    if older is None:
        return [Line(" ", line) for line in lines]
    return [Line(sign, text) for sign, text in _compared(_pretty(older), _pretty(newer))]


@lru_cache(maxsize=64)
def _compared(older: str, newer: str) -> tuple[tuple[str, str], ...]:
    """Return the lines of both texts with their signs. A version never changes, so a comparison is made once."""
    from difflib import SequenceMatcher

    before, after = older.splitlines(), newer.splitlines()
    if max(len(before), len(after)) > COMPARED_LINES_MAX:
        return tuple((" ", line) for line in after)
    found: list[tuple[str, str]] = []
    for kind, first, last, start, end in SequenceMatcher(None, before, after).get_opcodes():
        if kind == "equal":
            found += [(" ", line) for line in after[start:end]]
            continue
        found += [("-", line) for line in before[first:last]]
        found += [("+", line) for line in after[start:end]]
    return tuple(found)
