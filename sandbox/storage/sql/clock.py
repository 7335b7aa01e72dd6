"""Limits the time and the temporary space of a query."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.model import cancellation
from sandbox.storage.sql import space

STEPS = 5_000
"""Steps of SQLite's virtual machine between two checks of the clock."""
LOOK_S = 0.05
"""How often another thread checks the space used, in seconds."""


class Clock:
    """Ends a query that exceeds its time or space: SQLite's progress handler, and an interrupt from another thread.

    The handler is called after a number of steps, and a step may take long; the interrupt takes effect before the
    next row.

    Attributes:
        over: True if the time is up.
        lacks: the limit that the query exceeded, such as "512 MB of temporary space"; None if it didn't.
    """

    def __init__(self, limit_s: float) -> None:
        self._end_s = time.monotonic() + limit_s
        self.over = False
        self.lacks: str | None = None

    def __call__(self) -> int:
        cancellation.check()
        self.over = self.over or time.monotonic() > self._end_s
        return int(self.over or self.lacks is not None)

    def look(self) -> None:
        """Raise TimeoutError if the time or space is exceeded."""
        if self():
            raise TimeoutError

    @contextmanager
    def interrupting(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Within the block, interrupt the connection when its time or space is exceeded."""
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(connection, ended), name="sql-watch", daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()
            self()

    def _watch(self, connection: sqlite3.Connection, ended: threading.Event) -> None:
        before = space.used()
        pause_s = LOOK_S
        while not ended.wait(min(pause_s, max(0.01, self._end_s - time.monotonic()))):
            began_s = time.monotonic()
            self.lacks = self.lacks or space.exceeded(before)
            # With very many open files, one check takes long.
            pause_s = max(LOOK_S, 20 * (time.monotonic() - began_s))
            if self():
                connection.interrupt()
