"""Ends commands on a signal: `sandbox up` and `sandbox ui` within 3 s, the others as Ctrl+C does."""

import faulthandler
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block on SIGTERM, which containers and `timeout` send.

    So a consumer leaves its group instead of keeping its partitions until its session times out, and a command reports
    what it stored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


WITHIN_S = 2.8
"""Containers and service managers kill a process that doesn't end, often after 10 s."""
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_BEGIN = 0
"""The byte that `begin` writes instead of a signal's number."""


class Ending:
    """The end of a command, started by SIGINT, SIGTERM or SIGHUP. After `nohup`, SIGHUP stays ignored.

    The process ends `WITHIN_S` seconds after the signal, even if something can't be interrupted. No acknowledged event
    is lost: it is in the file's write-ahead log. With PYTHONFAULTHANDLER=1, all threads' stacks are logged then.

    Python runs signal handlers in the main thread, which may never wake to run one, because the system may deliver the
    signal to another thread. A handler that sets an Event may also interrupt the Event's own `wait`, and then both
    wait forever. So no handler does anything: Python writes each signal's number to a socket, from any thread, and a
    thread reads it.
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
        """End the command. Thread-safe and idempotent."""
        with suppress(BlockingIOError):
            self._told.send(bytes([_BEGIN]))

    def wait(self) -> None:
        """Wait until the command has to end."""
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
    """Replace the signal's default action."""
