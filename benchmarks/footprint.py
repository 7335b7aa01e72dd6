"""Start, memory, and bytes on disk; and what grows with the number of events."""

import json
import time
import urllib.request
from pathlib import Path

from benchmarks.figures import Figure, at_most, median_of
from benchmarks.processes import free_port, run_job, sandbox_up, start_sandbox, stop, wait_for_metadata

PART = "footprint"
ROUND_EVENTS = 100_000
MEMORY_LIMITS_MIB = (60, 120)
KEY_BYTES = 12


def start(folder: Path, rounds: int) -> list[Figure]:
    """`sandbox up` to the first answered Metadata, and a sandbox inside a program."""

    def up(number: int) -> float:
        port = free_port()
        started = time.perf_counter()
        process = start_sandbox(folder / f"start-{number}.db", port)
        try:
            wait_for_metadata(port)
            return time.perf_counter() - started
        finally:
            stop(process)

    def inside(number: int) -> float:
        return float(run_job("in_process", file=str(folder / f"inside-{number}.db"))["s"])

    up(-1)  # the first start of all writes the bytecode
    return [
        at_most(PART, "`sandbox up` on a new file to first answered Metadata", median_of(rounds, up), "s", 0.35),
        at_most(PART, "`sandbox up` on a known file", median_of(rounds, lambda _: up(0)), "s", 0.35),
        at_most(PART, "sandbox inside a program, import included", median_of(rounds, inside), "s", 0.15),
    ]


def growth(folder: Path, events: int) -> list[Figure]:
    """Memory when idle and after many events; the rate of the first and the last of them; a page of them."""
    rates = []
    batch = min(ROUND_EVENTS, events)
    with sandbox_up(folder / "growth.db") as server:
        wait_for_metadata(int(server.kafka.rpartition(":")[2]))
        idle = server.memory_mib()
        run_job("create", servers=server.kafka, topic="growth", partitions=3)
        for _ in range(0, events, batch):
            measured = run_job("produce", servers=server.kafka, topic="growth", events=batch, kind="varied")
            rates.append(measured["events_per_s"])
        run_job("consume", servers=server.kafka, topic="growth")
        loaded = server.memory_mib()
        page_ms = median_of(5, lambda _: _page_ms(f"{server.web}/topics/growth/messages.json"))
    figures = [at_most(PART, f"newest page of {events:,} events", page_ms, "ms", 300)]
    if idle is not None and loaded is not None:
        figures += [
            at_most(PART, "memory, idle", idle, "MiB", MEMORY_LIMITS_MIB[0]),
            at_most(PART, f"memory after {events:,} events in and out", loaded, "MiB", MEMORY_LIMITS_MIB[1]),
        ]
    if len(rates) > 1:
        note = f"at most 1.15 x the first {batch:,}"
        figures.append(
            Figure(PART, f"time per event, last {batch:,}", 1e6 / rates[-1], "µs", 1e6 / rates[0], 1.15, False, note)
        )
    return figures


def _page_ms(address: str) -> float:
    started = time.perf_counter()
    with urllib.request.urlopen(address, timeout=30) as answer:
        json.load(answer)
    return (time.perf_counter() - started) * 1000


def disk(folder: Path, events: int) -> list[Figure]:
    """Bytes of the file for each event, after the sandbox has closed it."""
    figures = []
    for value_bytes in (100, 1000):
        file = folder / f"disk-{value_bytes}.db"
        with sandbox_up(file) as server:
            run_job("create", servers=server.kafka, topic="disk", partitions=3)
            run_job("produce", servers=server.kafka, topic="disk", events=events, kind="equal", value_bytes=value_bytes)
        limit = 1.5 * (value_bytes + KEY_BYTES) + 40
        name = f"on disk, values of {value_bytes} bytes and keys of {KEY_BYTES}"
        figures.append(at_most(PART, name, file.stat().st_size / events, "bytes/event", limit))
    return figures
