"""Playground: consumers started from the page in any group, their injected faults, and guided scenarios."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.model.groups import GroupDescription, ShareWindow
from sandbox.playground.description import ConsumerDescription, ScenarioDescription
from sandbox.playground.spec import (
    ACKNOWLEDGEMENTS,
    ASSIGNORS,
    COMMITS,
    ENDINGS,
    PROTOCOLS,
    RESETS,
    ConsumerSpec,
)
from sandbox.web.capabilities import changes_nothing
from sandbox.web.notices import Notice
from sandbox.web.playground.json import consumer_json, facts_json, group_view, scenario_json
from sandbox.web.playground.programs import consumer_programs, scenario_program
from sandbox.web.responses import Interest, backend, by_htmx, data, fragment, overview, page, see, wanted_format

if TYPE_CHECKING:
    from sandbox.playground.consumer import PlaygroundConsumer
    from sandbox.playground.playground import Playground


WORK = {
    "rate": "5",
    "commit": "after",
    "acknowledge": "accept",
    "slow_ms": "",
    "fail": "",
    "fail_of": "10",
    "fail_contains": "",
    "retries": "2",
    "then": "dlq",
    "flap_ms": "",
    "reset": "earliest",
    "protocol": "classic",
    "assignor": "",
    "auto_commit_ms": "",
    "session_timeout_ms": "",
    "max_poll_interval_ms": "",
    "max_poll_records": "",
    "lock_ms": "",
    "client_id": "",
    "topics": "",
    "paused": "",
}
"""Settings and faults, with their initial values."""
FIRST = {"group": "playground", "topic": "", "count": "1", **WORK}
"""The form's initial fields."""
KEPT_MAX = 2000
"""The maximum number of characters of a form that an address carries."""


def filled(said: Mapping[str, str], before: Sequence[ConsumerSpec], topics: Sequence[str]) -> dict[str, str]:
    """Return the form's fields: the submitted ones; without a group, the group and topic of the newest consumer.

    Args:
        said: the submitted fields, of a form or an address.
        before: consumers that were started with this form, newest last.
        topics: the existing topics.
    """
    newest = before[-1] if before else None
    again = {}
    if newest is not None and "group" not in said and newest.topics[0] in topics:
        again = {"group": newest.group, "topic": newest.topics[0]}
    return {**FIRST, **again, **{name: text for name, text in said.items() if name in FIRST}}


def kept(form: Mapping[str, str]) -> dict[str, str]:
    """Return the fields kept after a start for the next consumer: group, topic, and fields that differ from `FIRST`."""
    told = {name: form.get(name, "") for name in ("group", "topic")}
    more = {name: form[name] for name, first in FIRST.items() if name in form and form[name] != first}
    return told if sum(map(len, more.values())) > KEPT_MAX else told | more


def tuned(form: Mapping[str, str]) -> int:
    """Return how many settings and faults differ from their initial values; shown while they are collapsed."""
    return sum(form[name] != first for name, first in WORK.items())


def spec_of(form: Mapping[str, str]) -> ConsumerSpec:
    """Return the spec of the form's consumer.

    Raises:
        BrokerError: INVALID_REQUEST for a field that must be a number.
    """
    topics = [form.get("topic", ""), *form.get("topics", "").replace(",", " ").split()]
    protocol = form.get("protocol") or "classic"
    return ConsumerSpec(
        group=form.get("group", "").strip(),
        topics=tuple(dict.fromkeys(topic for topic in topics if topic)),
        client_id=form.get("client_id", "").strip() or None,
        protocol=protocol,
        assignor=form.get("assignor") or None,
        reset=form.get("reset") or "earliest",
        paused=form.get("paused") == "1",
        auto_commit_ms=whole(form, "auto_commit_ms", 5000),
        session_timeout_ms=whole(form, "session_timeout_ms", 6000),
        max_poll_interval_ms=whole(form, "max_poll_interval_ms", 300_000),
        max_poll_records=whole(form, "max_poll_records", 1),
        lock_ms=whole(form, "lock_ms", 0) or None,
        **live_of(form),
    )


