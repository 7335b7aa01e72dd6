"""A test moves the broker's clock, and everything that becomes due on the way happens, in order."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from confluent_kafka import ShareConsumer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

import sandbox.testing
from sandbox import Sandbox, SandboxError
from sandbox.model.times import duration_in_ms
from sandbox.testing import Kafka

SET = AlterConfigOpType.SET
DAY_MS = 86_400_000


@pytest.fixture
def kafka() -> Iterator[Kafka]:
    with sandbox.testing.kafka(clock="frozen") as kafka:
        yield kafka


def test_a_frozen_clock_moves_only_when_it_is_advanced(kafka: Kafka) -> None:
    before_ms = kafka.clock.now_ms
    kafka.produce("orders", "1")
    assert kafka.clock.now_ms == before_ms == kafka.events("orders")[0].timestamp_ms
    after = kafka.clock.advance("1h 30m")
    assert kafka.clock.now_ms == before_ms + 5_400_000
    assert int(after.timestamp() * 1000) == kafka.clock.now_ms


def test_a_real_clock_runs_can_be_frozen_and_runs_again() -> None:
    with sandbox.testing.kafka() as kafka:
        assert not kafka.clock.frozen
        kafka.clock.freeze()
        kafka.clock.advance(timedelta(days=1))
        frozen_ms = kafka.clock.now_ms
        assert kafka.clock.now_ms == frozen_ms
        kafka.clock.resume()
        kafka.clock.advance(1)
        assert kafka.clock.now_ms >= frozen_ms + 1000


def test_retention_deletes_what_is_too_old_and_nothing_else(kafka: Kafka) -> None:
    kafka.produce("orders", "old", partition=0)
    kafka.clock.advance("6d")
    kafka.produce("orders", "new", partition=0)
    kafka.clock.advance("2d")
    assert [event.text for event in kafka.events("orders")] == ["new"]
    assert kafka.sandbox.start_offsets("orders") == {0: 1}


def test_a_tombstone_is_removed_after_its_delete_horizon(kafka: Kafka) -> None:
    settings = {"cleanup.policy": "compact", "delete.retention.ms": str(DAY_MS), "min.cleanable.dirty.ratio": "0.01"}
    kafka.create_topic("users", settings=settings)
    for value in ("1", None, "other"):
        kafka.produce("users", value, key="other" if value == "other" else "a")
    kafka.produce("users", "last", key="b")
    kafka.clock.advance("1h")
    first = kafka.events("users")[0]
    assert (first.key_text, first.value) == ("a", None)
    kafka.clock.advance("25h")
    assert [event.key_text for event in kafka.events("users")] == ["other", "b"]


def test_sessions_time_out_before_transactions_that_last_longer(kafka: Kafka) -> None:
    consumer = kafka.consumer("orders", group="billing", session_timeout_ms=6000)
    kafka.create_topic("orders")
    while not consumer.assignment():
        consumer.poll(0.05)
    kafka.wait_assigned("billing")
    producer = kafka.producer(transactional_id="payments", transaction_timeout_ms=10_000)
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce("orders", "never committed")
    producer.flush(10)
    started_ms = kafka.clock.now_ms
    kafka.clock.advance("60s")
    assert [event.aborted for event in kafka.sandbox.read("orders", offset=0)] == [True]
    assert kafka.sandbox.rebalances("billing")[0].started_ms == started_ms + 6000
    marker = kafka.sandbox.event("orders", 0, 1)
    assert (marker.control, marker.timestamp_ms) == (True, started_ms + 10_000)


def test_the_lock_of_a_share_group_expires(kafka: Kafka) -> None:
    kafka.produce("tasks", "1", partition=0)
    resource = ConfigResource(
        ConfigResource.Type.GROUP,
        "workers",
        incremental_configs=[ConfigEntry("share.auto.offset.reset", "earliest", incremental_operation=SET)],
    )
    kafka.admin().incremental_alter_configs([resource])[resource].result(10)
    settings = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "workers"}
    consumer = ShareConsumer({**settings, "share.acknowledgement.mode": "explicit"})
    consumer.subscribe(["tasks"])
    try:
        assert kafka.place.wait(lambda: consumer.poll(0.2) or None, 20)
        states = [[one.state for one in kafka.sandbox.share_groups.windows("workers")[0].records]]
        for step in ("29s", "2s"):
            kafka.clock.advance(step)
            states.append([one.state for one in kafka.sandbox.share_groups.windows("workers")[0].records])
        assert states == [["acquired"], ["acquired"], ["available"]]
    finally:
        consumer.close()


def test_offsets_expire_and_the_group_with_them(kafka: Kafka) -> None:
    kafka.produce("orders", "1")
    kafka.sandbox.commit("billing", "orders", 0, 1)
    kafka.clock.advance("6d")
    assert [one.group for one in kafka.sandbox.groups()] == ["billing"]
    kafka.clock.advance("2d")
    assert kafka.sandbox.groups() == ()


def test_ten_years_pass_quickly(kafka: Kafka) -> None:
    for number in range(20):
        kafka.create_topic(f"topic-{number}", 10)
        kafka.produce(f"topic-{number}", "1")
    kafka.clock.advance("520w")
    assert all(not kafka.events(f"topic-{number}") for number in range(20))


def test_timers_follow_the_clock_after_it_was_advanced() -> None:
    with sandbox.testing.kafka(topics=["orders"]) as kafka:
        kafka.clock.advance("1d")
        producer = kafka.producer(transactional_id="t", transaction_timeout_ms=1000)
        producer.init_transactions()
        producer.begin_transaction()
        producer.produce("orders", "never committed")
        producer.flush(10)
        assert kafka.place.wait(lambda: kafka.sandbox.read("orders", offset=0)[0].aborted or None, 8)


def test_a_sandbox_with_the_system_clock_says_how_to_get_another(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db") as box, pytest.raises(SandboxError, match=r"clock=SettableClock\(\)"):
        box.clock.advance("1d")


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [("200ms", 200), ("5s", 5000), ("1h 30m", 5_400_000), ("1.5h", 5_400_000), ("8d", 8 * DAY_MS), (2, 2000)],
)
def test_durations_are_read(text: str | float, expected_ms: int) -> None:
    assert duration_in_ms(text) == expected_ms


@pytest.mark.parametrize("text", ["", "5", "5 parsecs", "-1s", "1s and more", -1, True, float("inf"), float("nan")])
def test_what_is_no_duration_is_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match="isn't a duration"):
        duration_in_ms(text)
