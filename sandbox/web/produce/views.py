"""Produce: sends one event from a form, and shows its partition before it is sent."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event, NewEvent
from sandbox.model.topics import TopicDescription
from sandbox.web.capabilities import changes_nothing
from sandbox.web.messages.dead_letters import tell_returned
from sandbox.web.notices import Notice, current_notice
from sandbox.web.produce.form import (
    FIRST,
    HEADER_KINDS,
    KEY_KINDS,
    MODES,
    PARTITIONERS,
    SCHEMA_KIND,
    VALUE_KINDS,
    Copied,
    PartitionChoice,
    address_of,
    choose,
    copied,
    event_of,
    json_state,
    key_of,
    turns,
)
from sandbox.web.produce.programs import event_programs
from sandbox.web.produce.schema_part import KIND, PARTS, has_registry, mark_error, shown_part, subjects
from sandbox.web.programs import ShownProgram
from sandbox.web.proxied import cookie_named, cookie_path
from sandbox.web.responses import backend, by_htmx, data, fragment, overview, page, see

blueprint = Blueprint("produce", __name__)

LAST_TOPIC = "produce-topic"
"""The cookie with the topic to which this browser sent last."""
KEPT_MAX = 2000
"""The maximum number of characters of a form that an address carries, for browsers without scripts."""


def named_topic(topic: str | None) -> TopicDescription | None:
    """Return the topic of a Produce page: from its path, from `?topic=`, the topic that this browser used last, or
    the newest one; None if there are no topics.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION if the named topic doesn't exist.
    """
    name = topic or request.values.get("topic")
    if name:
        return backend().topic(name)
    topics = [found for found in backend().topics() if not found.topic.startswith("__")]
    used = request.cookies.get(cookie_named(LAST_TOPIC, request.host))
    return max(topics, key=lambda found: (found.topic == used, found.created_ms), default=None)


def remember_topic(answer: AnyResponse, topic: str) -> AnyResponse:
    """Let this browser's Produce pages begin with a topic."""
    name = cookie_named(LAST_TOPIC, request.host)
    answer.set_cookie(name, topic, max_age=31_536_000, samesite="Strict", path=cookie_path())
    return answer


def send(form: Mapping[str, str], topic: TopicDescription) -> tuple[Event, PartitionChoice, NewEvent]:
    """Store the form's event. Returns it as stored, its partition's choice, and the event as the form has it.

    Raises:
        BrokerError: the form or the event is refused; nothing was stored.
    """
    # A refused event doesn't advance round robin.
    parsed = event_of(form, overview().as_of_ms)
    choice = choose(form, topic, parsed.key, take=True)
    new = parsed._replace(partition=choice.partition)
    event = backend().append(
        topic.topic,
        new.value,
        key=new.key,
        headers=new.headers,
        timestamp_ms=new.timestamp_ms,
        partition=new.partition,
    )
    tell_returned((event,))
    return event, choice, parsed


def form_programs(form: Mapping[str, str], topic: str, new: NewEvent) -> list[ShownProgram]:
    """Return the programs that send the form's event."""
    turn = form.get("mode") == "round"
    if turn:
        new = new._replace(partition=turns.peek(topic, len(backend().topic(topic).partitions)))
    elif form.get("mode") == "fixed" and re.fullmatch(r"[0-9]{1,9}", form.get("partition", "")):
        new = new._replace(partition=int(form["partition"]))
    return event_programs(overview().kafka, topic, new, form.get("partitioner", "murmur2"), turn=turn)


def _parsed(form: Mapping[str, str]) -> NewEvent | None:
    """Return the form's event; None while a part of it is invalid."""
    try:
        return event_of(form, overview().as_of_ms)
    except BrokerError:
        return None


def _schema_kinds(topic: TopicDescription | None) -> dict[str, str]:
    """Return the kinds of key and value of a topic whose schemas are registered under its own subjects."""
    if topic is None or not has_registry():
        return {}
    known = subjects()
    return {f"{part}_kind": KIND for part in PARTS if f"{topic.topic}-{part}" in known}


