"""Snapshots: take, restore, fork, compare, download, upload, and the undo that other pages offer.

Every change is a form of the page and, at the same address with `.json`, an API for programs: `sandbox snapshots` uses
it if a running sandbox owns the file.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request, send_file
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError, FileRefused, SandboxError
from sandbox.snapshots.description import NOW, Comparison, RestorePreview, Snapshot, UndoPoint
from sandbox.web import formats as words
from sandbox.web.backend import Snapshots
from sandbox.web.json_shapes import event_json
from sandbox.web.notices import Notice
from sandbox.web.responses import (
    ALL,
    Interest,
    backend,
    capabilities,
    csv_file,
    data,
    overview,
    page,
    see,
    split_format,
)


class RestoreWords:
    """What a restore would delete and bring back, for people.

    Attributes:
        lost, back: (topic, events), most events first.
        commits_lost: offsets committed after the snapshot.
        nothing_lost: True if the restore deletes nothing.
        events_since: how many of the lost events are in partitions that were written to after the snapshot.
        nothing_since: True if nothing was added after the snapshot that the restore would delete.
    """

    def __init__(self, preview: RestorePreview) -> None:
        comparison = preview.comparison
        self.lost = sorted(comparison.events_lost().items(), key=lambda one: (-one[1], one[0]))
        self.back = sorted(comparison.events_back().items(), key=lambda one: (-one[1], one[0]))
        self.events_lost = sum(count for _, count in self.lost)
        self.events_back = sum(count for _, count in self.back)
        self.commits_lost = tuple(
            one for one in comparison.offsets if one.right_ms is not None and one.right_ms > preview.snapshot.taken_ms
        )
        self.groups_moved = sorted({one.group for one in comparison.offsets})
        self.nothing_lost = not (self.lost or self.commits_lost or comparison.topics_right or comparison.groups_right)
        taken_ms = preview.snapshot.taken_ms
        since = tuple(one for one in comparison.partitions if (one.right_ms or 0) > taken_ms and one.right is not None)
        self.events_since = sum(replace(comparison, partitions=since).events_lost().values())
        created = any(one.left is None for one in since)
        self.nothing_since = not (self.events_since or created or self.commits_lost)


def undo_notice(name: str | None) -> tuple[Snapshot, RestoreWords] | None:
    """Return the notice's automatic snapshot, and what restoring it would also delete; None if it no longer exists."""
    if not name or not capabilities().snapshots:
        return None
    try:
        preview = backend().snapshots.preview_restore(name)
    except SandboxError:
        return None
    return preview.snapshot, RestoreWords(preview)


blueprint = Blueprint("snapshots", __name__)

ROWS = 200
FORM_BYTES = 64 * 1024
"""The maximum size of an upload's form besides the file."""
LIVE = Interest(every_s=2)
"""Programs also take snapshots, without notifying the page."""
COLUMNS = ("name", "kind", "taken_ms", "topics", "events", "groups", "size_bytes", "note", "action")

Fields = Mapping[str, Any]
Done = tuple[str, dict[str, Any]]


def _snapshots() -> Snapshots:
    return backend().snapshots


@contextmanager
def _refusals() -> Iterator[None]:
    """Convert errors of a file, or of a process that didn't start, to a `BrokerError`."""
    try:
        yield
    except BrokerError:
        raise
    except FileRefused as error:
        raise BrokerError("INVALID_REQUEST", str(error)) from error
    except SandboxError as error:
        raise BrokerError("UNKNOWN_SERVER_ERROR", str(error)) from error


@blueprint.get("/snapshots")
def index() -> Response:
    """The list of snapshots and forks, and their actions."""
    return _show_all()


def _show_all(error: str | None = None, form: Fields | None = None) -> Response:
    found = _snapshots().list()
    return page(
        "snapshots/index",
        LIVE,
        400 if error else 200,
        kept=[one for one in found if one.kind != "automatic"],
        automatic=[one for one in found if one.kind == "automatic"],
        size_bytes=sum(one.size_bytes for one in found),
        forks=_snapshots().forks(),
        no_undo=_snapshots().automatic_refusal(),
        upload_bytes_max=_snapshots().upload_bytes_max,
        form=form or {},
        error=error,
    )


