"""kill -9 of the owner in the middle of producing, twenty times on one file."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.crash.ledger import GROUP, PARTITIONS, TOPIC, Ledger
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20
START_S = 15.0
BATCH = 20


class Owner:
    """`sandbox up` on one file and one port, started again after each kill."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.start_s: list[float] = []

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        started = time.monotonic()
        command = [sys.executable, "-m", "sandbox", "up", str(self.file), "--kafka-port", str(self.port), "--json"]
        with self.file.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--ui-port", "0"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        bound = threading.Timer(START_S, self.process.kill)
        bound.start()
        line = self.process.stdout.readline()
        bound.cancel()
        assert line, f"the sandbox did not start: {self.file.with_suffix('.log').read_text()[-2000:]}"
        ready = json.loads(line)
        assert ready["pid"] == self.process.pid
        self.port = int(ready["kafka"].rpartition(":")[2])
        self.start_s.append(time.monotonic() - started)

    def kill(self) -> None:
        """kill -9, and nothing before it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def bootstrap(self) -> str:
        """Its address, which stays the same."""
        return f"127.0.0.1:{self.port}"


class Load:
    """Producers and a committing consumer that go on whatever happens to the owner."""

    def __init__(self, bootstrap: str, ledger: Ledger) -> None:
        self._ended = threading.Event()
        self._ledger = ledger
        self._bootstrap = bootstrap
        self.failures: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__)
            for work in (self._produce_plain, self._produce_once, self._consume)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _guarded(self, work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            self.failures.append(error)

    def _produce_plain(self) -> None:
        self._produce("plain", once=False)

    def _produce_once(self) -> None:
        self._produce("once", once=True)

    def _produce(self, name: str, *, once: bool) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "enable.idempotence": once,
                "acks": "all",
                "linger.ms": 1,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 50,
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 50,
                "log_level": 0,
            }
        )

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                place = (message.partition() or 0, message.offset() or 0)
                self._ledger.acknowledged(*place, message.value() or b"", once=once)

        number = 0
        while not self._ended.is_set():
            for _ in range(BATCH):
                value = f"{name}-{number}-{'x' * (number % 200)}".encode()
                producer.produce(TOPIC, value, partition=number % PARTITIONS, on_delivery=delivered)
                number += 1
            while len(producer) > 10 * BATCH and not self._ended.is_set():
                producer.poll(0.05)
            producer.poll(0)
            self._ended.wait(0.004)
        producer.flush(10)

    def _consume(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": GROUP,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 6_000,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 50,
                "log_level": 0,
            }
        )
        consumer.subscribe([TOPIC])
        while not self._ended.is_set():
            consumer.consume(500, timeout=0.1)
            try:
                for done in consumer.commit(asynchronous=False) or []:
                    if done.error is None and done.offset >= 0:
                        self._ledger.committed(done.partition, done.offset)
            except KafkaException:
                continue
        consumer.close()


@contextmanager
def owned(file: Path) -> Iterator[Owner]:
    owner = Owner(file)
    owner.start()
    try:
        yield owner
    finally:
        owner.kill()


@pytest.mark.crash
@pytest.mark.timeout(180)
def test_twenty_kills_lose_nothing_that_was_acknowledged(file: Path) -> None:
    dice = random.Random(11)
    ledger = Ledger()
    with owned(file) as owner:
        admin = AdminClient({"bootstrap.servers": owner.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS)])[TOPIC].result(10)
        with Load(owner.bootstrap, ledger) as load:
            for kill in range(KILLS):
                count = len(ledger.events)
                eventually(lambda count=count: len(ledger.events) > count + 200, 15, f"{kill} kills")  # type: ignore[misc]
                threading.Event().wait(dice.uniform(0, 0.1))
                owner.kill()
                if kill % 5 == 0:
                    assert ledger.faults(file) == [], f"after kill {kill}, before anything was repaired"
                owner.start()
            count, committed = len(ledger.events), sum(ledger.commits.values())
            eventually(lambda: len(ledger.events) > count + 200, 15, "no event after the last start")
            eventually(lambda: sum(ledger.commits.values()) > committed, 20, "no commit after the last start")
    assert load.failures == []
    assert ledger.faults(file) == []
    assert len(ledger.once) > 1_000
    assert len(ledger.events) - len(ledger.once) > 1_000
    assert ledger.commits.keys() == {0, 1}
    assert max(owner.start_s) < 10, owner.start_s
