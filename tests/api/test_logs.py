"""Growth of logs, their keys, and previews of operations: each preview matches the result."""

import pytest

from sandbox.api.log_operations import SAMPLE_EVENTS, STEPS
from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.kafka.partitioner import consistent_random_partition, murmur2_partition
from tests.clock import Clock


def keyed(count: int, keys: int) -> list[NewEvent]:
    return [NewEvent(f"v{n}".encode(), f"user-{n % keys}".encode()) for n in range(count)]


def test_the_rate_is_that_of_the_last_seconds_and_the_minute_is_drawn(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", partitions=3)
    box.create_topic("idle", partitions=1)
    assert box.logs.rates(["idle"])["idle"].counts == (0,) * STEPS
    for _ in range(60):
        box.append_many("orders", keyed(5, 5))
        clock.pass_ms(1000)
    found = box.logs.rates(["orders", "idle"])
    assert found["orders"].per_s == pytest.approx(5, rel=0.2)
    assert len(found["orders"].counts) == STEPS
    assert sum(found["orders"].counts) == pytest.approx(290, abs=15)
    assert (found["idle"].per_s, sum(found["idle"].counts)) == (0, 0)
    clock.pass_ms(61_000)
    assert sum(box.logs.rates(["orders"])["orders"].counts) == 0


def test_the_most_frequent_keys_are_found_and_null_is_no_key(box: Sandbox) -> None:
    box.create_topic("orders", partitions=4)
    box.append_many("orders", [*keyed(30, 3), *(NewEvent(b"x", b"hot") for _ in range(60)), NewEvent(b"x")])
    found = box.logs.sample_keys("orders")
    assert (found.events, found.of_events, found.keys) == (91, 91, 4)
    assert (found.top[0].key, found.top[0].events) == (b"hot", 60)
    assert found.top[0].partitions == (murmur2_partition(b"hot", 4),)
    assert (found.top[-1].key, found.top[-1].events) == (None, 1)


def test_a_sample_of_keys_is_bounded_and_takes_from_each_partition_what_it_holds(box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    box.append_many("orders", (NewEvent(b"x", b"left", partition=0) for _ in range(9000)))
    box.append_many("orders", (NewEvent(b"x", b"right", partition=1) for _ in range(3000)))
    found = box.logs.sample_keys("orders")
    assert SAMPLE_EVENTS <= found.events <= SAMPLE_EVENTS + 2
    assert found.of_events == 12_000
    assert {one.key: one.events for one in found.top} == {b"left": 3750, b"right": 1250}


@pytest.mark.parametrize("name", ["murmur2", "consistent_random"])
def test_more_partitions_move_the_keys_that_the_producers_own_hash_moves(box: Sandbox, name: str) -> None:
    place = {"murmur2": murmur2_partition, "consistent_random": consistent_random_partition}[name]
    keys = [f"user-{n}".encode() for n in range(50)]
    box.create_topic("orders", partitions=3)
    box.append_many("orders", [NewEvent(b"x", key, partition=place(key, 3)) for key in keys])
    found = box.logs.key_moves("orders", 6)
    assert (found.scattered, found.scattered_example) == (0, None)
    moved = [key for key in keys if place(key, 3) != place(key, 6)]
    assert (found.partitioner, found.keys, found.explained, found.moved) == (name, 50, 50, len(moved))
    assert all(place(one.key, 3) == one.before and place(one.key, 6) == one.after for one in found.examples)
    assert len(box.topic("orders").partitions) == 3
    box.append("orders", b"x", key=keys[0], partition=((place(keys[0], 3) or 0) + 1) % 3)
    found = box.logs.key_moves("orders", 6)
    assert (found.scattered, found.scattered_example) == (1, keys[0])
    with pytest.raises(BrokerError, match="none can be taken away"):
        box.logs.key_moves("orders", 3)


def test_deleting_records_takes_what_its_preview_says(box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    box.append_many("orders", [NewEvent(b"x", partition=n % 2) for n in range(20)])
    losses = box.logs.preview_delete("orders", {0: 4, 1: -1})
    assert [(one.partition, one.start, one.after, one.events, one.exact) for one in losses] == [
        (0, 0, 4, 4, True),
        (1, 0, 10, 10, True),
    ]
    assert box.topic("orders").events == 20
    assert box.logs.delete_records("orders", {0: 4, 1: -1}) == {0: 4, 1: 10}
    assert box.topic("orders").events == 6
    with pytest.raises(BrokerError) as refused:
        box.logs.preview_delete("orders", {0: 11})
    assert refused.value.error.name == "OFFSET_OUT_OF_RANGE"


def test_offsets_at_a_time_are_ends_where_nothing_is_that_late(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", partitions=2)
    for n in range(4):
        box.append("orders", "x", partition=0, timestamp_ms=clock.now_ms + n * 1000)
    assert box.logs.offsets_at("orders", clock.now_ms + 1500) == {0: 2, 1: 0}
    assert box.logs.offsets_at("orders", clock.now_ms + 9000) == {0: 4, 1: 0}


def test_retention_takes_what_its_preview_says(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", partitions=1, settings={"retention.ms": "60000"})
    box.create_topic("other", partitions=1, settings={"retention.ms": "60000"})
    for topic in ("orders", "other"):
        for _ in range(10):
            box.append(topic, "x" * 100)
    clock.pass_ms(61_000)
    for _ in range(5):
        box.append("orders", "x" * 100)
    (loss,) = box.logs.preview_retention("orders")
    assert (loss.after, loss.events, loss.exact, loss.more) == (10, 10, True, False)
    assert box.logs.preview_retention("orders", {"retention.ms": "-1"})[0].events == 0
    half = box.topic("orders").size_bytes // 2
    (smaller,) = box.logs.preview_retention("orders", {"retention.ms": "-1", "retention.bytes": str(half)})
    assert 0 < smaller.events < 10
    assert box.logs.apply_retention("orders") == 10
    assert (box.topic("orders").events, box.topic("other").events) == (5, 10)
    box.alter_topic("orders", {"retention.bytes": "200"})
    (loss,) = box.logs.preview_retention("orders")
    assert box.logs.apply_retention("orders") == loss.events > 0


def test_what_is_compacted_only_is_never_too_old(box: Sandbox, clock: Clock) -> None:
    box.create_topic("users", partitions=1, settings={"cleanup.policy": "compact", "retention.ms": "1"})
    box.append("users", "x", key="k")
    clock.pass_ms(10_000)
    assert box.logs.preview_retention("users") == ()
    with pytest.raises(BrokerError) as refused:
        box.logs.preview_delete("users", {0: 0})
    assert refused.value.error.name == "POLICY_VIOLATION"


def test_a_preview_of_compaction_counts_the_events_that_have_a_later_one(box: Sandbox) -> None:
    box.create_topic("users", partitions=1, settings={"cleanup.policy": "compact"})
    for event in keyed(30, 3):
        box.append("users", event.value, key=event.key)
    found = box.logs.preview_compaction("users")
    assert (found.dirty, found.sampled, found.obsolete, found.keys) == (30, 30, 27, 3)
    assert box.logs.compact("users") == 27
    assert box.logs.preview_compaction("users").dirty <= 1
    box.create_topic("orders", partitions=1)
    with pytest.raises(BrokerError, match=r"cleanup\.policy"):
        box.logs.preview_compaction("orders")


def test_a_topic_is_created_with_replicas_on_as_many_brokers_as_there_are(box: Sandbox) -> None:
    with pytest.raises(BrokerError) as refused:
        box.create_topic("orders", partitions=1, replication_factor=2)
    assert refused.value.error.name == "INVALID_REPLICATION_FACTOR"
    box.create_topic("orders", partitions=1, replication_factor=1)
    assert box.topic("orders").partitions[0].replicas == (1,)
