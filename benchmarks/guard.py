"""Measures a commit's checks that the file and its log were not replaced: `python -m benchmarks.guard`.

Commits of one row, with the looks and without, in turns; the median of each, in microseconds.
"""

import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from unittest.mock import patch

from sandbox.storage.file.database import Database
from sandbox.storage.file.guard import FileGuard

ROUNDS, COMMITS = 30, 300
WRITE = "INSERT OR REPLACE INTO settings(name, value) VALUES('benchmark', ?)"


def commits_us(database: Database, guarded: bool) -> float:
    """The median time of a commit."""
    times = []
    with ExitStack() as stack:
        for name in () if guarded else ("before_commit", "after_commit"):
            stack.enter_context(patch.object(FileGuard, name, lambda self: None))
        for number in range(COMMITS):
            database.execute(WRITE, (str(number),))
            started = time.perf_counter_ns()
            database.commit()
            times.append((time.perf_counter_ns() - started) / 1000)
    return median(times)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, closing(Database(Path(folder) / "dev.db")) as database:
        rounds = [(commits_us(database, True), commits_us(database, False)) for _ in range(ROUNDS)]
        with_looks, without = (median(column) for column in zip(*rounds, strict=True))
    cost = with_looks - without
    print(f"commit of one row: {with_looks:.1f} µs with the looks, {without:.1f} µs without: {cost:.1f} µs")


if __name__ == "__main__":
    main()
