"""Cluster: the simulated brokers, partition leaders, connected clients, and injected faults.

Every change is a form of the page and, at the same address with `.json`, an API for programs: the commands
`sandbox brokers` and `sandbox faults` use it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BY_NAME, BrokerError
from sandbox.model.brokers import LeaderMove
from sandbox.model.topics import TopicDescription
from sandbox.web import formats as words
from sandbox.web.cluster.json import (
    all_uses,
    broker_json,
    client_json,
    fault_json,
    leaders_json,
)
from sandbox.web.notices import Notice
from sandbox.web.responses import Interest, backend, capabilities, data, overview, page, see

blueprint = Blueprint("cluster", __name__)

ROWS = 100
CLIENTS_SHOWN = 100
HITS_SHOWN = 20
APIS_SHOWN = 4
LIVE = Interest(every_s=1)
"""Counts of requests and hits change without a notification; all other changes notify every page."""

Fields = Mapping[str, Any]


@blueprint.get("/cluster")
@blueprint.get("/faults")
def index() -> Response:
    """The page: brokers, leaders, faults and clients."""
    return _show(request.args)


def _show(form: Fields, error: str | None = None) -> Response:
    wanted = request.args.get("q", "").strip()
    led = [
        (topic, partition)
        for topic in backend().topics()
        if wanted.lower() in topic.topic.lower()
        for partition in topic.partitions
    ]
    first = max(0, min(request.args.get("page", 1, type=int) - 1, (len(led) - 1) // ROWS)) * ROWS
    clients = backend().brokers.clients()
    faults = backend().faults
    return page(
        "cluster/index",
        LIVE,
        400 if error else 200,
        brokers=backend().brokers.list(),
        settings=backend().brokers.settings,
        led=led[first : first + ROWS],
        leaderless=sum(partition.leader < 0 for _, partition in led),
        strayed=sum(partition.leader != partition.replicas[0] for _, partition in led),
        replicated=any(len(partition.replicas) > 1 for _, partition in led),
        found=len(led),
        first=first,
        rows=ROWS,
        wanted=wanted,
        clients=clients[:CLIENTS_SHOWN],
        clients_in_all=len(clients),
        all_uses=all_uses(clients),
        apis_shown=APIS_SHOWN,
        faults=faults.list(),
        hits=tuple(reversed(faults.hits()))[:HITS_SHOWN],
        apis=faults.apis,
        errors=sorted(name for name in BY_NAME if name != "NONE"),
        form=form,
        fault_error=error,
    )


@blueprint.get("/cluster.json")
def index_json() -> Response:
    """The brokers, leaders and clients as JSON."""
    return data(
        {
            "as_of_ms": overview().as_of_ms,
            "replication": "simulated" if capabilities().simulated_brokers else "real",
            "brokers": [broker_json(broker) for broker in backend().brokers.list()],
            "partitions": leaders_json(backend().topics()),
            "clients": [client_json(client) for client in backend().brokers.clients()],
            "settings": [asdict(setting) for setting in backend().brokers.settings()],
        }
    )


@blueprint.get("/faults.json")
def faults_json() -> Response:
    """The faults and the requests that they hit, newest hit first, as JSON."""
    faults = backend().faults
    return data(
        {
            "as_of_ms": overview().as_of_ms,
            "faults": [fault_json(fault) for fault in faults.list()],
            "hits": [asdict(hit) for hit in reversed(faults.hits())],
        }
    )


def _done(do: Callable[[Fields], tuple[str, dict[str, Any]]]) -> AnyResponse:
    """Run a change, and answer a program with JSON, or a form with the page.

    Args:
        do: takes the request's fields; returns a message for people and the result as JSON.
    """
    if request.path.endswith(".json"):
        fields = request.get_json(silent=True) if request.content_length else {}
        if not isinstance(fields, dict):
            raise BrokerError("INVALID_REQUEST", "The body must be one JSON object, sent as application/json.")
        said, told = do(fields)
        return data({"message": said, **told})
    try:
        said, _ = do(request.form)
    except BrokerError as error:
        return see("/cluster", Notice(refused=error.detail))
    return see("/cluster", Notice(said))


@blueprint.get("/cluster/brokers/<int:broker>/<any(stop, start):what>")
def ask(broker: int, what: str) -> Response:
    """The preview of stopping or starting a broker."""
    moves = backend().brokers.preview(broker)
    brokers = backend().brokers.list()
    topics = backend().topics()
    return page(
        "cluster/change",
        broker=next(one for one in brokers if one.broker == broker),
        others=[one.broker for one in brokers if one.up and one.broker != broker],
        what=what,
        moves=moves[:ROWS],
        moved=sum(move.after >= 0 for move in moves),
        left=sum(move.after < 0 for move in moves),
        rest=max(0, len(moves) - ROWS),
        refused=_refusing_acks_all(topics, broker),
        groups=[one.group for one in backend().groups() if backend().brokers.coordinator(one.group) == broker],
        connections=sum(client.broker == broker for client in backend().brokers.clients()),
    )


def _refusing_acks_all(topics: tuple[TopicDescription, ...], without: int) -> list[str]:
    """Return the topics that would start to refuse acks=all if the broker stopped."""
    refused = []
    for topic in topics:
        least = int(topic.settings.get("min.insync.replicas", "1"))
        if any(without in one.isr and len(one.isr) == least and least > 1 for one in topic.partitions):
            refused.append(topic.topic)
    return refused


@blueprint.get("/cluster/brokers/<int:broker>/<any(stop, start):what>.json")
def ask_json(broker: int, what: str) -> Response:
    """The leaders that would move, as JSON."""
    moves = backend().brokers.preview(broker)
    return data({"broker": broker, "action": what, "moves": [asdict(move) for move in moves]})


@blueprint.post("/cluster/brokers/<int:broker>/<any(stop, start):what>")
@blueprint.post("/cluster/brokers/<int:broker>/<any(stop, start):what>.json")
def change(broker: int, what: str) -> AnyResponse:
    """Stop or start a broker."""

    def do(_fields: Fields) -> tuple[str, dict[str, Any]]:
        cluster = backend().brokers
        moves = cluster.preview(broker)
        if what == "stop":
            cluster.stop(broker)
        else:
            cluster.start(broker)
        return _said(broker, what, moves), {"moves": [asdict(move) for move in moves]}

    return _done(do)


def _said(broker: int, what: str, moves: tuple[LeaderMove, ...]) -> str:
    moved = sum(move.after >= 0 for move in moves)
    left = len(moves) - moved
    said = f"broker {broker} is {'down' if what == 'stop' else 'up'}"
    if moved:
        # A start moves no leader: it gives one to partitions that have none.
        got = "got another leader" if what == "stop" else f"{'has' if moved == 1 else 'have'} a leader again"
        said += f", {words.plural(moved, 'partition')} {got}"
    if left:
        said += f", {words.plural(left, 'partition')} {'has' if left == 1 else 'have'} no leader now"
    return said


@blueprint.post("/cluster/leader")
@blueprint.post("/cluster/leader.json")
def move_leader() -> AnyResponse:
    """Make a broker the leader of a partition."""

    def do(fields: Fields) -> tuple[str, dict[str, Any]]:
        topic, partition, broker = str(fields.get("topic", "")), _whole(fields, "partition"), _whole(fields, "broker")
        if partition is None or broker is None:
            raise BrokerError("INVALID_REQUEST", "Say which partition, and which broker.")
        backend().brokers.move_leader(topic, partition, broker)
        return f"broker {broker} leads {topic} partition {partition}", {}

    return _done(do)


@blueprint.post("/cluster/prefer")
@blueprint.post("/cluster/prefer.json")
def prefer() -> AnyResponse:
    """Elect the preferred leader (the first replica) of every partition."""

    def do(_fields: Fields) -> tuple[str, dict[str, Any]]:
        moved = backend().brokers.elect_preferred_leaders()
        return f"{words.plural(moved, 'partition')} went back to the preferred leader", {"moved": moved}

    return _done(do)


@blueprint.post("/faults")
@blueprint.post("/faults.json")
def inject() -> AnyResponse:
    """Inject a fault."""

    def do(fields: Fields) -> tuple[str, dict[str, Any]]:
        fault = backend().faults.inject(**_fault(fields)).fault
        return f"injected fault {fault.id}: {fault.text()}", {"fault": fault_json(fault)}

    if not request.path.endswith(".json"):
        try:
            said, _ = do(request.form)
        except BrokerError as error:
            return _show(request.form, error.detail)
        return see("/cluster", Notice(said))
    return _done(do)


@blueprint.post("/faults/<int:fault>/remove")
@blueprint.post("/faults/<int:fault>/remove.json")
def remove(fault: int) -> AnyResponse:
    """Remove a fault."""

    def do(_fields: Fields) -> tuple[str, dict[str, Any]]:
        faults = backend().faults
        if all(one.id != fault for one in faults.list()):
            raise BrokerError("RESOURCE_NOT_FOUND", f"There is no fault {fault}.")
        faults.remove(fault)
        return f"removed fault {fault}", {}

    return _done(do)


@blueprint.post("/faults/clear")
@blueprint.post("/faults/clear.json")
def clear() -> AnyResponse:
    """Remove all faults."""

    def do(_fields: Fields) -> tuple[str, dict[str, Any]]:
        faults = backend().faults
        removed = len(faults.list())
        faults.clear()
        return f"removed {words.plural(removed, 'fault')}", {"removed": removed}

    return _done(do)


def _fault(fields: Fields) -> dict[str, Any]:
    """Return the arguments of `inject` from a form or a JSON object, without empty fields."""
    texts = {name: str(fields[name]).strip() for name in ("api", "topic", "client_id", "error") if fields.get(name)}
    names = ("broker", "latency_ms", "throttle_ms", "transaction_end_ms", "times")
    numbers = {name: _whole(fields, name) for name in names}
    given: dict[str, Any] = {
        **texts,
        **numbers,
        "probability": _share(fields),
        "drop": bool(fields.get("drop")) or None,
    }
    return {name: value for name, value in given.items() if value not in (None, "")}


def _whole(fields: Fields, name: str) -> int | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool | float):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise BrokerError("INVALID_REQUEST", f"{name} must be a whole number, not {value!r}.") from None


def _share(fields: Fields) -> float | None:
    value = fields.get("probability")
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise BrokerError("INVALID_REQUEST", f"probability must be a number, not {value!r}.") from None
