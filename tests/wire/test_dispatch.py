"""Requests to answers, and real clients on a disk that is full, and rows that others read meanwhile."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer

from sandbox.api.sandbox import Sandbox
from sandbox.wire.api_table import API_BY_KEY, APIS
from tests.disk import full_disk
from tests.waiting import eventually
from tests.wire.raw_client import PRODUCE, RawClient, rows


def test_every_api_that_is_announced_is_served_once() -> None:
    assert len({api.key for api in APIS}) == len(APIS)
    for api in APIS:
        assert api.first <= api.last, api.name
        assert callable(api.load()), api.name


def test_what_is_announced_is_what_is_served(client: RawClient) -> None:
    announced = {one.api_key: (one.min_version, one.max_version) for one in client.api_versions().api_keys}
    assert announced.keys() == API_BY_KEY.keys()
    for key, (first, last) in announced.items():
        assert last == API_BY_KEY[key].last
        assert first == (0 if key == PRODUCE else API_BY_KEY[key].first)


def test_an_api_that_fails_unexpectedly_closes_its_connection_and_undoes_what_it_wrote(
    served: Sandbox, client: RawClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served.append("orders", "ham")
    log = served._broker.log
    written = log.append

    def broken(*arguments: object) -> object:
        written(*arguments)  # type: ignore[arg-type]
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(log, "append", broken)
        with pytest.raises(ConnectionError):
            client.produce("orders", rows(b"half"))
    assert "a request of /127.0.0.1 failed" in caplog.text
    other = RawClient(served.kafka_address or "")
    assert other.fetch("orders", 0).high_watermark == 1
    assert other.produce("orders", rows(b"eggs")).base_offset == 1
    other.close()
    assert [event.value for event in served.read("orders")] == [b"ham", b"eggs"]


QUIET = {"message.timeout.ms": 20_000, "log_level": 0}


@pytest.fixture
def live(file: Path) -> Iterator[Sandbox]:
    """A sandbox on the clock that real clients stamp their events by."""
    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        yield sandbox


class Deliveries:
    """What a producer was told."""

    def __init__(self) -> None:
        self.offsets: dict[bytes, int] = {}
        self.errors: dict[bytes, str] = {}

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        value = message.value() or b""
        if error is None:
            self.offsets[value] = message.offset() or 0
        else:
            self.errors[value] = error.name()


def test_a_real_producer_is_told_of_a_full_disk_and_goes_on_when_there_is_room(live: Sandbox) -> None:
    live.create_topic("orders")
    told = Deliveries()
    producer = Producer({"bootstrap.servers": live.kafka_address, "retries": 0, "linger.ms": 0, **QUIET})

    def produce(*values: bytes) -> None:
        for value in values:
            producer.produce("orders", value, on_delivery=told)
        assert producer.flush(15) == 0

    produce(b"first")
    with full_disk(live):
        produce(b"x" * 200_000, b"y" * 200_000)
        assert set(told.errors.values()) == {"KAFKA_STORAGE_ERROR"}
        assert len(told.errors) == 2
        assert values_of(live) == [b"first"]
    produce(b"last")
    assert told.offsets == {b"first": 0, b"last": 1}
    assert values_of(live) == [b"first", b"last"]


def test_a_real_producer_that_retries_loses_nothing_to_a_disk_that_was_full_for_a_while(
    live: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    live.create_topic("orders")
    told = Deliveries()
    producer = Producer(
        {"bootstrap.servers": live.kafka_address, "enable.idempotence": True, "retry.backoff.ms": 20, **QUIET}
    )
    producer.produce("orders", b"0", on_delivery=told)
    assert producer.flush(15) == 0
    with full_disk(live):
        before = live._database.query("SELECT count(*) FROM events")
        for number in range(1, 20):
            producer.produce("orders", b"%d" % number * 30_000, on_delivery=told)
        eventually(lambda: live._runtime.watch.failures >= 3)
        assert live._database.query("SELECT count(*) FROM events") == before
    assert producer.flush(30) == 0
    assert told.errors == {}
    assert sorted(told.offsets.values()) == list(range(20))
    stored = values_of(live)
    assert all(stored[offset] == value for value, offset in told.offsets.items())


def values_of(live: Sandbox) -> list[bytes | None]:
    """What a real consumer reads."""
    consumer = Consumer(
        {"bootstrap.servers": live.kafka_address, "group.id": "reader", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["orders"])
    found: list[bytes | None] = []
    wanted = sum(live.end_offsets("orders").values())

    def all_read() -> bool:
        found.extend(one.value() for one in consumer.consume(100, 0.1))
        return len(found) >= wanted

    eventually(all_read, 15)
    consumer.close()
    live.delete_group("reader")
    return found


def test_another_process_reads_the_rows_while_producers_write(live: Sandbox) -> None:
    """Each look sees whole offsets from 0 on, never fewer than the look before."""
    live.create_topic("orders", partitions=2)
    ended = threading.Event()
    failures: list[str] = []

    def produce() -> None:
        told = Deliveries()
        producer = Producer({"bootstrap.servers": live.kafka_address, "linger.ms": 1, **QUIET})
        number = 0
        while not ended.is_set():
            for _ in range(50):
                producer.produce("orders", b"%d" % number, partition=number % 2, on_delivery=told)
                number += 1
            producer.poll(0)
            ended.wait(0.01)
        producer.flush(10)
        failures.extend(told.errors.values())

    producers = [threading.Thread(target=produce) for _ in range(2)]
    for one in producers:
        one.start()
    looks: list[int] = []
    deadline = time.monotonic() + 20
    query = "SELECT partition, count(*) n, min(offset) low, max(offset) high FROM messages GROUP BY partition"
    try:
        while len(looks) < 15 or looks[-1] == looks[0]:
            assert time.monotonic() < deadline, looks
            command = ["sqlite3", "-json", "-readonly", live.overview().file, query]
            out = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
            rows_seen = [SimpleNamespace(**row) for row in json.loads(out or "[]")]
            assert all((row.low, row.high) == (0, row.n - 1) for row in rows_seen), out
            looks.append(sum(row.n for row in rows_seen))
    finally:
        ended.set()
        for one in producers:
            one.join(20)
    assert looks == sorted(looks)
    assert failures == []
