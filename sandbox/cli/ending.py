"""How `sandbox up` and `sandbox ui` end: on a signal, and within 3 s whatever they are doing."""

import faulthandler
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

WITHIN_S = 2.8
"""Containers and service managers kill a process that does not end, often after 10 s."""
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_BEGIN = 0
"""What `begin` writes in place of a signal's number."""


class Ending:
    """The end of a command, which SIGINT, SIGTERM and SIGHUP begin. After `nohup`, SIGHUP is ignored as before.

    The process ends `WITHIN_S` after it began to, even if something cannot be interrupted. That loses nothing that was
    acknowledged: it is in the file's write-ahead log. With PYTHONFAULTHANDLER=1 it logs what each thread was doing.

    Python runs signal handlers in the main thread, and that may never wake to run one: the system may deliver the
    signal to another thread. A handler that sets an Event may also interrupt the Event's own `wait`, and both then
    wait forever. So no handler does anything here: Python writes each signal's number to a socket, from any thread, and
    a thread reads it.
    """

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._numbers = {_BEGIN}
        self._heard, self._told = socket.socketpair()
        self._told.setblocking(False)
        signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
                self._numbers.add(int(number))
                signal.signal(number, _leave_it_to_the_thread)
        threading.Thread(target=self._watch, name="ending", daemon=True).start()

    def begin(self) -> None:
        """End the command. May be called from any thread, and again."""
        with suppress(BlockingIOError):
            self._told.send(bytes([_BEGIN]))

    def wait(self) -> None:
        """Wait until the end has begun."""
        self._begun.wait()

    def _watch(self) -> None:
        while self._numbers.isdisjoint(self._heard.recv(64)):
            pass
        self._begun.set()
        time.sleep(WITHIN_S)
        print(f"Something did not end within {WITHIN_S:g} s and was abandoned.", file=sys.stderr, flush=True)
        if faulthandler.is_enabled():
            faulthandler.dump_traceback()
        os._exit(0)


def _leave_it_to_the_thread(_number: int, _frame: FrameType | None) -> None:
    """Keeps the signal's default action from happening."""
