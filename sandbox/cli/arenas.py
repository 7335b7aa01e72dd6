"""Where the memory of `sandbox up` comes from: one arena of the C library, not one for each thread.

Problem: glibc gives each thread an arena of its own, up to eight for each core, and each keeps what its busiest moment
took, so memory grew for half an hour though nothing was left behind. Trade: the threads share the one that there is;
they take turns in Python anyway. Consequence: what one has given back the next one takes. A program that embeds the
sandbox is not touched.

Source: mallopt(3), M_ARENA_MAX.
"""

import sys
from contextlib import suppress

M_ARENA_MAX = -8


def share_arenas() -> None:
    """From now on new threads use the arena that exists. Nothing happens where the C library is another one."""
    if not sys.platform.startswith("linux"):
        return
    # Here, because some Pythons come without it.
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
