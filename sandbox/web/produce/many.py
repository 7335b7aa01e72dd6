"""Produce many: sends lines of text or JSON lines, typed or from a file, after a preview."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.kafka.partitioner import PARTITIONERS as PLACES
from sandbox.model.jsonl import LineRefused, TopicLine, read_line, without_byte_order_mark
from sandbox.model.topics import TopicDescription
from sandbox.web.capabilities import changes_nothing
from sandbox.web.decoding import decoder
from sandbox.web.notices import Notice, current_notice
from sandbox.web.produce.form import PARTITIONERS, header_lines, typed
from sandbox.web.produce.programs import headers_text, many_programs
from sandbox.web.produce.schema_part import encoder, has_registry, subjects
from sandbox.web.produce.views import named_topic, remember_topic
from sandbox.web.responses import backend, by_htmx, fragment, overview, page, see

blueprint = Blueprint("produce_many", __name__)

FORMATS = (("lines", "text: a line is a value"), ("jsonl", "JSON lines, as export writes them"))
KEYS = (("none", "no key (null)"), ("before", "in the line, before"), ("text", "the same for all"))
EVENTS_MAX = 100_000
COMMIT_EVENTS = 5_000
"""Events per transaction: all of them are stored, or none."""
ERRORS_MAX = 20
SHOWN = 5
PLACES_MAX = 100


@dataclass(frozen=True, slots=True)
class Lines:
    """The parsed lines.

    Attributes:
        events: the lines' events, once per repetition.
        errors: (line number, error) of the first invalid lines.
        wrong: the number of invalid lines.
        lines: the number of non-empty lines.
        size_bytes: total size of keys and values.
        counts: (partition, events), if the key or the line determines the partition; the other events are spread.
        uncommitted: how many lines are events of an aborted or open transaction.
    """

    events: tuple[NewEvent, ...]
    errors: tuple[tuple[int, str], ...]
    wrong: int
    lines: int
    size_bytes: int
    counts: tuple[tuple[int, int], ...]
    uncommitted: int


def read_lines(form: Mapping[str, str], source: bytes, topic: TopicDescription) -> Lines:
    """Parse all lines of a form, including those after an invalid one.

    Args:
        form: how to parse them.
        source: the lines, ending with LF or CR LF.
        topic: the target topic.

    Raises:
        BrokerError: INVALID_REQUEST for an invalid field of the form, or too many events.
    """
    times = _times(form)
    place = PLACES.get(form.get("partitioner", "murmur2"))
    if place is None:
        raise BrokerError("INVALID_REQUEST", f"There is no partitioner called {form.get('partitioner')!r}.")
    events: list[NewEvent] = []
    errors: list[tuple[int, str]] = []
    wrong = uncommitted = 0
    limit = int(topic.settings.get("max.message.bytes", "1048588"))
    try:
        text = without_byte_order_mark(source)
    except LineRefused as refused:
        raise BrokerError("INVALID_REQUEST", f"Nothing was read: {refused}.") from None
    for number, raw in enumerate(text.split(b"\n"), 1):
        line = raw.removesuffix(b"\r")
        if not line.strip():
            continue
        try:
            found = _event(form, line, len(topic.partitions))
            if found is None:
                continue
            event, committed = found
            event = _with_schemas(form, event)
            _check_size(event, limit)
            uncommitted += not committed
            if event.partition is None:
                event = event._replace(partition=place.partition_for(event.key, len(topic.partitions)))
            events.append(event)
        except LineRefused as refused:
            wrong += 1
            if len(errors) < ERRORS_MAX:
                errors.append((number, str(refused)))
        if (len(events) + wrong) * times > EVENTS_MAX:
            raise BrokerError(
                "INVALID_REQUEST",
                f"The page sends at most {EVENTS_MAX:,} events at once. Use the command line for more: sandbox import.",
            )
    counts = Counter(event.partition for event in events if event.partition is not None)
    return Lines(
        tuple(events) * times,
        tuple(errors),
        wrong,
        len(events) + wrong,
        times * sum(len(event.key or b"") + len(event.value or b"") for event in events),
        tuple(sorted((partition, count * times) for partition, count in counts.items())),
        uncommitted,
    )


def _event(form: Mapping[str, str], line: bytes, partitions: int) -> tuple[NewEvent, bool] | None:
    """Return a line's event, and whether its transaction was committed when exported; None for a topic's line."""
    headers = header_lines(typed(form, "headers"))
    if form.get("format", "lines") == "jsonl":
        found = read_line(line)
        if isinstance(found, TopicLine):
            return None
        partition = found.partition if form.get("keep") == "1" else None
        if partition is not None and partition >= partitions:
            raise LineRefused(f"partition {partition} is not there: the topic has partitions 0 to {partitions - 1}")
        event = NewEvent(found.value, found.key, found.headers + headers, found.timestamp_ms, partition)
        return event, found.transaction is None
    kind = form.get("key_kind", "none")
    if kind == "none":
        return NewEvent(line, None, headers), True
    if kind == "text":
        return NewEvent(line, form.get("key", "").encode("utf-8", "replace"), headers), True
    separator = form.get("separator", "").encode("utf-8", "replace")
    if not separator:
        raise LineRefused("no separator is given, so it is not known where the key ends")
    key, there, value = line.partition(separator)
    if not there:
        raise LineRefused(f"the separator {form.get('separator', '')!r} is not in it")
    return NewEvent(value, key, headers), True


def _with_schemas(form: Mapping[str, str], event: NewEvent) -> NewEvent:
    """Return an event whose JSON in key and value is written with the form's schemas. Null stays null."""
    names = {part: form.get(f"{part}_schema", "").strip() for part in ("key", "value")}
    if not any(names.values()):
        return event
    from sandbox.schemas.schema import InvalidValue, MissingLibrary

    parts: dict[str, Any] = {}
    for part, data in (("key", event.key), ("value", event.value)):
        if names[part] and data is not None:
            try:
                parts[part] = encoder(names[part]).encode_text(data)
            except (InvalidValue, MissingLibrary) as error:
                raise LineRefused(f"the {part} does not fit {names[part]}: {error}") from None
    return event._replace(**parts)