@blueprint.get("/snapshots.json")
def index_json() -> Response:
    """The snapshots and forks as JSON."""
    return data(
        {
            "as_of_ms": overview().as_of_ms,
            "snapshots": [asdict(one) for one in _snapshots().list()],
            "forks": [asdict(one) for one in _snapshots().forks()],
        }
    )


@blueprint.get("/snapshots.csv")
def index_csv() -> Response:
    """The snapshots as CSV."""
    rows = [[asdict(one)[column] for column in COLUMNS] for one in _snapshots().list()]
    return csv_file("snapshots.csv", COLUMNS, rows)


def _done(
    do: Callable[[Fields], Done], to: str | None = None, undo: Callable[[], UndoPoint] | None = None
) -> AnyResponse:
    """Run a change, and answer a program with JSON, or a form with a page.

    Args:
        do: takes the request's fields; returns a message for people and the result as JSON.
        to: the page to show next; None for the list.
        undo: called afterwards; returns how to undo the change.
    """
    if request.path.endswith(".json"):
        fields = request.get_json(silent=True) if request.content_length else {}
        if not isinstance(fields, dict):
            raise BrokerError("INVALID_REQUEST", "The body must be one JSON object, sent as application/json.")
        with _refusals():
            said, told = do(fields)
        return data({"message": said, **told})
    try:
        with _refusals():
            said, _ = do(request.form)
    except BrokerError as error:
        return _show_all(error.detail, request.form)
    point = undo() if undo is not None else None
    notice = Notice(said, undo=point.name if point else None, no_undo=point.skipped if point else None)
    return see(to or "/snapshots", notice)


def _text(fields: Fields, name: str) -> str:
    return str(fields.get(name) or "").strip()


@blueprint.post("/snapshots")
@blueprint.post("/snapshots.json")
def take() -> AnyResponse:
    """Take a snapshot."""

    def do(fields: Fields) -> Done:
        taken = _snapshots().take(_text(fields, "name") or None, _text(fields, "note"))
        return f"took the snapshot {taken.name}", {"snapshot": asdict(taken)}

    return _done(do)


@blueprint.get("/snapshots/<name>")
def one(name: str) -> Response:
    """One snapshot and its differences from now, as HTML or as data (`.json`, `.csv`, `?format=`)."""
    name, ending = split_format(name, lambda name: any(found.name == name for found in _snapshots().list()))
    if ending is not None:
        with _refusals():
            found = asdict(_snapshots().get(name))
        if ending == "json":
            return data({"as_of_ms": overview().as_of_ms, "snapshot": found})
        return csv_file(f"{name}.csv", COLUMNS, [[found[column] for column in COLUMNS]])
    return _show_one(name)


def _show_one(name: str, error: str | None = None) -> Response:
    with _refusals():
        found, comparison = _snapshots().get(name), _snapshots().compare(name)
        topics, events = _snapshots().topics(name), _snapshots().compare_events(name)
    now = {topic.topic: topic.events for topic in backend().topics()}
    return page(
        "snapshots/one",
        status=400 if error else 200,
        snapshot=found,
        comparison=comparison,
        topics=topics,
        events=events,
        now=now,
        rows=ROWS,
        error=error,
        names=(name, NOW),
    )


@blueprint.post("/snapshots/<name>/topics/<any(restore, copy):what>")
@blueprint.post("/snapshots/<name>/topics/<any(restore, copy):what>.json")
def one_topic(name: str, what: str) -> AnyResponse:
    """Restore one topic of a snapshot (field `topic`), or copy it to a new topic (field `to`)."""
    point, address = UndoPoint(None), "/snapshots"

    def do(fields: Fields) -> Done:
        nonlocal point, address
        topic = _text(fields, "topic")
        if what == "copy":
            done = _snapshots().copy_topic(name, topic, _text(fields, "to"))
            said = f"copied {topic} of {name} to {done.topic}: {words.plural(done.events, 'event')}"
        else:
            done = _snapshots().restore_topic(name, topic)
            point = done.undo
            said = f"restored {topic} of {name}: {words.plural(done.events, 'event')}"
            if done.groups:
                said += f"; offsets of {words.plural(len(done.groups), 'group')} restored"
            if done.groups_left_out:
                said += f"; not of {', '.join(done.groups_left_out)}, which has members"
        address = f"/topics/{quote(done.topic, safe='')}"
        return said, asdict(done)

    if not request.path.endswith(".json"):
        try:
            with _refusals():
                said, _ = do(request.form)
        except BrokerError as error:
            return _show_one(name, error.detail)
        return see(address, Notice(said, undo=point.name, no_undo=point.skipped))
    return _done(do)


