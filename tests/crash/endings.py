"""Threads and calls that never end: a finding, with the place where it hangs, or a client to give up."""

import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType

FRAMES = 3


class NeverReturned(Exception):
    """A call has not returned in its time; it goes on in a thread that nobody waits for."""


def within(limit_s: float, call: Callable[..., None], *arguments: object) -> None:
    """Make a call of a library that may never return.

    Raises:
        NeverReturned: with the name of what was called.
        Exception: what the call raises.
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
    """Wait so long for all of them together.

    Returns:
        A sentence for each that has not ended: where it was, the outermost call first.
    """
    until = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    frames = sys._current_frames()
    return [
        f"a thread has not ended {limit_s:g} s after it was told to: {_place(frames[thread.ident])}"
        for thread in threads
        if thread.is_alive() and thread.ident in frames
    ]


def _place(frame: FrameType) -> str:
    calls = traceback.extract_stack(frame)
    return ", ".join(f"{call.name} line {call.lineno}: {call.line}" for call in calls[-FRAMES:])
