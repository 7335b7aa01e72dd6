"""Appends events to a cluster with one producer, and returns each as the cluster stored it."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaException, Message

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import CREATE_TIME, LOG_APPEND_TIME, Event, NewEvent
from sandbox.remote.connection import ClusterConnection

EVENTS_PER_S = 1000
"""The slowest rate at which a cluster may accept many events; anything slower counts as no answer."""


class Appends:
    """Sends events.

    Args:
        connection: to the cluster.
    """

    def __init__(self, connection: ClusterConnection) -> None:
        self._connection = connection

    def append(self, topic: str, events: Sequence[NewEvent]) -> list[Event]:
        """Send events, and wait until the cluster has stored them.

        Args:
            topic: the topic; a cluster may create it on first use.
            events: an event without a partition goes where murmur2 puts its key.

        Returns:
            Each event as stored, in the same order.

        Raises:
            BrokerError: the reason why one was refused; others may have been stored.
        """
        producer = self._connection.producer()
        reports: list[Any] = [None] * len(events)
        done = threading.Semaphore(0)
        for number, event in enumerate(events):

            def report(error: Any, message: Message, number: int = number) -> None:
                reports[number] = error if error is not None else message
                done.release()

            self._produce(producer, topic, event, report)
        deadline_s = time.monotonic() + self._connection.timeout_s + 2 + len(events) / EVENTS_PER_S
        for _ in events:
            while not done.acquire(blocking=False):
                if time.monotonic() > deadline_s:
                    producer.purge(in_queue=True, in_flight=False)
                    raise self._connection.away("it did not acknowledge the events in time; some may be stored")
                producer.poll(0.05)
        return [self._stored(topic, event, report) for event, report in zip(events, reports, strict=True)]

    def _produce(self, producer: Any, topic: str, event: NewEvent, report: Any) -> None:
        more: dict[str, Any] = {}
        if event.timestamp_ms is not None:
            if event.timestamp_ms < 1:
                raise BrokerError(
                    "INVALID_TIMESTAMP", "The client library sends no timestamp before 1970-01-01 00:00:00.001."
                )
            more["timestamp"] = event.timestamp_ms
        if event.partition is not None:
            more["partition"] = event.partition
        try:
            producer.produce(
                topic,
                value=event.value,
                key=event.key,
                headers=[(name, content) for name, content in event.headers] or None,
                on_delivery=report,
                **more,
            )
        except KafkaException as error:
            raise self._connection.error_of(error) from None
        except BufferError:
            raise BrokerError(
                "RECORD_LIST_TOO_LARGE", "Too many events are on their way: send fewer at once."
            ) from None
        except (TypeError, ValueError, OverflowError) as error:
            raise BrokerError("INVALID_RECORD", f"The client library refuses the event: {error}.") from None

    def _stored(self, topic: str, event: NewEvent, report: Any) -> Event:
        if not isinstance(report, Message):
            raise self._connection.error_of(report)
        kind, timestamp_ms = report.timestamp()
        partition, offset = report.partition(), report.offset()
        assert partition is not None
        assert offset is not None
        return Event(
            topic,
            partition,
            offset,
            timestamp_ms,
            LOG_APPEND_TIME if kind == TIMESTAMP_LOG_APPEND_TIME else CREATE_TIME,
            event.key,
            event.value,
            tuple(event.headers),
        )
