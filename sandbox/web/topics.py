"""Topics: the list, one topic, and what is done to one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.description import GroupDescription, PartitionDescription, TopicDescription
from sandbox.errors import BrokerError
from sandbox.topic_settings import TOPIC_SETTINGS
from sandbox.web import words
from sandbox.web.page import Interest, backend, csv_file, data, overview, page, see, split_format
from sandbox.web.shapes import one_topic_json, topic_json

blueprint = Blueprint("topics", __name__)

ROWS = 100
SORTS: dict[str, Callable[[TopicDescription], Any]] = {
    "name": lambda topic: topic.topic,
    "events": lambda topic: -topic.events,
    "size": lambda topic: -topic.size_bytes,
    "last": lambda topic: -(topic.last_append_ms or 0),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One partition drawn: from the log start to the end, with a tick where each group has committed.

    Attributes:
        left, width: of the whole bar's 100.
        ticks: (place, group, committed offset).
    """

    partition: PartitionDescription
    left: float
    width: float
    ticks: tuple[tuple[float, str, int], ...]
    share: float


@blueprint.get("/")
@blueprint.get("/topics")
def index() -> Response:
    """The topics, or what to do first."""
    found = backend().topics()
    wanted = request.args.get("q", "").strip().lower()
    listed = [topic for topic in found if wanted in topic.topic.lower()]
    sort = request.args.get("sort", "name")
    listed.sort(key=SORTS.get(sort, SORTS["name"]))
    first = max(0, min(request.args.get("page", 1, type=int) - 1, (len(listed) - 1) // ROWS)) * ROWS
    return page(
        "topics/index",
        Interest(None, None, 2),
        topics=listed[first : first + ROWS],
        found=len(listed),
        total=len(found),
        events=sum(topic.events for topic in found),
        first=first,
        rows=ROWS,
        wanted=wanted,
        sort=sort if sort in SORTS else "name",
        groups={group.group: group for group in backend().groups()},
    )


@blueprint.get("/topics.json")
def index_json() -> Response:
    """The topics as data."""
    return data({"as_of": overview().as_of_ms, "topics": [topic_json(topic) for topic in backend().topics()]})


@blueprint.get("/topics.csv")
def index_csv() -> Response:
    """The topics as a table."""
    columns = ("name", "partitions", "events", "size_bytes", "start", "end", "last_append_ms", "groups")
    rows = []
    for topic in backend().topics():
        row = topic_json(topic) | {"groups": " ".join(topic.groups)}
        rows.append([row[column] for column in columns])
    return csv_file("topics.csv", columns, rows)


@blueprint.get("/topics/new")
def new() -> Response:
    """The form of a new topic."""
    return page("topics/new", form=request.args, error=None)


@blueprint.post("/topics")
def create() -> AnyResponse:
    """Create a topic."""
    name = request.form.get("topic", "").strip()
    settings = {
        setting: value.strip()
        for setting in ("cleanup.policy", "retention.ms")
        if (value := request.form.get(setting, "")).strip()
    }
    try:
        partitions = _whole_number("partitions", request.form.get("partitions", "") or "1")
        if not name:
            raise BrokerError("INVALID_TOPIC_EXCEPTION", "A topic needs a name: letters, digits, '.', '_' and '-'.")
        backend().create_topic(name, partitions=partitions, settings=settings)
    except BrokerError as error:
        return page("topics/new", status=400, form=request.form, error=error)
    return see(f"/topics/{name}")


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BrokerError("INVALID_REQUEST", f"{name} must be a whole number, not {text!r}.") from None


@blueprint.get("/topics/<topic>")
def one(topic: str) -> Response:
    """One topic, in HTML or (`.json`) as data."""
    if topic.endswith((".json", ".csv")):
        topic, ending = split_format(topic, [found.topic for found in backend().topics()])
        if ending == "json":
            return data(one_topic_json(backend().topic(topic), overview().as_of_ms))
    found = backend().topic(topic)
    groups = [group for group in backend().groups() if topic in group.topics]
    return page(
        "topics/one",
        Interest(frozenset((topic,)), frozenset(group.group for group in groups), 5),
        topic=found,
        bars=_bars(found, groups),
        groups=groups,
        settings=TOPIC_SETTINGS,
        error=request.args.get("error"),
        said=request.args.get("said"),
    )


def _bars(topic: TopicDescription, groups: list[GroupDescription]) -> list[Bar]:
    most = max((partition.end for partition in topic.partitions), default=0) or 1
    bars = []
    for partition in topic.partitions:
        ticks = tuple(
            (100 * lag.committed / most, group.group, lag.committed)
            for group in groups
            for lag in group.partitions
            if (lag.topic, lag.partition) == (topic.topic, partition.partition) and lag.committed is not None
        )
        left = 100 * partition.start / most
        share = 100 * partition.events / topic.events if topic.events else 0.0
        bars.append(Bar(partition, left, 100 * partition.end / most - left, ticks, share))
    return bars


@blueprint.post("/topics/<topic>/settings")
def alter(topic: str) -> AnyResponse:
    """Change one setting; an empty value takes it back to its default."""
    name = request.form.get("name", "")
    value = request.form.get("value", "").strip()
    try:
        backend().alter_topic(topic, {name: value or None})
    except BrokerError as error:
        return see(f"/topics/{topic}", error=error.detail)
    return see(f"/topics/{topic}", said=f"{name} is {value}" if value else f"{name} has its default again")


@blueprint.post("/topics/<topic>/partitions")
def add_partitions(topic: str) -> AnyResponse:
    """Add partitions."""
    try:
        count = _whole_number("The number of partitions", request.form.get("count", ""))
        backend().create_partitions(topic, count)
    except BrokerError as error:
        return see(f"/topics/{topic}", error=error.detail)
    return see(f"/topics/{topic}", said=f"the topic has {words.plural(count, 'partition')} now")


@blueprint.get("/topics/<topic>/delete")
def ask_delete(topic: str) -> Response:
    """What would be lost."""
    return page("topics/delete", topic=backend().topic(topic))


@blueprint.post("/topics/<topic>/delete")
def delete(topic: str) -> AnyResponse:
    """Delete it."""
    backend().delete_topic(topic)
    return see("/")
