"""Detects threads and calls that never end, and reports where they hang."""

import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType

FRAMES = 3


class NeverReturned(Exception):
    """A call has not returned in time. It continues in an abandoned thread."""


def within(limit_s: float, call: Callable[..., None], *arguments: object) -> None:
    """Call a library function that may never return.

    Raises:
        NeverReturned: with the name of the function.
        Exception: the exception that the call raises.
    """
    raised: list[Exception] = []

    def work() -> None:
        try:
            call(*arguments)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        raise NeverReturned(call.__name__)
    if raised:
        raise raised[0]


def still_at_work(threads: Sequence[threading.Thread], limit_s: float) -> list[str]:
    """Wait for all threads, at most `limit_s` seconds in total.

    Returns:
        A sentence for each thread that has not ended: its position, the outermost call first.
    """
    until = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    frames = sys._current_frames()
    return [
        f"a thread has not ended {limit_s:g} s after the request: {_place(frames[thread.ident])}"
        for thread in threads
        if thread.is_alive() and thread.ident in frames
    ]


def _place(frame: FrameType) -> str:
    calls = traceback.extract_stack(frame)
    return ", ".join(f"{call.name} line {call.lineno}: {call.line}" for call in calls[-FRAMES:])
