"""Limits the time and the temporary space of a query."""

import os
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from sandbox.model import cancellation

TEMPORARY_MAX_BYTES = 512 * 1024 * 1024
"""How much the temporary files of all queries together may grow while one runs."""
MEMORY_MAX_BYTES = 512 * 1024 * 1024
"""How much the process may grow while a query runs."""
PREFIX = "etilqs_"
"""The prefix of SQLite's temporary files."""
FOLDER = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


class Used(NamedTuple):
    """Bytes used now; 0 if the system does not report them (Windows)."""

    temporary: int
    memory: int


def used() -> Used:
    """Return what this process uses now."""
    return Used(_temporary_bytes(), _memory_bytes())


def exceeded(before: Used) -> str | None:
    """Return the limit that was exceeded since an earlier measurement, such as "512 MB of memory", or None."""
    now = used()
    if now.temporary - before.temporary > TEMPORARY_MAX_BYTES:
        return f"{_megabytes(TEMPORARY_MAX_BYTES)} of temporary space"
    if now.memory - before.memory > MEMORY_MAX_BYTES:
        return f"{_megabytes(MEMORY_MAX_BYTES)} of memory"
    return None


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes // (1024 * 1024)} MB"


def _temporary_bytes() -> int:
    if os.name == "nt":
        return 0
    total = 0
    with suppress(OSError):
        for name in os.listdir(FOLDER):
            with suppress(OSError, ValueError):
                if sys.platform == "linux" and PREFIX not in os.readlink(f"{FOLDER}/{name}"):
                    continue
                found = os.fstat(int(name))
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                    total += found.st_blocks * 512
    return total


def _memory_bytes() -> int:
    if sys.platform == "linux":
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if os.name == "nt":
        return 0
    import resource

    # The peak: macOS, which reports it in bytes, does not report the current value here.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


STEPS = 5_000
"""Steps of SQLite's virtual machine between two checks of the clock."""
LOOK_S = 0.05
"""How often another thread checks the space used, in seconds."""


class Clock:
    """Ends a query that exceeds its time or space: SQLite's progress handler, and an interrupt from another thread.

    The handler is called after a number of steps, and a step may take long; the interrupt takes effect before the
    next row.

    Attributes:
        over: True if the time is up.
        lacks: the limit that the query exceeded, such as "512 MB of temporary space"; None if it didn't.
    """

    def __init__(self, limit_s: float) -> None:
        self._end_s = time.monotonic() + limit_s
        self.over = False
        self.lacks: str | None = None

    def __call__(self) -> int:
        cancellation.check()
        self.over = self.over or time.monotonic() > self._end_s
        return int(self.over or self.lacks is not None)

    def look(self) -> None:
        """Raise TimeoutError if the time or space is exceeded."""
        if self():
            raise TimeoutError

    @contextmanager
    def interrupting(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Within the block, interrupt the connection when its time or space is exceeded."""
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(connection, ended), name="sql-watch", daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()
            self()

    def _watch(self, connection: sqlite3.Connection, ended: threading.Event) -> None:
        before = used()
        pause_s = LOOK_S
        while not ended.wait(min(pause_s, max(0.01, self._end_s - time.monotonic()))):
            began_s = time.monotonic()
            self.lacks = self.lacks or exceeded(before)
            # With very many open files, one check takes long.
            pause_s = max(LOOK_S, 20 * (time.monotonic() - began_s))
            if self():
                connection.interrupt()