def _check_size(event: NewEvent, limit: int) -> None:
    size = len(event.key or b"") + len(event.value or b"")
    if size > limit:
        raise LineRefused(f"{size:,} bytes are more than max.message.bytes of the topic, {limit:,}")


def _times(form: Mapping[str, str]) -> int:
    text = form.get("times", "").strip() or "1"
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= EVENTS_MAX:
        raise BrokerError("INVALID_REQUEST", f"Each line is sent 1 to {EVENTS_MAX:,} times, not {text[:20]!r}.")
    return int(text)


def readable(topic: str, event: NewEvent) -> NewEvent:
    """Return an event for a preview: a key and value that were written with a schema are JSON."""
    return event._replace(
        key=decoder().readable(topic, event.key, event.headers, is_key=True),
        value=decoder().readable(topic, event.value, event.headers),
    )


def _source() -> bytes:
    file = request.files.get("file")
    if file is not None and file.filename:
        return bytes(file.read())
    return typed(request.form, "lines").encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Stored:
    """The events stored in one partition: their number, and the first and last offset."""

    partition: int
    events: int
    first: int
    last: int


def by_partition(places: Sequence[tuple[int, int]]) -> list[Stored]:
    """Group events' partitions and offsets by partition."""
    offsets: dict[int, list[int]] = {}
    for partition, offset in places:
        offsets.setdefault(partition, []).append(offset)
    return [Stored(partition, len(all), min(all), max(all)) for partition, all in sorted(offsets.items())]


def store(topic: str, events: Sequence[NewEvent]) -> tuple[list[tuple[int, int]], BrokerError | None]:
    """Store events, `COMMIT_EVENTS` per transaction; return each one's partition and offset, and the error that stopped
    it.
    """
    places: list[tuple[int, int]] = []
    for start in range(0, len(events), COMMIT_EVENTS):
        try:
            places += backend().append_all(topic, events[start : start + COMMIT_EVENTS])
        except BrokerError as error:
            return places, error
    return places, None


def _page(topic: TopicDescription | None, form: Mapping[str, str], status: int = 200, **more: Any) -> Response:
    within = request.path.startswith("/topics/")
    nothing: dict[str, Any] = {"stored": None, "read": None, "error": None, "refused": None}
    return page(
        "produce/many",
        status=status,
        topic=topic,
        names=[] if within else [found.topic for found in backend().topics()],
        form=form,
        formats=FORMATS,
        keys=KEYS,
        partitioners=PARTITIONERS,
        events_max=EVENTS_MAX,
        shown_programs=many_programs(overview().kafka, topic.topic, form.get("partitioner", "murmur2"))
        if topic
        else [],
        within=within,
        headers_text=headers_text,
        subjects=subjects() if has_registry() else None,
        readable=readable,
        **(nothing | more),
    )


@blueprint.get("/produce/many")
@blueprint.get("/topics/<topic>/produce/many")
def index(topic: str | None = None) -> Response:
    """The form, and what the last request stored."""
    found = named_topic(topic)
    return _page(found, request.args, stored=current_notice().shown.get("stored"))


@blueprint.post("/produce/many/preview")
@blueprint.post("/topics/<topic>/produce/many/preview")
@changes_nothing
def preview(topic: str | None = None) -> Response:
    """Preview the lines' events and errors, without sending anything."""
    found = backend().topic(topic or request.form.get("topic", ""))
    read, error = None, None
    try:
        read = read_lines(request.form, _source(), found)
    except BrokerError as refusal:
        error = refusal
    if by_htmx():
        return fragment(
            "produce/_many_preview.html",
            topic=found,
            read=read,
            error=error,
            shown=SHOWN,
            headers_text=headers_text,
            readable=readable,
        )
    return _page(found, request.form, 400 if error else 200, read=read, error=error, shown=SHOWN)


@blueprint.post("/produce/many")
@blueprint.post("/topics/<topic>/produce/many")
def send(topic: str | None = None) -> AnyResponse:
    """Send all events, or none if a line is invalid."""
    found = backend().topic(topic or request.form.get("topic", ""))
    read, error = None, None
    try:
        read = read_lines(request.form, _source(), found)
        if not read.events and not read.wrong:
            raise BrokerError("INVALID_REQUEST", "There is nothing to send: type lines, or choose a file.")
    except BrokerError as refusal:
        error = refusal
    if error or read is None or read.wrong:
        if by_htmx():
            return fragment(
                "produce/_many_answer.html", topic=found, read=read, error=error, stored=None, refused=None, shown=SHOWN
            )
        return _page(found, request.form, 400, read=read, error=error, shown=SHOWN)
    places, refused = store(found.topic, read.events)
    stored = by_partition(places)
    if by_htmx() or refused:
        show: dict[str, Any] = {"read": None, "error": None, "stored": stored, "refused": refused}
        if by_htmx():
            return fragment("produce/_many_answer.html", topic=found, **show)
        return _page(found, request.form, 400, **show)
    address = f"/topics/{found.topic}/produce/many" if topic else "/produce/many"
    answer = see(address, Notice(shown={"stored": stored[:PLACES_MAX]}), topic=None if topic else found.topic)
    return remember_topic(answer, found.topic)
