"""The list of consumer groups, and the data of one group."""

from flask import Blueprint, Response, request

from sandbox.model.groups import GroupDescription
from sandbox.web.activity import mark_text
from sandbox.web.groups import alerts as groups_alerts
from sandbox.web.groups import reset as groups_reset
from sandbox.web.groups import share as groups_share
from sandbox.web.groups.lag_chart import RANGES, chart, chosen_range
from sandbox.web.groups.listing import group_list
from sandbox.web.groups.one_group import show
from sandbox.web.json_shapes import group_json, lag_json, one_group_json, point_json, rebalance_json
from sandbox.web.responses import Interest, backend, csv_file, data, overview, page, split_format, wanted_format

blueprint = Blueprint("groups", __name__)
blueprint.register_blueprint(groups_alerts.blueprint)
blueprint.register_blueprint(groups_reset.blueprint)
blueprint.register_blueprint(groups_share.blueprint)

MINUTES_MAX = 7 * 24 * 60
COLUMNS = (
    *("topic", "partition", "committed_offset", "log_end_offset", "lag", "lag_ms"),
    *("appended_per_s", "committed_per_s", "member_id", "client_id"),
    *("log_start_offset", "unread", "out_of_range", "deleted_unread"),
)


@blueprint.get("/groups")
def index() -> Response:
    """All groups."""
    return page("groups/index", Interest(None, None, 2), **group_list(request.args))


@blueprint.get("/groups.json")
def index_json() -> Response:
    """All groups as JSON."""
    return data({"as_of_ms": overview().as_of_ms, "groups": [group_json(group) for group in backend().groups()]})


@blueprint.get("/groups.csv")
def index_csv() -> Response:
    """All groups as CSV."""
    columns = ("group", "state", "lag", "lag_ms", "trend", "members", "topics", "unread")
    rows = []
    for group in backend().groups():
        row = group_json(group)
        rows.append([row[column] for column in columns])
    return csv_file("groups.csv", columns, rows)


@blueprint.get("/groups/<group>")
@blueprint.get("/group")
@blueprint.get("/group.json")
def one(group: str | None = None) -> Response:
    """One group, as HTML or as data (`.json`, `.csv`, `?format=`)."""
    if group is None:
        name, ending = request.args.get("id", ""), "json" if request.path.endswith(".json") else wanted_format()
    else:
        name, ending = split_format(group, lambda name: any(found.group == name for found in backend().groups()))
    found = backend().group(name)
    if ending is None:
        return groups_share.show(found, request.args) if found.type == "share" else show(found, request.args)
    partitions = _partitions(found)
    if ending == "json":
        return data({**one_group_json(found, overview().as_of_ms), "partitions": partitions})
    return csv_file(f"{name}.csv", COLUMNS, [[line[column] for column in COLUMNS] for line in partitions])


def _partitions(group: GroupDescription) -> list[dict[str, object]]:
    """Return a group's partitions with their rates, None for unknown ones."""
    rates = backend().group_history.rates(group)
    lines = []
    for lag in group.partitions:
        rate = rates.get((lag.topic, lag.partition))
        more = {"appended_per_s": rate and rate.appended_per_s, "committed_per_s": rate and rate.committed_per_s}
        lines.append({**lag_json(lag), **more})
    return lines


@blueprint.get("/groups/<group>/history.json")
@blueprint.get("/group/history.json")
def history(group: str | None = None) -> Response:
    """Each partition's lag over time, for the chart (`?range=` as on the page, or `?minutes=`)."""
    name = group if group is not None else request.args.get("id", "")
    minutes = request.args.get("minutes", type=int)
    length_ms = RANGES[chosen_range()] if minutes is None else max(1, min(minutes, MINUTES_MAX)) * 60_000
    drawn = chart(backend().group(name), length_ms)
    return data(
        {
            "as_of_ms": overview().as_of_ms,
            "group": name,
            "since_ms": drawn.since_ms,
            "partitions": [{"topic": lag.topic, "partition": lag.partition} for lag in drawn.partitions],
            "left_out": drawn.left_out,
            "points": [point_json(point) for point in drawn.points],
            "marks": [{"at_ms": mark.at_ms, "kind": mark.kind, "text": mark_text(mark)} for mark in drawn.marks],
            "rebalances": [rebalance_json(rebalance) for rebalance in backend().rebalances(name)],
        }
    )
