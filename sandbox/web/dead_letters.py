"""Dead letters: where one comes from and why, by the headers that programs give it.

There is no standard of Kafka for it. Known are the headers of this page's own consumers, of Spring for Apache Kafka
(`DeadLetterPublishingRecoverer`) and of Kafka Connect (KIP-298).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.event import Event, Headers

ORIGIN_HEADERS = ("dlq.topic", "kafka_dlt-original-topic", "__connect.errors.topic")
NAME_MAX_BYTES = 249
PLACE_HEADERS = (("dlq.partition", "dlq.offset"), ("__connect.errors.partition", "__connect.errors.offset"))
WHY_HEADERS = (
    "dlq.error",
    "kafka_dlt-exception-message",
    "__connect.errors.exception.message",
)
REFUSAL_PREFIXES = ("dlq.", "kafka_dlt-", "__connect.errors.")
WHY_MAX = 200


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What the headers of a dead letter tell.

    Attributes:
        topic: where it was before.
        place: partition and offset there, None where the headers do not say it in digits.
        why: why it was refused, "" where they do not say.
    """

    topic: str
    place: tuple[int, int] | None
    why: str


def dead_letter(event: Event) -> DeadLetter | None:
    """What is told of an event's refusal; None for an event that is no dead letter."""
    topic = origin_of(event)
    if topic is None:
        return None
    headers = {name: value or b"" for name, value in event.headers}
    place = None
    for partition, offset in PLACE_HEADERS:
        digits = headers.get(partition, b""), headers.get(offset, b"")
        if all(one.isdigit() and len(one) < 19 for one in digits):
            place = int(digits[0]), int(digits[1])
    why = next((headers[name] for name in WHY_HEADERS if headers.get(name)), b"")
    return DeadLetter(topic, place, why.decode("utf-8", "replace")[:WHY_MAX])


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
