"""The nodes and edges of the map, and where they are drawn.

Producers stand left of the topics that they write to, topics left of the groups that read them. A group whose client
also produces (in one transaction, or under one client id) is followed by the topics that it writes to. So a pipeline is
read from left to right. A loop is drawn with an edge that goes back.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.model.groups import GroupSummary
from sandbox.model.topics import TopicDescription
from sandbox.model.traffic import GroupClient, ProducerFlow

PRODUCERS_MAX = 40
TOPICS_MAX = 60
GROUPS_MAX = 60
PRODUCER_SHOWN_MS = 10 * 60_000
"""A producer that has been silent for longer is not drawn."""
WIDTH, HEIGHT = 192, 44
COLUMN, ROW = 270, 60
MARGIN = 12
TITLE_MAX = 20
LABELS_AT = (0.42, 0.6, 0.28)
"""Where on the way from source to target the text of an edge stands."""
SWEEPS = 4
_SET_ASIDE = re.compile(r"(?P<source>.+?)[._-](?:dlq|dlt|dead[._-]?letters?|retry(?:[._-]?\d+)?)", re.IGNORECASE)
_ANYBODY = re.compile(r"rdkafka|sarama|kafkajs||(?:producer|consumer)-\d+|kafka-python-.*|aiokafka-.*", re.IGNORECASE)
"""Client ids that libraries choose by themselves: two programs may have the same one."""


@dataclass(slots=True)
class MapNode:
    """A producer, topic or group.

    Attributes:
        id: unique on the map, such as "topic:orders".
        kind: "producer", "topic" or "group".
        name: a client id, topic name or group id; "" for a client without an id.
        per_s: events per second that it produces (producer) or gets (topic); None for a group.
        lag: of a group; None if unknown, and for others.
        trend: of a group's lag; "" for others.
        members: of a group; None for others.
        column, row: where it stands, from 0.
    """

    id: str
    kind: str
    name: str
    per_s: float | None = None
    lag: int | None = None
    trend: str = ""
    members: int | None = None
    column: int = 0
    row: float = 0.0

    @property
    def x(self) -> int:
        """The left edge, in the units of the drawing."""
        return MARGIN + self.column * COLUMN

    @property
    def y(self) -> int:
        """The upper edge, in the units of the drawing."""
        return MARGIN + round(self.row * ROW)

    @property
    def title(self) -> str:
        """The name as drawn: shortened in the middle if it is long."""
        name = self.name or "(no client id)"
        if len(name) <= TITLE_MAX:
            return name
        return f"{name[: TITLE_MAX - 10]}…{name[-9:]}"


@dataclass(frozen=True, slots=True)
class MapEdge:
    """What flows from one node to another.

    Attributes:
        source, target: ids of nodes.
        kind: "produces", "reads", "transaction" (a group's client produces in the transaction of its commits), "same
            client" (it has the client id of a producer), or "set aside" (a dead letter or retry topic of the source, if
            no group is known to write to it).
        per_s: events per second; None if unknown.
        lag: of a group in this topic; None for other kinds, and without a commit.
    """

    source: str
    target: str
    kind: str
    per_s: float | None = None
    lag: int | None = None


@dataclass(slots=True)
class Map:
    """The drawing.

    Attributes:
        left_out: kind to the number of nodes that are not drawn, because there are too many.
    """

    nodes: dict[str, MapNode] = field(default_factory=dict)
    edges: list[MapEdge] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """The drawing's width."""
        return 2 * MARGIN + max((node.x + WIDTH - MARGIN for node in self.nodes.values()), default=WIDTH)

    @property
    def height(self) -> int:
        """The drawing's height."""
        return 2 * MARGIN + max((node.y + HEIGHT - MARGIN for node in self.nodes.values()), default=HEIGHT)

    def path(self, edge: MapEdge) -> str:
        """Return the line of an edge, as the `d` of an SVG path."""
        start, end = self.nodes[edge.source], self.nodes[edge.target]
        x1, y1, x2, y2 = start.x + WIDTH, start.y + HEIGHT // 2, end.x, end.y + HEIGHT // 2
        if start.kind == end.kind == "topic" and start.column == end.column:
            x2 = end.x + WIDTH
            return f"M{x1} {y1}C{x1 + 36} {y1} {x2 + 36} {y2} {x2} {y2}"
        reach = max(40, abs(x2 - x1) // 2)
        return f"M{x1} {y1}C{x1 + reach} {y1} {x2 - reach} {y2} {x2} {y2}"

    def label(self, edge: MapEdge) -> tuple[int, int]:
        """Return where an edge's text stands: on its line, and not where the other lines of its source have theirs."""
        start, end = self.nodes[edge.source], self.nodes[edge.target]
        siblings = [one for one in self.edges if one.source == edge.source]
        share = LABELS_AT[siblings.index(edge) % len(LABELS_AT)]
        eased = share * share * (3 - 2 * share)
        y1, y2 = start.y + HEIGHT // 2, end.y + HEIGHT // 2
        x1, x2 = start.x + WIDTH, end.x
        return round(x1 + (x2 - x1) * share), round(y1 + (y2 - y1) * eased) - 4


def draw(
    topics: Iterable[TopicDescription],
    topic_rates: Mapping[str, float],
    groups: Iterable[GroupSummary],
    flows: Iterable[ProducerFlow],
    clients: Iterable[GroupClient],
    now_ms: int,
    wanted: str = "",
) -> Map:
    """Return the map.

    Args:
        topic_rates: topic to events per second.
        clients: which clients commit for which groups.
        now_ms: the time of the figures, in ms since 1970.
        wanted: draw only nodes whose name contains this text, and their neighbours.
    """
    drawing = Map()
    active = [flow for flow in flows if now_ms - flow.last_ms <= PRODUCER_SHOWN_MS]
    found_groups = list(groups)
    named = wanted.lower()
    _add_topics(drawing, topics, topic_rates, active, found_groups, named)
    _add_groups(drawing, found_groups, named)
    _add_producers(drawing, active, _programs(clients), named)
    _add_set_aside(drawing)
    if wanted:
        _keep_around(drawing, named)
    _place(drawing)
    return drawing


def _add_topics(
    drawing: Map,
    topics: Iterable[TopicDescription],
    rates: Mapping[str, float],
    flows: list[ProducerFlow],
    groups: list[GroupSummary],
    named: str,
) -> None:
    used = {flow.topic for flow in flows} | {topic for group in groups for topic in group.topics}
    found = sorted(
        topics,
        key=lambda one: (named not in one.topic.lower(), one.topic not in used, -rates.get(one.topic, 0.0), one.topic),
    )
    for one in found[:TOPICS_MAX]:
        node = MapNode(f"topic:{one.topic}", "topic", one.topic, per_s=rates.get(one.topic))
        drawing.nodes[node.id] = node
    drawing.left_out["topic"] = max(0, len(found) - TOPICS_MAX)


def _add_groups(drawing: Map, groups: list[GroupSummary], named: str) -> None:
    found = sorted(
        groups, key=lambda one: (named not in one.group.lower(), one.members == 0, -(one.lag or 0), one.group)
    )
    for one in found[:GROUPS_MAX]:
        node = MapNode(f"group:{one.group}", "group", one.group, lag=one.lag, trend=one.trend, members=one.members)
        drawing.nodes[node.id] = node
        for topic in one.topics:
            if f"topic:{topic}" in drawing.nodes:
                drawing.edges.append(MapEdge(f"topic:{topic}", node.id, "reads", lag=one.lags.get(topic)))
    drawing.left_out["group"] = max(0, len(found) - GROUPS_MAX)


def _programs(clients: Iterable[GroupClient]) -> dict[str, list[tuple[str, str]]]:
    """Return a program's key to the groups that it commits for, each with the kind of its edge."""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in clients:
        if one.transactional_id:
            found.setdefault(f"transaction {one.transactional_id}", []).append((one.group, "transaction"))
        elif not _ANYBODY.fullmatch(one.client_id):
            found.setdefault(f"client {one.client_id}", []).append((one.group, "same client"))
    return found


def _groups_of(flow: ProducerFlow, programs: Mapping[str, list[tuple[str, str]]]) -> list[tuple[str, str]]:
    if flow.transactional_id:
        return programs.get(f"transaction {flow.transactional_id}", [])
    return programs.get(f"client {flow.client_id}", [])


def _add_producers(
    drawing: Map, flows: list[ProducerFlow], programs: dict[str, list[tuple[str, str]]], named: str
) -> None:
    alone: dict[str, list[ProducerFlow]] = {}
    for flow in flows:
        if f"topic:{flow.topic}" not in drawing.nodes:
            continue
        groups = [one for one in _groups_of(flow, programs) if f"group:{one[0]}" in drawing.nodes]
        for group, kind in groups:
            drawing.edges.append(MapEdge(f"group:{group}", f"topic:{flow.topic}", kind, flow.per_s))
        if not groups:
            alone.setdefault(flow.client_id, []).append(flow)
    busiest = sorted(
        alone, key=lambda client: (named not in client.lower(), -sum(flow.per_s for flow in alone[client]), client)
    )
    for client in busiest[:PRODUCERS_MAX]:
        rates: dict[str, float] = {}
        for flow in alone[client]:
            rates[flow.topic] = rates.get(flow.topic, 0.0) + flow.per_s
        node = MapNode(f"producer:{client}", "producer", client, per_s=sum(rates.values()))
        drawing.nodes[node.id] = node
        drawing.edges += [MapEdge(node.id, f"topic:{topic}", "produces", rate) for topic, rate in rates.items()]
    drawing.left_out["producer"] = max(0, len(busiest) - PRODUCERS_MAX)


def _add_set_aside(drawing: Map) -> None:
    for node in [one for one in drawing.nodes.values() if one.kind == "topic"]:
        found = _SET_ASIDE.fullmatch(node.name)
        known = any(edge.target == node.id and edge.source.startswith("group:") for edge in drawing.edges)
        if found is not None and not known and f"topic:{found['source']}" in drawing.nodes:
            drawing.edges.append(MapEdge(f"topic:{found['source']}", node.id, "set aside"))


def _keep_around(drawing: Map, wanted: str) -> None:
    named = {node.id for node in drawing.nodes.values() if wanted in node.name.lower()}
    ends = [{edge.source, edge.target} for edge in drawing.edges]
    near = named.union(*(pair for pair in ends if named & pair))
    drawing.nodes = {id: node for id, node in drawing.nodes.items() if id in near}
    drawing.edges = [edge for edge in drawing.edges if edge.source in near and edge.target in near]


def _place(drawing: Map) -> None:
    """Give each node its column by the longest way to it, and its row near its neighbours."""
    forward = _columns(drawing)
    columns: dict[int, list[MapNode]] = {}
    for node in drawing.nodes.values():
        columns.setdefault(node.column, []).append(node)
    for _, nodes in sorted(columns.items()):
        # The largest lag and rate first, until neighbours say otherwise.
        nodes.sort(key=lambda one: (-(one.lag or 0), -(one.per_s or 0), one.name))
        for row, node in enumerate(nodes):
            node.row = float(row)
    for sweep in range(SWEEPS):
        for column in sorted(columns, reverse=bool(sweep % 2)):
            _order(drawing, columns[column], forward)
    tallest = max((len(nodes) for nodes in columns.values()), default=0)
    for nodes in columns.values():
        shift = (tallest - len(nodes)) / 2
        for row, node in enumerate(nodes):
            node.row = row + shift


def _columns(drawing: Map) -> list[MapEdge]:
    """Set the columns, and return the edges that go forward. Others would close a loop."""
    for node in drawing.nodes.values():
        node.column = {"producer": 0, "topic": 1, "group": 2}[node.kind]
    forward = [edge for edge in drawing.edges if edge.kind != "set aside"]
    back: set[MapEdge] = set()
    for _ in range(len(drawing.nodes)):
        moved = False
        for edge in forward:
            source, target = drawing.nodes[edge.source], drawing.nodes[edge.target]
            if edge not in back and target.column <= source.column:
                if source.column >= 2 * len(drawing.nodes) or _reaches(drawing, target.id, source.id, back):
                    back.add(edge)
                    continue
                target.column = source.column + 1
                moved = True
        if not moved:
            break
    for edge in drawing.edges:
        if edge.kind == "set aside" and not any(other.target == edge.target for other in forward):
            drawing.nodes[edge.target].column = drawing.nodes[edge.source].column
    return [edge for edge in forward if edge not in back]


def _reaches(drawing: Map, start: str, end: str, without: set[MapEdge]) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        if here == end:
            return True
        for edge in drawing.edges:
            if edge.source == here and edge.target not in seen and edge not in without and edge.kind != "set aside":
                seen.add(edge.target)
                waiting.append(edge.target)
    return False


def _order(drawing: Map, nodes: list[MapNode], edges: list[MapEdge]) -> None:
    """Sort one column by the mean row of each node's neighbours."""
    wanted: dict[str, float] = {}
    for node in nodes:
        rows = [drawing.nodes[edge.source].row for edge in edges if edge.target == node.id]
        rows += [drawing.nodes[edge.target].row for edge in edges if edge.source == node.id]
        wanted[node.id] = sum(rows) / len(rows) if rows else node.row
    nodes.sort(key=lambda one: (wanted[one.id], one.name))
    for row, node in enumerate(nodes):
        node.row = float(row)
