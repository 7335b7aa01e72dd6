"""Produce: one event from a form, its partition shown before it is sent."""

import json
import re
import threading
from dataclasses import dataclass, field

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from sandbox.description import TopicDescription
from sandbox.errors import BrokerError
from sandbox.event import Event, Headers
from sandbox.web import words
from sandbox.web.json_text import json_error
from sandbox.web.page import backend, by_htmx, data, fragment, overview, page, see
from sandbox.web.payload import describe

blueprint = Blueprint("produce", __name__)

PARTITIONERS = (
    ("murmur2", "murmur2, as the Java clients do"),
    ("consistent_random", "consistent_random, librdkafka's default"),
)
KEY_KINDS = (("text", "text"), ("none", "no key (null)"), ("empty", "empty, 0 bytes"))
VALUE_KINDS = (("json", "JSON"), ("text", "text"), ("empty", "empty, 0 bytes"), ("null", "null: a tombstone"))
MODES = (("key", "the key decides"), ("fixed", "this one"), ("round", "round robin"))
FIRST = {
    "key_kind": "text",
    "key": "user-42",
    "value_kind": "json",
    "value": '{"amount": 12.5, "item": "ham sandwich"}',
    "mode": "key",
    "partition": "0",
    "partitioner": "murmur2",
}
"""What the form holds before anybody wrote in it."""
KEPT_MAX = 2000
"""Characters of a form that are carried in the address, for a browser without scripts."""


@dataclass(slots=True)
class Turns:
    """Whose turn it is in each topic, for round robin."""

    _next: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def peek(self, topic: str, partitions: int) -> int:
        """The partition that is next."""
        return self._next.get(topic, 0) % partitions

    def take(self, topic: str, partitions: int) -> int:
        """The partition that is next, and move on."""
        with self._lock:
            turn = self._next.get(topic, 0) % partitions
            self._next[topic] = turn + 1
            return turn


turns = Turns()


@dataclass(frozen=True, slots=True)
class Choice:
    """Where an event will go, and why.

    Attributes:
        partition: None where it is only known afterwards.
        steps: what leads there, in order: the key, the partitioner.
        why: a sentence.
    """

    partition: int | None
    partitions: int
    steps: tuple[str, ...]
    why: str


def _key(form: MultiDict[str, str]) -> bytes | None:
    kind = form.get("key_kind", "text")
    if kind == "none":
        return None
    return b"" if kind == "empty" else form.get("key", "").encode()


def choose(form: MultiDict[str, str], topic: TopicDescription, *, take: bool = False) -> Choice:
    """Say which partition the form's event goes to: the same answer before sending and when sending.

    Args:
        form: the Produce form.
        topic: where to.
        take: True to use up a turn of round robin.

    Raises:
        BrokerError: the form names a partition or a partitioner that does not exist.
    """
    count, mode, key = len(topic.partitions), form.get("mode", "key"), _key(form)
    if mode == "fixed":
        text = form.get("partition", "").strip()
        if not re.fullmatch(r"\d{1,9}", text) or int(text) >= count:
            raise BrokerError(
                "UNKNOWN_TOPIC_OR_PARTITION",
                f"{topic.topic} has partitions 0 to {count - 1}; {text!r} is none of them.",
            )
        return Choice(int(text), count, ("fixed",), "you chose it")
    if mode == "round":
        turn = (turns.take if take else turns.peek)(topic.topic, count)
        return Choice(turn, count, ("round robin",), "one partition after the other, whatever the key")
    partitioner = form.get("partitioner", "murmur2")
    if partitioner not in dict(PARTITIONERS):
        raise BrokerError("INVALID_REQUEST", f"There is no partitioner called {partitioner!r}.")
    partition = backend().partition_for(topic.topic, key, partitioner)
    shown = "no key" if key is None else "empty key" if key == b"" else json.dumps(_short(key), ensure_ascii=False)
    if partition is None:
        if key is not None:
            return Choice(None, count, (shown, partitioner, "random"), "librdkafka spreads empty keys at random")
        return Choice(None, count, (shown, "sticky"), "no key: a while in one partition, then another")
    return Choice(partition, count, (shown, partitioner), "the same key always goes there")


def _short(key: bytes) -> str:
    payload = describe(key, 40)
    return payload.preview


def _headers(text: str) -> Headers:
    """Read headers, one a line: `name: value`; `name:` is an empty value, `name` alone is a null one."""
    found: list[tuple[str, bytes | None]] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        found.append((name.strip(), value.strip().encode() if colon else None))
    return tuple(found)


