"""Waiting for a condition, with a bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from confluent_kafka.admin import AdminClient


def eventually(holds: Callable[[], bool], within_s: float, what: Callable[[], str]) -> None:
    """Wait until a condition holds.

    Args:
        holds: the condition; asked every 20 ms.
        within_s: how long it may take.
        what: describes what is there instead, for the error message.

    Raises:
        AssertionError: the condition did not hold in time.
    """
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what()}")
        pause.wait(0.02)


def until_listed(admin: AdminClient, topic: str) -> None:
    """Wait until a topic that was just created is in the metadata: Kafka's brokers hear of it a moment later."""

    def is_led() -> bool:
        found = admin.list_topics(timeout=15).topics.get(topic)
        return found is not None and found.error is None and all(one.leader >= 0 for one in found.partitions.values())

    eventually(is_led, 10, lambda: f"{topic} is not in the metadata")
