"""The Kafka of a `with` block: how it starts and ends, its seed, golden files, faults, snapshots and page."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from confluent_kafka import KafkaException

import sandbox.testing
from sandbox import Sandbox, SandboxError
from sandbox.testing import ExpectationFailed

SAMPLE = Path(__file__).parents[2] / "sample_data" / "payments.jsonl"


def test_the_file_is_deleted_after_a_block_that_passes() -> None:
    with sandbox.testing.kafka() as kafka:
        kafka.produce("orders", "x")
        file = kafka.file
    assert file is not None
    assert not file.parent.exists()


def test_the_file_is_kept_after_a_block_that_fails_and_the_error_names_it(tmp_path: Path) -> None:
    def fail() -> None:
        with sandbox.testing.kafka(file=tmp_path / "kept.db") as kafka:
            kafka.produce("orders", "x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as failed:
        fail()
    assert failed.value.__notes__ == [f"The events are kept. To see them: sandbox up {tmp_path / 'kept.db'}"]
    with Sandbox(tmp_path / "kept.db") as opened:
        assert [event.value for event in opened.read("orders")] == [b"x"]


@pytest.mark.parametrize("error", [pytest.fail.Exception("no"), asyncio.CancelledError(), KeyboardInterrupt()])
def test_the_file_is_kept_after_an_outcome_that_is_no_exception(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as failed, sandbox.testing.kafka(file=tmp_path / "kept.db"):
        raise error
    assert failed.value.__notes__ == [f"The events are kept. To see them: sandbox up {tmp_path / 'kept.db'}"]
    assert (tmp_path / "kept.db").exists()


@pytest.mark.parametrize("arguments", [{"settings": {"bogus.x": "1"}}, {"brokers": 12}, {"clock": "x"}])
def test_a_sandbox_that_cannot_start_leaves_no_folder(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises((ValueError, SandboxError)), sandbox.testing.kafka(**arguments):
        pass
    assert list(tmp_path.iterdir()) == []


def test_keep_keeps_the_file(tmp_path: Path) -> None:
    with sandbox.testing.kafka(file=tmp_path / "kept.db", keep=True):
        pass
    assert (tmp_path / "kept.db").exists()
    with (
        pytest.raises(FileExistsError, match="a test starts with a new file"),
        sandbox.testing.kafka(file=tmp_path / "kept.db"),
    ):
        pass


def test_topics_settings_brokers_and_faults_are_prepared() -> None:
    with sandbox.testing.kafka(
        topics={"orders": 3, "users": {"partitions": 2, "settings": {"cleanup.policy": "compact"}}},
        brokers=3,
        settings={"auto.create.topics.enable": "false"},
        faults=[{"api": "Produce", "error": "NOT_ENOUGH_REPLICAS", "times": 1}],
    ) as kafka:
        described = {one.topic: (len(one.partitions), one.settings) for one in kafka.sandbox.topics()}
        assert described == {"orders": (3, {}), "users": (2, {"cleanup.policy": "compact"})}
        producer = kafka.producer()
        producer.produce("orders", "x")
        assert producer.flush(10) == 0
        assert kafka.faults.hits()[0].api == "Produce"
        assert len(kafka.sandbox.brokers.list()) == 3


def test_a_topic_that_is_described_wrongly_is_refused() -> None:
    with (
        pytest.raises(ValueError, match="topic orders: replicas is not known"),
        sandbox.testing.kafka(topics={"orders": {"replicas": 3}}),
    ):
        pass


def test_a_seed_is_loaded() -> None:
    with sandbox.testing.kafka(seed=SAMPLE) as kafka:
        assert len(kafka.events("payments")) == len(SAMPLE.read_bytes().splitlines())


def test_a_broken_seed_names_the_line_and_stores_nothing(tmp_path: Path) -> None:
    seed = tmp_path / "orders.jsonl"
    seed.write_text('{"value": "1"}\n{"walue": "2"}\n')
    with sandbox.testing.kafka() as kafka:
        with pytest.raises(SandboxError, match=r"orders\.jsonl, line 2: unknown field"):
            kafka.load(seed)
        assert kafka.events("orders") == []


def test_a_golden_file_is_compared_without_offsets_times_and_ignored_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = tmp_path / "golden.jsonl"
    with sandbox.testing.kafka() as kafka:
        kafka.produce("orders", {"id": 1, "at": "12:00"}, key="a", headers={"h": "v"})
        kafka.save(golden)
    with sandbox.testing.kafka() as kafka:
        kafka.produce("orders", {"id": 1, "at": "13:00"}, key="a", headers={"h": "v"})
        kafka.expect_golden(golden, ignore=["$.at"], within="10ms")
        with pytest.raises(ExpectationFailed) as failed:
            kafka.expect_golden(golden, within="10ms")
        assert '-{"topic": "orders"' in str(failed.value)
        assert "13:00" in str(failed.value)
        with pytest.raises(FileNotFoundError, match="run the test once with KAFKA_UPDATE_GOLDEN=1"):
            kafka.expect_golden(tmp_path / "none.jsonl", within="10ms")
        monkeypatch.setenv("KAFKA_UPDATE_GOLDEN", "1")
        kafka.expect_golden(golden, within="10ms")
        monkeypatch.delenv("KAFKA_UPDATE_GOLDEN")
        kafka.expect_golden(golden, within="10ms")


@pytest.mark.parametrize("ignore", [[], ["$.at"]])
@pytest.mark.parametrize("text", ["a\u2028b", "a\u2029b", "a\u0085b", "\ud800", "€"])
def test_a_golden_file_holds_any_text(
    text: str, ignore: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = tmp_path / "golden.jsonl"
    # A lone surrogate is an escape in the event, the other characters are as they are.
    value = json.dumps({"text": text, "at": "12:00"}, ensure_ascii=text == "\ud800")
    with sandbox.testing.kafka() as kafka:
        kafka.produce("orders", value)
        monkeypatch.setenv("KAFKA_UPDATE_GOLDEN", "1")
        kafka.expect_golden(golden, ignore=ignore, within="1ms")
        monkeypatch.delenv("KAFKA_UPDATE_GOLDEN")
        kafka.expect_golden(golden, ignore=ignore, within="1ms")
        kafka.produce("orders", "another")
        with pytest.raises(ExpectationFailed):
            kafka.expect_golden(golden, ignore=ignore, within="1ms")


def test_a_fault_ends_with_its_block() -> None:
    with sandbox.testing.kafka() as kafka:
        with kafka.inject("Produce", topic="orders", error="MESSAGE_TOO_LARGE"):
            producer = kafka.producer()
            refused: list[object] = []
            producer.produce("orders", "x", on_delivery=lambda error, message: refused.append(error))
            producer.flush(10)
            assert refused[0] is not None
        producer.produce("orders", "y")
        producer.flush(10)
        assert [event.text for event in kafka.events("orders")] == ["y"]


def test_a_snapshot_is_restored() -> None:
    with sandbox.testing.kafka() as kafka:
        kafka.produce("orders", "1")
        kafka.snapshots.take("before")
        kafka.produce("orders", "2")
        kafka.snapshots.restore("before")
        assert [event.text for event in kafka.events("orders")] == ["1"]


def test_the_page_opens_when_it_is_asked_for() -> None:
    with sandbox.testing.kafka(topics=["orders"]) as kafka:
        assert kafka.sandbox.web_address is None
        with urlopen(f"{kafka.page}/topics.json", timeout=30) as answer:
            assert b'"orders"' in answer.read()
        assert kafka.page == kafka.sandbox.web_address
        with pytest.raises(SandboxError, match="open already"):
            kafka.sandbox.open_page()


def test_clients_are_closed_with_the_block() -> None:
    with sandbox.testing.kafka(topics=["orders"]) as kafka:
        consumer = kafka.consumer("orders")
        assert "orders" in kafka.admin().list_topics(timeout=10).topics
    with pytest.raises((RuntimeError, KafkaException)):
        consumer.poll(0)
