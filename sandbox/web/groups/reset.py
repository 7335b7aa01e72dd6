"""Changes to a group: resets and their undo, deleting a group, and deleting its offsets in one topic."""

import time
from collections.abc import Mapping

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.model.topics import PartitionName
from sandbox.snapshots.description import UndoPoint
from sandbox.web.formats import plural
from sandbox.web.groups import share
from sandbox.web.groups.one_group import back, integer, read_reset, show
from sandbox.web.groups.waits import names_of
from sandbox.web.json_shapes import reset_json
from sandbox.web.notices import Notice
from sandbox.web.responses import NOTHING, backend, data, page, see, undo_point

blueprint = Blueprint("groups_reset", __name__)

UNDO_MAX = 10_000
"""The maximum number of partitions of a reset that can be undone with a button."""
NO_COMMIT = "-"
LEAVE_WITHIN_S = 5.0
LOOK_EVERY_S = 0.02


def _name(group: str | None) -> str:
    return group if group is not None else request.args.get("id", "")


def _show(name: str, form: MultiDict[str, str], error: str | None = None) -> Response:
    """Answer with the group's page and the preview of a reset."""
    found = backend().group(name)
    return share.show(found, form, error) if found.type == "share" else show(found, form, error)


@blueprint.post("/groups/<group>/reset")
@blueprint.post("/group/reset")
def reset(group: str | None = None) -> AnyResponse:
    """Apply a reset, and offer to undo it. With `stop`, first stop the Playground's consumers of the group."""
    name = _name(group)
    try:
        wanted = read_reset(request.form)
        if request.form.get("stop"):
            _stop_own_members(name)
        before = _committed(name)
        backend().reset(name, **wanted)
    except BrokerError as error:
        if error.error.name == "GROUP_ID_NOT_FOUND":
            raise
        return _show(name, request.form, error.detail)
    after = _committed(name)
    changed = {place: before.get(place) for place in {**before, **after} if before.get(place) != after.get(place)}
    undo = _written(changed) if 0 < len(changed) <= UNDO_MAX else None
    return back(name, Notice(f"{plural(len(changed), 'committed offset')} moved", shown={"offsets_before": undo}))


def _committed(group: str) -> dict[PartitionName, int]:
    """Return a group's committed offsets; none if it doesn't exist."""
    try:
        found = backend().group(group)
    except BrokerError:
        return {}
    return {(one.topic, one.partition): one.committed for one in found.partitions if one.committed is not None}


def _written(offsets: Mapping[PartitionName, int | None]) -> str:
    return " ".join(
        f"{topic}:{partition}:{NO_COMMIT if offset is None else offset}"
        for (topic, partition), offset in sorted(offsets.items())
    )


@blueprint.post("/groups/<group>/reset.json")
@blueprint.post("/group/reset.json")
def reset_data(group: str | None = None) -> Response:
    """Apply a reset, for a program. Returns the lines of its preview."""
    fields = request.get_json(silent=True) or request.form
    if not isinstance(fields, Mapping):
        raise BrokerError("INVALID_REQUEST", "Send a JSON object.")
    name = _name(group)
    lines = backend().reset(name, **read_reset({field: str(value) for field, value in fields.items()}))
    return data({"group": name, "lines": [reset_json(line) for line in lines]})


def _stop_own_members(group: str) -> None:
    """Stop the Playground's consumers, and wait up to `LEAVE_WITHIN_S` until the group has no members."""
    backend().playground.stop_group(group)
    deadline = time.monotonic() + LEAVE_WITHIN_S
    while backend().group(group).members and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)


@blueprint.get("/groups/<group>/reset")
@blueprint.get("/group/reset")
def shown(group: str | None = None) -> Response:
    """The group's page: the address of a refused reset."""
    return _show(_name(group), request.args)


@blueprint.post("/groups/<group>/undo")
@blueprint.post("/group/undo")
def undo(group: str | None = None) -> AnyResponse:
    """Restore the committed offsets from before a reset."""
    name = _name(group)
    wanted: dict[PartitionName, int | None] = {}
    written = request.form.get("undo", "")
    for place in written.split()[:UNDO_MAX]:
        parts = place.rsplit(":", 2)
        if len(parts) != 3:
            raise BrokerError("INVALID_REQUEST", "That is no list of offsets to go back to.")
        offset = None if parts[2] == NO_COMMIT else integer(parts[2], "the offset")
        wanted[parts[0], integer(parts[1], "the partition")] = offset
    try:
        restored = backend().restore_offsets(name, wanted)
    except BrokerError as error:
        if error.error.name != "NON_EMPTY_GROUP":
            raise
        return back(name, Notice(refused=error.detail, shown={"offsets_before": written}))
    said = f"{plural(restored, 'committed offset')} moved"
    if restored < len(wanted):
        said += f"; {plural(len(wanted) - restored, 'partition')} without a commit before keep theirs"
    return back(name, Notice(said))


@blueprint.get("/groups/<group>/delete")
@blueprint.get("/group/delete")
def deletion(group: str | None = None) -> Response:
    """The confirmation page for deleting a group, or its offsets in a topic (`?topic=`), with the losses."""
    return _deletion(_name(group), request.args.get("topic"))


def _deletion(name: str, topic: str | None, error: str | None = None) -> Response:
    found = backend().group(name)
    if topic is not None and all(one.topic != topic for one in found.partitions):
        raise BrokerError("RESOURCE_NOT_FOUND", f"The group has no committed offset in {shown_name(topic)}.")
    lost = [one for one in found.partitions if one.committed is not None and (topic is None or one.topic == topic)]
    whole = topic is None or found.type == "share"
    reading = [one for one in found.members if whole or topic in (*one.subscription, *one.assignment)]
    return page(
        "groups/delete",
        NOTHING,
        409 if error else 200,
        group=found,
        names=names_of(found),
        topic=topic,
        lost=lost,
        reading=reading,
        unread=sum((one.lag or 0) if one.unread is None else one.unread for one in lost),
        again=sum(one.position - one.start for one in lost),
        error=error,
    )


@blueprint.post("/groups/<group>/delete")
@blueprint.post("/group/delete")
def delete(group: str | None = None) -> AnyResponse:
    """Delete a group without members and its committed offsets, or its offsets in a topic that no member reads."""
    name, topic = _name(group), request.form.get("topic")
    try:
        if topic is None:
            point = _safe(name, f"delete group {name}")
            backend().delete_group(name)
            return see("/groups", Notice(f"group {name} is deleted", undo=point.name))
        point = _safe(name, f"delete the offsets of group {name} in {topic}")
        backend().delete_offsets(name, topic)
    except BrokerError as error:
        if error.error.name == "GROUP_ID_NOT_FOUND":
            raise
        return _deletion(name, topic, error.detail)
    return back(name, Notice(f"the offsets in {topic} are deleted", undo=point.name))


def _safe(group: str, action: str) -> UndoPoint:
    """Take an automatic snapshot, unless the group has members: then the deletion is refused, and nothing is lost."""
    members = len(backend().group(group).members)
    return UndoPoint(None, "It has members.") if members else undo_point(action)


@blueprint.get("/groups/<group>/reset.json")
@blueprint.get("/group/reset.json")
def reset_preview(group: str | None = None) -> Response:
    """The effect of a reset as JSON (`?to=`, `at=`, `which=`)."""
    name = _name(group)
    lines = backend().preview_reset(name, **read_reset(request.args))
    return data({"group": name, "lines": [reset_json(line) for line in lines]})