def _form_page(
    topic: TopicDescription | None,
    form: Mapping[str, str],
    *,
    status: int = 200,
    error: BrokerError | None = None,
    copy: Copied | None = None,
    copy_error: str | None = None,
    undecided: bool = False,
) -> Response:
    form = FIRST | _schema_kinds(topic) | _original_partition(copy, topic) | dict(form) | (copy.form if copy else {})
    within = request.path.startswith("/topics/")
    untyped = _has_schema(form, "value") and "value_shown" not in form
    kinds = (SCHEMA_KIND,) if has_registry() else ()
    parts = {part: shown_part(form, part, topic.topic if topic else None) for part in PARTS if _has_schema(form, part)}
    form |= {part: one.text for part, one in parts.items() if one.changed}
    for one in parts.values() if error else ():
        mark_error(one)
    choice: PartitionChoice | None = None
    new = _parsed(form)
    if topic is not None and not undecided:
        with suppress(BrokerError):
            choice = choose(form, topic, new.key if new else key_of(form))
    return page(
        "produce/index",
        status=status,
        topic=topic,
        names=[] if within else [found.topic for found in backend().topics()],
        form=form,
        choice=choice,
        error=error,
        copy=copy,
        copy_error=copy_error,
        aim=_aim(copy, topic),
        there=_there(copy, topic, form),
        sent=current_notice().shown.get("sent"),
        # Of the fields of a schema, nothing was typed before the page was shown once.
        state=json_state(form) if form["value"].strip() and not untyped else None,
        undecided=undecided,
        shown_programs=form_programs(form, topic.topic, new or event_of(FIRST, 0)) if topic and not undecided else [],
        partitioners=PARTITIONERS,
        key_kinds=KEY_KINDS + kinds,
        value_kinds=VALUE_KINDS + kinds,
        schema_parts=parts,
        root=_root(topic.topic if topic and within else None),
        header_kinds=HEADER_KINDS,
        modes=MODES,
        within=within,
    )


def _has_schema(form: Mapping[str, str], part: str) -> bool:
    return form.get(f"{part}_kind") == KIND


def _aim(copy: Copied | None, topic: TopicDescription | None) -> str | None:
    """Return the address of the form that sends a dead letter back to its original topic; None if this form does, or if
    the topic doesn't exist.
    """
    if copy is None or copy.origin is None or topic is None or copy.origin == topic.topic:
        return None
    if all(found.topic != copy.origin for found in backend().topics()):
        return None
    return f"/topics/{copy.origin}/produce?copy={'/'.join(map(str, copy.place))}"


def _original_partition(copy: Copied | None, topic: TopicDescription | None) -> dict[str, str]:
    """Return the fields that send a dead letter to its original partition: the partitioner whose sum leads its key
    there, or the partition's number.
    """
    if copy is None or topic is None or copy.origin != topic.topic or copy.partition is None:
        return {}
    if copy.partition >= len(topic.partitions):
        return {}
    event = backend().event(*copy.place)
    for name, _ in PARTITIONERS:
        if backend().partition_for(topic.topic, event.key, name) == copy.partition:
            return {"mode": "key", "partitioner": name}
    return {"mode": "fixed", "partition": str(copy.partition)}


@dataclass(frozen=True, slots=True)
class There:
    """A dead letter's original partition, if its topic still has it.

    Attributes:
        chosen: True if the form sends to that partition by number.
        other: the address of the form that does, or, if `chosen`, of the form in which the key determines the
            partition.
    """

    partition: int
    chosen: bool
    other: str


def _there(copy: Copied | None, topic: TopicDescription | None, form: Mapping[str, str]) -> There | None:
    if copy is None or topic is None or copy.origin != topic.topic or copy.partition is None:
        return None
    if copy.partition >= len(topic.partitions):
        return None
    chosen = form.get("mode") == "fixed" and form.get("partition") == str(copy.partition)
    more = {"copy": "/".join(map(str, copy.place))}
    if request.args.get("headers") == "kept":
        more["headers"] = "kept"
    more |= {"mode": "key"} if chosen else {"mode": "fixed", "partition": str(copy.partition)}
    return There(copy.partition, chosen, f"/topics/{topic.topic}/produce?{urlencode(more)}")


@blueprint.get("/produce")
@blueprint.get("/topics/<topic>/produce")
def index(topic: str | None = None) -> Response:
    """The form; `?copy=TOPIC/PARTITION/OFFSET` fills it with that event, `&only=key` with the event's key only.

    A copy has no target until a topic is named, in the path or by `&topic=`: the form asks for one.
    """
    found = named_topic(topic)
    wanted = request.args.get("copy", "")
    copy, why = None, None
    undecided = bool(wanted) and not topic and not request.args.get("topic")
    if wanted:
        place = address_of(wanted)
        try:
            if place is None:
                raise BrokerError("INVALID_REQUEST", f"{wanted!r} is no address of an event: TOPIC/PARTITION/OFFSET.")
            copy = copied(
                backend().event(*place),
                target=found.topic if found is not None and not undecided else None,
                only_key=request.args.get("only") == "key",
                whole=request.args.get("headers") == "kept",
            )
        except BrokerError as error:
            why = error.detail
    of_copy = ("copy", "only", "headers") if wanted else ()
    form = {name: value for name, value in request.args.items() if name not in of_copy}
    return _form_page(found, form, copy=copy, copy_error=why, undecided=undecided and copy is not None)


