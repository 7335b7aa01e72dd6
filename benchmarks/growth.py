"""`python -m benchmarks.growth`: what grows with the number of events, partitions, groups and connections.

Each curve should be flat. It takes some minutes, and writes the picture that docs/performance.md shows.
"""

import socket
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import click
from confluent_kafka import Consumer, TopicPartition

from benchmarks.curves import Curve, write
from benchmarks.figures import percentile
from benchmarks.processes import ROOT, Server, free_port, run_job, sandbox_up, start_sandbox, stop, wait_for_metadata
from benchmarks.swaps import swap_ms

STEPS = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
SPAN = 100_000
"""How many events are timed at each step: the last ones before it."""
PARTITIONS = (1, 10, 100, 1000)
GROUPS = (1, 10, 50, 100, 200)
CONNECTIONS = (1, 50, 100, 250, 500)
MESSAGES = "/topics/growth/messages"


@click.command()
@click.option("--events", type=click.IntRange(SPAN), default=STEPS[-1], show_default=True, help="How far to go.")
@click.option("--picture", type=click.Path(path_type=Path), default=ROOT / "docs" / "images" / "growth.svg")
def main(events: int, picture: Path) -> None:
    """Measure the growth curves, print them, and draw them."""
    with tempfile.TemporaryDirectory(prefix="sandbox-growth-") as name:
        folder = Path(name)
        curves = [*by_events(folder, [step for step in STEPS if step <= events])]
        curves += [by_partitions(folder), by_groups(folder), by_connections(folder)]
    for curve in curves:
        shown = ", ".join(f"{count:,g}: {value:.3g}" for count, value in curve.points)
        click.echo(f"{curve.title} by {curve.across}: {shown}")
    write(picture, curves)


def by_events(folder: Path, steps: list[int]) -> list[Curve]:
    """One file that grows: the time of an event, a start, pages, the lag of a group, and memory."""
    file = folder / "events.db"
    rows: dict[str, list[tuple[float, float]]] = {}

    def note(title: str, count: int, value: float) -> None:
        rows.setdefault(title, []).append((count, value))

    stored = 0
    for step in steps:
        with sandbox_up(file) as server:
            if not stored:
                run_job("create", servers=server.kafka, topic="growth", partitions=3)
            while stored < step:
                some = min(1_000_000, step - SPAN - stored) or SPAN
                done = run_job("produce", servers=server.kafka, topic="growth", events=some, kind="varied")
                stored += some
            note("µs per event, produce", step, 1e6 / done["events_per_s"])
            _commit(server.kafka, "readers")
            note("ms, newest page of messages", step, _get_ms(server, MESSAGES))
            note("ms, a group's page with its lag", step, _get_ms(server, "/groups/readers"))
            note("MiB of memory", step, server.memory_mib() or 0)
        note("s, start on the known file", step, median(_start_s(file) for _ in range(3)))
        note("ms of server time, a live swap", step, swap_ms(file, "growth", [MESSAGES])[MESSAGES][1])
    first = rows["µs per event, produce"][0][1]
    limits = {
        "µs per event, produce": 1.15 * first,
        "ms, newest page of messages": 300,
        "MiB of memory": 120,
        "ms of server time, a live swap": 50,
    }
    return [Curve(title, "events", points, limits.get(title)) for title, points in rows.items()]


def by_partitions(folder: Path) -> Curve:
    """The time of an event in a topic of many partitions."""
    points = []
    for count in PARTITIONS:
        with sandbox_up(folder / f"partitions-{count}.db") as server:
            run_job("create", servers=server.kafka, topic="wide", partitions=count)
            done = run_job("produce", servers=server.kafka, topic="wide", events=SPAN, kind="varied")
        points.append((count, 1e6 / done["events_per_s"]))
    return Curve("µs per event, produce", "partitions of the topic", points)


def by_groups(folder: Path) -> Curve:
    """The page of all groups, each with its lag, state and history."""
    points = []
    with sandbox_up(folder / "groups.db") as server:
        run_job("create", servers=server.kafka, topic="growth", partitions=3)
        run_job("produce", servers=server.kafka, topic="growth", events=SPAN, kind="varied")
        made = 0
        for count in GROUPS:
            while made < count:
                _commit(server.kafka, f"group-{made}")
                made += 1
            points.append((count, _get_ms(server, "/groups")))
    return Curve("ms, the page of all groups", "groups", points, 300)


def by_connections(folder: Path) -> Curve:
    """One acknowledged event while other connections are open and ask for Metadata now and then."""
    points = []
    body = bytes.fromhex("0003000100000001000562656e636800000000")
    with sandbox_up(folder / "connections.db") as server, ExitStack() as stack:
        run_job("create", servers=server.kafka, topic="growth", partitions=1)
        port = int(server.kafka.rpartition(":")[2])
        opened = 0
        for count in CONNECTIONS:
            while opened < count:
                one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                one.sendall(len(body).to_bytes(4, "big") + body)
                one.recv(4)
                opened += 1
            done = run_job("acknowledged", servers=server.kafka, topic="growth", events=1000)
            points.append((count, percentile(done["ms"], 0.5)))
    return Curve("ms, one acknowledged event, p50", "open connections", points)


def _commit(servers: str, group: str) -> None:
    """Leave a group behind that has read half of each partition."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group, "enable.auto.commit": False})
    places = []
    for partition in range(3):
        _, end = consumer.get_watermark_offsets(TopicPartition("growth", partition), timeout=10)
        places.append(TopicPartition("growth", partition, end // 2))
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


def _get_ms(server: Server, path: str) -> float:
    def get() -> float:
        started = time.perf_counter()
        with urllib.request.urlopen(server.web + path, timeout=30) as answer:
            answer.read()
        return (time.perf_counter() - started) * 1000

    get()
    return median(get() for _ in range(7))


def _start_s(file: Path) -> float:
    port = free_port()
    started = time.perf_counter()
    process = start_sandbox(file, port)
    try:
        wait_for_metadata(port)
        return time.perf_counter() - started
    finally:
        stop(process)


if __name__ == "__main__":
    main()
