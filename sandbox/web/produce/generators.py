"""Generators: start, watch and stop sample events from templates, and save templates."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.generator.generator import COUNT_MAX, RATE_MAX, RUNNING, RUNNING_MAX, GeneratorRun
from sandbox.generator.placeholders import PLACEHOLDERS
from sandbox.generator.template import KEYS_MAX, SKEW_MAX, Encoders, EventTemplate, TemplateRefused, template_from_json
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.kafka.partitioner import murmur2_partition
from sandbox.model.topics import TopicDescription
from sandbox.web.capabilities import changes_nothing, why_not
from sandbox.web.notices import Notice
from sandbox.web.payload import json_error
from sandbox.web.produce.form import Form, typed
from sandbox.web.produce.many import readable
from sandbox.web.produce.programs import generator_programs, headers_text
from sandbox.web.produce.schema_part import encoder, has_registry, subjects
from sandbox.web.produce.views import named_topic, remember_topic
from sandbox.web.programs import ShownProgram
from sandbox.web.responses import Interest, backend, by_htmx, data, fragment, is_live, overview, page, see

KEY_KINDS = (("template", "from the template"), ("schema", "from a schema"), ("none", "no key (null)"))
VALUE_KINDS = (
    ("template", "from the template"),
    ("schema", "from a schema"),
    ("null", "null: tombstones only"),
)
SAMPLE = 1000
SCHEMA_SAMPLE = 200
"""Events with a schema are generated more slowly."""
SHOWN = 3
JSON_CHECKED = 200
PREVIEW_CHARACTERS_MAX = 600_000


def form_of(template: EventTemplate) -> dict[str, str]:
    """Return the form's fields for a template."""
    return {
        "key_kind": "template" if template.key is not None else "schema" if template.key_schema else "none",
        "key": template.key or "",
        "value_kind": "template" if template.value is not None else "schema" if template.value_schema else "null",
        "key_schema": template.key_schema,
        "value_schema": template.value_schema,
        "value": template.value or "",
        "headers": "\n".join(name if text is None else f"{name}: {text}" for name, text in template.headers),
        "null_percent": f"{template.null_percent:g}",
        "keys": str(template.keys),
        "skew": f"{template.skew:g}",
        "description": template.description,
    }


def template_of(form: Form) -> EventTemplate:
    """Return the form's template.

    Raises:
        BrokerError: INVALID_REQUEST with the error and its position.
    """
    headers: list[tuple[str, str | None]] = []
    for line in typed(form, "headers").split("\n"):
        if line.strip():
            name, colon, text = line.partition(":")
            headers.append((name.strip(), text.strip() if colon else None))
    keys = _number(form, "keys", "The number of keys", 100.0)
    if keys is None or keys != int(keys):
        raise BrokerError("INVALID_REQUEST", "The number of keys must be a whole number.")
    kinds = {part: form.get(f"{part}_kind", "template") for part in ("key", "value")}
    schemas = {
        part: form.get(f"{part}_schema", "").strip() if kind in ("template", "schema") else ""
        for part, kind in kinds.items()
    }
    for part, kind in kinds.items():
        if kind == "schema" and not schemas[part]:
            raise BrokerError("INVALID_REQUEST", f"Name the schema of the {part}, under “Schemas”.")
    try:
        return EventTemplate(
            value=typed(form, "value") if kinds["value"] == "template" else None,
            key=form.get("key", "") if kinds["key"] == "template" else None,
            key_schema=schemas["key"],
            value_schema=schemas["value"],
            headers=tuple(headers),
            null_percent=_number(form, "null_percent", "The percentage of tombstones", 0.0) or 0.0,
            keys=int(keys),
            skew=_number(form, "skew", "The skew", 0.0) or 0.0,
            description=form.get("description", "")[:200],
        )
    except TemplateRefused as refused:
        raise BrokerError("INVALID_REQUEST", f"{str(refused)[:1].upper()}{str(refused)[1:]}.") from None


@dataclass(frozen=True, slots=True)
class Speed:
    """How a generator sends: rate in events/s, limits (None for none), and the seed (None for a random one)."""

    rate: float
    count: int | None
    duration_s: float | None
    seed: int | None

    @property
    def planned(self) -> int | None:
        """How many events will be sent; None if there is no limit."""
        limits = [] if self.count is None else [self.count]
        if self.duration_s is not None:
            limits.append(math.ceil(self.rate * self.duration_s))
        return min(limits, default=None)

    @property
    def planned_ms(self) -> int:
        """How long sending them will take, in ms; 0 without a limit."""
        return round(1000 * (self.planned or 0) / self.rate) if self.rate > 0 else 0