@blueprint.get("/snapshots/<name>/events/<topic>/<int:partition>/<int:offset>.json")
def event_json_of(name: str, topic: str, partition: int, offset: int) -> Response:
    """One event of a snapshot as JSON."""
    with _refusals():
        return data(event_json(_snapshots().event(name, topic, partition, offset)))


@blueprint.post("/snapshots/<name>/edit")
@blueprint.post("/snapshots/<name>/edit.json")
def edit(name: str) -> AnyResponse:
    """Rename a snapshot, and change its note. A program omits the fields that don't change."""
    new_name = name

    def do(fields: Fields) -> Done:
        nonlocal new_name
        edited = _snapshots().get(name)
        if "note" in fields:
            edited = _snapshots().note(name, _text(fields, "note"))
        if _text(fields, "name") and _text(fields, "name") != name:
            edited = _snapshots().rename(name, _text(fields, "name"))
        new_name = edited.name
        return f"saved {new_name}", {"snapshot": asdict(edited)}

    if request.path.endswith(".json"):
        return _done(do)
    try:
        with _refusals():
            said, _ = do(request.form)
    except BrokerError as error:
        return _show_one(name, error.detail)
    return see(_address(new_name), Notice(said))


def _address(name: str, suffix: str = "") -> str:
    return f"/snapshots/{quote(name, safe='')}{suffix}"


@blueprint.get("/snapshots/<name>/download")
def download(name: str) -> Response:
    """Download the snapshot: a normal sandbox file."""
    with _refusals():
        found = _snapshots().get(name)
    return send_file(
        found.file,
        mimetype="application/vnd.sqlite3",
        as_attachment=True,
        download_name=f"{name}.db",
        conditional=True,
        max_age=0,
    )


@blueprint.get("/snapshots/~upload")
def ask_upload() -> AnyResponse:
    """Redirect to the list, which contains the form for uploads."""
    return see("/snapshots#upload")


@blueprint.post("/snapshots/~upload")
@blueprint.post("/snapshots/~upload.json")
def upload() -> AnyResponse:
    """Store an uploaded file as a snapshot: from a form, or (`.json`, with `?name=`) the raw body."""
    limit = _snapshots().upload_bytes_max
    if (request.content_length or 0) > limit + FORM_BYTES:
        raise BrokerError("MESSAGE_TOO_LARGE", f"A snapshot has at most {words.size(limit)} here.")
    request.max_content_length = limit + FORM_BYTES

    if request.path.endswith(".json"):
        with _refusals():
            added = _snapshots().add(request.stream, request.args.get("name"), request.args.get("note", ""))
        return data({"message": f"uploaded {added.name}", "snapshot": asdict(added)})

    def do(fields: Fields) -> Done:
        file = request.files.get("file")
        if file is None or not file.filename:
            raise BrokerError("INVALID_REQUEST", "Choose a file to upload.")
        added = _snapshots().add(file.stream, _text(fields, "name") or None, _text(fields, "note"))
        return f"uploaded {added.name}; nothing was restored yet", {}

    return _done(do)


@blueprint.get("/snapshots/<name>/restore")
def ask_restore(name: str) -> Response:
    """The preview of a restore."""
    with _refusals():
        preview = _snapshots().preview_restore(name)
    return page("snapshots/restore", preview=preview, told=RestoreWords(preview), rows=ROWS)


@blueprint.get("/snapshots/<name>/restore.json")
def ask_restore_json(name: str) -> Response:
    """The preview of a restore as JSON."""
    with _refusals():
        preview = _snapshots().preview_restore(name)
    told = {"events_lost": preview.comparison.events_lost(), "events_back": preview.comparison.events_back()}
    return data(asdict(preview) | told)


