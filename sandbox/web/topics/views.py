"""The pages of topics: the list, one topic, and a new topic. `settings`, `cleaning` and `selected` change topics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.model.groups import GroupSummary
from sandbox.model.logs import KeySample
from sandbox.model.topics import PartitionDescription, TopicDescription
from sandbox.web.json_shapes import key_sample_json, one_topic_json, partition_json, rate_json, topic_json
from sandbox.web.responses import (
    Interest,
    backend,
    capabilities,
    csv_file,
    data,
    is_live,
    is_topic,
    overview,
    page,
    see,
    split_format,
)
from sandbox.web.topics.deserializers import chosen_in
from sandbox.web.topics.listing import sparks, topic_list
from sandbox.web.topics.setting_words import TOPIC_FORM_SETTINGS, parse_setting

blueprint = Blueprint("topics", __name__)

PARTITION_ROWS = 200
PARTITION_COLUMNS = (
    "partition",
    "log_start_offset",
    "log_end_offset",
    "events",
    "size_bytes",
    "last_timestamp_ms",
    "last_append_ms",
    "leader",
)
TICKS_MAX = 24
"""The maximum number of groups whose commits are drawn in one bar."""
TICK_WIDTH = 0.5
NEW_TOPIC_PARTITIONS = "3"
HOT_EVENTS = 100
"""Nothing is called hot with fewer events: a few events of one key don't matter."""
HOT_KEY = 0.3
"""A key is called hot from this share of a sample, if it also has far more than its even share."""
HOT_TIMES = 2.0
"""A key or a partition is called hot from this multiple of its even share."""


@dataclass(frozen=True, slots=True)
class PartitionBar:
    """The bar of one partition: from log start to end, with a tick per group at its committed offset.

    Attributes:
        left, width: in percent of the whole bar.
        ticks: (left end, group, committed offset), the most lag first.
        share: percentage of the topic's events.
        out: replicas that are not in sync.
    """

    partition: PartitionDescription
    left: float
    width: float
    ticks: tuple[tuple[float, str, int], ...]
    share: float
    out: tuple[int, ...]


@blueprint.get("/")
@blueprint.get("/topics")
def index() -> Response:
    """The list of topics, or the first steps if there is none."""
    return page("topics/index", Interest(None, None, 2, schemas=True), **topic_list(request.args))


@blueprint.get("/topics.json")
def index_json() -> Response:
    """All topics as JSON."""
    found = backend().topics()
    types = backend().schema_types([topic.topic for topic in found])
    listed = [topic_json(topic) | {"schema_types": types.get(topic.topic, [])} for topic in found]
    return data({"as_of_ms": overview().as_of_ms, "topics": listed})


@blueprint.get("/topics.csv")
def index_csv() -> Response:
    """All topics as CSV."""
    columns = (
        "topic",
        "partitions",
        "events",
        "size_bytes",
        "log_start_offset",
        "log_end_offset",
        "last_append_ms",
        "groups",
        "offsets",
    )
    rows = []
    for topic in backend().topics():
        row = topic_json(topic)
        rows.append([row[column] for column in columns])
    return csv_file("topics.csv", columns, rows)


@blueprint.get("/topics/~new")
def new() -> Response:
    """The form of a new topic."""
    return _new_topic_page(request.args, None)


def _new_topic_page(form: Mapping[str, str], error: BrokerError | None, status: int = 200) -> Response:
    return page(
        "topics/new",
        status=status,
        form=form,
        error=error,
        brokers=len(backend().brokers.list()),
        partitions=form.get("partitions") or NEW_TOPIC_PARTITIONS,
    )


@blueprint.post("/topics")
def create() -> AnyResponse:
    """Create a topic."""
    name = request.form.get("topic", "").strip()
    try:
        settings = _form_settings()
        partitions = whole_number("partitions", request.form.get("partitions", "") or "1")
        replicas = request.form.get("replication_factor", "").strip()
        factor = whole_number("The replication factor", replicas) if replicas else None
        if not name:
            raise BrokerError("INVALID_TOPIC_EXCEPTION", "A topic needs a name: letters, digits, '.', '_' and '-'.")
        backend().create_topic(name, partitions=partitions, settings=settings, replication_factor=factor)
    except BrokerError as error:
        return _new_topic_page(request.form, error, 400)
    return see(f"/topics/{name}")


def _form_settings() -> dict[str, str]:
    settings = {
        setting: value.strip() for setting in TOPIC_FORM_SETTINGS if (value := request.form.get(setting, "")).strip()
    }
    for line in request.form.get("settings", "").splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not equals or not name or not value:
            raise BrokerError("INVALID_CONFIG", f"{line.strip()!r} is not name=value: one setting a line.")
        settings[name] = value
    return {name: parse_setting(name, value) for name, value in settings.items()}


