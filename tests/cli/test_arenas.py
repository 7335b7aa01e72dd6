"""Many threads of `sandbox up` take their memory from the arenas that there are."""

import platform
import subprocess
import sys

import pytest

ARENAS = """
import ctypes, threading
from sandbox.cli.up import share_arenas

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
{before}
everybody = threading.Barrier(6)

def allocate():
    libc.malloc(ctypes.c_size_t(5_000))
    everybody.wait()

threads = [threading.Thread(target=allocate) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


def arenas(before: str) -> int:
    """How many arenas a process has in which six threads allocated."""
    told = subprocess.run(
        [sys.executable, "-c", ARENAS.format(before=before)], check=True, capture_output=True, text=True, timeout=60
    )
    return told.stdout.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no such arenas")
def test_threads_that_come_later_share_the_arenas_that_there_are() -> None:
    assert arenas("") > 4
    assert arenas("share_arenas()") == 1
