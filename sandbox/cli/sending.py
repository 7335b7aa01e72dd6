"""Sends events with a producer, and counts exactly how many were stored."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from sandbox.cli.status import Failed, kafka_text
from sandbox.model.jsonl import EventLine

FLUSH_S = 60.0
_ERRORS_SHOWN = 3
_POLL_EVENTS = 200


class Sender:
    """Sends events and counts their results.

    Args:
        producer: from `Target.producer`.
        on_stored: called with every stored event (a `confluent_kafka.Message`), or None.

    Attributes:
        stored: number of acknowledged events, by topic and partition.
        last_offset: their highest offset, by topic and partition.
        failed: number of events that were refused or not acknowledged.
    """

    def __init__(self, producer: Any, on_stored: Callable[[Any], None] | None = None) -> None:
        self._producer = producer
        self._on_stored = on_stored
        self.stored: Counter[tuple[str, int]] = Counter()
        self.last_offset: dict[tuple[str, int], int] = {}
        self.failed = 0
        self._sent = 0
        self._reasons: list[str] = []

    def send(self, topic: str, event: EventLine, origin: str) -> None:
        """Queue one event. Waits while the queue is full.

        Args:
            topic: the topic to send to.
            event: the event; its topic, offset and timestamp type are ignored.
            origin: its source ("line 7"), for error messages.

        Raises:
            Failed: the Kafka client can't send such an event. Nothing was sent.
        """
        fields: dict[str, Any] = {"key": event.key, "value": event.value, "headers": check_sendable(event, origin)}
        if event.partition is not None:
            fields["partition"] = event.partition
        if event.timestamp_ms is not None:
            fields["timestamp"] = event.timestamp_ms
        while True:
            try:
                self._producer.produce(
                    topic, **fields, on_delivery=lambda error, message: self._done(origin, error, message)
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._sent += 1
        if self._on_stored is not None or self._sent % _POLL_EVENTS == 0:
            self._producer.poll(0)

    def finish(self) -> None:
        """Wait until all events are stored.

        Raises:
            Failed: some were not; the message has the number of stored events, and the reasons for the others.
        """
        left = self._producer.flush(FLUSH_S)
        if left:
            self.failed += left
            self._reasons.append(f"{left} events were not acknowledged within {FLUSH_S:g} s")
        if self.failed:
            more = self.failed - len(self._reasons)
            reasons = "; ".join(self._reasons) + (f"; and {more} more" if more > 0 else "")
            raise Failed(f"{self.total} events were stored, {self.failed} were not. {reasons}")

    @property
    def total(self) -> int:
        """The number of stored events."""
        return sum(self.stored.values())

    def summary(self) -> str:
        """Return a summary of the stored events, in one line."""
        places = [
            f"{topic}-{partition}: {count}, up to offset {self.last_offset[(topic, partition)]}"
            for (topic, partition), count in sorted(self.stored.items())
        ]
        return f"{self.total} event{'s' if self.total != 1 else ''} stored" + (
            f" ({'; '.join(places)})" if places else ""
        )

    def stored_before(self) -> str:
        """Return a sentence about the events that were stored before an invalid line ended the input."""
        return f"{self.summary()} before it; nothing after it was read." if self.total else "Nothing was stored."

    def _done(self, origin: str, error: Any, message: Any) -> None:
        if error is not None:
            self.failed += 1
            if len(self._reasons) < _ERRORS_SHOWN:
                self._reasons.append(f"{origin}: {_reason(error, message)}")
            return
        place = (message.topic(), message.partition())
        self.stored[place] += 1
        self.last_offset[place] = max(message.offset(), self.last_offset.get(place, -1))
        if self._on_stored is not None:
            self._on_stored(message)


def _reason(error: Any, message: Any) -> str:
    if error.name() != "_UNKNOWN_PARTITION":
        return kafka_text(error)
    return (
        f"{message.topic()} has no partition {message.partition()}. For events of an export, `sandbox import` creates "
        "the topic with enough partitions"
    )


def check_sendable(event: EventLine, origin: str) -> list[tuple[str, bytes | None]]:
    """Return the event's headers. Raises Failed if the client library would change the event silently."""
    if event.timestamp_ms == 0:
        raise Failed(f"{origin}: the Kafka client cannot send timestamp 0 (it takes it for none); 1 is the smallest")
    for name, _ in event.headers:
        if not name.isascii():
            try:
                name.encode("utf-8")
            except UnicodeEncodeError:
                raise Failed(f"{origin}: the Kafka client cannot send a header name that is not UTF-8") from None
        if "\0" in name:
            raise Failed(f"{origin}: the Kafka client cannot send a header name with a NUL in it")
    return list(event.headers)
