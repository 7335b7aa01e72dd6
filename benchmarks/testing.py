"""Set-up and tear-down of one test, for each way to give it an empty Kafka, and the growth over many tests.

python -m benchmarks.testing [--tests 1000]; the part `testing` of `python -m benchmarks` has the figures that matter.
"""

import argparse
import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Figure, at_most
from sandbox.testing.handle import Kafka
from sandbox.testing.start import cluster, prepare, remove, start

ROUNDS = 60
WARM_UP = 5
EVENTS = 5
SUITE_TESTS = 200
SUITE = """import pytest


@pytest.mark.kafka(topics={{"orders": 3}})
@pytest.mark.parametrize("number", range({tests}))
def test_an_order_is_priced(kafka, producer, consumer, number):
    consumer.subscribe(["orders"])
    producer.produce("orders", b'{{"id": %d, "price": 3}}' % number, key=b"user-%d" % number)
    producer.flush()
    assert consumer.consume(1, 10)[0].value().startswith(b'{{"id"')
    kafka.expect("orders", json={{"id": number}})
"""
"""Tests as a team writes them: each sends an event and reads it with real clients."""


class Cost(NamedTuple):
    """Elapsed time, and the CPU time of all threads of this process; both in seconds."""

    time_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> "Cost":
        """Return both clocks."""
        return cls(time.perf_counter(), time.process_time())

    def since(self, other: "Cost") -> "Cost":
        """Return the difference."""
        return Cost(self.time_s - other.time_s, self.cpu_s - other.cpu_s)

    def plus(self, other: "Cost") -> "Cost":
        """Return the sum."""
        return Cost(self.time_s + other.time_s, self.cpu_s + other.cpu_s)


def used(kafka: Kafka) -> None:
    """What a test does: it takes no part in the figures."""
    for number in range(EVENTS):
        kafka.produce("orders", {"id": number}, key=f"user-{number}")
    kafka.expect("orders", json={"id": EVENTS - 1})


def new_file(folder: Path) -> Callable[[], Cost]:
    """A sandbox on a new file for each test."""

    def one() -> Cost:
        file = folder / "new.db"
        began = Cost.now()
        kafka = start(file)
        prepare(kafka, topics={"orders": 3})
        ready = Cost.now()
        used(kafka)
        done = Cost.now()
        kafka.close()
        remove(file)
        return ready.since(began).plus(Cost.now().since(done))

    return one


def prefix(shared: Kafka) -> Callable[[], Cost]:
    """Topics under a prefix of a broker that all tests share."""

    def one() -> Cost:
        began = Cost.now()
        opened = cluster(shared.bootstrap_servers, topics={"orders": 3})
        kafka = opened.__enter__()
        ready = Cost.now()
        used(kafka)
        done = Cost.now()
        opened.__exit__(None, None, None)
        return ready.since(began).plus(Cost.now().since(done))

    return one


def snapshot(shared: Kafka) -> Callable[[], Cost]:
    """A snapshot of the empty file, restored before each test on a broker that all tests share."""
    shared.snapshots.take("empty")

    def one() -> Cost:
        began = Cost.now()
        shared.snapshots.restore("empty")
        prepare(shared, topics={"orders": 3})
        ready = Cost.now()
        used(shared)
        return ready.since(began)

    return one


def measure(one: Callable[[], Cost]) -> tuple[float, float, float]:
    """Return the median and the 95th percentile of the time, and the median of the CPU time, in ms."""
    for _ in range(WARM_UP):
        one()
    costs = [one() for _ in range(ROUNDS)]
    times_s = sorted(cost.time_s for cost in costs)
    cpu_s = statistics.median(cost.cpu_s for cost in costs)
    return 1000 * statistics.median(times_s), 1000 * times_s[int(0.95 * len(times_s))], 1000 * cpu_s


def growth(folder: Path, tests: int) -> str:
    """Return what is left after many tests."""
    one = new_file(folder)
    for _ in range(WARM_UP):
        one()
    gc.collect()
    before = _left()
    for _ in range(tests):
        one()
    gc.collect()
    after = _left()
    changes = ", ".join(f"{name} {after[name] - before[name]:+,}" for name in after)
    return f"after {tests:,} tests: {changes}"


def suite(folder: Path, tests: int) -> float:
    """Return the seconds of a whole pytest run of many tests with two workers."""
    project = folder / "project"
    project.mkdir()
    (project / "test_orders.py").write_text(SUITE.format(tests=tests))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", str(project)]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"the suite failed: {done.stdout[-2000:]}")
    return time.perf_counter() - began


def testing(folder: Path, tests: int) -> tuple[list[Figure], list[str]]:
    """Return what tests cost, beside Apache Kafka started for a session, and what was left out and why."""
    part = "tests"
    shared = start(folder / "shared.db")
    try:
        new_ms, prefix_ms, snapshot_ms = (
            measure(one)[0] for one in (new_file(folder), prefix(shared), snapshot(shared))
        )
    finally:
        shared.close()
    name = f"{tests} tests with producer and consumer, pytest -n 2"
    figures = [
        at_most(part, "set-up and tear-down of a test: a new file", new_ms, "ms", 30),
        Figure(part, "set-up and tear-down of a test: a prefix on a shared broker", prefix_ms, "ms"),
        Figure(part, "set-up and tear-down of a test: a snapshot restored", snapshot_ms, "ms"),
        at_most(part, name, suite(folder, tests), "s", 20 * tests / SUITE_TESTS),
    ]
    try:
        from tests.clients.apache_kafka import VERSION, running_kafka

        began = time.perf_counter()
        with running_kafka():
            figures.append(Figure(part, f"Apache Kafka {VERSION}, started", time.perf_counter() - began, "s"))
    except Exception as error:  # without Java, or without its jars
        return figures, [f"Apache Kafka: {error}"]
    return figures, []


def _left() -> dict[str, int]:
    descriptors = Path("/proc/self/fd")
    return {
        "threads": threading.active_count(),
        "open files": len(os.listdir(descriptors)) if descriptors.exists() else 0,
        "KB of peak memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def main() -> None:
    """Print the table of docs/testing.md, and the growth."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tests", type=int, default=1000, help="Tests for the growth; 0 leaves it out.")
    tests = parser.parse_args().tests
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shared = start(folder / "shared.db")
        print("| way | median | 95th percentile | CPU time, median |\n|---|---|---|---|")
        try:
            for what, one in (
                ("new file (default)", new_file(folder)),
                ("prefix on a shared broker", prefix(shared)),
                ("snapshot restored on a shared broker", snapshot(shared)),
            ):
                median_ms, most_ms, cpu_ms = measure(one)
                print(f"| {what} | {median_ms:.0f} | {most_ms:.0f} | {cpu_ms:.0f} |", flush=True)
        finally:
            shared.close()
        if tests:
            print(growth(folder, tests))


if __name__ == "__main__":
    main()
