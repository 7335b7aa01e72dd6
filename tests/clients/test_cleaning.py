"""Compaction, retention and deleted records, as a real consumer sees them while it reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from tests.clients.waiting import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

EVENTS = 100_000
KEYS = 1_000
BATCH = 250


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that checks for due cleaning ten times per second."""
    checks = {"log.cleaner.backoff.ms": "100", "log.retention.check.interval.ms": "100"}
    with Sandbox(tmp_path / "dev.db", settings=checks) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        yield sandbox


def events() -> Iterator[NewEvent]:
    """Values that count up, over keys that come again and again."""
    return (NewEvent(str(index).encode(), str(index % KEYS).encode()) for index in range(EVENTS))


def consumer(box: Sandbox, start: int = 0) -> Any:
    """A consumer at an offset of the one partition, that reads slowly enough to be overtaken."""
    made = Consumer(
        {
            "bootstrap.servers": box.kafka_address or "",
            "group.id": "none",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 64 * 1024,
            "queued.max.messages.kbytes": 256,
            "check.crcs": True,
        }
    )
    made.assign([TopicPartition("orders", 0, start)])
    return made


def read_to_the_end(reader: Any) -> list[tuple[int, bytes, bytes]]:
    """Offset, key and value of everything up to the end."""
    found: list[tuple[int, bytes, bytes]] = []
    while True:
        message = reader.poll(30)
        assert message is not None, f"nothing for 30 s after {len(found)} events"
        if message.error():
            return found
        found.append((message.offset(), message.key(), message.value()))


def test_a_topic_of_100_000_events_is_compacted_while_a_consumer_reads_it(box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    assert box.append_many("orders", events(), chunk=BATCH) == EVENTS
    reader = consumer(box)
    first = reader.poll(30)
    assert first is not None
    assert first.offset() == 0
    box.alter_topic("orders", {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"})
    found = [(first.offset(), first.key(), first.value()), *read_to_the_end(reader)]
    reader.close()
    offsets = [offset for offset, _, _ in found]
    assert all(before < after for before, after in itertools.pairwise(offsets))
    assert all(value == str(offset).encode() for offset, _, value in found)
    last = {key: value for _, key, value in found}
    assert last == {str(key).encode(): str(EVENTS - KEYS + key).encode() for key in range(KEYS)}
    eventually(lambda: box.topic("orders").events == KEYS, 60, lambda: f"{box.topic('orders').events} events are left")
    again = consumer(box)
    assert len(read_to_the_end(again)) == KEYS
    again.close()
    assert box.end_offsets("orders") == {0: EVENTS}
    assert box.start_offsets("orders") == {0: 0}


def test_a_log_is_cut_by_retention_while_a_consumer_reads_it(box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    assert box.append_many("orders", events(), chunk=BATCH) == EVENTS
    kept_bytes = box.topic("orders").size_bytes // 10
    reader = consumer(box)
    first = reader.poll(30)
    assert first is not None
    box.alter_topic("orders", {"retention.bytes": str(kept_bytes)})
    eventually(lambda: box.start_offsets("orders")[0] > EVENTS * 0.8, 30, lambda: "the log was not cut")
    found = read_to_the_end(reader)
    reader.close()
    offsets = [first.offset(), *(offset for offset, _, _ in found)]
    assert all(before < after for before, after in itertools.pairwise(offsets))
    assert offsets[-1] == EVENTS - 1
    start = box.start_offsets("orders")[0]
    assert set(range(start, EVENTS)) <= set(offsets)
    eventually(lambda: _rows(box) == EVENTS - start, 60, lambda: f"{_rows(box)} rows are left")
    assert box.topic("orders").size_bytes >= kept_bytes


def _rows(box: Sandbox) -> int:
    with box._database.reader() as reader:
        return int(reader.query("SELECT count(*) FROM events")[0][0])


def test_a_consumer_before_deleted_records_goes_on_where_the_log_starts(box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append_many("orders", (NewEvent(str(index).encode()) for index in range(100)))
    admin = AdminClient({"bootstrap.servers": box.kafka_address or ""})
    place = TopicPartition("orders", 0, 60)
    assert admin.delete_records([place])[place].result(timeout=10).low_watermark == 60
    reader = consumer(box, start=10)
    assert [offset for offset, _, _ in read_to_the_end(reader)] == list(range(60, 100))
    reader.close()


def test_direct_calls_clean_at_once(box: Sandbox) -> None:
    box.create_topic("kept", partitions=2, settings={"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "1.0"})
    for index in range(20):
        box.append("kept", str(index), key="one", partition=index % 2)
    assert box.compact("kept") == 18
    assert [event.value for event in box.read("kept")] == [b"18", b"19"]
    assert box.topic("kept").events == 2
    box.create_topic("old", settings={"retention.ms": "1000"})
    box.append("old", "x", timestamp_ms=1)
    box.apply_retention()
    assert (box.start_offsets("old"), box.topic("old").events) == ({0: 1}, 0)
    box.append("old", "y")
    assert box.delete_records("old", {0: -1}) == {0: 2}
