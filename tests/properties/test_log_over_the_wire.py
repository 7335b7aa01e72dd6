"""Over the Kafka port: any order of writes, commits, aborts and restarts, by producers that outlive the restarts.

The same promise as in `test_log_model.py`, kept to a real client: what was acknowledged is there once and in order, and
a consumer in read_committed gets what was committed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import Sandbox

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

TOPIC, PARTITIONS = "orders", (0, 1)
numbers = st.sampled_from(PARTITIONS)
steps = st.one_of(
    st.tuples(st.sampled_from(("write", "write in the transaction")), numbers, st.integers(1, 3)),
    st.tuples(st.sampled_from(("commit", "abort", "restart")), st.just(0), st.just(0)),
)


class Wire:
    """A sandbox behind its Kafka port, and two producers that outlive its restarts."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.box = Sandbox(file)
        self.box.create_topic(TOPIC, partitions=len(PARTITIONS))
        self.box.serve(kafka_port=0, web_port=None)
        self.address = self.box.kafka_address or ""
        quick = {"bootstrap.servers": self.address, "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 10}
        self.plain = Producer({**quick, "enable.idempotence": True})
        self.teller = Producer({**quick, "transactional.id": "teller"})
        self.teller.init_transactions(20)
        self.open = False
        # (value, "committed", "aborted" or "open") of what was acknowledged, in order
        self.log: dict[int, list[tuple[str, str]]] = {number: [] for number in PARTITIONS}
        self.written = 0

    def step(self, what: str, number: int, count: int) -> None:
        """Do one thing, and wait until it is acknowledged."""
        if what == "restart":
            self.box.close()
            self.box = Sandbox(self.file)
            self.box.serve(kafka_port=int(self.address.rpartition(":")[2]), web_port=None)
        elif what == "write":
            self._produce(self.plain, number, count, "committed")
        elif what == "write in the transaction":
            if not self.open:
                self.teller.begin_transaction()
            self.open = True
            self._produce(self.teller, number, count, "open")
        elif self.open:
            (self.teller.commit_transaction if what == "commit" else self.teller.abort_transaction)(20)
            outcome = "committed" if what == "commit" else "aborted"
            for events in self.log.values():
                events[:] = [(value, outcome if state == "open" else state) for value, state in events]
            self.open = False

    def _produce(self, producer: Any, number: int, count: int, state: str) -> None:
        failed: list[KafkaError] = []
        for _ in range(count):
            self.written += 1
            value = f"v{self.written}"
            producer.produce(
                TOPIC, value, partition=number, on_delivery=lambda error, _: failed.append(error) if error else None
            )
            self.log[number].append((value, state))
        assert producer.flush(30) == 0
        assert failed == []

    def read(self, isolation: str) -> dict[int, list[str]]:
        """What a new consumer gets, by partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "readers",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": isolation,
            }
        )
        consumer.assign([TopicPartition(TOPIC, number, 0) for number in PARTITIONS])
        found: dict[int, list[str]] = {number: [] for number in PARTITIONS}
        ended: set[int] = set()
        while ended != set(PARTITIONS):
            message = consumer.poll(20)
            assert message is not None, f"nothing for 20 s after {found}"
            number, error = message.partition(), message.error()
            assert number is not None
            if error is None:
                found[number].append((message.value() or b"").decode())
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ended.add(number)
        consumer.close()
        return found

    def committed(self) -> dict[int, list[str]]:
        """What read_committed must show: up to the first event of the open transaction."""
        shown: dict[int, list[str]] = {}
        for number, events in self.log.items():
            states = [state for _, state in events]
            end = states.index("open") if "open" in states else len(states)
            shown[number] = [value for value, state in events[:end] if state == "committed"]
        return shown


@contextmanager
def running() -> Iterator[Wire]:
    """A `Wire` in a new folder."""
    with TemporaryDirectory() as folder:
        wire = Wire(Path(folder) / "dev.db")
        try:
            yield wire
        finally:
            wire.box.close()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=6, max_size=16))
def test_what_was_acknowledged_is_read_once_and_in_order(todo: list[tuple[str, int, int]]) -> None:
    with running() as wire:
        for what, number, count in todo:
            wire.step(what, number, count)
        assert wire.read("read_uncommitted") == {
            number: [value for value, _ in events] for number, events in wire.log.items()
        }
        assert wire.read("read_committed") == wire.committed()
