"""How `sandbox up` and `sandbox ui` end: on a signal, and within 3 s whatever they are doing."""

import os
import signal
import sys
import threading
from types import FrameType

WITHIN_S = 2.8
"""Containers and service managers kill a process that does not end, often after 10 s."""


class Ending:
    """The end of a command, which SIGINT, SIGTERM and SIGHUP begin. After `nohup`, SIGHUP is ignored as before.

    The process ends `WITHIN_S` after it began to, even if something cannot be interrupted. That loses nothing that was
    acknowledged: it is in the file's write-ahead log.
    """

    def __init__(self) -> None:
        self._begun = threading.Event()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
                signal.signal(number, self._heard)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.begin()

    def begin(self) -> None:
        """End the command. May be called from any thread, and again."""
        if not self._begun.is_set():
            self._begun.set()
            watch = threading.Timer(WITHIN_S, _end_now)
            watch.daemon = True
            watch.start()

    def wait(self) -> None:
        """Wait until the end has begun."""
        self._begun.wait()


def _end_now() -> None:
    print(f"Something could not be interrupted within {WITHIN_S:g} s and was abandoned.", file=sys.stderr, flush=True)
    os._exit(0)