def live_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the form's values for the options that can be changed while a consumer runs."""
    rate = form.get("rate", "").strip()
    try:
        each_s = float(rate) if rate else None
    except ValueError:
        raise BrokerError("INVALID_REQUEST", f"The rate must be a number, not {rate!r}.") from None
    return {
        "rate": each_s,
        "commit": form.get("commit") or "after",
        "acknowledge": form.get("acknowledge") or "accept",
        "slow_ms": whole(form, "slow_ms", 0),
        "fail": whole(form, "fail", 0),
        "fail_of": whole(form, "fail_of", 10),
        "fail_contains": form.get("fail_contains", ""),
        "retries": whole(form, "retries", 2),
        "then": form.get("then") or "dlq",
        "flap_ms": whole(form, "flap_ms", 0),
    }


def whole(form: Mapping[str, str], name: str, default: int) -> int:
    text = form.get(name, "").strip()
    try:
        return int(text) if text else default
    except ValueError:
        raise BrokerError("INVALID_REQUEST", f"{name} must be a whole number, not {text!r}.") from None


blueprint = Blueprint("playground", __name__)

RATES = ("0.5", "1", "2", "5", "10", "20", "50", "100")
AT_WORK_S, AT_REST_S = 0.4, 3.0
"""How often an open page refreshes: consumers' actions don't change a log, so nothing notifies the page."""
STARTED_MAX = 8


def playing() -> "Playground":
    """Return the backend's Playground."""
    return backend().playground


def _group(group: str) -> GroupDescription | None:
    try:
        return backend().group(group)
    except BrokerError:
        return None


def _interest(consumers: tuple[ConsumerDescription, ...], busy: bool = False) -> Interest:
    topics = frozenset(topic for one in consumers for topic in one.spec.topics)
    groups = frozenset(one.spec.group for one in consumers)
    return Interest(topics, groups, AT_WORK_S if busy or any(one.alive for one in consumers) else AT_REST_S)


def _windows(group: str) -> tuple[ShareWindow, ...]:
    """Return a share group's windows, if the backend has them."""
    return backend().share_groups.windows(group) if backend().capabilities.share_groups else ()


def _groups(consumers: tuple[ConsumerDescription, ...]) -> list[dict[str, Any]]:
    """Return the page's data of each group: its consumers, partitions with owners, and its processed events."""
    names = list(dict.fromkeys(one.spec.group for one in consumers))
    return [
        group_view(
            name,
            [one for one in consumers if one.spec.group == name],
            _group(name),
            playing().facts(name),
            backend().rebalances(name, limit=5),
            _windows(name),
            overview().as_of_ms,
        )
        for name in names
    ]


def _closed() -> str | None:
    """Return why no consumer can be started, None if one can."""
    try:
        playing().connection()
    except BrokerError as error:
        return error.detail
    if sum(one.alive for one in playing().consumers()) >= playing().consumers_max:
        return f"{playing().consumers_max} consumers are running, the maximum. Close one first."
    return None


@blueprint.get("/playground")
def index() -> Response:
    """The page: all consumers, the form to start one, and the scenarios."""
    return _show(request.args)


def _show(said: Mapping[str, str], error: BrokerError | None = None) -> Response:
    consumers = playing().consumers()
    names = [one.topic for one in backend().topics()]
    scenarios = playing().scenarios.all()
    guided = {group for one in scenarios for group in one.groups}
    form = filled(said, [one.spec for one in consumers if one.spec.group not in guided], names)
    return page(
        "playground/index",
        _interest(consumers),
        400 if error else 200,
        groups=_groups(consumers),
        consumers=consumers,
        scenarios=scenarios,
        names=names,
        form=form,
        tuned=tuned(form),
        error=error,
        closed=_closed(),
        shown_programs=consumer_programs(_sample(form, names), _address()),
        **_choices(),
    )