@blueprint.post("/snapshots/<name>/restore")
@blueprint.post("/snapshots/<name>/restore.json")
def restore(name: str) -> AnyResponse:
    """Restore a snapshot."""
    point = UndoPoint(None)

    def do(_fields: Fields) -> Done:
        nonlocal point
        restored = _snapshots().restore(name)
        point = restored.undo
        found = restored.snapshot
        said = f"undone: {found.action}" if _text(request.form, "undo") and found.action else f"restored {found.name}"
        return said, {"snapshot": asdict(found), "undo": asdict(point)}

    to = _text(request.form, "to")
    safe = to.startswith("/") and not to.startswith(("//", "/\\")) and "?" not in to
    return _done(do, to if safe else None, lambda: point)


@blueprint.get("/snapshots/<name>/delete")
def ask_delete(name: str) -> Response:
    """The confirmation page for deleting a snapshot."""
    with _refusals():
        return page("snapshots/delete", snapshot=_snapshots().get(name))


@blueprint.post("/snapshots/<name>/delete")
@blueprint.post("/snapshots/<name>/delete.json")
def delete(name: str) -> AnyResponse:
    """Delete a snapshot."""

    def do(_fields: Fields) -> Done:
        _snapshots().delete(name)
        return f"deleted the snapshot {name}", {"deleted": name}

    return _done(do)


@blueprint.get("/snapshots/~compare")
def compare() -> Response:
    """The differences between two snapshots, or between one and now."""
    left, right = request.args.get("left", NOW), request.args.get("right", NOW)
    error, comparison, events = None, None, None
    try:
        with _refusals():
            comparison, events = _snapshots().compare(left, right), _snapshots().compare_events(left, right)
    except BrokerError as refusal:
        error = refusal.detail
    return page(
        "snapshots/compare",
        ALL if NOW in (left, right) else LIVE,
        404 if error else 200,
        names=[one.name for one in _snapshots().list()],
        left=left,
        right=right,
        comparison=comparison,
        events=events,
        names_compared=(left, right),
        rows=ROWS,
        error=error,
    )


@blueprint.get("/snapshots/~compare.json")
def compare_json() -> Response:
    """The differences as JSON."""
    with _refusals():
        names = request.args.get("left", NOW), request.args.get("right", NOW)
        found, events = _snapshots().compare(*names), _snapshots().compare_events(*names)
    shown = [
        {
            "change": one.change,
            "left": None if one.left is None else event_json(one.left),
            "right": None if one.right is None else event_json(one.right),
        }
        for one in events.events
    ]
    told = {"events": shown, "events_complete": events.complete}
    return data({"as_of_ms": overview().as_of_ms, "same": found.same, **asdict(found), **told})


@blueprint.get("/snapshots/~compare.csv")
def compare_csv() -> Response:
    """The differences as CSV."""
    with _refusals():
        found = _snapshots().compare(request.args.get("left", NOW), request.args.get("right", NOW))
    return csv_file("comparison.csv", ("what", "name", "partition", "left", "right"), list(_rows(found)))


def _rows(found: Comparison) -> Iterator[tuple[object, ...]]:
    for one in found.partitions:
        ends = [side and f"{side.start} to {side.end}" for side in (one.left, one.right)]
        yield "other events" if one.other_events else "offsets", one.topic, one.partition, *ends
    for offset in found.offsets:
        yield "committed", f"{offset.group}: {offset.topic}", offset.partition, offset.left, offset.right
    for setting in found.settings:
        yield "setting", f"{setting.kind} {setting.resource}: {setting.name}", None, setting.left, setting.right


@blueprint.post("/snapshots/<name>/fork")
@blueprint.post("/snapshots/<name>/fork.json")
def fork(name: str) -> AnyResponse:
    """Open a copy of a snapshot, or of the current file, in its own process."""

    def do(_fields: Fields) -> Done:
        made = _snapshots().fork(name)
        return f"{name} is open beside, at {made.web}", {"fork": asdict(made)}

    return _done(do)


@blueprint.post("/snapshots/~forks/<int:id>/stop")
@blueprint.post("/snapshots/~forks/<int:id>/stop.json")
def stop_fork(id: int) -> AnyResponse:
    """Stop a fork, and optionally delete its file."""

    def do(fields: Fields) -> Done:
        removed = bool(fields.get("delete"))
        ended = _snapshots().stop_fork(id, delete=removed)
        rest = "and deleted its file" if removed else f"its file stays: {ended.file}"
        return f"stopped the fork of {ended.source}, {rest}", {"fork": asdict(ended)}

    return _done(do)
