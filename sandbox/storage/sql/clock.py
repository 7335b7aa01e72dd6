"""The time that a query may take."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

STEPS = 5_000
"""Steps of SQLite's machine between two looks at the clock."""


class Clock:
    """Ends a query when its time is over: SQLite's progress handler, and an interrupt from another thread.

    The handler is called after so many steps, which may take long each; the interrupt is seen before the next row.
    """

    def __init__(self, limit_s: float) -> None:
        self._end_s = time.monotonic() + limit_s
        self.over = False

    def __call__(self) -> int:
        self.over = self.over or time.monotonic() > self._end_s
        return int(self.over)

    def look(self) -> None:
        """Raise where the time is over."""
        if self():
            raise TimeoutError

    @contextmanager
    def interrupting(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Interrupt the connection when the time is over, until the block ends."""
        alarm = threading.Timer(max(0.0, self._end_s - time.monotonic()) + 0.01, connection.interrupt)
        alarm.daemon = True
        alarm.start()
        try:
            yield
        finally:
            alarm.cancel()
            alarm.join()
            self()
