"""Another program that reads the file continuously, as in the README: `sqlite3 dev.db 'SELECT ...'`."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

from tests.crash.endings import still_at_work

SELECT = "SELECT count(*) FROM messages"
IN_PYTHON = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])"
PAUSE_S = 0.02
END_S = 30.0


class Readers:
    """Processes that open the file, read it and end, one after the other.

    Args:
        file: the sandbox file.

    Attributes:
        count: number of successful reads.
    """

    def __init__(self, file: Path) -> None:
        command = shutil.which("sqlite3")
        self._command = [command] if command else [sys.executable, "-c", IN_PYTHON]
        self._file = file
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.count = 0
        self.failures: list[str] = []

    def __enter__(self) -> "Readers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.failures += still_at_work([self._thread], END_S)

    def _read(self) -> None:
        while not self._ended.wait(PAUSE_S):
            command = [*self._command, str(self._file), SELECT]
            done = subprocess.run(command, capture_output=True, timeout=END_S, check=False)
            # It may fail, because the log that it needs may have been deleted.
            self.count += done.returncode == 0