def whole_number(name: str, text: str) -> int:
    """Parse a whole number.

    Raises:
        BrokerError: INVALID_REQUEST, naming the field.
    """
    try:
        return int(text)
    except ValueError:
        raise BrokerError("INVALID_REQUEST", f"{name} must be a whole number, not {text!r}.") from None


@blueprint.get("/topics/<topic>")
def one(topic: str) -> Response:
    """One topic, as HTML or as data (`.json`, `.csv`, `?format=`)."""
    topic, ending = split_format(topic, is_topic)
    found = backend().topic(topic)
    if ending == "json":
        return data(one_topic_json(found, overview().as_of_ms) | _more_json(topic))
    if ending == "csv":
        rows = [partition_json(partition) for partition in found.partitions]
        return csv_file(f"{topic}.csv", PARTITION_COLUMNS, [[row[name] for name in PARTITION_COLUMNS] for row in rows])
    groups = [group for group in backend().group_summaries() if topic in group.topics] if found.groups else []
    first = max(0, min(request.args.get("page", 1, type=int) - 1, (len(found.partitions) - 1) // PARTITION_ROWS))
    live = is_live()
    no_keys = live or not capabilities().sample_keys
    logs = backend().logs
    return page(
        "topics/one",
        Interest(frozenset((topic,)), frozenset(group.group for group in groups), 3),
        topic=found,
        bars=_bars(found, groups, first * PARTITION_ROWS),
        first=first * PARTITION_ROWS,
        rows=PARTITION_ROWS,
        hot=_hot_partition(found),
        spark=sparks([topic]).get(topic),
        groups=groups,
        brokers=len({broker for one in found.partitions for broker in one.replicas}),
        keys=_keys(logs.sample_keys(topic), len(found.partitions)) if found.events and not no_keys else None,
        sampled_ms=overview().as_of_ms,
        chosen={} if live else chosen_in(topic),
    )


def _more_json(topic: str) -> dict[str, Any]:
    """Return the parts of the topic's page besides its partitions."""
    more: dict[str, Any] = {}
    if capabilities().append_rates:
        more["rate"] = rate_json(backend().logs.rates([topic])[topic])
    if capabilities().sample_keys:
        more["keys"] = key_sample_json(backend().logs.sample_keys(topic))
    return more


@dataclass(frozen=True, slots=True)
class Keys:
    """A sample of keys, and the hot keys in it.

    Attributes:
        hot: the key of a large share of the events, None if there is none.
        hot_partitions: the number of partitions that contain it.
        spread: the most frequent key that is in several partitions, None if there is none.
    """

    sample: KeySample
    hot: bytes | None
    hot_share: float
    hot_partitions: int
    spread: bytes | None


def _keys(sample: KeySample, partitions: int) -> Keys:
    first = next((one for one in sample.top if one.key is not None), None)
    share = first.events / sample.events if first is not None and sample.events else 0.0
    limit = max(HOT_KEY, _far_more(sample.keys))
    warn = partitions > 1 and sample.events >= HOT_EVENTS and sample.keys > 1
    hot = first.key if first is not None and warn and share >= limit else None
    spread = next((one.key for one in sample.top if one.key is not None and len(one.partitions) > 1), None)
    return Keys(sample, hot, 100 * share, len(first.partitions) if first is not None else 0, spread)


def _hot_partition(topic: TopicDescription) -> tuple[int, float] | None:
    """Return the partition with far more than its even share, and its share in percent; None if there is none."""
    if len(topic.partitions) < 2 or topic.events < HOT_EVENTS:
        return None
    most = max(topic.partitions, key=lambda one: one.events)
    share = most.events / topic.events
    return (most.partition, 100 * share) if share >= _far_more(len(topic.partitions)) else None


def _far_more(parts: int) -> float:
    """Return the share from which one of `parts` parts has far more than its even share."""
    even = 1 / max(1, parts)
    return min(HOT_TIMES * even, (1 + even) / 2)


def _bars(topic: TopicDescription, groups: list[GroupSummary], first: int) -> list[PartitionBar]:
    most = max((partition.end for partition in topic.partitions), default=0) or 1
    known = backend().survey.committed(topic.topic) if groups else {}
    commits: dict[int, list[tuple[int, str]]] = {}
    for group in groups:
        for partition, committed in known.get(group.group, {}).items():
            commits.setdefault(partition, []).append((committed, group.group))
    bars = []
    for one in topic.partitions[first : first + PARTITION_ROWS]:
        ticks = tuple(
            (round(min(max(100 * committed / most - TICK_WIDTH / 2, 0), 100 - TICK_WIDTH), 3), group, committed)
            for committed, group in sorted(commits.get(one.partition, ()))[:TICKS_MAX]
        )
        left = 100 * one.start / most
        share = 100 * one.events / topic.events if topic.events else 0.0
        out = tuple(broker for broker in one.replicas if broker not in one.isr)
        bars.append(PartitionBar(one, left, 100 * one.end / most - left, ticks, share, out))
    return bars
