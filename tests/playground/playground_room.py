"""A sandbox in which sessions may be short, with a topic and what is asked of its consumers."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.api.sandbox import Sandbox
from sandbox.playground.consumer import PlaygroundConsumer

SESSION_MS = 1000
WITHIN_S = 30.0
SETTINGS = {
    "group.min.session.timeout.ms": "100",
    "group.share.min.record.lock.duration.ms": "1000",
    # A killed member of a share group is in its group until its session ends, which takes 45 s by default.
    "group.share.min.session.timeout.ms": "1000",
    "group.share.session.timeout.ms": "5000",
    "group.share.min.heartbeat.interval.ms": "500",
    "group.share.heartbeat.interval.ms": "1000",
}


def eventually(holds: Callable[[], object], within_s: float, what: str) -> None:
    """As `tests.waiting.eventually`, asking less often: the consumers are processes, and need the machine too."""
    deadline, pause = time.monotonic() + within_s, threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"after {within_s} s: {what}"
        pause.wait(0.03)


@contextmanager
def ground(file: Path) -> Iterator[Sandbox]:
    """A sandbox that serves Kafka clients."""
    with Sandbox(file, settings=SETTINGS) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        yield sandbox


def fill(sandbox: Sandbox, topic: str, events: int, partitions: int = 1) -> None:
    """Make a topic with events "v0", "v1", ..., dealt out to its partitions in turn."""
    sandbox.create_topic(topic, partitions=partitions)
    for number in range(events):
        sandbox.append(topic, f"v{number}", key=f"k{number}", partition=number % partitions)


def count(consumer: PlaygroundConsumer, what: str = "processed") -> int:
    """One of its counts."""
    return consumer.describe().counts.get(what, 0)


def until_processed(consumer: PlaygroundConsumer, least: int) -> None:
    """Wait until it has processed this number."""
    eventually(lambda: count(consumer) >= least, WITHIN_S, f"{least} events are processed")


def until_state(consumer: PlaygroundConsumer, *states: str) -> None:
    """Wait until it is in one of the states."""
    eventually(lambda: consumer.describe().state in states, WITHIN_S, f"it is {' or '.join(states)}")


def until_ended(pid: int) -> None:
    """Wait until a process that is no child of this one has ended."""
    status = Path(f"/proc/{pid}/status")

    def ended() -> bool:
        try:
            return "\nState:\tZ" in status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True

    eventually(ended, WITHIN_S, f"process {pid} has ended")
