"""Waiting for a condition, with a bound."""

import threading
import time
from collections.abc import Callable


def eventually(holds: Callable[[], object], within_s: float = 10.0, what: str = "the condition does not hold") -> None:
    """Return as soon as `holds` gives something true; fail where it does not within `within_s` seconds."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"after {within_s} s: {what}"
        pause.wait(0.005)
