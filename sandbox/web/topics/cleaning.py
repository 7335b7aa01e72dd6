"""Operations that remove events from a topic, each with a preview of the loss: empty it, delete records, compact,
apply retention, delete the topic.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.model.logs import CompactionPreview, Loss
from sandbox.model.topics import TopicDescription
from sandbox.snapshots.description import UndoPoint
from sandbox.web import formats as words
from sandbox.web.capabilities import why_not
from sandbox.web.json_shapes import loss_json
from sandbox.web.notices import Notice
from sandbox.web.responses import backend, capabilities, data, page, see, typed_ms, undo_point, wanted_format
from sandbox.web.topics.setting_words import setting_rows
from sandbox.web.topics.views import whole_number

blueprint = Blueprint("topics_cleaning", __name__)

ROWS = 50
GROUPS_MAX = 20
EVERY = "all"
OPERATIONS = {
    "empty": "Empty",
    "delete-records": "Delete records of",
    "compact": "Compact",
    "retention": "Apply retention to",
}
"""Each operation, with the words before the topic's name."""
FEATURES = {
    "empty": "delete_records",
    "delete-records": "delete_records",
    "compact": "compact_now",
    "retention": "apply_retention_now",
}
"""The feature that each operation needs, by its name in `Capabilities`."""
NAMES = ", ".join(OPERATIONS)


@dataclass(frozen=True, slots=True)
class Unread:
    """The number of removed events that a group hasn't read."""

    group: str
    events: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The effect of an operation.

    Attributes:
        losses: the partitions that lose events.
        events: the total number of removed events.
        exact: False if `events` is an upper limit.
        unread: the groups that haven't read all removed events.
        compaction: only for "compact".
        refused: Kafka's reason if the operation is refused, else None.
        fields: the fields that the confirmation form must repeat.
    """

    losses: tuple[Loss, ...] = ()
    events: int = 0
    exact: bool = True
    unread: tuple[Unread, ...] = ()
    compaction: CompactionPreview | None = None
    refused: str | None = None
    asked: bool = True
    fields: tuple[tuple[str, str], ...] = ()


def _check(do: str) -> None:
    if do not in OPERATIONS:
        raise BrokerError("INVALID_REQUEST", f"{do!r} is not one of {NAMES}.")
    reason = why_not(FEATURES[do])
    if reason:
        raise BrokerError("UNSUPPORTED_VERSION", reason)


def _field(fields: Mapping[str, Any], name: str) -> str:
    """Return a field of a form or of a program's JSON, "" if it is missing. A program may send 0 as a number."""
    value = fields.get(name)
    return "" if value is None else str(value).strip()


def _offsets(topic: TopicDescription, fields: Mapping[str, Any]) -> dict[int, int]:
    """Return partition to the offset below which the form deletes events."""
    partition = _field(fields, "partition") or EVERY
    numbers = [one.partition for one in topic.partitions]
    if partition != EVERY:
        number = whole_number("The partition", partition)
        if number not in numbers:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"{topic.topic} has no partition {number}.")
        numbers = [number]
    time, offset = _field(fields, "time"), _field(fields, "offset")
    if bool(time) == bool(offset):
        raise BrokerError("INVALID_REQUEST", "Say either an offset or a time before which records go.")
    if time:
        at = backend().logs.offsets_at(topic.topic, typed_ms(time))
        return {number: at[number] for number in numbers}
    before = whole_number("The offset", offset)
    if before < 0:
        raise BrokerError("OFFSET_OUT_OF_RANGE", f"An offset is 0 or more, not {before}.")
    # An offset beyond a log's end means its end: one number can't match several partitions.
    return {one.partition: min(before, one.end) for one in topic.partitions if one.partition in numbers}


def _wanted(topic: TopicDescription, do: str, fields: Mapping[str, Any]) -> dict[int, int]:
    return {one.partition: -1 for one in topic.partitions} if do == "empty" else _offsets(topic, fields)


def _preview(topic: TopicDescription, do: str, fields: Mapping[str, Any]) -> Preview:
    kept = tuple((name, value) for name in ("partition", "offset", "time") if (value := _field(fields, name)))
    asked = do != "delete-records" or any(name != "partition" for name, _ in kept)
    logs = backend().logs
    try:
        if do == "compact":
            found = logs.preview_compaction(topic.topic)
            return Preview(compaction=found, events=found.obsolete, exact=False)
        if do == "retention":
            losses = logs.preview_retention(topic.topic)
        else:
            # Checks before the form is filled in whether records may be deleted at all.
            losses = logs.preview_delete(topic.topic, _wanted(topic, do, fields) if asked else {0: 0})
    except BrokerError as error:
        return Preview(refused=error.detail, asked=asked, fields=kept)
    losing = tuple(loss for loss in losses if loss.events)
    return Preview(
        losing,
        sum(loss.events for loss in losing),
        all(loss.exact and not loss.more for loss in losing),
        _unread(topic, losing),
        asked=asked,
        fields=kept,
    )


