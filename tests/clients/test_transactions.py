"""Transactions as applications use them, on the sandbox and on Apache Kafka alike."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from tests.clients import catalogue
from tests.clients.conftest import Kafka
from tests.clients.offsets import committed_offsets, end_offsets
from tests.clients.processes import ROOT, end
from tests.clients.program import START_S
from tests.clients.sandbox_process import started_sandbox
from tests.clients.waiting import eventually, until_listed

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

Unique = Callable[[str], str]
COPIED_EVENTS = 1_000
KILLS = 3


@pytest.fixture
def topic(kafka: Kafka, unique: Unique) -> str:
    return create(kafka.bootstrap, unique("transactions"))


def create(bootstrap: str, topic: str) -> str:
    """A topic of two partitions."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 2)])[topic].result(timeout=15)
    until_listed(admin, topic)
    return topic


def begin(bootstrap: str, name: str, **settings: object) -> Producer:
    """A producer that has its transactional id, in a transaction."""
    config: dict[str, object] = {
        "bootstrap.servers": bootstrap,
        "transactional.id": name,
        "linger.ms": 1,
        "reconnect.backoff.max.ms": 500,
    }
    config.update({key.replace("_", "."): value for key, value in settings.items()})
    producer = Producer(config)
    producer.init_transactions(30)
    producer.begin_transaction()
    return producer


def write(producer: Producer, topic: str, *values: str) -> None:
    """Write to partition 0, and wait until it is acknowledged."""
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(20) == 0


