"""The deserializers of a topic: how its keys and values are decoded where they are shown."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.deserializers import (
    AUTOMATIC,
    FORMAT_NAMES,
    FORMATS,
    KEY,
    PARTS,
    VALUE,
    WITH_SCHEMA,
    Deserializer,
)
from sandbox.model.messages import MessageQuery
from sandbox.web.capabilities import changes_nothing
from sandbox.web.notices import Notice
from sandbox.web.responses import backend, data, page, see

blueprint = Blueprint("deserializers", __name__)

SHOWN_EVENTS = 5
TRIED_EVENTS = 50


@dataclass(frozen=True, slots=True)
class Trial:
    """How the newest keys or values of a topic are decoded.

    Attributes:
        events: the newest events.
        decoded: what the first `SHOWN_EVENTS` hold; None for plain text, null or bytes.
        tried, readable: how many keys or values were decoded, and how many could be.
    """

    events: tuple[Event, ...]
    decoded: tuple[Any, ...]
    tried: int
    readable: int


@dataclass(frozen=True, slots=True)
class DeserializerForm:
    """The form of a part.

    Attributes:
        part: "key" or "value".
        chosen: what is chosen, or is tried; None for automatic.
        tried: True if it isn't stored.
        refused: why what was sent can't be used.
    """

    part: str
    chosen: Deserializer | None
    trial: Trial | None
    tried: bool = False
    refused: str | None = None

    @property
    def format(self) -> str:
        """The chosen format."""
        return AUTOMATIC if self.chosen is None else self.chosen.format


def chosen_words(chosen: Deserializer | None) -> str:
    """Return a deserializer in words."""
    if chosen is None:
        return FORMAT_NAMES[AUTOMATIC]
    name = chosen.message
    if name is None and chosen.format in WITH_SCHEMA:
        from sandbox.schemas.decoding import parse_chosen

        parsed = parse_chosen(chosen)
        name = None if isinstance(parsed, str) else parsed.name
    return f"{FORMAT_NAMES[chosen.format]}{f', {name}' if name else ''}"


def chosen_in(topic: str) -> dict[str, str]:
    """Return what is chosen for a topic in words, by part."""
    return {part: chosen_words(chosen) for part, chosen in backend().deserializers.of(topic).items()}


@blueprint.get("/topics/<topic>/deserializers")
def index(topic: str) -> Response:
    """The page of a topic's deserializers, with the newest keys and values decoded by them."""
    return _page(topic, {})


@blueprint.get("/topics/<topic>/deserializers.json")
def index_json(topic: str) -> Response:
    """The chosen deserializers as JSON; null decodes automatically."""
    backend().topic(topic)
    chosen = backend().deserializers.of(topic)
    return data({"topic": topic, **{part: _shape(chosen.get(part)) for part in PARTS}})


def _shape(chosen: Deserializer | None) -> dict[str, Any] | None:
    if chosen is None:
        return None
    shape: dict[str, Any] = {"format": chosen.format}
    if chosen.schema is not None:
        shape |= {"schema": chosen.schema, "files": dict(chosen.files), "message": chosen.message}
    return shape


@blueprint.post("/topics/<topic>/deserializers")
@changes_nothing
def choose(topic: str) -> AnyResponse:
    """Choose a part's deserializer, or only try it. Nothing in the topic changes."""
    from sandbox.schemas.schema import InvalidSchema, MissingLibrary

    part = request.form.get("part", VALUE)
    if part not in PARTS:
        raise BrokerError("INVALID_REQUEST", f"part is one of {', '.join(PARTS)}, not {part!r}.")
    backend().topic(topic)
    try:
        chosen = _sent()
    except (InvalidSchema, MissingLibrary) as error:
        return _page(topic, {part: (_as_typed(), str(error))})
    if request.form.get("action") == "try":
        return _page(topic, {part: (chosen, None)})
    backend().deserializers.set(topic, part, chosen)
    trial = _trial(topic, part, chosen)
    said = f"{part}s of {topic}: {chosen_words(chosen)}"
    if trial is not None and chosen is not None:
        said += f"; {trial.readable} of the newest {trial.tried} can be read"
    return see(f"/topics/{topic}/deserializers", Notice(said))


