"""The client program of kafka-python."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.structs import OffsetAndMetadata, TopicPartition

from tests.clients.programs.lines import Read, as_json, events_of, report_partitions, say, serve

BOOTSTRAP = sys.argv[-1]
ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}


def create_topic(command: dict[str, Any]) -> dict[str, Any]:
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    admin.create_topics([NewTopic(command["topic"], command["partitions"], 1)])
    admin.close()
    return {"created": True}


def produce(command: dict[str, Any]) -> dict[str, Any]:
    compression = None if command["compression"] == "none" else command["compression"]
    producer = KafkaProducer(
        bootstrap_servers=BOOTSTRAP,
        compression_type=compression,
        enable_idempotence=command["idempotent"],
        linger_ms=5,
    )
    sent = [
        producer.send(
            command["topic"],
            value=event.value,
            key=event.key,
            headers=event.headers,
            timestamp_ms=event.timestamp_ms,
        )
        for event in events_of(command)
    ]
    for each in sent:
        each.get(timeout=20)
    producer.close()
    return {"produced": len(sent)}


def read(command: dict[str, Any]) -> dict[str, Any]:
    consumer = KafkaConsumer(
        command["topic"],
        bootstrap_servers=BOOTSTRAP,
        group_id=command["group"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    found: list[Read] = []
    deadline = time.monotonic() + 30
    while len(found) < command["count"] and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=500).values():
            found += [
                Read(each.partition, each.offset, each.timestamp, each.key, each.value, list(each.headers))
                for each in records
            ]
    if found:
        consumer.commit()
    consumer.close()
    return {"events": [as_json(event) for event in found]}


class Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of a group. Its callbacks run on the library's own thread and may not wait for a commit; but a
    rebalance happens only inside a poll, so a commit after every poll is in time."""

    def __init__(self, command: dict[str, Any]) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=BOOTSTRAP,
            group_id=command["group"],
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            partition_assignment_strategy=[ASSIGNORS[command["assignor"]]],
            session_timeout_ms=command["session_ms"],
            heartbeat_interval_ms=300,
        )
        self._consumer.subscribe([command["topic"]], listener=self)

    def run(self, leave: threading.Event) -> None:
        while not leave.is_set():
            found = self._consumer.poll(timeout_ms=100)
            for records in found.values():
                say(report="events", positions=[[each.partition, each.offset] for each in records])
            if found:
                self._consumer.commit(
                    {each: OffsetAndMetadata(records[-1].offset + 1, "", -1) for each, records in found.items()}
                )
        self._consumer.close()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        report_partitions("assigned", [each.partition for each in assigned])

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        report_partitions("revoked", [each.partition for each in revoked])

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        report_partitions("lost", [each.partition for each in lost])


def join(command: dict[str, Any], leave: threading.Event) -> dict[str, Any]:
    Member(command).run(leave)
    return {"left": True}


if __name__ == "__main__":
    serve(
        {"version": kafka.__version__},
        {"create_topic": create_topic, "produce": produce, "read": read, "join": join},
    )
