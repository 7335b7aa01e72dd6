"""Generators: start, watch and stop sample events from templates, and save templates."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.generator.generator import COUNT_MAX, RATE_MAX, RUNNING, RUNNING_MAX, GeneratorRun
from sandbox.generator.placeholders import PLACEHOLDERS
from sandbox.generator.template import KEYS_MAX, SKEW_MAX, EventTemplate, template_from_json
from sandbox.generator.template_text import TemplateRefused
from sandbox.kafka.errors import BrokerError
from sandbox.model.topics import TopicDescription
from sandbox.web.capabilities import changes_nothing, why_not
from sandbox.web.notices import Notice
from sandbox.web.produce.generator_form import KEY_KINDS, VALUE_KINDS, form_of, look, speed_of, template_of
from sandbox.web.produce.many import readable
from sandbox.web.produce.programs import generator_programs, headers_text
from sandbox.web.produce.schema_part import encoder, has_registry, subjects
from sandbox.web.produce.views import named_topic, remember_topic
from sandbox.web.programs import ShownProgram
from sandbox.web.responses import Interest, backend, by_htmx, data, fragment, is_live, overview, page, see

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
    return page("produce/generators", Interest(every_s=1 if running else 2), status, **(shown | more))


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