@blueprint.post("/topics/<topic>/deserializers.json")
@changes_nothing
def choose_json(topic: str) -> Response:
    """Choose a deserializer: {"part", "format", "schema", "files", "message"}; AUTOMATIC removes the choice."""
    from sandbox.schemas.schema import InvalidSchema, MissingLibrary
    from sandbox.schemas.schema_files import deserializer_of

    sent = request.get_json(silent=True)
    fields = sent if isinstance(sent, dict) else {}
    part, kind, files = fields.get("part"), fields.get("format"), fields.get("files") or {}
    text, message = fields.get("schema"), fields.get("message")
    texts = isinstance(files, dict) and all(isinstance(one, str) for one in files.values())
    if part not in PARTS or not isinstance(kind, str) or not texts:
        raise BrokerError("INVALID_REQUEST", 'expected {"part": "key" or "value", "format": ..., "schema": ...}.')
    if not all(one is None or isinstance(one, str) for one in (text, message)):
        raise BrokerError("INVALID_REQUEST", "schema and message must be text.")
    try:
        chosen = None if kind.upper() == AUTOMATIC else deserializer_of(kind, text, files, message)
    except (InvalidSchema, MissingLibrary) as error:
        raise BrokerError("INVALID_REQUEST", f"{error}.") from error
    backend().topic(topic)
    backend().deserializers.set(topic, part, chosen)
    return data({"topic": topic, "part": part, "chosen": _shape(chosen), "message": f"the {part}s of {topic} are set"})


def _sent() -> Deserializer | None:
    """Return the deserializer of the form. Raises InvalidSchema, MissingLibrary."""
    from sandbox.schemas.schema_files import deserializer_of, main_file

    kind = request.form.get("format", AUTOMATIC)
    if kind == AUTOMATIC:
        return None
    if kind not in WITH_SCHEMA:
        return deserializer_of(kind)
    files = _uploaded()
    # Browsers send the ends of lines as CR LF.
    text = request.form.get("schema", "").replace("\r\n", "\n")
    kept = (
        backend()
        .deserializers.of(request.view_args["topic"] if request.view_args else "")
        .get(request.form.get("part", VALUE))
    )
    if files and (not text.strip() or (kept is not None and text == kept.schema)):
        main = main_file(kind, files)
        text = files.pop(main)
    elif not files and kept is not None and kept.format == kind:
        files = dict(kept.files)
    return deserializer_of(kind, text, files, request.form.get("message", "").strip() or None)


def _uploaded() -> dict[str, str]:
    from sandbox.schemas.schema import InvalidSchema

    found = {}
    for file in request.files.getlist("files"):
        if file.filename:
            try:
                found[file.filename] = file.read().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise InvalidSchema(f"{file.filename} is not UTF-8: {error}") from error
    return found


def _as_typed() -> Deserializer:
    kind = request.form.get("format", AUTOMATIC)
    return Deserializer(kind, request.form.get("schema", ""), message=request.form.get("message", "").strip() or None)


def _page(topic: str, sent: Mapping[str, tuple[Deserializer | None, str | None]]) -> Response:
    found = backend().topic(topic)
    stored = backend().deserializers.of(topic)
    choices = []
    for part in (VALUE, KEY):
        chosen, refused = sent.get(part, (stored.get(part), None))
        trial = _trial(topic, part, chosen) if refused is None else None
        choices.append(DeserializerForm(part, chosen, trial, part in sent, refused))
    return page(
        "topics/deserializers",
        status=400 if any(refused for _, refused in sent.values()) else 200,
        topic=found,
        choices=choices,
        formats=[(one, FORMAT_NAMES[one]) for one in FORMATS],
        with_schema=WITH_SCHEMA,
        words=chosen_words,
        kept_in_memory=not backend().overview().file,
        command=f"sandbox schemas bind {shlex.quote(topic)} order.proto --message shop.Order",
    )


def _trial(topic: str, part: str, chosen: Deserializer | None) -> Trial | None:
    """Decode the newest keys or values as if this was chosen; None if there are none."""
    from sandbox.schemas.decoding import EventDecoder

    is_key = part == KEY
    ours = backend().decoder()
    decoder = EventDecoder(ours.find, lambda _topic, *, is_key: chosen) if chosen is not None else ours
    if chosen is None and backend().deserializers.of(topic).get(part) is not None:
        decoder = EventDecoder(ours.find)
    events = backend().messages(MessageQuery(topic, limit=TRIED_EVENTS)).events
    events = tuple(event for event in events if (event.key if is_key else event.value))
    if not events:
        return None
    decoded = [
        decoder.decode(topic, event.key if is_key else event.value, event.headers, is_key=is_key) for event in events
    ]
    readable = sum(one is None or one.problem is None for one in decoded)
    return Trial(events[:SHOWN_EVENTS], tuple(decoded[:SHOWN_EVENTS]), len(decoded), readable)
