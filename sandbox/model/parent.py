"""Ends a child process when the process that started it has ended, even if the child is blocked.

A child sees the end of its standard input when its parent dies, unless a process that the parent forked still holds the
pipe. So the child also compares its parent's process id, which changes when the parent dies (on Windows it does not).
"""

import os
import threading
import time

LOOK_S = 0.25


def wait_for_death(parent: int) -> None:
    """Return when the parent of this process is no longer the process `parent`; on Windows, never return."""
    while os.name != "posix" or os.getppid() == parent:
        time.sleep(LOOK_S)


def exit_after(grace_s: float) -> None:
    """End this process after a time if it has not ended by then, even if its other threads are blocked."""

    def end() -> None:
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=end, name="exit", daemon=True).start()
