"""How `sandbox up` and `sandbox ui` end: on a signal, and within 3 s whatever they are doing."""

import faulthandler
import os
import queue
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

WITHIN_S = 2.8
"""Containers and service managers kill a process that does not end, often after 10 s."""
LOOK_S = 0.5 if os.name == "nt" else None
"""How often the main thread looks for a signal. On Windows none interrupts a thread that waits."""


class Ending:
    """The end of a command, which SIGINT, SIGTERM and SIGHUP begin. After `nohup`, SIGHUP is ignored as before.

    The process ends `WITHIN_S` after it began to, even if something cannot be interrupted. That loses nothing that was
    acknowledged: it is in the file's write-ahead log. With PYTHONFAULTHANDLER=1 it logs what each thread was doing.
    """

    def __init__(self) -> None:
        # Not threading.Event: a handler that sets it waits forever if it interrupts a thread that begins to wait for
        # it. SimpleQueue may be used in handlers. For the same reason they start no thread.
        self._begun: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._watched: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._watch, name="ending", daemon=True).start()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
                signal.signal(number, self._heard)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.begin()

    def begin(self) -> None:
        """End the command. May be called from any thread or signal handler, and again."""
        self._begun.put(None)
        self._watched.put(None)

    def wait(self) -> None:
        """Wait until the end has begun."""
        while True:
            with suppress(queue.Empty):
                return self._begun.get(timeout=LOOK_S)

    def _watch(self) -> None:
        self._watched.get()
        time.sleep(WITHIN_S)
        print(f"Something did not end within {WITHIN_S:g} s and was abandoned.", file=sys.stderr, flush=True)
        if faulthandler.is_enabled():
            faulthandler.dump_traceback()
        os._exit(0)
