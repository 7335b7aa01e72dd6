"""Measures the temporary disk space and the memory that the queries of this process use.

SQLite has no limit for either. Sorts, GROUP BY, DISTINCT, window functions, IN, compound SELECTs and materialized or
recursive WITH tables spill into files that it deletes while they are open: only their descriptors show their size.
Some aggregates, such as json_group_array, grow in memory. (`PRAGMA hard_heap_limit` would apply to every connection of
the process, the writer included.)
"""

import os
import stat
import sys
from contextlib import suppress
from typing import NamedTuple

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
