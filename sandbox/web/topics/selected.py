"""Exports, empties or deletes several topics at once, with a preview of what is lost."""

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from flask import Blueprint, Response, request, send_file
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.jsonl import to_line, topic_line
from sandbox.model.messages import MessageQuery
from sandbox.model.topics import TopicDescription
from sandbox.web import formats as words
from sandbox.web.capabilities import changes_nothing, why_not
from sandbox.web.notices import Notice
from sandbox.web.responses import backend, page, see, undo_point
from sandbox.web.topics.cleaning import undo_words

blueprint = Blueprint("topics_selected", __name__)

TOPICS_MAX = 1_000
EXPORT_EVENTS_MAX = 200_000
"""The maximum number of events of one export. `sandbox export` has no limit."""
IN_MEMORY_BYTES = 8 * 1024 * 1024
"""A larger archive is built in a temporary file."""
BATCH = 1_000
ACTIONS = {"export": "Export", "empty": "Empty", "delete": "Delete"}
FEATURES = {"empty": "delete_records"}
DETAIL_MAX = 3
"""How many refused topics a message names."""


@dataclass(frozen=True, slots=True)
class Selected:
    """One of the selected topics.

    Attributes:
        refused: why the action leaves it as it is; None if it does not.
    """

    topic: TopicDescription
    refused: str | None


def _selected(action: str) -> tuple[Selected, ...]:
    """Return the topics of the form, by name.

    Raises:
        BrokerError: INVALID_REQUEST without topics, or UNKNOWN_TOPIC_OR_PARTITION if one does not exist.
    """
    if action not in ACTIONS:
        raise BrokerError("INVALID_REQUEST", f"{action!r} is not one of {', '.join(ACTIONS)}.")
    if reason := why_not(FEATURES[action]) if action in FEATURES else None:
        raise BrokerError("UNSUPPORTED_VERSION", reason)
    names = sorted(set(request.form.getlist("topic")))
    if not names:
        raise BrokerError("INVALID_REQUEST", "Select topics in the list first: tick the boxes before their names.")
    if len(names) > TOPICS_MAX:
        raise BrokerError("INVALID_REQUEST", f"At most {TOPICS_MAX} topics are taken at once.")
    known = {topic.topic: topic for topic in backend().topics()}
    found = [known.get(name) or backend().topic(name) for name in names]
    return tuple(Selected(topic, _refused(topic) if action == "empty" else None) for topic in found)


def _refused(topic: TopicDescription) -> str | None:
    """Return Kafka's reason for refusing to delete records of a topic; None if it does not refuse."""
    try:
        backend().logs.preview_delete(topic.topic, {one.partition: -1 for one in topic.partitions})
    except BrokerError as error:
        return error.detail
    return None


@blueprint.get("/topics/~selected")
def without_selection() -> AnyResponse:
    """The list: a selection is sent by its form."""
    return see("/topics")


@blueprint.post("/topics/~selected")
@changes_nothing
def ask() -> AnyResponse:
    """Export the selected topics, or show what emptying or deleting them loses."""
    action = request.form.get("do", "")
    found = _selected(action)
    if action == "export":
        return _export([one.topic for one in found])
    taken = [one.topic for one in found if one.refused is None]
    return page(
        "topics/selected",
        action=action,
        verb=ACTIONS[action],
        found=found,
        taken=taken,
        events=sum(topic.events for topic in taken),
        groups=sorted({group for topic in taken for group in topic.groups}),
        undo_words=undo_words(),
    )


@blueprint.post("/topics/~selected/do")
def do() -> AnyResponse:
    """Empty or delete the selected topics, after one automatic snapshot."""
    action = request.form.get("do", "")
    if action == "export":
        raise BrokerError("INVALID_REQUEST", "An export changes nothing, and needs no confirmation.")
    topics = [one.topic for one in _selected(action) if one.refused is None]
    if not topics:
        return see("/topics", Notice(refused="None of the selected topics can be emptied."))
    point = undo_point(f"{ACTIONS[action].lower()} {words.plural(len(topics), 'topic')}")
    failed: list[str] = []
    done: list[TopicDescription] = []
    for topic in topics:
        try:
            if action == "delete":
                backend().delete_topic(topic.topic)
            else:
                backend().logs.delete_records(topic.topic, {one.partition: -1 for one in topic.partitions})
            done.append(topic)
        except BrokerError as error:
            failed.append(f"{topic.topic}: {error.detail}")
    events = words.plural(sum(topic.events for topic in done), "event")
    said = f"{words.plural(len(done), 'topic')} with {events} {'is' if len(done) == 1 else 'are'} "
    said += "deleted" if action == "delete" else "emptied"
    if failed:
        said += f"; {len(failed)} failed: " + "; ".join(failed[:DETAIL_MAX])
    return see("/topics", Notice(said, undo=point.name, no_undo=point.skipped))


def _export(topics: Sequence[TopicDescription]) -> Response:
    """Answer with a zip archive of one file per topic, as `sandbox export` writes it."""
    events = sum(topic.events for topic in topics)
    if events > EXPORT_EVENTS_MAX:
        raise BrokerError(
            "INVALID_REQUEST",
            f"These topics hold {events:,} events, and the page exports {EXPORT_EVENTS_MAX:,} at most. Export them one "
            f"by one: sandbox export {topics[0].topic} -o {topics[0].topic}.jsonl",
        )
    file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 (send_file closes it)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for topic in topics:
            with archive.open(f"{topic.topic}.jsonl", "w", force_zip64=True) as lines:
                for line in _lines(topic):
                    lines.write(line.encode() + b"\n")
    file.seek(0)
    name = f"{topics[0].topic}.zip" if len(topics) == 1 else f"{len(topics)}-topics.zip"
    answer = send_file(file, "application/zip", as_attachment=True, download_name=name)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _lines(topic: TopicDescription) -> Iterator[str]:
    count, settings = len(topic.partitions), dict(topic.settings)
    first = True
    for event in _events(topic.topic):
        yield to_line(event, count, settings if first else None)
        first = False
    if first:
        yield topic_line(topic.topic, count, settings)


def _events(topic: str) -> Iterator[Event]:
    """Yield what a read_committed consumer gets, by partition and offset."""
    cursor: str | None = None
    while True:
        found = backend().messages(MessageQuery(topic, order="offset", limit=BATCH, cursor=cursor))
        yield from (one for one in found.events if not (one.control or one.aborted or one.pending))
        cursor = found.next
        if cursor is None:
            return
