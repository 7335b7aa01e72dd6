"""Changes to a topic that don't delete events directly: its settings and its number of partitions."""

from dataclasses import asdict, dataclass

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.kafka.partitioner import PARTITIONERS
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.model.logs import Loss
from sandbox.snapshots.description import UndoPoint
from sandbox.web import formats as words
from sandbox.web.notices import Notice
from sandbox.web.produce.form import CLIENTS, lies_in
from sandbox.web.responses import backend, capabilities, data, page, see, undo_point
from sandbox.web.topics.cleaning import undo_words
from sandbox.web.topics.setting_words import LABELS, SettingRow, in_words, parse_setting, setting_rows
from sandbox.web.topics.views import whole_number

blueprint = Blueprint("topics_settings", __name__)

TAKING = ("cleanup.policy", "retention.ms", "retention.bytes")
"""The settings whose change can make retention delete events."""


@blueprint.get("/topics/<topic>/settings")
def preview_setting(topic: str) -> AnyResponse:
    """All settings, compared with another topic's (`?with=`), or the preview of changing one of them."""
    name = request.args.get("name", "")
    if not name:
        return _all_settings(topic)
    value = parse_setting(name, request.args.get("value", "")) or None
    found = backend().topic(topic)
    if name not in {setting.name for setting in TOPIC_SETTINGS}:
        return see(f"/topics/{topic}/settings")
    try:
        losses = _more_lost(topic, name, value)
    except BrokerError as error:
        # Kafka's text contains the value without quotes, and this one comes from an address.
        detail = error.detail.replace(value, shown_name(value)) if value else error.detail
        return see(f"/topics/{topic}/settings", Notice(refused=detail))
    default = backend().logs.default_settings().get(name, "")
    before = found.settings.get(name)
    return page(
        "topics/setting",
        topic=found,
        setting=name,
        label=LABELS.get(name, name),
        value=value,
        now=before if before is not None else default,
        now_words=in_words(name, before if before is not None else default),
        then=value if value is not None else default,
        then_words=in_words(name, value if value is not None else default),
        losses=losses,
        undo_words=undo_words(),
        lost=sum(loss.events for loss in losses),
    )


def _all_settings(topic: str) -> Response:
    """Show the settings: those that differ from the other topic's first, then the changed ones."""
    found, names = backend().topic(topic), [one.topic for one in backend().topics()]
    defaults = backend().logs.default_settings()
    with_topic = request.args.get("with") or None
    other = backend().topic(with_topic) if with_topic else None
    rows = setting_rows(found.settings, defaults)
    others = {row.setting.name: row for row in setting_rows(other.settings, defaults)} if other is not None else {}

    def differs(row: SettingRow) -> bool:
        return other is not None and others[row.setting.name].value != row.value

    return page(
        "topics/settings",
        topic=found,
        names=[name for name in names if name != topic],
        other=other,
        others=others,
        differing=sum(map(differs, rows)),
        rows=sorted(rows, key=lambda row: (not differs(row), row.own is None)),
        edit=request.args.get("edit"),
    )


def _more_lost(topic: str, name: str, value: str | None) -> list[Loss]:
    """Return what retention would delete with the new value, but not with the current one."""
    if name not in TAKING or not capabilities().apply_retention_now:
        return []
    now = {loss.partition: loss.after for loss in backend().logs.preview_retention(topic)}
    then = backend().logs.preview_retention(topic, {name: value})
    return [loss for loss in then if loss.events and loss.after > now.get(loss.partition, loss.start)]


@blueprint.post("/topics/<topic>/settings")
def alter(topic: str) -> AnyResponse:
    """Change one setting; an empty value restores its default. A change that deletes events must be confirmed first."""
    name = request.form.get("name", "")
    value = parse_setting(name, request.form.get("value", ""))
    point = UndoPoint(None)
    try:
        if _more_lost(topic, name, value or None):
            if not request.form.get("sure"):
                return see(f"/topics/{topic}/settings", name=name, value=value)
            point = undo_point(f"set {name} of {topic}")
        backend().alter_topic(topic, {name: value or None})
    except BrokerError as error:
        return see(f"/topics/{topic}/settings", Notice(refused=error.detail))
    said = f"{name} is {value}" if value else f"{name} has its default again"
    return see(f"/topics/{topic}/settings", Notice(said, undo=point.name, no_undo=point.skipped))


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """The partition of a key according to one partitioner.

    Attributes:
        clients: the clients that use it by default.
        before, after: the partition with the current and with the new number of partitions.
    """

    partitioner: str
    clients: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class KeyLookUp:
    """The partitions of one key.

    Attributes:
        places: one per partitioner.
        lies_in: the partition of its newest event, None if there is none or it can't be found quickly.
    """

    key: str
    places: tuple[KeyPlace, ...]
    lies_in: int | None


def _look_up(topic: str, before: int, after: int) -> KeyLookUp | None:
    """Return the old and new partitions of the key in the query string; None if it is missing or empty."""
    key = request.args.get("key", "")
    if not key:
        return None
    places = []
    for name, clients in CLIENTS.items():
        now, then = (PARTITIONERS[name].partition_for(key.encode(), count) for count in (before, after))
        assert now is not None
        assert then is not None
        places.append(KeyPlace(name, clients, now, then))
    return KeyLookUp(key, tuple(places), lies_in(topic, key.encode()))


@blueprint.get("/topics/<topic>/partitions")
def preview_partitions(topic: str) -> AnyResponse:
    """The preview of adding partitions: where the topic's keys go."""
    try:
        count = whole_number("The number of partitions", request.args.get("count", ""))
        found = backend().topic(topic)
        moves = backend().logs.key_moves(topic, count) if capabilities().sample_keys else None
        if count <= len(found.partitions):
            raise BrokerError("INVALID_PARTITIONS", f"{topic} has {len(found.partitions)} partitions already.")
    except BrokerError as error:
        if error.error.name == "UNKNOWN_TOPIC_OR_PARTITION":
            raise
        return see(f"/topics/{topic}", Notice(refused=error.detail))
    partitioner = PARTITIONERS[moves.partitioner] if moves is not None else None
    look = _look_up(topic, len(found.partitions), count)
    return page("topics/partitions", topic=found, count=count, moves=moves, partitioner=partitioner, look=look)


@blueprint.get("/topics/<topic>/partitions.json")
def preview_partitions_json(topic: str) -> Response:
    """The preview as JSON."""
    count = whole_number("The number of partitions", request.args.get("count", ""))
    moves = backend().logs.key_moves(topic, count)
    look = _look_up(topic, len(backend().topic(topic).partitions), count)
    return data(
        {
            "topic": topic,
            "partitions": count,
            "sampled": moves.events,
            "total": moves.of_events,
            "keys": moves.keys,
            "moved": moves.moved,
            "partitioner": moves.partitioner,
            "key": None if look is None else asdict(look),
        }
    )


@blueprint.post("/topics/<topic>/partitions")
def add_partitions(topic: str) -> AnyResponse:
    """Add partitions to a topic."""
    try:
        count = whole_number("The number of partitions", request.form.get("count", ""))
        backend().create_partitions(topic, count)
    except BrokerError as error:
        return see(f"/topics/{topic}", Notice(refused=error.detail))
    return see(f"/topics/{topic}", Notice(f"the topic has {words.plural(count, 'partition')} now"))