def _sample(form: Mapping[str, str], names: list[str]) -> ConsumerSpec:
    """Return the form's spec, or the nearest valid one."""
    try:
        return spec_of(form).checked()
    except BrokerError:
        return ConsumerSpec(form.get("group") or "playground", (form.get("topic") or next(iter(names), "orders"),))


@blueprint.post("/playground/program")
@changes_nothing
def program() -> Response:
    """The programs for the form's current fields."""
    names = [one.topic for one in backend().topics()]
    return fragment(
        "playground/_program.html", shown_programs=consumer_programs(_sample(request.form, names), _address())
    )


def _choices() -> dict[str, Any]:
    return {
        "rates": RATES,
        "commits": COMMITS,
        "acknowledgements": ACKNOWLEDGEMENTS,
        "endings": ENDINGS,
        "protocols": PROTOCOLS,
        "assignors": ASSIGNORS,
        "resets": RESETS,
    }


def _address() -> str:
    return overview().kafka or "127.0.0.1:9092"


@blueprint.get("/playground.json")
def index_json() -> Response:
    """All consumers and groups as JSON."""
    consumers = playing().consumers()
    groups = dict.fromkeys(one.spec.group for one in consumers)
    return data(
        {
            "as_of_ms": overview().as_of_ms,
            "consumers": [consumer_json(one) for one in consumers],
            "groups": [facts_json(playing().facts(group)) for group in groups],
            "scenarios": [scenario_json(one) for one in playing().scenarios.all()],
        }
    )


@blueprint.get("/playground/<int:number>")
def one(number: int) -> Response:
    """The page of one consumer: its events, and its actions."""
    return _show_one(number, None)


def _show_one(number: int, error: BrokerError | None) -> Response:
    consumer = playing().consumer(number).describe()
    return page(
        "playground/one",
        _interest((consumer,)),
        400 if error else 200,
        consumer=consumer,
        view=_groups((consumer,))[0],
        error=error,
        shown_programs=consumer_programs(consumer.spec, _address()),
        **_choices(),
    )


@blueprint.get("/playground/<int:number>.json")
def one_json(number: int) -> Response:
    """One consumer as JSON."""
    return data(consumer_json(playing().consumer(number).describe()))


@blueprint.post("/playground/start")
def start() -> AnyResponse:
    """Start one or more consumers."""
    try:
        spec = spec_of(request.form)
        count = whole(request.form, "count", 1) or 1
        if not 1 <= count <= STARTED_MAX:
            raise BrokerError("INVALID_REQUEST", f"Start 1 to {STARTED_MAX} at a time.")
        begun = [playing().start_spec(spec).client_id for _ in range(count)]
    except BrokerError as error:
        return _show(request.form, error)
    return see("/playground", Notice(f"started {', '.join(begun)} in {spec.group}"), **kept(request.form))


def _crash(consumer: "PlaygroundConsumer") -> str:
    consumer.crash()
    if consumer.spec.shares:
        return f"{consumer.client_id} was killed. The events that it had locked are available at once"
    return f"{consumer.client_id} was killed. Its group notices when its session ends"


def _again(consumer: "PlaygroundConsumer") -> str:
    return f"started {playing().start_like(consumer.number).client_id}, like {consumer.client_id}"


def _plain(act: Callable[["PlaygroundConsumer"], None], said: str) -> Callable[["PlaygroundConsumer"], str]:
    def do(consumer: "PlaygroundConsumer") -> str:
        act(consumer)
        return f"{consumer.client_id} {said}"

    return do


ACTIONS: Mapping[str, Callable[["PlaygroundConsumer"], str]] = {
    "pause": _plain(lambda one: one.pause(), "pauses"),
    "resume": _plain(lambda one: one.resume(), "goes on"),
    "poll": _plain(lambda one: one.poll(), "polls once"),
    "commit": _plain(lambda one: one.commit(), "commits what it has handled"),
    "close": _plain(lambda one: one.leave(), "leaves its group"),
    "crash": _crash,
    "again": _again,
}
"""The methods behind a consumer's buttons."""


