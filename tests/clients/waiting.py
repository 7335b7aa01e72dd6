"""Waiting for a condition, with a bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def eventually(holds: Callable[[], bool], within_s: float, what: Callable[[], str]) -> None:
    """Wait until a condition holds.

    Args:
        holds: the condition; asked every 20 ms.
        within_s: how long it may take.
        what: describes what is there instead, for the error message.

    Raises:
        AssertionError: the condition did not hold in time.
    """
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what()}")
        pause.wait(0.02)
