"""Schemas: the subjects of the registry, and one subject with its versions and the events that they wrote.

Programs use the registry's own interface, at `/registry`. `schemas.changes` has the forms.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from flask import Blueprint, Response, current_app, request

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.messages import MessageQuery
from sandbox.model.registry import LEVELS, MODES, PROTOBUF, RegisteredSchema, Subject
from sandbox.model.registry import TYPE_NAMES as NAMES
from sandbox.model.topics import TopicDescription
from sandbox.registry.errors import RegistryError
from sandbox.web.responses import Interest, backend, data, overview, page, split_format, subject_address

if TYPE_CHECKING:
    from sandbox.registry.registry import SchemaRegistry
    from sandbox.registry.stored_events import SampledTopics, TopicSample
    from sandbox.registry.survey import SubjectDescription, SubjectSummary

# The rules of the registry are imported where they are used: a start must not wait for them.

blueprint = Blueprint("schemas", __name__)

INTEREST = Interest(None, frozenset(), 2, spacing_s=0.5, schemas=True)
COMPARED_LINES_MAX = 4_000
"""Longer schemas are shown without a comparison, whose time grows with the square of their length."""
SAMPLING_S = 0.1
"""How long a rendering of the list reads events. The next renderings read the rest."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a comparison of two versions.

    Attributes:
        sign: "+" for one that was added, "-" for one that was removed, " " for one that stayed.
    """

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """Events of a topic that one schema wrote.

    Attributes:
        part: "key" or "value".
        schema: the id, or the GUID.
        version: the subject's version that has it; None if it is another one's, or not registered.
        known: False if no schema of the registry has the id.
        events: how many of the `sampled` newest events of the topic.
        whole: True if these are all events of the topic.
    """

    topic: str
    part: str
    schema: str
    version: int | None
    known: bool
    events: int
    sampled: int
    whole: bool


def registry() -> "SchemaRegistry":
    """Return the registry of this page."""
    found = backend().schema_registry
    # `capabilities.REQUIRED` refuses a request before it comes here if there is none.
    assert found is not None
    return found()


def newest(topic: str, limit: int) -> Iterator[Event]:
    """Yield a topic's newest events, a page at a time."""
    from sandbox.registry.stored_events import PAGE

    cursor: str | None = None
    while limit > 0:
        found = backend().messages(MessageQuery(topic, limit=min(PAGE, limit), cursor=cursor))
        yield from found.events
        limit -= PAGE
        cursor = found.next
        if cursor is None:
            return


def sampled_topics() -> "SampledTopics":
    """Return the samples of this page's topics."""
    from sandbox.registry.stored_events import SampledTopics

    return cast("SampledTopics", current_app.extensions.setdefault("sampled_topics", SampledTopics(newest)))


@blueprint.get("/schemas")
def index() -> Response:
    """All subjects."""
    from sandbox.registry import survey
    from sandbox.registry.scope import mode_in_scope
    from sandbox.registry.subjects import REGISTRY

    wanted = request.args.get("q", "").strip()
    with registry().rows() as rows:
        found = survey.list_subjects(rows)
        level, mode = survey.level(rows, REGISTRY), mode_in_scope(rows, REGISTRY)
    topics = {topic.topic: topic for topic in backend().topics()}
    shown = [one for one in found if wanted.lower() in str(one.subject).lower()]
    return page(
        "schemas/index",
        INTEREST,
        subjects=[one for one in shown if one.versions],
        deleted=[one for one in shown if not one.versions],
        total=len(found),
        wanted=wanted,
        names=NAMES,
        uses=_uses_in_list(shown, topics, budget_s=SAMPLING_S),
        topic=lambda subject: topic_of(subject, topics),
        address=address,
        levels=LEVELS,
        modes=MODES,
        level=level,
        mode=mode,
    )


@blueprint.get("/schemas.json")
def index_json() -> Response:
    """All subjects as JSON."""
    from sandbox.registry import survey

    with registry().rows() as rows:
        found = [one for one in survey.list_subjects(rows) if one.versions]
    topics = {topic.topic: topic for topic in backend().topics()}
    uses = _uses_in_list(found, topics, budget_s=20 * SAMPLING_S)
    subjects = [
        {
            "subject": str(one.subject),
            "schema_type": one.latest.content.schema_type,
            "version": one.latest.version,
            "id": one.latest.schema_id,
            "versions": one.versions,
            "compatibility": one.level,
            "own_compatibility": one.own_level,
            "events": [_use_json(use) for use in uses.get(one.subject, ())],
        }
        for one in found
    ]
    return data({"as_of_ms": overview().as_of_ms, "subjects": subjects})


def _uses_in_list(
    found: "Sequence[SubjectSummary]", topics: Mapping[str, TopicDescription], *, budget_s: float
) -> "dict[Subject, list[Use]]":
    """Return the events of each subject in the topic that it is named after; topics are read for `budget_s` at most."""
    from sandbox.registry.stored_events import PARTS

    until_s = time.monotonic() + budget_s
    uses = {}
    for one in found:
        name = topic_of(one.subject, topics)
        if name is None:
            continue
        late = time.monotonic() > until_s
        sample = sampled_topics().known(topics[name]) if late else sampled_topics().sample(topics[name])
        if sample is not None:
            is_key = next(is_key for ending, is_key in PARTS.items() if one.subject.name.endswith(ending))
            uses[one.subject] = [use for use in _uses(sample, is_key, one.versions_by_id) if use.version is not None]
    return uses


