"""Producers, consumers, pages and the log while the disk or the file fails, and afterwards."""

import http.client
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message, Producer

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.runtime import disk_watch as storage_watch
from tests.disk import file_gone, full_disk, locked_by_another_program, read_only_disk, slow_disk
from tests.waiting import eventually
from tests.wire.raw_client import RawClient, records_of, rows

Failure = Callable[[Sandbox], AbstractContextManager[None]]

FAILURES: dict[str, tuple[Failure, str]] = {
    "full": (full_disk, "The disk is full."),
    "read-only": (read_only_disk, "The file has become read-only."),
    "gone": (file_gone, "The file was moved, deleted or replaced."),
    "locked": (lambda box: locked_by_another_program(box._database.path), "Another program holds a lock"),
}


@pytest.fixture
def live(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox with both ports, that looks after its file more often."""
    monkeypatch.setattr(storage_watch, "QUIET_S", 0.2)
    monkeypatch.setattr(storage_watch, "LOOK_S", 0.1)
    with Sandbox(file) as sandbox:
        sandbox.create_topic("orders")
        sandbox.append("orders", b"before")
        sandbox.serve(kafka_port=0, web_port=0)
        get(sandbox, "/")
        yield sandbox


def get(box: Sandbox, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection((box.web_address or "").removeprefix("http://"), timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def values(client: RawClient) -> list[bytes | None]:
    return [row[3] for row in records_of(client.fetch("orders", 0))]


@pytest.mark.parametrize("kind", FAILURES)
def test_a_disk_that_fails_is_told_to_producers_pages_and_once_to_the_log_and_is_recovered_from(
    live: Sandbox, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    failure, sentence = FAILURES[kind]
    client = RawClient(live.kafka_address or "")
    large = rows(b"x" * 100_000)
    with caplog.at_level(logging.INFO, logger="sandbox"):
        with failure(live):
            for _ in range(10):
                assert client.produce("orders", large).error_code == CODE["KAFKA_STORAGE_ERROR"]
            assert values(client) == [b"before"]
            assert client.list_offset("orders", -1).offset == 1
            assert (live.trouble or "").startswith(sentence)
            if kind != "gone":
                for path in ("/", "/topics/orders", "/groups", "/cluster", "/help"):
                    status, page = get(live, path)
                    assert status == 200
                    assert sentence in page, path
        eventually(lambda: live.trouble is None)
    assert client.produce("orders", large).base_offset == 1
    assert 'class="trouble"' not in get(live, "/")[1]
    client.close()
    told = [record.getMessage() for record in caplog.records if sentence in record.getMessage()]
    assert len(told) == 1
    assert sum("can be used again" in record.getMessage() for record in caplog.records) == 1


def test_a_file_that_is_gone_is_noticed_though_nobody_writes(live: Sandbox) -> None:
    with file_gone(live):
        eventually(lambda: live.trouble is not None)
    eventually(lambda: live.trouble is None)


def test_another_file_in_place_of_the_one_that_is_open_is_never_read(live: Sandbox, tmp_path: Path) -> None:
    path = live._database.path
    with Sandbox(tmp_path / "other.db") as other:
        other.append("orders", b"of the other file")
    with file_gone(live):
        (tmp_path / "other.db").rename(path)
        with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
            live.append("orders", b"lost")
        answers = [get(live, "/topics/orders/messages") for _ in range(12)]
        assert not any("of the other file" in page for _, page in answers)
        assert {status for status, _ in answers} <= {200, 503}
        assert all("was moved, deleted or replaced" in page for _, page in answers)


def test_a_log_that_is_deleted_is_shown_on_the_page_and_logged_once_until_the_sandbox_is_started_again(
    live: Sandbox, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = RawClient(live.kafka_address or "")
    sentence = "The write-ahead log or its index (-wal, -shm) was deleted, moved or replaced by another program."
    with caplog.at_level(logging.INFO, logger="sandbox"):
        file.with_name("dev.db-wal").unlink()
        for _ in range(5):
            assert client.produce("orders", rows(b"x")).error_code == CODE["KAFKA_STORAGE_ERROR"]
        eventually(lambda: sentence in get(live, "/")[1])
        looked = live._runtime.watch.failures
        eventually(lambda: live._runtime.watch.failures > looked, 20, "the watch tries again")
        assert client.produce("orders", rows(b"x")).error_code == CODE["KAFKA_STORAGE_ERROR"]
    assert sum(sentence in record.getMessage() for record in caplog.records) == 1
    client.close()
    live.close()
    with Sandbox(file) as again:
        assert again.event("orders", 0, 0).value == b"before"
        assert again.trouble is None


def test_a_page_that_would_change_something_answers_in_words(live: Sandbox) -> None:
    with read_only_disk(live):
        connection = http.client.HTTPConnection((live.web_address or "").removeprefix("http://"), timeout=20)
        headers = {"Origin": live.web_address or "", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/topics", "topic=more&partitions=1", headers)
        answer = connection.getresponse()
        page = answer.read().decode()
        connection.close()
    assert answer.status in (400, 503)
    assert "The file has become read-only" in page


def test_a_lock_of_another_program_never_stops_who_only_reads(live: Sandbox) -> None:
    """The first write waits a quarter of a second for the lock, the next ones not at all."""
    client, reader = RawClient(live.kafka_address or ""), RawClient(live.kafka_address or "")
    with locked_by_another_program(live._database.path):
        started_s = time.monotonic()
        assert client.produce("orders", rows(b"x")).error_code == CODE["KAFKA_STORAGE_ERROR"]
        first_s = time.monotonic() - started_s
        started_s = time.monotonic()
        for _ in range(20):
            assert client.produce("orders", rows(b"x")).error_code == CODE["KAFKA_STORAGE_ERROR"]
            assert values(reader) == [b"before"]
        assert first_s < 3
        assert time.monotonic() - started_s < 4, "5 s if each of them waited for the lock"
    eventually(lambda: live.trouble is None)
    assert client.produce("orders", rows(b"x")).base_offset == 1
    client.close()
    reader.close()


def test_a_real_producer_goes_through_a_lock_a_full_disk_and_a_read_only_one(live: Sandbox) -> None:
    told: dict[int, str | None] = {}

    def delivered(error: KafkaError | None, message: Message) -> None:
        told[int(message.key() or b"")] = error.name() if error else None

    producer = Producer({"bootstrap.servers": live.kafka_address, "enable.idempotence": True, "retry.backoff.ms": 20})
    number = 0
    for failure in (full_disk, read_only_disk, lambda box: locked_by_another_program(box._database.path)):
        with failure(live):
            failures = live._runtime.watch.failures
            for _ in range(5):
                producer.produce("orders", b"x" * 20_000, key=str(number), on_delivery=delivered)
                number += 1
            producer.poll(0)
            eventually(lambda failures=failures: live._runtime.watch.failures > failures + 1)  # type: ignore[misc]
        assert producer.flush(30) == 0
        eventually(lambda: live.trouble is None)
    assert told == dict.fromkeys(range(number))
    assert [event.key for event in live.read("orders", offset=1, limit=100)] == [b"%d" % one for one in range(number)]


def test_a_slow_disk_is_told_on_the_page(live: Sandbox) -> None:
    with slow_disk(live, 3.2):
        live.append("orders", b"late")
        eventually(lambda: live.trouble is not None)
    assert live.trouble == (
        "The disk is slow: a commit took 3.2 s, and everybody waited for it. Nothing was lost or refused, but programs "
        "may run into their timeouts. This message goes away by itself."
    )
    assert "a commit took 3.2 s" in get(live, "/")[1]


def test_a_file_that_is_damaged_while_open_fails_its_partition_and_no_other(live: Sandbox) -> None:
    """Headers that somebody changed stand for every row that is not as it was written."""
    live.create_topic("damaged")
    live.append("damaged", b"x", headers={"a": b"b"})

    triggers = live._database.query(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%UPDATE%events%'"
    )
    live._runtime.call(lambda now_ms: [live._database._writer.execute(f"DROP TRIGGER {name}") for (name,) in triggers])
    live._runtime.call(
        lambda now_ms: live._database.execute("UPDATE events SET headers = '[[' WHERE headers IS NOT NULL")
    )
    client = RawClient(live.kafka_address or "")
    assert client.fetch("damaged", 0).error_code == CODE["CORRUPT_MESSAGE"]
    assert values(client) == [b"before"]
    assert "damaged-0, offset 0: the file is damaged" in (live.trouble or "")
    client.close()


READ_ON = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
print(connection.execute("SELECT count(*) FROM events").fetchone()[0], flush=True)
sys.stdin.read()
"""


@contextmanager
def reading(file: Path) -> Iterator[int]:
    """Another program holds a read transaction until the block ends; its process id."""
    command = [sys.executable, "-c", READ_ON, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process.pid


def log_bytes(file: Path) -> int:
    return file.with_name("dev.db-wal").stat().st_size


def test_a_log_that_grows_behind_a_reader_is_reported_with_its_name_and_shrinks_afterwards(
    live: Sandbox, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage_watch, "LOG_GROWN_BYTES", 6_000_000)
    events = [NewEvent(b"x" * 1000)] * 2_000
    with caplog.at_level(logging.INFO, logger="sandbox"):
        for _ in range(5):
            live.append_many("orders", events)
        assert live.trouble is None, "without a reader the log does not grow"
        with reading(file) as pid:
            while log_bytes(file) < 6_000_000:
                live.append_many("orders", events)
            eventually(lambda: f"because process {pid} (python" in (live.trouble or ""))
            assert "End that transaction, or close that program. Nothing is lost or refused" in (live.trouble or "")
            assert "The write-ahead log has grown beyond 6 MB" in get(live, "/")[1]
            live.append_many("orders", events)
            assert live._runtime.watch.failures == 0
            with file_gone(live):
                eventually(lambda: (live.trouble or "").startswith("The file was moved, deleted or replaced."))
            eventually(lambda: "has grown beyond" in (live.trouble or ""))
        eventually(lambda: live.trouble is None)
    assert log_bytes(file) < 6_000_000
    assert sum("has grown beyond" in record.getMessage() for record in caplog.records) == 2
    assert sum("The write-ahead log of" in record.getMessage() for record in caplog.records) == 1


def test_a_log_that_grows_behind_an_export_of_ones_own_is_reported_without_ports_too(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_watch, "LOG_GROWN_BYTES", 2_000_000)
    monkeypatch.setattr(storage_watch, "QUIET_S", 0.0)
    events = [NewEvent(b"x" * 1000)] * 2_000
    with box._database.reader() as reader:
        reader.query("SELECT count(*) FROM events")
        for _ in range(3):
            box.append_many("orders", events)
        assert "because an export, a snapshot or a query of this sandbox holds" in (box.trouble or "")
    box.append("orders", "last")
    assert box.trouble is None


ON_A_SMALL_DISK = """
import resource, signal, sys
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.api.sandbox import Sandbox
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Sandbox(sys.argv[1]) as sandbox:
    sandbox.append("orders", "first")
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    for number in range(20):
        try:
            sandbox.append_many("orders", [NewEvent(b"x" * 50_000)] * 2)
        except BrokerError as error:
            break
    print(sandbox.trouble)
    print(len(sandbox.read("orders", limit=100)) == sum(sandbox.end_offsets("orders").values()))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sandbox.append("orders", "last")
    print(sandbox.trouble)
"""


def test_a_disk_that_really_takes_no_more_is_named_and_forgotten_when_it_does(file: Path) -> None:
    command = [sys.executable, "-c", ON_A_SMALL_DISK, str(file)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    trouble, readable, after = result.stdout.splitlines()
    assert trouble.startswith(("The disk reports an error.", "The disk is full."))
    assert (readable, after) == ("True", "None")


def test_what_only_looks_is_answered_without_a_word_of_trouble(live: Sandbox) -> None:
    live.append_many("orders", [NewEvent(b"x")] * 10)
    assert live.trouble is None
    assert json.loads(get(live, "/topics/orders.json")[1])["events"] == 11
