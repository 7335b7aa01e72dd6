"""Dead letters: where one comes from and why, by the headers that programs give it.

There is no standard of Kafka for it. Known are the headers of this page's own consumers, of Spring for Apache Kafka
(`DeadLetterPublishingRecoverer`) and of Kafka Connect (KIP-298).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.event import Event, Headers
from sandbox.message_filter import HeaderName
from sandbox.playground.spec import SENT_BACK_HEADER

ORIGIN_HEADERS = ("dlq.topic", "kafka_dlt-original-topic", "__connect.errors.topic")
NAME_MAX_BYTES = 249
PLACE_HEADERS = (
    ("dlq.partition", "dlq.offset"),
    ("__connect.errors.partition", "__connect.errors.offset"),
    ("kafka_dlt-original-partition", "kafka_dlt-original-offset"),
)
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
    topic = origin_of(event)
    if topic is None:
        return None
    headers = {name: value or b"" for name, value in event.headers}
    place = None
    for names in PLACE_HEADERS:
        partition, offset = (_number(headers.get(name, b""), name) for name in names)
        if partition is not None and offset is not None:
            place = partition, offset
    why = next((headers[name] for name in WHY_HEADERS if headers.get(name)), b"")
    group = next((headers[name] for name in GROUP_HEADERS if headers.get(name)), b"")
    return DeadLetter(topic, place, why.decode("utf-8", "replace")[:WHY_MAX], group.decode("utf-8", "replace"))


def place_headers(event: Event) -> tuple[str, str]:
    """The names of the headers that say where a dead letter was; of this page's own consumers where none does."""
    there = {name for name, _ in event.headers}
    return next((names for names in PLACE_HEADERS if there.issuperset(names)), PLACE_HEADERS[0])


def _number(said: bytes, name: str) -> int | None:
    """A number in a header: in digits, or as Spring writes it, an int or a long of Java."""
    if name.startswith("kafka_dlt-"):
        return int.from_bytes(said, "big") if len(said) in (4, 8) and said[0] < 0x80 else None
    return int(said) if said.isdigit() and len(said) < 19 else None


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
    headers = dict(event.headers)
    for name in ORIGIN_HEADERS:
        said = headers.get(name)
        if said and len(said) <= NAME_MAX_BYTES:
            return said.decode("utf-8", "replace")
    return None


def one_origin(events: Iterable[Event]) -> str | None:
    """The topic that all of some events come from; None where that is not one."""
    origins = {origin_of(event) for event in events}
    return origins.pop() if len(origins) == 1 else None