def _value(form: MultiDict[str, str]) -> bytes | None:
    kind = form.get("value_kind", "json")
    if kind == "null":
        return None
    if kind == "empty":
        return b""
    # A form carries every line break as CR LF, whatever was typed: in a text area it is one LF.
    text = form.get("value", "").replace("\r\n", "\n")
    if kind == "json":
        error = json_error(text)
        if error is not None:
            hint = "Nothing was typed: choose text, empty or null" if not text.strip() else f"Not JSON: {error}"
            raise BrokerError("INVALID_RECORD", f"{hint}. Nothing was sent.")
    return text.encode()


def _timestamp(form: MultiDict[str, str]) -> int | None:
    text = form.get("timestamp", "").strip()
    if not text:
        return None
    try:
        return words.as_ms(text, overview().as_of_ms)
    except ValueError as error:
        raise BrokerError("INVALID_TIMESTAMP", f"{error}. Nothing was sent.") from None


def send(form: MultiDict[str, str], topic: TopicDescription) -> tuple[Event, Choice]:
    """Store the form's event.

    Raises:
        BrokerError: the form or the event is refused; nothing was stored.
    """
    value, timestamp_ms = _value(form), _timestamp(form)
    headers = _headers(form.get("headers", ""))
    choice = choose(form, topic, take=True)
    event = backend().append(
        topic.topic,
        value,
        key=_key(form),
        headers=headers,
        timestamp_ms=timestamp_ms,
        partition=choice.partition,
    )
    return event, choice


def _form_page(
    topic: TopicDescription | None,
    form: MultiDict[str, str],
    *,
    status: int = 200,
    error: BrokerError | None = None,
) -> Response:
    form = MultiDict(FIRST | form.to_dict())
    names = [found.topic for found in backend().topics()]
    choice: Choice | None = None
    if topic is not None:
        try:
            choice = choose(form, topic)
        except BrokerError:
            choice = None
    return page(
        "produce/index",
        status=status,
        topic=topic,
        names=names,
        form=form,
        choice=choice,
        error=error,
        sent=_sent(form, topic),
        partitioners=PARTITIONERS,
        key_kinds=KEY_KINDS,
        value_kinds=VALUE_KINDS,
        modes=MODES,
        within=request.path.startswith("/topics/"),
    )


def _sent(form: MultiDict[str, str], topic: TopicDescription | None) -> dict[str, object] | None:
    """What the last form gave, after its redirect."""
    place = re.fullmatch(r"(\d{1,9})-(\d{1,18})", form.get("sent", ""))
    if topic is None or place is None:
        return None
    return {"topic": topic.topic, "partition": int(place[1]), "offset": int(place[2])}


@blueprint.get("/produce")
@blueprint.get("/topics/<topic>/produce")
def index(topic: str | None = None) -> Response:
    """The form."""
    names = [found.topic for found in backend().topics()]
    name = topic or request.args.get("topic") or (names[0] if names else None)
    return _form_page(backend().topic(name) if name else None, request.args)


@blueprint.route("/produce/preview", methods=["GET", "POST"])
def preview() -> Response:
    """The partition that the form's event would go to. A key may be longer than an address, hence POST too."""
    form = request.values
    try:
        topic = backend().topic(form.get("topic", ""))
        choice = choose(form, topic)
    except BrokerError as error:
        return fragment("produce/_preview.html", choice=None, error=error.detail)
    return fragment("produce/_preview.html", choice=choice, error=None)


@blueprint.get("/produce/preview.json")
def preview_json() -> Response:
    """The same as data."""
    choice = choose(request.args, backend().topic(request.args.get("topic", "")))
    return data({"partition": choice.partition, "partitions": choice.partitions, "steps": list(choice.steps)})


@blueprint.post("/produce")
@blueprint.post("/topics/<topic>/produce")
def produce(topic: str | None = None) -> AnyResponse:
    """Send one event; the answer says where it went."""
    form = request.form
    name = topic or form.get("topic", "")
    try:
        found = backend().topic(name)
        event, choice = send(form, found)
    except BrokerError as error:
        if by_htmx():
            # 200, because htmx swaps nothing in for an error status.
            return fragment("produce/_answer.html", event=None, error=error)
        return _form_page(backend().topic(name), form, status=400, error=error)
    if by_htmx():
        return fragment("produce/_answer.html", event=event, choice=choice, error=None)
    kept = {field: value for field, value in form.items() if field not in ("topic", "sent")}
    if sum(map(len, kept.values())) > KEPT_MAX:
        kept = {}
    address = f"/topics/{name}/produce" if topic else "/produce"
    return see(address, topic=None if topic else name, sent=f"{event.partition}-{event.offset}", **kept)