@blueprint.get("/schemas/<subject>")
@blueprint.get("/schema")
def one(subject: str | None = None) -> Response:
    """One subject: its versions, each with what changed, and the events that they wrote."""
    name, data_format = split_format(name_of(subject), _exists)
    found = described(name)
    uses = uses_of(found)
    if data_format is not None:
        return data(_subject_json(found, uses))
    from sandbox.registry.subjects import within

    pairs = zip(found.versions, (*found.versions[1:], None), strict=False)
    return page(
        "schemas/one",
        INTEREST,
        found=found,
        uses=uses,
        compared={newer.version: _changes(older, newer) for newer, older in pairs},
        names=NAMES,
        topic=topic_of(found.subject),
        address=address,
        within=within,
        levels=LEVELS,
        modes=MODES,
    )


def _exists(name: str) -> bool:
    from sandbox.registry.subjects import parse_subject

    with registry().rows() as rows:
        return rows.has_versions(parse_subject(name), deleted=True)


def described(name: str) -> "SubjectDescription":
    """Return a subject. Raises BrokerError RESOURCE_NOT_FOUND."""
    from sandbox.registry import survey
    from sandbox.registry.subjects import parse_subject

    with registry().rows() as rows:
        try:
            return survey.describe(rows, parse_subject(name))
        except RegistryError as error:
            raise BrokerError("RESOURCE_NOT_FOUND", error.message) from error


def uses_of(found: "SubjectDescription") -> list[Use]:
    """Return the events that a subject's schemas wrote, among the newest of its topics.

    In a topic that the subject is named after, events with other schemas' ids are listed too.
    """
    from sandbox.registry.stored_events import topics_of

    versions: dict[int | str, int] = {}
    for one in reversed((*found.versions, *found.deleted)):
        versions[one.schema_id] = versions[one.guid] = one.version
    uses: list[Use] = []
    for topic, part in topics_of(found.subject, backend().topics()):
        listed = _uses(sampled_topics().sample(topic), part, versions, _is_registered)
        uses += [use for use in listed if use.version is not None or part is not None]
    return uses


def _uses(
    sample: "TopicSample",
    part: bool | None,
    versions: Mapping[int | str, int],
    is_registered: Callable[[int | str], bool] = lambda schema: True,
) -> list[Use]:
    uses = []
    for (is_key, schema), events in sorted(sample.counts.items(), key=lambda one: (-one[1], str(one[0]))):
        if part is not None and is_key != part:
            continue
        key = schema if isinstance(schema, int) else str(schema)
        version = versions.get(key)
        uses.append(
            Use(
                sample.topic,
                "key" if is_key else "value",
                str(key),
                version,
                version is not None or is_registered(key),
                events,
                sample.events,
                sample.whole,
            )
        )
    return uses


def _is_registered(schema: int | str) -> bool:
    with registry().rows() as rows:
        if isinstance(schema, str):
            return bool(rows.ids_of_guid(schema))
        return any(rows.versions_of(context, schema) for context in (".", *rows.contexts()))


def _use_json(use: Use) -> dict[str, Any]:
    return {
        "topic": use.topic,
        "part": use.part,
        "id": int(use.schema) if use.schema.isdecimal() else use.schema,
        "version": use.version,
        "registered": use.known,
        "events": use.events,
        "newest_events": use.sampled,
        "all_events": use.whole,
    }


def _subject_json(found: "SubjectDescription", uses: list[Use]) -> dict[str, Any]:
    return {
        "as_of_ms": overview().as_of_ms,
        "subject": str(found.subject),
        "topic": topic_of(found.subject),
        "compatibility": found.level,
        "own_compatibility": found.own_level,
        "mode": found.mode,
        "own_mode": found.own_mode,
        "versions": [_version_json(one, found) for one in (*found.versions, *found.deleted)],
        "events": [_use_json(use) for use in uses],
    }


def _version_json(one: RegisteredSchema, found: "SubjectDescription") -> dict[str, Any]:
    return {
        "version": one.version,
        "id": one.schema_id,
        "guid": one.guid,
        "schema_type": one.content.schema_type,
        "schema": one.content.text,
        "references": [reference._asdict() for reference in one.content.references],
        "used_by": [{"subject": str(row.subject), "version": row.version} for row in found.referrers[one.version]],
        "registered_ms": one.registered_ms,
        "deleted": one.deleted,
    }


def name_of(subject: str | None) -> str:
    """Return the name in a path, or in the query string if a path can't hold it."""
    return subject if subject is not None else request.args.get("name", "")


def address(subject: Subject, suffix: str = "") -> str:
    """Return the path of a subject's page."""
    return subject_address(str(subject), suffix)


def topic_of(subject: Subject, topics: Collection[str] | None = None) -> str | None:
    """Return the topic whose events have this subject by the TopicNameStrategy, if it exists.

    Args:
        topics: the names of all topics; None to ask for them.
    """
    from sandbox.registry.stored_events import PARTS

    names = {topic.topic for topic in backend().topics()} if topics is None else topics
    for part in PARTS:
        name = subject.name.removesuffix(part)
        if name != subject.name and name in names:
            return name
    return None


def pretty(schema: RegisteredSchema) -> str:
    """Return the schema's text with one field per line."""
    if schema.content.schema_type == PROTOBUF:
        return schema.content.text
    try:
        return json.dumps(json.loads(schema.content.text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return schema.content.text


def _changes(older: RegisteredSchema | None, newer: RegisteredSchema) -> list[Line]:
    """Return the newer version's lines, with the signs of a comparison; all of them stay if there is no older one."""
    lines = pretty(newer).splitlines()
    if older is None:
        return [Line(" ", line) for line in lines]
    return [Line(sign, text) for sign, text in _compared(pretty(older), pretty(newer))]


@lru_cache(maxsize=64)
def _compared(older: str, newer: str) -> tuple[tuple[str, str], ...]:
    """Return the lines of both texts with their signs. A version never changes, so a comparison is cached."""
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
