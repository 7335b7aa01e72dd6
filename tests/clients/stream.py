"""Events produced without a pause while a test does something else."""

from __future__ import annotations

import threading
from types import TracebackType

from confluent_kafka import KafkaError, Message, Producer


class Stream:
    """Produces small keyed events, about 400 a second, from entering the block until it is stopped."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
        self._topic = topic
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="stream")
        self.positions: set[tuple[int, int]] = set()
        self.failures: list[str] = []

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop producing and wait until every event is acknowledged; a second call does nothing."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(30)
            self._producer.flush(20)

    def _produce(self) -> None:
        number = 0
        while not self._stopped.wait(0.025):
            for _ in range(10):
                self._producer.produce(self._topic, b"event", f"key-{number}".encode(), on_delivery=self._delivered)
                number += 1
            self._producer.poll(0)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failures.append(error.str())
        else:
            self.positions.add((message.partition() or 0, message.offset() or 0))
