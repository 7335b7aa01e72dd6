"""The direct API, in this process, beside the same work in plain sqlite3."""

import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from benchmarks import raw_sqlite
from benchmarks.figures import Figure, at_least
from benchmarks.workload import samples
from sandbox import NewEvent, Sandbox

PART = "direct API"


def append_and_read(folder: Path, events: int, rounds: int) -> list[Figure]:
    """`append_many` into three partitions by key, then `read` of each partition, with varied JSON."""
    pool = samples("varied")
    prepared = [NewEvent(one.value, one.key, headers=one.headers) for one in islice(cycle(pool), events)]
    raw_in, raw_out, into, out = [], [], [], []
    for number in range(rounds):
        raw_file = folder / f"direct-raw-{number}.db"
        raw_in.append(raw_sqlite.insert_rate(raw_file, events, "varied", own_schema=True))
        raw_out.append(raw_sqlite.select_rate(raw_file))
        with Sandbox(folder / f"direct-{number}.db") as sandbox:
            sandbox.create_topic("direct", partitions=3)
            started = time.perf_counter()
            sandbox.append_many("direct", prepared)
            into.append(events / (time.perf_counter() - started))
            started = time.perf_counter()
            seen = sum(
                len(sandbox.read("direct", partition=partition, offset=0, limit=events)) for partition in range(3)
            )
            out.append(seen / (time.perf_counter() - started))
    return [
        Figure(PART, "SQLite's own insert in this part", median(raw_in), "events/s"),
        Figure(PART, "SQLite's own select in this part", median(raw_out), "events/s"),
        at_least(PART, "append_many", median(into), "events/s", median(raw_in), 0.8, "SQLite's own insert"),
        at_least(PART, "read", median(out), "events/s", median(raw_out), 0.8, "SQLite's own select"),
    ]