@blueprint.post("/playground/<int:number>/<any(pause, resume, poll, commit, close, crash, again):what>")
def act(number: int, what: str) -> AnyResponse:
    """Run the action of one of a consumer's buttons."""
    return _done(lambda: ACTIONS[what](playing().consumer(number)))


@blueprint.post("/playground/<int:number>/seek")
def seek(number: int) -> AnyResponse:
    """Make a consumer continue at another offset."""

    def do() -> str:
        consumer, to = playing().consumer(number), request.form.get("to", "")
        where = request.form.get("at", "").strip() if to == "offset" else to
        if to == "offset" and not where.isdecimal():
            raise BrokerError("INVALID_REQUEST", "Say to which offset, 0 or more.")
        topic, _, partition = request.form.get("which", "").rpartition(":")
        consumer.seek(
            int(where) if to == "offset" else where,
            topic=topic or None,
            partition=int(partition) if topic and partition.isdecimal() else None,
        )
        return f"{consumer.client_id} goes on at {where}"

    return _done(do)


@blueprint.post("/playground/<int:number>/change")
def change(number: int) -> AnyResponse:
    """Change a consumer's options, from its next event on."""

    def do() -> str:
        consumer = playing().consumer(number)
        consumer.change(**live_of(request.form))
        return f"{consumer.client_id} was changed"

    return _done(do)


@blueprint.post("/playground/group/<any(stop, forget):what>")
def group(what: str) -> AnyResponse:
    """Make a group's consumers leave, or remove the ended ones from the list."""

    def do() -> str:
        name = request.form.get("group", "")
        if what == "stop":
            return f"{playing().stop_group(name)} left {name}"
        return f"{playing().forget(name)} of {name} were cleared away"

    return _done(do)


@blueprint.get("/playground/scenarios/<name>")
def scenario(name: str) -> Response:
    """One guided scenario."""
    if name.endswith(".json") or wanted_format() == "json":
        return data(scenario_json(playing().scenarios.one(name.removesuffix(".json"))))
    found = playing().scenarios.one(name)
    consumers = tuple(one for group in found.groups for one in playing().consumers(group))
    return page(
        "playground/scenario",
        _interest(consumers, found.running),
        scenario=found,
        following=_following(name),
        groups=_groups(consumers),
        closed=_closed(),
        error=None,
        program=scenario_program(found.program, _address(), f"{request.host_url}registry"),
        acknowledgements=ACKNOWLEDGEMENTS,
    )


def _following(name: str) -> ScenarioDescription | None:
    every = playing().scenarios.all()
    at = [one.name for one in every].index(name)
    return every[at + 1] if at + 1 < len(every) else None


@blueprint.post("/playground/scenarios/<name>/<any(start, remove, do):what>")
def run(name: str, what: str) -> AnyResponse:
    """Set up a scenario, run one of its actions, or remove its topic, group and consumers."""

    def do() -> str:
        scenarios = playing().scenarios
        if what == "start":
            return f"set up {scenarios.start(name).topic}"
        if what == "remove":
            return f"removed {', '.join(scenarios.remove(name)) or 'nothing: it was gone'}"
        action = request.form.get("action", "")
        found = scenarios.act(name, action)
        return next(one.label for one in found.actions if one.name == action).lower()

    return _done(do, f"/playground/scenarios/{name}")


def _done(do: Callable[[], str], address: str | None = None) -> AnyResponse:
    """Run an action, and answer htmx with one line, or a form with the page that sent it."""
    back = address or request.form.get("back", "")
    if not back.startswith("/playground") or "\\" in back:
        back = "/playground"
    try:
        said = do()
    except BrokerError as error:
        if by_htmx():
            return fragment("playground/_said.html", error=error, said=None)
        return see(back, Notice(refused=error.detail))
    if by_htmx():
        return fragment("playground/_said.html", error=None, said=said)
    return see(back, Notice(said))