def _unread(topic: TopicDescription, losses: tuple[Loss, ...]) -> tuple[Unread, ...]:
    """Return the groups that haven't read all removed events, those with most unread events first."""
    after = {loss.partition: loss for loss in losses}
    found = []
    for group in backend().groups() if losses and topic.groups else ():
        events = sum(
            max(0, after[one.partition].after - max(one.committed, after[one.partition].start))
            for one in group.partitions
            if one.topic == topic.topic and one.partition in after and one.committed is not None
        )
        if events:
            found.append(Unread(group.group, events))
    return tuple(sorted(found, key=lambda one: (-one.events, one.group))[:GROUPS_MAX])


def undo_words() -> str:
    """State in a sentence whether the coming action can be undone."""
    if not capabilities().snapshots:
        return "It cannot be undone: there are no snapshots here."
    return backend().snapshots.automatic_refusal() or "A snapshot is taken first, so it can be undone."


@blueprint.get("/topics/<topic>/clean/<do>")
def ask(topic: str, do: str) -> Response:
    """The preview of an operation, and the button that starts it."""
    as_data = do.endswith(".json") or wanted_format() == "json"
    do = do.removesuffix(".json")
    _check(do)
    found = backend().topic(topic)
    preview = _preview(found, do, request.args)
    if as_data:
        return data(_preview_json(topic, do, preview))
    return page(
        "topics/clean",
        topic=found,
        do=do,
        verb=OPERATIONS[do],
        preview=preview,
        undo_words=undo_words(),
        rows=ROWS,
        form=request.args,
        settings={row.setting.name: row for row in setting_rows(found.settings, backend().logs.default_settings())},
    )


def _preview_json(topic: str, do: str, preview: Preview) -> dict[str, Any]:
    if preview.refused is not None:
        raise BrokerError("INVALID_REQUEST", preview.refused)
    found: dict[str, Any] = {
        "topic": topic,
        "operation": do,
        "events": preview.events,
        "exact": preview.exact,
        "partitions": [loss_json(loss) for loss in preview.losses],
        "unread": {one.group: one.events for one in preview.unread},
    }
    if preview.compaction is not None:
        found |= {
            "dirty": preview.compaction.dirty,
            "sampled": preview.compaction.sampled,
            "keys": preview.compaction.keys,
        }
    return found


def _do(topic: TopicDescription, do: str, fields: Mapping[str, Any]) -> int:
    """Run the operation, and return the number of removed events."""
    logs = backend().logs
    if do == "compact":
        return logs.compact(topic.topic)
    if do == "retention":
        logs.apply_retention(topic.topic)
    else:
        logs.delete_records(topic.topic, _wanted(topic, do, fields))
    return max(0, topic.events - backend().topic(topic.topic).events)


@blueprint.post("/topics/<topic>/clean/<do>")
def clean(topic: str, do: str) -> AnyResponse:
    """Run the operation."""
    if do.endswith(".json"):
        return _clean_json(topic, do.removesuffix(".json"))
    _check(do)
    found = backend().topic(topic)
    preview = _preview(found, do, request.form)
    if preview.refused is not None or not preview.asked:
        return see(f"/topics/{topic}/clean/{do}", None, **dict(preview.fields))
    point = _undo_point(topic, do, preview)
    gone = _do(found, do, request.form)
    return see(f"/topics/{topic}", Notice(_said(do, gone), undo=point.name, no_undo=point.skipped))


def _undo_point(topic: str, do: str, preview: Preview) -> UndoPoint:
    """Take an automatic snapshot, unless nothing will be deleted: it would replace an older one that is of use."""
    if preview.exact and not preview.events:
        return UndoPoint(None)
    return undo_point(f"{OPERATIONS[do].lower()} {topic}")


def _clean_json(topic: str, do: str) -> Response:
    fields: Mapping[str, Any] = request.get_json(silent=True) or request.form
    if not isinstance(fields, Mapping):
        raise BrokerError("INVALID_REQUEST", "The body must be a JSON object.")
    _check(do)
    found = backend().topic(topic)
    preview = _preview(found, do, fields)
    if preview.refused is not None:
        raise BrokerError("INVALID_REQUEST", preview.refused)
    point = _undo_point(topic, do, preview)
    gone = _do(found, do, fields)
    return data({"topic": topic, "operation": do, "events": gone, "message": _said(do, gone), "undo": point.name})


def _said(do: str, gone: int) -> str:
    events = words.plural(gone, "event")
    if do == "compact":
        return f"{events} went, whose key has a later one" if gone else "there was nothing to compact"
    if do == "retention":
        return f"{events} were too old or too many, and are gone" if gone else "nothing is too old or too much"
    return f"{events} are gone" if gone else "there was nothing to delete"


@blueprint.get("/topics/<topic>/delete")
def ask_delete(topic: str) -> Response:
    """The confirmation page for deleting a topic."""
    return page("topics/delete", topic=backend().topic(topic), undo_words=undo_words())


@blueprint.post("/topics/<topic>/delete")
def delete(topic: str) -> AnyResponse:
    """Delete a topic."""
    events = words.plural(backend().topic(topic).events, "event")
    point = undo_point(f"delete topic {topic}")
    backend().delete_topic(topic)
    return see("/", Notice(f"{topic} with {events} is deleted", undo=point.name, no_undo=point.skipped))
