"""The partitioners against the Java client's own vectors, and against librdkafka's functions."""

import random
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from sandbox import NewEvent, Sandbox
from sandbox.kafka.partitioner import (
    PARTITIONERS,
    StickyPartitioner,
    consistent_random_partition,
    murmur2,
    murmur2_partition,
)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        # The vectors of UtilsTest.testMurmur2 in Apache Kafka.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_the_java_clients(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected


def _random_keys(count: int) -> list[bytes]:
    chance = random.Random(8)
    return [chance.randbytes(chance.randrange(0, 100)) for _ in range(count)]


@pytest.mark.parametrize("partitions", [1, 2, 3, 6, 12, 1000, 2**31 - 1])
def test_murmur2_chooses_what_librdkafkas_murmur2_chooses(partitions: int) -> None:
    for key in _random_keys(1500):
        assert murmur2_partition(key, partitions) == confluent_kafka.murmur2(key, partitions)


@pytest.mark.parametrize("partitions", [1, 2, 3, 6, 12, 1000, 2**31 - 1])
def test_consistent_random_chooses_what_librdkafka_chooses(partitions: int) -> None:
    for key in _random_keys(1500):
        if key:
            assert consistent_random_partition(key, partitions) == confluent_kafka.consistent(key, partitions)


def test_an_empty_key_is_hashed_by_the_java_clients_and_free_in_librdkafka() -> None:
    assert murmur2_partition(b"", 6) == confluent_kafka.murmur2(b"", 6)
    assert consistent_random_partition(b"", 6) is None


def test_no_key_leaves_the_choice_to_the_producer() -> None:
    assert {name: row.partition_for(None, 6) for name, row in PARTITIONERS.items()} == {
        "murmur2": None,
        "consistent_random": None,
    }


def test_the_sticky_partitioner_fills_a_batch_before_it_moves_on() -> None:
    sticky = StickyPartitioner(batch_max_bytes=100)
    assert [sticky.partition_for("t", 3, 50) for _ in range(8)] == [0, 0, 1, 1, 2, 2, 0, 0]


def test_the_sticky_partitioner_moves_on_when_a_batch_ends() -> None:
    sticky = StickyPartitioner()
    chosen = []
    for _ in range(4):
        chosen.append(sticky.partition_for("t", 3, 1))
        sticky.end_batch("t")
    assert chosen == [0, 1, 2, 0]


def test_the_sticky_partitioner_stays_where_an_empty_batch_ends() -> None:
    sticky = StickyPartitioner()
    sticky.end_batch("t")
    assert sticky.partition_for("t", 3, 1) == 0


def test_the_sticky_partitioner_of_one_topic_does_not_move_another() -> None:
    sticky = StickyPartitioner(batch_max_bytes=1)
    assert [sticky.partition_for(topic, 3, 1) for topic in ("a", "b", "a", "b")] == [0, 0, 1, 1]


def test_the_sticky_partitioner_uses_partitions_that_were_added() -> None:
    sticky = StickyPartitioner(batch_max_bytes=1)
    assert [sticky.partition_for("t", count, 1) for count in (2, 2, 2, 4, 4, 4)] == [0, 1, 0, 1, 2, 3]


@pytest.mark.parametrize("partitioner", list(PARTITIONERS))
def test_a_client_puts_a_key_where_the_partitioner_says(tmp_path: Path, partitioner: str) -> None:
    row = PARTITIONERS[partitioner]
    keys = [key for key in _random_keys(2000) if key]
    landed: dict[bytes, int] = {}
    with Sandbox(tmp_path / "dev.db") as opened:
        opened.create_topic("orders", partitions=7)
        opened.serve(kafka_port=0, web_port=None)
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": opened.kafka_address, "partitioner": row.librdkafka, "linger.ms": 5}
        )

        def note(_: Any, sent: Any) -> None:
            landed[sent.key()] = sent.partition()

        for key in keys:
            producer.produce("orders", b"", key, on_delivery=note)
        assert producer.flush(30) == 0
        producer.close()
        assert landed == {key: opened.partition_for("orders", key, partitioner) for key in keys}


def test_the_partition_that_is_told_before_is_the_one_that_is_used(tmp_path: Path) -> None:
    keys = list(dict.fromkeys(_random_keys(10_000)))
    with Sandbox(tmp_path / "dev.db") as opened:
        opened.create_topic("orders", partitions=7)
        told = {key: opened.partition_for("orders", key) for key in keys}
        opened.append_many("orders", [NewEvent(None, key) for key in keys])
        used = {event.key: event.partition for event in opened.read("orders", limit=len(keys))}
    assert used == told
