"""Groups: who reads, how far, and moving them."""

from typing import Any

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from sandbox.description import GroupDescription, LagPoint, ResetLine
from sandbox.errors import BrokerError
from sandbox.web import words
from sandbox.web.page import (
    Interest,
    backend,
    csv_file,
    data,
    group_address,
    overview,
    page,
    see,
    split_format,
)
from sandbox.web.shapes import group_json, lag_json, one_group_json, point_json, rebalance_json, reset_json

blueprint = Blueprint("groups", __name__)

HISTORY_MS = 15 * 60 * 1000
POINTS = 120
TABLE_POINTS = 20
UNDO_MAX = 100
RESETS = (
    ("earliest", "the earliest event", ""),
    ("latest", "the end: only new events", ""),
    ("offset", "an offset", "42"),
    ("time", "a time", "2024-05-01 12:30:00 or 15m"),
    ("shift", "so many events on or back", "-10"),
    ("group", "where another group is", "its group id"),
)


@blueprint.get("/groups")
def index() -> Response:
    """All groups."""
    found = backend().groups()
    wanted = request.args.get("q", "").strip().lower()
    return page(
        "groups/index",
        Interest(None, None, 2),
        groups=[group for group in found if wanted in group.group.lower()],
        total=len(found),
        wanted=wanted,
    )


@blueprint.get("/groups.json")
def index_json() -> Response:
    """All groups as data."""
    return data({"as_of": overview().as_of_ms, "groups": [group_json(group) for group in backend().groups()]})


@blueprint.get("/groups.csv")
def index_csv() -> Response:
    """All groups as a table."""
    columns = ("group", "state", "lag", "lag_ms", "word", "members", "topics")
    rows = []
    for group in backend().groups():
        row = group_json(group) | {"topics": " ".join(group.topics)}
        rows.append([row[column] for column in columns])
    return csv_file("groups.csv", columns, rows)


@blueprint.get("/groups/<group>")
@blueprint.get("/group")
def one(group: str | None = None) -> Response:
    """One group, in HTML, or as data (`.json`, `.csv`)."""
    name, ending = group, None
    if name is None:
        name = request.args.get("id", "")
    elif name.endswith((".json", ".csv")):
        name, ending = split_format(name, [found.group for found in backend().groups()])
    found = backend().group(name)
    if ending == "json":
        return data(one_group_json(found, overview().as_of_ms))
    if ending == "csv":
        columns = ("topic", "partition", "committed", "end", "lag", "lag_ms", "member_id", "client_id")
        rows = [[lag_json(lag)[column] for column in columns] for lag in found.partitions]
        return csv_file(f"{name}.csv", columns, rows)
    return _show(found, request.args)


def _show(group: GroupDescription, form: MultiDict[str, str], error: str | None = None) -> Response:
    preview: list[ResetLine] | None = None
    if form.get("to") and error is None:
        try:
            preview = backend().preview_reset(group.group, **_reset(form))
        except BrokerError as refusal:
            error = refusal.detail
    since_ms = overview().as_of_ms - HISTORY_MS
    points = _history(group.group, since_ms, TABLE_POINTS)
    return page(
        "groups/one",
        Interest(frozenset(group.topics), frozenset((group.group,)), 2),
        400 if error else 200,
        group=group,
        most=max((lag.lag or 0 for lag in group.partitions), default=0) or 1,
        colours=colours(group),
        rebalances=backend().rebalances(group.group, limit=20),
        history=history_table(points),
        resets=RESETS,
        form=form,
        preview=preview,
        error=error,
        undo=form.get("undo"),
        done=form.get("done", type=int),
    )


def colours(group: GroupDescription) -> dict[tuple[str, int], int]:
    """The colour of each partition of a group: partition 0 has the same one on every page."""
    return {(lag.topic, lag.partition): lag.partition % 12 for lag in group.partitions}


def history_table(points: list[LagPoint]) -> list[tuple[int, int | None, int]]:
    """Lag over time as (when, lag over all partitions, events in their logs), newest first."""
    sums: dict[int, tuple[int | None, int]] = {}
    for point in points:
        lag, end = sums.get(point.at_ms, (None, 0))
        lag = lag if point.lag is None else (lag or 0) + point.lag
        sums[point.at_ms] = (lag, end + point.end)
    return [(at_ms, lag, end) for at_ms, (lag, end) in sorted(sums.items(), reverse=True)]


