"""Real Kafka clients that continue whatever happens to the owner, and record the answers."""

import random
import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import (
    AcknowledgeType,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    ShareConsumer,
    TopicPartition,
)

from tests.crash.endings import NeverReturned, still_at_work, within
from tests.crash.history import (
    ABORTED,
    COMMITTED,
    GROUP,
    PARTITIONS,
    PIPELINE,
    TOPIC,
    UNKNOWN,
    History,
    value_of,
)

BATCH = 20
CALL_S = 3.0
HUNG_S = 5.0
"""librdkafka's `send_offsets_to_transaction` may never return after its coordinator was away (its issue 5456)."""
TRIES = 4
PRODUCERS_END_S = 60.0
READERS_END_S = 60.0
QUICK = {
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 50,
    "retry.backoff.ms": 20,
    "retry.backoff.max.ms": 50,
    "log_level": 0,
}


class Clients:
    """Producers of three kinds, a group that commits, a read_committed reader and a share group, each in a thread.

    Args:
        bootstrap: the owner's address, also while it is dead.
        history: records the answers.
        seed: of all random choices.

    Attributes:
        failures: errors that a client must never see.
        counts: action to number of times.
    """

    def __init__(self, bootstrap: str, history: History, seed: int) -> None:
        self._settings: dict[str, Any] = {"bootstrap.servers": bootstrap, **QUICK}
        self._history = history
        self._dice = random.Random(seed)
        self._ended = threading.Event()
        self._written = threading.Event()
        self.failures: list[str] = []
        self.counts: dict[str, int] = {}
        self._producers = self._threads(
            lambda: self._produce("plain", once=False), lambda: self._produce("once", once=True), self._transact
        )
        self._readers = self._threads(self._commit_all, self._read_committed, self._share)

    def _threads(self, *works: Callable[[], None]) -> list[threading.Thread]:
        # Daemon threads, so that the program can report a thread that never ends.
        return [threading.Thread(target=self._guarded, args=(work,), daemon=True) for work in works]

    def __enter__(self) -> "Clients":
        for thread in (*self._producers, *self._readers):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.failures += still_at_work(self._producers, PRODUCERS_END_S)
        self._written.set()
        self.failures += still_at_work(self._readers, READERS_END_S)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.failures.append(repr(error))

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._history.acknowledged(message.partition() or 0, message.offset() or 0, message.value() or b"")

    def _produce(self, name: str, *, once: bool) -> None:
        producer = Producer({**self._settings, "enable.idempotence": once, "acks": "all", "linger.ms": 1})

        def delivered(error: KafkaError | None, message: Message) -> None:
            self._delivered(error, message)
            if error is not None:
                self.failures.append(f"{name}: {error}")

        number = 0
        while not self._ended.is_set():
            for _ in range(BATCH):
                producer.produce(TOPIC, value_of(name, number), partition=number % PARTITIONS, on_delivery=delivered)
                number += 1
            while len(producer) > 10 * BATCH and not self._ended.is_set():
                producer.poll(0.05)
            producer.poll(0)
            self._ended.wait(0.03)
        if producer.flush(20):
            self.failures.append(f"{name}: {len(producer)} events were never answered")

    def _transact(self) -> None:
        """Run transactions, and abort a third of them. Creates a new producer if the old one can't continue."""
        number = 0
        metadata = Consumer({**self._settings, "group.id": PIPELINE}).consumer_group_metadata()
        producer: Producer | None = None
        while not self._ended.is_set():
            try:
                if producer is None:
                    settings = {"transactional.id": "writer", "transaction.timeout.ms": 10_000, "linger.ms": 1}
                    producer = Producer({**self._settings, **settings})
                    within(HUNG_S, producer.init_transactions, CALL_S)
                self._one_transaction(producer, metadata, number)
            except NeverReturned as hung:
                self._count(f"clients given up: {hung}")
                producer = None
            except KafkaException as failed:
                self._count(f"transactions that failed: {failed.args[0].name()}")
                producer = self._given_up(producer, failed)
            number += 1
            self._ended.wait(0.02)
        # Abort the last open transaction, so that the reader can read to the end.
        within(30, Producer({**self._settings, "transactional.id": "writer"}).init_transactions, 20)

    def _given_up(self, producer: Producer | None, failed: KafkaException) -> Producer | None:
        """Abort the transaction if the error requires it. Returns None if only a new producer can continue."""
        if producer is None or not failed.args[0].txn_requires_abort():
            return None
        try:
            within(HUNG_S, producer.abort_transaction, CALL_S)
        except (KafkaException, NeverReturned):
            return None
        return producer

    def _one_transaction(self, producer: Producer, metadata: object, number: int) -> None:
        size = self._dice.randint(1, 12)
        abort = self._dice.random() < 1 / 3
        self._history.transaction(number, UNKNOWN, size)
        producer.begin_transaction()
        for index in range(size):
            value, partition = value_of("transaction", number, index), self._dice.randrange(PARTITIONS)
            producer.produce(TOPIC, value, partition=partition, on_delivery=self._delivered)
        place = TopicPartition(TOPIC, 0, number + 1)
        self._again(producer.send_offsets_to_transaction, [place], metadata, CALL_S)
        if abort:
            # Once an abort is requested, none of its events may ever be seen, with or without an answer.
            self._history.transaction(number, ABORTED)
            self._again(producer.abort_transaction, CALL_S)
        else:
            self._again(producer.commit_transaction, CALL_S)
            self._history.transaction(number, COMMITTED)
        self._count("transactions aborted" if abort else "transactions committed")

    def _again(self, call: Callable[..., None], *arguments: object) -> None:
        """Call, and retry retriable errors at most `TRIES` times: librdkafka may be stuck."""
        for left in range(TRIES - 1, -1, -1):
            try:
                return within(HUNG_S, call, *arguments)
            except KafkaException as failed:
                if not failed.args[0].retriable() or self._ended.is_set() or not left:
                    raise
        return None

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def _consumer(self, **settings: object) -> Consumer:
        return Consumer({**self._settings, "enable.auto.commit": False, "session.timeout.ms": 6_000, **settings})

    def _commit_all(self) -> None:
        consumer = self._consumer(**{"group.id": GROUP, "auto.offset.reset": "earliest"})
        consumer.subscribe([TOPIC])
        while not self._written.is_set():
            consumer.consume(500, timeout=0.1)
            try:
                for done in consumer.commit(asynchronous=False) or []:
                    if done.error is None and done.offset >= 0:
                        self._history.committed(done.partition, done.offset)
            except KafkaException:
                continue
        consumer.close()

    def _share(self) -> None:
        """Accept records of a share group; one whose acknowledgement was answered must not be delivered again."""
        settings = {**self._settings, "group.id": "shared", "share.acknowledgement.mode": "explicit"}
        consumer = ShareConsumer(settings)
        consumer.subscribe([TOPIC])
        done: set[tuple[int, int]] = set()
        while not self._written.is_set():
            try:
                taken = [one for one in consumer.poll(0.2) or [] if one.error() is None]
                places = [(one.partition() or 0, one.offset() or 0) for one in taken]
                self.failures += [f"share group: {place} was delivered again" for place in places if place in done]
                for message in taken:
                    consumer.acknowledge(message, AcknowledgeType.ACCEPT)
                answered = consumer.commit_sync(CALL_S)
            except KafkaException:
                continue
            accepted = {place.partition for place, error in answered.items() if error is None}
            done.update(place for place in places if place[0] in accepted)
        self.counts["share group: accepted"] = len(done)
        consumer.close()

    def _read_committed(self) -> None:
        # Without a reset, an offset that doesn't exist any more is reported as an error.
        settings = {"group.id": "reader", "isolation.level": "read_committed", "auto.offset.reset": "error"}
        consumer = self._consumer(**settings)
        consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
        quiet = 0
        while quiet < 5:
            found = consumer.consume(500, timeout=0.2)
            for message in found:
                error = message.error()
                if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
                    self.failures.append(f"the reader: {error}")
            self._history.read(
                (message.partition() or 0, message.offset() or 0, message.value() or b"")
                for message in found
                if message.error() is None
            )
            quiet = quiet + 1 if self._written.is_set() and not found else 0
        consumer.close()
