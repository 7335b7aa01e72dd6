"""Dead letters: where one comes from and why, by the headers that programs give it.

There is no standard of Kafka for it. Known are the headers of this page's own consumers, of Spring for Apache Kafka
(`DeadLetterPublishingRecoverer`) and of Kafka Connect (KIP-298).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.kafka.event import Event, Headers
from sandbox.model.json_conditions import HeaderName
from sandbox.playground.spec import SENT_BACK_HEADER

PLACE_HEADERS = {
    "dlq.topic": ("dlq.partition", "dlq.offset"),
    "kafka_dlt-original-topic": ("kafka_dlt-original-partition", "kafka_dlt-original-offset"),
    "__connect.errors.topic": ("__connect.errors.partition", "__connect.errors.offset"),
}
"""The header that names the topic where a letter was, and those that say its partition and offset there."""
ORIGIN_HEADERS = tuple(PLACE_HEADERS)
BINARY_HEADERS = {
    "kafka_dlt-original-partition": 4,
    "kafka_dlt-original-offset": 8,
    "kafka_dlt-original-timestamp": 8,
}
"""What Spring writes as an int or a long of Java, and how many bytes that has."""
NAME_MAX_BYTES = 249
LETTERS_TOPIC = re.compile(r"(?:(.+?)[._-])?(?:dlq|dlt|dead[._-]?letters?)(?:[._-](.+))?", re.IGNORECASE)
"""What topics of dead letters are called: one of these words, and as a rule the name of another topic before it."""
GROUP_HEADERS = ("dlq.group", "kafka_dlt-original-consumer-group")
WHY_HEADERS = (
    "dlq.error",
    "kafka_dlt-exception-message",
    "__connect.errors.exception.message",
)
REFUSAL_PREFIXES = ("dlq.", "kafka_dlt-", "__connect.errors.")
WHY_MAX = 200
PLACE = re.compile(r"([A-Za-z0-9._-]{1,249})/([0-9]{1,9})/([0-9]{1,18})")
Address = tuple[str, int, int]
"""Topic, partition and offset."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What the headers of a dead letter tell.

    Attributes:
        topic: where it was before.
        place: partition and offset there, None where the headers do not say it.
        why: why it was refused, "" where they do not say.
        group: the group that refused it, "" where they do not say.
    """

    topic: str
    place: tuple[int, int] | None
    why: str
    group: str = ""


def dead_letter(event: Event) -> DeadLetter | None:
    """What is told of an event's refusal; None for an event that is no dead letter."""
    origin = _origin(event)
    if origin is None:
        return None
    headers = {name: value or b"" for name, value in event.headers}
    partition, offset = (_number(headers.get(name, b""), name) for name in PLACE_HEADERS[origin])
    place = None if partition is None or offset is None else (partition, offset)
    why = next((headers[name] for name in WHY_HEADERS if headers.get(name)), b"")
    group = next((headers[name] for name in GROUP_HEADERS if headers.get(name)), b"")
    topic = headers[origin].decode("utf-8", "replace")
    return DeadLetter(topic, place, why.decode("utf-8", "replace")[:WHY_MAX], group.decode("utf-8", "replace"))


def partition_header(event: Event) -> str | None:
    """The name of the header that says in which partition a dead letter was; None for an event that is none."""
    origin = _origin(event)
    return None if origin is None else PLACE_HEADERS[origin][0]


def number_in(name: str, value: bytes | None) -> int | None:
    """The number in a header that Spring writes as an int or a long of Java; None for any other header or content."""
    if value is None or len(value) != BINARY_HEADERS.get(name) or value.isdigit():
        return None
    return int.from_bytes(value, "big", signed=True)


def _number(said: bytes, name: str) -> int | None:
    """A number in a header, 0 or more: in digits, or as Spring writes it."""
    if name in BINARY_HEADERS:
        found = number_in(name, said)
        return None if found is None or found < 0 else found
    return int(said) if said.isdigit() and len(said) < 19 else None


def letters_of(topic: str) -> str | None:
    """The topic whose dead letters are in a topic, going by its name alone: "" where that names none, and None for a
    topic that is not called like one of dead letters."""
    found = LETTERS_TOPIC.fullmatch(topic)
    return None if found is None else found[1] or found[2] or ""


def why_column(events: Sequence[Event]) -> HeaderName | None:
    """The header that says why, where most of some events are dead letters; else None, or where none says it."""
    letters = [origin_of(event) is not None for event in events]
    if 2 * sum(letters) <= len(letters):
        return None
    there = {name for event in events for name, _ in event.headers}
    return next((HeaderName(name) for name in WHY_HEADERS if name in there), None)


def sent_back(event: Event) -> Headers:
    """The headers of a dead letter that is sent back: those from before its refusal, and the one that says so."""
    place = f"{event.topic}/{event.partition}/{event.offset}"
    return (*without_refusal(event.headers), (SENT_BACK_HEADER, place.encode()))


def came_from(event: Event) -> Address | None:
    """The dead letter that an event was before it was sent back; None for one that does not say so."""
    said = dict(event.headers).get(SENT_BACK_HEADER) or b""
    found = PLACE.fullmatch(said.decode("ascii", "replace"))
    return (found[1], int(found[2]), int(found[3])) if found else None


def without_refusal(headers: Headers) -> Headers:
    """The headers that the event had before it was refused: those that tell of the refusal are left out."""
    return tuple((name, value) for name, value in headers if not name.startswith(REFUSAL_PREFIXES))


def origin_of(event: Event) -> str | None:
    """The topic that a dead letter was in before; None for an event whose headers name none."""
    origin = _origin(event)
    return None if origin is None else (dict(event.headers)[origin] or b"").decode("utf-8", "replace")


def _origin(event: Event) -> str | None:
    """The header of an event that names the topic where it was before."""
    headers = dict(event.headers)
    return next((name for name in ORIGIN_HEADERS if 0 < len(headers.get(name) or b"") <= NAME_MAX_BYTES), None)


def one_origin(events: Iterable[Event]) -> str | None:
    """The topic that all of some events come from; None where that is not one."""
    origins = {origin_of(event) for event in events}
    return origins.pop() if len(origins) == 1 else None
