"""The client program of aiokafka."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from tests.clients.programs.lines import Read, as_json, events_of, report_partitions, say, serve

BOOTSTRAP = sys.argv[-1]
ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}


async def create_topic(command: dict[str, Any]) -> dict[str, Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(command["topic"], command["partitions"], 1)])
    finally:
        await admin.close()
    for topic, code, *_ in answer.topic_errors:
        if code:
            raise RuntimeError(f"{topic}: error {code}")
    return {"created": True}


async def produce(command: dict[str, Any]) -> dict[str, Any]:
    compression = None if command["compression"] == "none" else command["compression"]
    producer = AIOKafkaProducer(
        bootstrap_servers=BOOTSTRAP,
        compression_type=compression,
        enable_idempotence=command["idempotent"],
        linger_ms=5,
    )
    await producer.start()
    try:
        sent = [
            await producer.send(
                command["topic"],
                value=event.value,
                key=event.key,
                headers=event.headers,
                timestamp_ms=event.timestamp_ms,
            )
            for event in events_of(command)
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return {"produced": len(sent)}


async def read(command: dict[str, Any]) -> dict[str, Any]:
    consumer = AIOKafkaConsumer(
        command["topic"],
        bootstrap_servers=BOOTSTRAP,
        group_id=command["group"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    found: list[Read] = []
    deadline = time.monotonic() + 30
    try:
        while len(found) < command["count"] and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [
                    Read(each.partition, each.offset, each.timestamp, each.key, each.value, list(each.headers))
                    for each in records
                ]
        if found:
            await consumer.commit()
    finally:
        await consumer.stop()
    return {"events": [as_json(event) for event in found]}


class Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of a group: it owns its positions and commits them when partitions are taken away."""

    def __init__(self, command: dict[str, Any]) -> None:
        self._topic = command["topic"]
        self._positions: dict[int, int] = {}
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=BOOTSTRAP,
            group_id=command["group"],
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            partition_assignment_strategy=[ASSIGNORS[command["assignor"]]],
            session_timeout_ms=command["session_ms"],
            heartbeat_interval_ms=300,
        )

    async def run(self, leave: threading.Event) -> None:
        self._consumer.subscribe([self._topic], listener=self)
        await self._consumer.start()
        while not leave.is_set():
            for records in (await self._consumer.getmany(timeout_ms=100)).values():
                for record in records:
                    self._positions[record.partition] = record.offset + 1
                say(report="events", positions=[[each.partition, each.offset] for each in records])
        await self.on_partitions_revoked(self._consumer.assignment())
        await self._consumer.stop()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        report_partitions("assigned", [each.partition for each in assigned])

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        taken = {each.partition for each in revoked}
        report_partitions("revoked", taken)
        offsets = {TopicPartition(self._topic, p): o for p, o in self._positions.items() if p in taken}
        if offsets:
            await self._consumer.commit(offsets)
        for partition in taken:
            self._positions.pop(partition, None)


async def join(command: dict[str, Any], leave: threading.Event) -> dict[str, Any]:
    await Member(command).run(leave)
    return {"left": True}


if __name__ == "__main__":
    serve(
        {"version": aiokafka.__version__},
        {
            "create_topic": lambda command: asyncio.run(create_topic(command)),
            "produce": lambda command: asyncio.run(produce(command)),
            "read": lambda command: asyncio.run(read(command)),
            "join": lambda command, leave: asyncio.run(join(command, leave)),
        },
    )