@blueprint.route("/produce/preview", methods=["GET", "POST"])
@changes_nothing
def preview() -> Response:
    """The partition of the form's event. Also accepts POST, because a key may be longer than an address."""
    if not request.values.get("topic"):
        return fragment("produce/_preview.html", choice=None, error=None, undecided=True)
    try:
        choice = choose(request.values, backend().topic(request.values.get("topic", "")), key_of(request.values))
    except BrokerError as error:
        return fragment("produce/_preview.html", choice=None, error=error.detail)
    return fragment("produce/_preview.html", choice=choice, error=None)


@blueprint.post("/produce/program")
@blueprint.post("/topics/<topic>/produce/program")
@changes_nothing
def shown_program(topic: str | None = None) -> Response:
    """The programs for the form's current fields, and whether its value is JSON."""
    form: MultiDict[str, str] = request.form
    state = json_state(form) if form.get("value", "").strip() else None
    name = topic or form.get("topic", "")
    new = _parsed(form)
    shown = form_programs(form, backend().topic(name).topic, new) if name and new else None
    answer = fragment("produce/_as_typed.html", shown_programs=shown, state=state)
    if shown is None:
        # The value is incomplete: the program stays unchanged.
        answer.headers["HX-Reswap"] = "none"
    return answer


@blueprint.post("/produce/schema/<any(key, value):part>")
@blueprint.post("/topics/<topic>/produce/schema/<any(key, value):part>")
@changes_nothing
def schema_part(part: str, topic: str | None = None) -> Response:
    """The inputs of a key or value with a schema, after a change of the schema, the mode or the number of items."""
    form: MultiDict[str, str] = request.form
    name = topic or form.get("topic", "")
    if not by_htmx():
        return _form_page(named_topic(name), form, undecided=not name)
    shown = shown_part(form, part, name or None) if _has_schema(form, part) else None
    return fragment("produce/_schema.html", part=part, shown=shown, root=_root(topic))


def _root(topic: str | None) -> str:
    return f"/topics/{topic}/produce" if topic else "/produce"


@blueprint.get("/produce/preview.json")
def preview_json() -> Response:
    """The partition of the form's event as JSON."""
    choice = choose(request.args, backend().topic(request.args.get("topic", "")), key_of(request.args))
    return data({"partition": choice.partition, "partitions": choice.partitions, "steps": list(choice.steps)})


@blueprint.post("/produce")
@blueprint.post("/topics/<topic>/produce")
def produce(topic: str | None = None) -> AnyResponse:
    """Send one event, and show where it was stored."""
    form: MultiDict[str, str] = request.form
    name = topic or form.get("topic", "")
    try:
        if not name:
            raise BrokerError("INVALID_REQUEST", "Choose the topic first. Nothing was sent.")
        event, choice, new = send(form, backend().topic(name))
    except BrokerError as error:
        if by_htmx():
            # 200, because htmx ignores the content of an error status.
            parts = [shown_part(form, part, name or None) for part in PARTS if _has_schema(form, part)]
            for one in parts:
                mark_error(one)
            return fragment("produce/_answer.html", event=None, error=error, marked=parts, root=_root(topic))
        return _form_page(named_topic(name), form, status=400, error=error, undecided=not name)
    if by_htmx():
        shown = form_programs(form, event.topic, new)
        sent = fragment("produce/_answer.html", event=event, choice=choice, error=None, shown_programs=shown)
        return remember_topic(sent, event.topic)
    kept = {field: value for field, value in form.items() if field != "topic"}
    if sum(map(len, kept.values())) > KEPT_MAX:
        kept = {}
    address = f"/topics/{name}/produce" if topic else "/produce"
    place = {"topic": event.topic, "partition": event.partition, "offset": event.offset}
    return remember_topic(see(address, Notice(shown={"sent": place}), topic=None if topic else name, **kept), name)