@blueprint.get("/groups/<group>/history.json")
@blueprint.get("/group/history.json")
def history(group: str | None = None) -> Response:
    """The lag of each partition over the last minutes (`?minutes=`, 15), for the chart."""
    name = group if group is not None else request.args.get("id", "")
    minutes = max(1, min(request.args.get("minutes", HISTORY_MS // 60_000, type=int), 7 * 24 * 60))
    found = backend().group(name)
    points = _history(name, overview().as_of_ms - minutes * 60_000, POINTS)
    return data(
        {
            "as_of": overview().as_of_ms,
            "group": name,
            "partitions": [{"topic": lag.topic, "partition": lag.partition} for lag in found.partitions],
            "points": [point_json(point) for point in points],
            "rebalances": [rebalance_json(rebalance) for rebalance in backend().rebalances(name)],
        }
    )


def _history(group: str, since_ms: int, points: int) -> list[LagPoint]:
    """Lag from a time on; of a group that is younger, from its first commit on, and so as finely drawn."""
    found = backend().lag_history(group, since_ms=since_ms, points=points)
    moments = sorted({point.at_ms for point in found})
    known = min((point.at_ms for point in found if point.committed is not None), default=since_ms)
    before = max((moment for moment in moments if moment < known), default=since_ms)
    if not moments or before - since_ms <= (moments[-1] - since_ms) // 4:
        return found
    return backend().lag_history(group, since_ms=before, points=points)


def _reset(form: MultiDict[str, str]) -> dict[str, Any]:
    """Read the form of a reset: which partitions, and where to.

    Raises:
        BrokerError: INVALID_REQUEST with what is wrong.
    """
    topic, partition = None, None
    which = form.get("which", "")
    if which:
        topic, _, number = which.partition(":")
        if number:
            partition = _integer(number, "the partition")
    to, value = form.get("to", ""), form.get("at", "").strip()
    if to in ("earliest", "latest"):
        return {"topic": topic, "partition": partition, "to": to}
    if not value:
        hint = next((hint for name, _, hint in RESETS if name == to), to)
        raise BrokerError("INVALID_REQUEST", f"Write where to: {hint}.")
    if to == "time":
        try:
            value = str(words.as_ms(value, overview().as_of_ms))
        except ValueError as error:
            raise BrokerError("INVALID_REQUEST", str(error)) from None
    elif to in ("offset", "shift"):
        number_wanted = _integer(value, "the offset" if to == "offset" else "the number of events")
        value = f"{number_wanted:+d}" if to == "shift" else str(number_wanted)
    elif to != "group":
        raise BrokerError("INVALID_REQUEST", f"There is no reset to {to!r}.")
    return {"topic": topic, "partition": partition, "to": f"{to}:{value}"}


def _integer(text: str, what: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BrokerError(
            "INVALID_REQUEST", f"{what[0].upper()}{what[1:]} must be a whole number, not {text!r}."
        ) from None


@blueprint.post("/groups/<group>/reset")
@blueprint.post("/group/reset")
def reset(group: str | None = None) -> AnyResponse:
    """Apply a reset, and offer to undo it."""
    name = group if group is not None else request.args.get("id", "")
    try:
        lines = backend().reset(name, **_reset(request.form))
    except BrokerError as error:
        if error.error.name == "GROUP_ID_NOT_FOUND":
            raise
        return _show(backend().group(name), request.form, error.detail)
    undo = None
    if 0 < len(lines) <= UNDO_MAX and all(line.before is not None for line in lines):
        undo = " ".join(f"{line.topic}:{line.partition}:{line.before}" for line in lines)
    return _back(name, done=len(lines), undo=undo)


@blueprint.post("/groups/<group>/undo")
@blueprint.post("/group/undo")
def undo(group: str | None = None) -> AnyResponse:
    """Put committed offsets back where they were before a reset."""
    name = group if group is not None else request.args.get("id", "")
    places = [place.rsplit(":", 2) for place in request.form.get("undo", "").split()][:UNDO_MAX]
    for place in places:
        if len(place) != 3:
            raise BrokerError("INVALID_REQUEST", "That is no list of offsets to go back to.")
        backend().reset(name, topic=place[0], partition=_integer(place[1], "the partition"), to=f"offset:{place[2]}")
    return _back(name, done=len(places), undo=None)


def _back(name: str, **query: object) -> AnyResponse:
    address, _, identity = group_address(name).partition("?id=")
    if identity:
        return see(address, id=name, **query)
    return see(address, **query)


@blueprint.post("/groups/<group>/delete")
@blueprint.post("/group/delete")
def delete(group: str | None = None) -> AnyResponse:
    """Delete a group that has no members, with its committed offsets."""
    name = group if group is not None else request.args.get("id", "")
    try:
        backend().delete_group(name)
    except BrokerError as error:
        if error.error.name == "GROUP_ID_NOT_FOUND":
            raise
        return _show(backend().group(name), request.form, error.detail)
    return see("/groups")


@blueprint.get("/groups/<group>/reset.json")
@blueprint.get("/group/reset.json")
def reset_preview(group: str | None = None) -> Response:
    """What a reset would do, as data (`?to=`, `at=`, `which=`)."""
    name = group if group is not None else request.args.get("id", "")
    return data(
        {"group": name, "lines": [reset_json(line) for line in backend().preview_reset(name, **_reset(request.args))]}
    )
