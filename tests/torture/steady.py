"""A well-behaved producer as a separate program: `python -m tests.torture.steady BOOTSTRAP TOPIC SECONDS`.

It sends one event every 10 ms with acks=all without waiting for earlier ones, so a stall delays every event that was
due during it and not only the one in flight. It prints a line when it begins, and at the end the duration until each
acknowledgement in ms, as JSON. For an event without an acknowledgement, the duration is the time until the end.
"""

import json
import sys
import time

from confluent_kafka import KafkaError, Message, Producer

EVERY_S = 0.01
LAST_S = 15.0
"""Seconds to wait for the last acknowledgements."""


def acknowledgements(bootstrap: str, topic: str, seconds: float) -> list[float]:
    """Return the duration until each acknowledgement, in ms."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "log_level": 0})
    producer.list_topics(topic, timeout=30)
    sent: dict[int, float] = {}
    took: list[float] = []

    def on_delivery(number: int, error: KafkaError | None) -> None:
        since = sent.pop(number)
        if error is None:
            took.append((time.perf_counter() - since) * 1000)
        else:
            sent[number] = since

    print("begun", flush=True)
    started = time.perf_counter()
    for number in range(int(seconds / EVERY_S)):
        due = started + number * EVERY_S
        while (left := due - time.perf_counter()) > 0:
            producer.poll(left)

        def delivered(error: KafkaError | None, _message: Message, number: int = number) -> None:
            on_delivery(number, error)

        sent[number] = due
        producer.produce(topic, b"x" * 100, on_delivery=delivered)
    producer.flush(LAST_S)
    now = time.perf_counter()
    return took + [(now - since) * 1000 for since in sent.values()]


if __name__ == "__main__":
    print(json.dumps(acknowledgements(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