def read(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[list[str]]:
    """Everything that a consumer finds in the two partitions, up to their ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reads-only",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    found: list[list[str]] = [[], []]
    ended: set[int] = set()
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in (0, 1)])
    deadline = time.monotonic() + 20
    while len(ended) < 2 and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is None:
            continue
        partition = message.partition()
        assert partition is not None
        error = message.error()
        if error is None:
            found[partition].append((message.value() or b"").decode())
        elif error.code() == KafkaError._PARTITION_EOF:
            ended.add(partition)
        else:
            raise KafkaException(error)
    consumer.close()
    assert ended == {0, 1}
    return found


def test_events_are_seen_when_they_are_committed(kafka: Kafka, topic: str, unique: Unique) -> None:
    producer = begin(kafka.bootstrap, unique("teller"))
    write(producer, topic, "a", "b")
    assert read(kafka.bootstrap, topic) == [[], []]
    assert read(kafka.bootstrap, topic, "read_uncommitted") == [["a", "b"], []]
    producer.commit_transaction(20)
    eventually(lambda: read(kafka.bootstrap, topic) == [["a", "b"], []], 20, lambda: str(read(kafka.bootstrap, topic)))
    assert end_offsets(kafka.bootstrap, topic, 2) == {0: 3, 1: 0}


def test_aborted_events_are_never_seen_but_by_those_who_read_all(kafka: Kafka, topic: str, unique: Unique) -> None:
    producer = begin(kafka.bootstrap, unique("teller"))
    write(producer, topic, "gone")
    producer.abort_transaction(20)
    producer.begin_transaction()
    write(producer, topic, "here")
    producer.commit_transaction(20)
    eventually(lambda: read(kafka.bootstrap, topic) == [["here"], []], 20, lambda: str(read(kafka.bootstrap, topic)))
    assert read(kafka.bootstrap, topic, "read_uncommitted") == [["gone", "here"], []]


def test_an_open_transaction_holds_back_what_others_wrote_after_it(kafka: Kafka, topic: str, unique: Unique) -> None:
    first, second = begin(kafka.bootstrap, unique("first")), begin(kafka.bootstrap, unique("second"))
    write(first, topic, "one")
    write(second, topic, "two")
    second.commit_transaction(20)
    assert read(kafka.bootstrap, topic) == [[], []]
    first.abort_transaction(20)
    eventually(lambda: read(kafka.bootstrap, topic) == [["two"], []], 20, lambda: str(read(kafka.bootstrap, topic)))


def test_a_second_producer_fences_the_first(kafka: Kafka, topic: str, unique: Unique) -> None:
    name = unique("teller")
    zombie = begin(kafka.bootstrap, name)
    write(zombie, topic, "lost")
    heir = begin(kafka.bootstrap, name)
    zombie.produce(topic, "late", partition=0)
    with pytest.raises(KafkaException) as refused:
        zombie.commit_transaction(20)
    assert refused.value.args[0].code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
    assert refused.value.args[0].fatal()
    write(heir, topic, "kept")
    heir.commit_transaction(20)
    eventually(lambda: read(kafka.bootstrap, topic) == [["kept"], []], 20, lambda: str(read(kafka.bootstrap, topic)))


def test_a_transaction_that_takes_too_long_cannot_be_committed(kafka: Kafka, topic: str, unique: Unique) -> None:
    late = begin(kafka.bootstrap, unique("teller"), transaction_timeout_ms=1_000, message_timeout_ms=1_000)
    write(late, topic, "late")
    onlooker = begin(kafka.bootstrap, unique("onlooker"))
    write(onlooker, topic, "here")
    onlooker.commit_transaction(20)
    eventually(lambda: read(kafka.bootstrap, topic) == [["here"], []], 40, lambda: str(read(kafka.bootstrap, topic)))
    with pytest.raises(KafkaException) as refused:
        late.commit_transaction(20)
    assert refused.value.args[0].fatal()


def test_offsets_are_committed_with_the_events(kafka: Kafka, topic: str, unique: Unique) -> None:
    group = unique("group")
    producer = begin(kafka.bootstrap, unique("teller"))
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group, "isolation.level": "read_committed"})
    metadata = consumer.consumer_group_metadata()
    write(producer, topic, "a")
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 7)], metadata, 20)
    producer.abort_transaction(20)
    assert committed_offsets(kafka.bootstrap, group) == {}
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 8)], metadata, 20)
    producer.commit_transaction(20)
    assert consumer.committed([TopicPartition(topic, 0)], timeout=20)[0].offset == 8
    consumer.close()


def copy_with_confluent() -> list[str]:
    return [sys.executable, "-m", "tests.clients.programs.copy_program"]


def copy_with_java() -> list[str]:
    return catalogue.java("CopyProgram")


@pytest.mark.parametrize("program", [copy_with_confluent, copy_with_java])
def test_a_program_that_is_killed_again_and_again_copies_each_event_once(
    kafka: Kafka, topic: str, unique: Unique, tmp_path: Path, program: Callable[[], list[str]]
) -> None:
    try:
        command = program()
    except catalogue.ClientUnavailableError as missing:
        pytest.skip(str(missing))
    target, group = create(kafka.bootstrap, unique("target")), unique("copier")
    fill(kafka.bootstrap, topic)
    copied = 0
    for kill in range(KILLS + 1):
        with running([*command, topic, target, group, kafka.bootstrap], tmp_path / f"{kill}.log") as lines:
            wanted = COPIED_EVENTS if kill == KILLS else copied + COPIED_EVENTS // (KILLS + 2)
            before = copied
            while copied < wanted:
                line = next(lines, None)
                assert line is not None, (tmp_path / f"{kill}.log").read_text()[-2000:]
                copied = before + int(json.loads(line)["copied"])
        # It was killed at once, so most likely in a transaction; what it still committed before counts too.
        copied = sum(map(len, read(kafka.bootstrap, target)))
    expected = [[str(number) for number in range(start, COPIED_EVENTS, 2)] for start in (0, 1)]
    eventually(lambda: read(kafka.bootstrap, target) == expected, 20, lambda: "not each event once and in order")
    assert sum(map(len, read(kafka.bootstrap, target, "read_uncommitted"))) > COPIED_EVENTS


def fill(bootstrap: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True})
    for number in range(COPIED_EVENTS):
        producer.produce(topic, str(number), partition=number % 2)
    assert producer.flush(20) == 0


class running:
    """A copying program: its lines while it runs; at the end it is killed as `kill -9` does."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command, self._log = command, log

    def __enter__(self) -> Iterator[bytes]:
        with self._log.open("wb") as stderr:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=catalogue.environment(), stdout=subprocess.PIPE, stderr=stderr
            )
        assert self._process.stdout is not None
        return iter(self._process.stdout)

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        end(self._process)


@pytest.mark.crash
def test_an_open_transaction_survives_the_death_of_the_sandbox(tmp_path: Path, unique: Unique) -> None:
    file, name = tmp_path / "dev.db", unique("teller")
    with started_sandbox(file) as (process, bootstrap):
        topic = create(bootstrap, unique("transactions"))
        kept, lost = begin(bootstrap, name), begin(bootstrap, name + "-lost")
        write(kept, topic, "a")
        write(lost, topic, "never")
        process.kill()
        process.wait(START_S)
    with started_sandbox(file) as (_, again):
        assert again == bootstrap
        assert read(again, topic) == [[], []]
        write(kept, topic, "b")
        kept.commit_transaction(30)
        heir = begin(again, name + "-lost")
        write(heir, topic, "c")
        heir.commit_transaction(30)
        assert read(again, topic) == [["a", "b", "c"], []]
        assert read(again, topic, "read_uncommitted") == [["a", "never", "b", "c"], []]
