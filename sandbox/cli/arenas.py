"""Limits `sandbox up` to one memory arena of the C library, instead of one per thread.

Problem: glibc gives each thread its own arena, up to eight per core, and each arena keeps the memory of its peak. So
memory grew for half an hour although nothing leaked. Trade: all threads share the existing arena; Python runs one
thread at a time anyway. Consequence: memory that one thread frees is used by the next. Programs that embed the sandbox
are not affected.

Source: mallopt(3), M_ARENA_MAX.
"""

import sys
from contextlib import suppress

M_ARENA_MAX = -8


def share_arenas() -> None:
    """Make new threads use the existing arena. Does nothing if the C library isn't glibc."""
    if not sys.platform.startswith("linux"):
        return
    # Imported here, because some Python builds don't have ctypes.
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
