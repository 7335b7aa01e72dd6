"""Reads a dead letter's origin and the reason of its refusal from its headers.

Kafka has no standard for them. Supported are the headers of this page's consumers, of Spring for Apache Kafka
(`DeadLetterPublishingRecoverer`), of Kafka Connect (KIP-298) and of share groups (KIP-1191).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.kafka.event import Event, EventAddress, Headers
from sandbox.model.dead_letters import letters_of as letters_of
from sandbox.model.json_conditions import HeaderName
from sandbox.playground.spec import SENT_BACK_HEADER
from sandbox.web.responses import backend, capabilities

PLACE_HEADERS = {
    "dlq.topic": ("dlq.partition", "dlq.offset"),
    "kafka_dlt-original-topic": ("kafka_dlt-original-partition", "kafka_dlt-original-offset"),
    "__connect.errors.topic": ("__connect.errors.partition", "__connect.errors.offset"),
    "__dlq.errors.topic": ("__dlq.errors.partition", "__dlq.errors.offset"),
}
"""The header with a dead letter's original topic, to those with its original partition and offset."""
ORIGIN_HEADERS = tuple(PLACE_HEADERS)
BINARY_HEADERS = {
    "kafka_dlt-original-partition": 4,
    "kafka_dlt-original-offset": 8,
    "kafka_dlt-original-timestamp": 8,
}
"""Headers that Spring writes as a Java int or long, with their length in bytes."""
NAME_MAX_BYTES = 249
GROUP_HEADERS = ("dlq.group", "kafka_dlt-original-consumer-group", "__dlq.errors.group")
WHY_HEADERS = (
    "dlq.error",
    "kafka_dlt-exception-message",
    "__connect.errors.exception.message",
    "__dlq.errors.message",
)
REFUSAL_PREFIXES = ("dlq.", "kafka_dlt-", "__connect.errors.", "__dlq.errors.")
WHY_MAX = 200
PLACE = re.compile(r"([A-Za-z0-9._-]{1,249})/([0-9]{1,9})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The contents of a dead letter's headers.

    Attributes:
        topic: the original topic.
        place: the original partition and offset, None if the headers don't contain them.
        why: the reason of the refusal, "" if unknown.
        group: the group that refused it, "" if unknown.
    """

    topic: str
    place: tuple[int, int] | None
    why: str
    group: str = ""


def dead_letter(event: Event) -> DeadLetter | None:
    """Return the contents of a dead letter's headers; None if the event isn't a dead letter."""
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
    """Return the name of the header with a dead letter's original partition; None if the event isn't a dead letter."""
    origin = _origin(event)
    return None if origin is None else PLACE_HEADERS[origin][0]


def number_in(name: str, value: bytes | None) -> int | None:
    """Return the number in a header that Spring writes as a Java int or long; None for other headers or contents."""
    if value is None or len(value) != BINARY_HEADERS.get(name) or value.isdigit():
        return None
    return int.from_bytes(value, "big", signed=True)


def _number(said: bytes, name: str) -> int | None:
    """Return a header's number, 0 or more, from digits or from Spring's binary form; None if it has none."""
    if name in BINARY_HEADERS:
        found = number_in(name, said)
        return None if found is None or found < 0 else found
    return int(said) if said.isdigit() and len(said) < 19 else None


def why_column(events: Sequence[Event]) -> HeaderName | None:
    """Return the header with the reason, if most of the events are dead letters and one has it; else None."""
    letters = [origin_of(event) is not None for event in events]
    if 2 * sum(letters) <= len(letters):
        return None
    there = {name for event in events for name, _ in event.headers}
    return next((HeaderName(name) for name in WHY_HEADERS if name in there), None)


def sent_back(event: Event) -> Headers:
    """Return the headers for sending a dead letter back: the original ones, and one with the dead letter's address."""
    place = f"{event.topic}/{event.partition}/{event.offset}"
    return (*without_refusal(event.headers), (SENT_BACK_HEADER, place.encode()))


def came_from(event: Event) -> EventAddress | None:
    """Return the dead letter that was sent back as this event; None if its headers name none."""
    said = dict(event.headers).get(SENT_BACK_HEADER) or b""
    found = PLACE.fullmatch(said.decode("ascii", "replace"))
    return (found[1], int(found[2]), int(found[3])) if found else None


def without_refusal(headers: Headers) -> Headers:
    """Return an event's original headers, without those that its refusal added."""
    return tuple((name, value) for name, value in headers if not name.startswith(REFUSAL_PREFIXES))


def origin_of(event: Event) -> str | None:
    """Return a dead letter's original topic; None if the headers name none."""
    origin = _origin(event)
    return None if origin is None else (dict(event.headers)[origin] or b"").decode("utf-8", "replace")


def _origin(event: Event) -> str | None:
    """Return the name of the header with the original topic."""
    headers = dict(event.headers)
    return next((name for name in ORIGIN_HEADERS if 0 < len(headers.get(name) or b"") <= NAME_MAX_BYTES), None)


def one_origin(events: Iterable[Event]) -> str | None:
    """Return the original topic of all events; None if they have none or several."""
    origins = {origin_of(event) for event in events}
    return origins.pop() if len(origins) == 1 else None


def tell_returned(stored: Sequence[Event]) -> None:
    """Record the events that are returned dead letters; one entry for all.

    Args:
        stored: events just stored in one topic.
    """
    returned = [(letter, event) for event in stored if (letter := came_from(event)) is not None]
    if not returned or not capabilities().activity:
        return
    letter, event = returned[-1]
    details = {
        "dead_letters": len(returned),
        "from": _place(*letter),
        "to": _place(event.topic, event.partition, event.offset),
    }
    backend().activity.note("returned", details, topic=event.topic)


def _place(topic: str, partition: int, offset: int) -> dict[str, object]:
    """Return an event's place as the activity stores it."""
    return {"topic": topic, "partition": partition, "offset": offset}
