"""Dead letters: where one comes from and why, by the headers that programs give it.

There is no standard of Kafka for it. Known are the headers of this page's own consumers, of Spring for Apache Kafka
(`DeadLetterPublishingRecoverer`) and of Kafka Connect (KIP-298).
"""

from collections.abc import Iterable

from sandbox.event import Event

ORIGIN_HEADERS = ("dlq.topic", "kafka_dlt-original-topic", "__connect.errors.topic")
NAME_MAX_BYTES = 249


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
