"""The map of producers, topics and groups: the page, and its data."""

from dataclasses import asdict

from flask import Blueprint, Response, request

from sandbox.web.map.graph import HEIGHT, WIDTH, Map, MapEdge, MapNode, draw
from sandbox.web.responses import Interest, backend, capabilities, data, group_address, overview, page

blueprint = Blueprint("map", __name__)

INTEREST = Interest(None, None, 2, spacing_s=1.0)
"""Rates change without a notification. A drawing that changes more often than once per second cannot be read."""


@blueprint.get("/map")
def index() -> Response:
    """The map."""
    wanted = request.args.get("q", "").strip()
    return page(
        "map/index",
        INTEREST,
        map=_map(wanted),
        wanted=wanted,
        node_size=(WIDTH, HEIGHT),
        address=_address,
        text=_text,
    )


@blueprint.get("/map.json")
def index_json() -> Response:
    """The nodes and edges as JSON."""
    found = _map(request.args.get("q", "").strip())
    nodes = [
        {"id": node.id, "kind": node.kind, "name": node.name, "per_s": node.per_s, "lag": node.lag}
        for node in found.nodes.values()
    ]
    return data({"as_of_ms": overview().as_of_ms, "nodes": nodes, "edges": [asdict(edge) for edge in found.edges]})


def _map(wanted: str) -> Map:
    topics = backend().topics()
    rates = {}
    if capabilities().append_rates:
        rates = {name: rate.per_s for name, rate in backend().logs.rates([one.topic for one in topics]).items()}
    brokers = backend().brokers
    return draw(
        topics,
        rates,
        backend().group_summaries(),
        brokers.producer_flows(),
        brokers.group_clients(),
        overview().as_of_ms,
        wanted,
    )


def _address(node: MapNode) -> str:
    if node.kind == "topic":
        return f"/topics/{node.name}"
    return group_address(node.name) if node.kind == "group" else "/cluster#live-clients"


def _text(found: Map, edge: MapEdge) -> str:
    """Return an edge as a sentence, for its tooltip and for screen readers."""
    source, target = (found.nodes[id].name or "a client without an id" for id in (edge.source, edge.target))
    return {
        "produces": f"{source} produces to {target}",
        "reads": f"{target} reads {source}",
        "transaction": f"{source} produces to {target} in one transaction with its commits",
        "same client": f"{source} produces to {target}, under the client id with which it commits",
        "set aside": f"{target} holds events of {source} that were set aside",
    }[edge.kind]
