"""How much temporary space on disk, and how much memory, the queries of this process use.

SQLite has no limit for either. Sorts, GROUP BY, DISTINCT, window functions, IN, compound SELECTs and materialized or
recursive WITH tables spill into files that it deletes while they are open: only their descriptors show how large they
are. Some aggregates, such as json_group_array, grow in memory. (`PRAGMA hard_heap_limit` would hold for every
connection of the process, the one that writes included.)
"""

import os
import stat
import sys
from contextlib import suppress
from typing import NamedTuple

TEMPORARY_MAX_BYTES = 512 * 1024 * 1024
"""What the temporary files of all queries together may grow by while one runs."""
MEMORY_MAX_BYTES = 512 * 1024 * 1024
"""What the process may grow by while a query runs."""
PREFIX = "etilqs_"
"""How SQLite names its temporary files."""
FOLDER = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


class Used(NamedTuple):
    """Bytes that are used now; 0 where the system does not report them (Windows)."""

    temporary: int
    memory: int


def used() -> Used:
    """What this process uses."""
    return Used(_temporary_bytes(), _memory_bytes())


def exceeded(before: Used) -> str | None:
    """What more than its limit was added to since an earlier look, such as "512 MB of memory"; None if nothing."""
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

    # The most that was used so far: macOS, which reports it in bytes, does not report what is used now.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
