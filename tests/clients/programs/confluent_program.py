"""The client program of confluent-kafka."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.clients.programs.lines import Read, as_json, events_of, report_partitions, say, serve

BOOTSTRAP = sys.argv[-1]


def create_topic(command: dict[str, Any]) -> dict[str, Any]:
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    created = admin.create_topics([NewTopic(command["topic"], num_partitions=command["partitions"])])
    created[command["topic"]].result(timeout=20)
    return {"created": True}


def produce(command: dict[str, Any]) -> dict[str, Any]:
    producer = Producer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "compression.type": command["compression"],
            "enable.idempotence": command["idempotent"],
            "linger.ms": 5,
        }
    )
    failures: list[KafkaError] = []
    produced = 0

    def delivered(error: KafkaError | None, _: Message) -> None:
        nonlocal produced
        if error is None:
            produced += 1
        else:
            failures.append(error)

    for event in events_of(command):
        producer.produce(
            command["topic"],
            event.value,
            event.key,
            timestamp=event.timestamp_ms,
            headers=list(event.headers),
            on_delivery=delivered,
        )
        producer.poll(0)
    producer.flush(20)
    if failures:
        raise KafkaException(failures[0])
    return {"produced": produced}


def _checked(message: Message | None) -> Message | None:
    if message is not None and message.error() is not None:
        raise KafkaException(message.error())
    return message


def read(command: dict[str, Any]) -> dict[str, Any]:
    consumer = Consumer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "group.id": command["group"],
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([command["topic"]])
    found: list[Read] = []
    deadline = time.monotonic() + 30
    while len(found) < command["count"] and time.monotonic() < deadline:
        message = _checked(consumer.poll(0.5))
        if message is not None:
            key: Any = message.key()
            headers: Any = message.headers() or []
            found.append(
                Read(
                    message.partition() or 0,
                    message.offset() or 0,
                    message.timestamp()[1],
                    key,
                    message.value(),
                    headers,
                )
            )
    if found:
        consumer.commit(asynchronous=False)
    consumer.close()
    return {"events": [as_json(event) for event in found]}


class Member:
    """One member of a group: it owns its positions and commits them when partitions are taken away."""

    def __init__(self, command: dict[str, Any]) -> None:
        self._topic = command["topic"]
        self._positions: dict[int, int] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": BOOTSTRAP,
                "group.id": command["group"],
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                **self._protocol(command),
            }
        )
        self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    @staticmethod
    def _protocol(command: dict[str, Any]) -> dict[str, Any]:
        """In the consumer protocol the broker assigns, and decides about the times."""
        if command["protocol"] == "consumer":
            return {"group.protocol": "consumer", "group.remote.assignor": command["assignor"]}
        return {
            "partition.assignment.strategy": command["assignor"],
            "session.timeout.ms": command["session_ms"],
            "heartbeat.interval.ms": 300,
        }

    def run(self, leave: threading.Event) -> None:
        while not leave.is_set():
            message = _checked(self._consumer.poll(0.1))
            if message is not None:
                partition, offset = message.partition() or 0, message.offset() or 0
                self._positions[partition] = offset + 1
                say(report="events", positions=[[partition, offset]])
        self._consumer.close()

    def _assigned(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        report_partitions("assigned", [each.partition for each in partitions])

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        report_partitions("revoked", [each.partition for each in partitions])
        taken = {each.partition for each in partitions}
        offsets = [TopicPartition(self._topic, p, o) for p, o in self._positions.items() if p in taken]
        if offsets:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        for partition in taken:
            self._positions.pop(partition, None)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        report_partitions("lost", [each.partition for each in partitions])
        self._positions.clear()


def join(command: dict[str, Any], leave: threading.Event) -> dict[str, Any]:
    Member(command).run(leave)
    return {"left": True}


if __name__ == "__main__":
    version = f"{confluent_kafka.__version__}, librdkafka {confluent_kafka.libversion()[0]}"
    serve({"version": version}, {"create_topic": create_topic, "produce": produce, "read": read, "join": join})