def speed_of(form: Form) -> Speed:
    """Return the form's rate, limits and seed.

    Raises:
        BrokerError: INVALID_REQUEST for a field that must be a number.
    """
    rate = _number(form, "rate", "The rate", 10.0)
    return Speed(
        10.0 if rate is None else rate,
        _whole(form, "count", "The count"),
        _number(form, "duration", "The duration, in seconds,", None),
        _whole(form, "seed", "The seed"),
    )


def _number(form: Form, field: str, what: str, usual: float | None) -> float | None:
    text = form.get(field, "").strip().replace(",", ".")
    if not text:
        return usual
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise BrokerError("INVALID_REQUEST", f"{what} must be a number, not {text[:30]!r}.")
    return found


def _whole(form: Form, field: str, what: str) -> int | None:
    text = form.get(field, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise BrokerError("INVALID_REQUEST", f"{what} must be a whole number, not {text[:30]!r}.")
    return int(text)


@dataclass(frozen=True, slots=True)
class TemplatePreview:
    """The preview of a template.

    Attributes:
        events: the first events, with their partitions (None: spread).
        sampled: how many of the first events the following attributes count.
        keys: (key, events) of the most frequent keys.
        distinct: the number of different keys.
        partitions: (partition, events).
        tombstones: the number of events without a value.
        size_bytes: average size of key and value.
        seeded: True if a seed was set: a run then sends exactly these events.
        not_json: the first error of a value that starts like JSON, with its event's number; None if all are valid.
    """

    events: tuple[tuple[NewEvent, int | None], ...]
    sampled: int
    keys: tuple[tuple[bytes, int], ...]
    distinct: int
    partitions: tuple[tuple[int, int], ...]
    tombstones: int
    size_bytes: int
    seeded: bool
    not_json: str | None


def look(
    template: EventTemplate, topic: TopicDescription, seed: int | None, encoders: Encoders | None = None
) -> TemplatePreview:
    """Generate the first events of a template, without sending them.

    Args:
        template: the template.
        topic: the target topic.
        seed: a run with the same seed sends the same events; None uses seed 0.
        encoders: looks up the template's schemas.

    Raises:
        BrokerError: INVALID_REQUEST if a schema doesn't exist, or a value doesn't fit it.
    """
    # Templates with long texts are sampled less, because the page waits for this.
    longest = len(template.value or "") + len(template.key or "") + sum(len(text or "") for _, text in template.headers)
    sample = max(SHOWN, min(SAMPLE, PREVIEW_CHARACTERS_MAX // max(1, longest)))
    with_schema = bool(template.key_schema or template.value_schema)
    if with_schema:
        sample = min(sample, SCHEMA_SAMPLE)
    try:
        made = list(islice(template.events(seed or 0, encoders=encoders), sample))
    except TemplateRefused as refused:
        raise BrokerError("INVALID_REQUEST", f"{str(refused)[:1].upper()}{str(refused)[1:]}.") from None
    count = len(topic.partitions)
    placed = [(event, murmur2_partition(event.key, count)) for event in made]
    keys = Counter(event.key for event in made if event.key is not None)
    spread = Counter(partition for _, partition in placed if partition is not None)
    return TemplatePreview(
        tuple(placed[:SHOWN]),
        len(made),
        tuple(keys.most_common(5)),
        len(keys),
        tuple(sorted(spread.items())),
        sum(event.value is None for event in made),
        sum(len(event.key or b"") + len(event.value or b"") for event in made) // len(made),
        seed is not None,
        None if with_schema else _not_json(made[:JSON_CHECKED]),
    )


def _not_json(events: list[NewEvent]) -> str | None:
    for number, event in enumerate(events, 1):
        text = (event.value or b"").decode()
        if text.lstrip()[:1] in ("{", "["):
            error = json_error(text)
            if error is not None:
                return f"The value of event {number} looks like JSON, but is not: {error}"
    return None


blueprint = Blueprint("generators", __name__)

FIRST_TEMPLATE = "orders"
SPEED = {"rate": "10", "count": "1000", "duration": "", "seed": "1"}
ROOTS = "/produce/generators", "/topics/<topic>/produce/generators"


def run_json(run: GeneratorRun) -> dict[str, object]:
    """A run as JSON."""
    return {
        "id": run.id,
        "topic": run.order.topic,
        "template": run.order.name,
        "state": run.state,
        "rate": run.order.rate,
        "rate_now": round(run.rate_now, 3),
        "sent": run.sent,
        "count": run.order.count,
        "duration_s": run.order.duration_s,
        "seed": run.order.seed,
        "partitions": [{"partition": partition, "events": events} for partition, events in run.partitions],
        "last": None if run.last is None else {"partition": run.last[0], "offset": run.last[1]},
        "started_ms": run.started_ms,
        "ended_ms": run.ended_ms,
        "error": run.error,
    }


def _known(name: str) -> EventTemplate | None:
    return backend().generators.examples().get(name) or backend().generators.saved().get(name)


def _form(given: Mapping[str, str]) -> dict[str, str]:
    """Return the form's fields: the submitted ones, and the chosen template's."""
    name = given.get("template") or ("" if "value" in given else FIRST_TEMPLATE)
    template = _known(name) if name else None
    fields = form_of(template) if template else form_of(EventTemplate(value=""))
    return SPEED | fields | {"template": name} | {key: text for key, text in given.items() if key != "template"}


def _unchanged(known: EventTemplate | None, template: EventTemplate) -> bool:
    """Return True if the form's template is unchanged. The description is ignored: the form has no field for it."""
    return known is not None and replace(known, description="") == replace(template, description="")


def _root(topic: str | None) -> str:
    return f"/topics/{topic}/produce/generators" if topic else "/produce/generators"


def _page(
    topic: TopicDescription | None,
    given: Mapping[str, str],
    *,
    status: int = 200,
    error: BrokerError | None = None,
    **more: Any,
) -> Response:
    form = _form(given)
    runs = backend().generators.list()
    running = [run for run in runs if run.state == RUNNING]
    seen, why, speed = None, None, None
    shown_programs: list[ShownProgram] = []
    within = request.path.startswith("/topics/")
    if topic is not None and not is_live():  # In an open tab, only the runs are updated.
        try:
            template, speed = template_of(form), speed_of(form)
            seen = look(template, topic, speed.seed, encoder)
            fields: dict[str, Any] = {"rate": speed.rate, "count": speed.count, "seed": speed.seed or 0}
            shown_programs = generator_programs(
                overview().kafka,
                topic.topic,
                template,
                **fields,
                name=form["template"] or FIRST_TEMPLATE,
                file=overview().file,
            )
        except BrokerError as refusal:
            why = refusal
    shown: dict[str, Any] = {
        "topic": topic,
        "names": [] if within else [found.topic for found in backend().topics()],
        "form": form,
        "runs": runs,
        "running": len(running),
        "look": seen,
        "look_error": why,
        "speed": speed,
        "error": error,
        "examples": backend().generators.examples(),
        "saved": backend().generators.saved(),
        "unsaved_why": why_not("save_templates"),
        "placeholders": PLACEHOLDERS,
        "key_kinds": KEY_KINDS,
        "value_kinds": VALUE_KINDS,
        "rate_max": int(RATE_MAX),
        "count_max": COUNT_MAX,
        "keys_max": KEYS_MAX,
        "skew_max": SKEW_MAX,
        "running_max": RUNNING_MAX,
        "shown_programs": shown_programs,
        "root": _root(topic.topic if topic and within else None),
        "within": within,
        "headers_text": headers_text,
        "readable": readable,
        "subjects": subjects() if has_registry() and not is_live() else None,
        "deleted": None,
    }
    # A running generator's figures are updated every second; one started by another program appears within two seconds.
    return page("produce/generators", Interest(every_s=1 if running else 2), status, _live_at(), **(shown | more))


def _live_at() -> str | None:
    """Return the address of the live part, for the answer to a form; None if it is the request's."""
    return quote(request.path.removesuffix("/save").removesuffix("/delete")) if request.method == "POST" else None


@blueprint.get(ROOTS[0])
@blueprint.get(ROOTS[1])
def index(topic: str | None = None) -> Response:
    """The page: the form, the templates, and the runs. `?template=NAME` fills the form."""
    found, name = named_topic(topic), request.args.get("template")
    if name and "value" not in request.args and _known(name) is None:
        gone = BrokerError("RESOURCE_NOT_FOUND", f"There is no template {name!r}: choose one below.")
        return _page(found, {}, status=404, error=gone)
    return _page(found, request.args)


@blueprint.get("/produce/generators.json")
def index_json() -> Response:
    """The runs and templates as JSON."""
    generators = backend().generators
    return data(
        {
            "as_of_ms": overview().as_of_ms,
            "generators": [run_json(run) for run in generators.list()],
            "templates": [*generators.examples(), *generators.saved()],
        }
    )


@blueprint.post(f"{ROOTS[0]}/preview")
@blueprint.post(f"{ROOTS[1]}/preview")
@changes_nothing
def preview(topic: str | None = None) -> Response:
    """Preview the template's events without sending them."""
    found = backend().topic(topic or request.form.get("topic", ""))
    if not by_htmx():
        return _page(found, request.form)
    seen, why, speed = None, None, None
    try:
        speed = speed_of(request.form)
        seen = look(template_of(request.form), found, speed.seed, encoder)
    except BrokerError as refusal:
        why = refusal
    return fragment(
        "produce/_look.html",
        topic=found,
        look=seen,
        look_error=why,
        speed=speed,
        headers_text=headers_text,
        readable=readable,
    )


@blueprint.post(ROOTS[0])
@blueprint.post(ROOTS[1])
def start(topic: str | None = None) -> AnyResponse:
    """Start a generator from the form."""
    form = request.form
    found = backend().topic(topic or form.get("topic", ""))
    try:
        template, speed = template_of(form), speed_of(form)
        look(template, found, speed.seed, encoder)  # A schema that can't be used is reported now, not by the run.
        name = form.get("template", "")
        known = _known(name)
        run = backend().generators.start(
            found.topic,
            template,
            rate=speed.rate,
            count=speed.count,
            duration_s=speed.duration_s,
            seed=speed.seed,
            name=name if _unchanged(known, template) or not name else f"{name}, changed",
        )
    except BrokerError as error:
        return _page(found, form, status=400, error=error)
    kept = {"template": name or None}
    if not _unchanged(known, template):
        # A manually edited template is shown again as typed, if an address can hold it.
        texts = form_of(template)
        kept |= texts if sum(map(len, texts.values())) < 2000 else {}
    speeds = {field: form.get(field) or None for field in ("rate", "count", "duration", "seed")}
    where = {} if topic else {"topic": found.topic}
    answer = see(_root(topic), Notice(f"generator {run.id} started"), **where, **kept, **speeds)
    return remember_topic(answer, found.topic)


@blueprint.post("/produce/generators/<int:id>/stop")
@blueprint.post("/produce/generators/<int:id>/stop.json")
def stop(id: int) -> AnyResponse:
    """Stop a generator."""
    run = backend().generators.stop(id)
    if request.path.endswith(".json"):
        return data(run_json(run))
    return _back(f"generator {id} {run.state}")


@blueprint.post("/produce/generators/<any(stop, clear):what>")
def all_of_them(what: str) -> AnyResponse:
    """Stop all running generators, or remove finished runs from the list."""
    if what == "stop":
        backend().generators.stop_all()
        return _back("all generators stopped")
    backend().generators.clear()
    return _back("ended generators forgotten")


def _back(said: str) -> AnyResponse:
    topic = request.form.get("within") or None
    return see(_root(topic), Notice(said), topic=None if topic else request.form.get("topic") or None)


@blueprint.post("/produce/generators/save")
@blueprint.post("/topics/<topic>/produce/generators/save")
def save(topic: str | None = None) -> AnyResponse:
    """Save the form's template under a name."""
    form = request.form
    name = form.get("name", "").strip()
    found = backend().topic(topic or form.get("topic", ""))
    try:
        text = form.get("json")
        template = template_of(form) if text is None else template_from_json(text)
        backend().generators.save(name, template)
    except BrokerError as error:
        return _page(found, form, status=400, error=error)
    except TemplateRefused as refused:
        return _page(found, {}, status=400, error=BrokerError("INVALID_REQUEST", f"{refused}."))
    where = {} if topic else {"topic": found.topic}
    return see(_root(topic), Notice(f"template {name} saved"), **where, template=name)


@blueprint.post("/produce/generators/delete")
@blueprint.post("/topics/<topic>/produce/generators/delete")
def delete(topic: str | None = None) -> AnyResponse:
    """Delete a saved template. The answer offers to restore it."""
    name = request.form.get("name", "")
    found = backend().topic(topic or request.form.get("topic", ""))
    gone = backend().generators.saved().get(name)
    backend().generators.delete(name)
    return _page(found, {}, deleted=None if gone is None else {"name": name, "json": gone.to_json()})
