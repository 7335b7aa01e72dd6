"""`sandbox up`, in a process where other code opens the same file: `python -m tests.crash.meddler up FILE ...`.

Each way of opening it ends the process's locks on it, unless something keeps them.
"""

import sqlite3
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

from sandbox.api.sandbox import Sandbox
from sandbox.cli.main import main
from sandbox.kafka.errors import SandboxError

PAUSE_S = 0.05


def meddle(file: Path) -> None:
    """Open the file again and again, in each way that a program might, for as long as the process lives."""
    pause = threading.Event()
    while not pause.wait(PAUSE_S):
        if not file.exists():
            continue
        with suppress(OSError):
            file.read_bytes()
        with suppress(OSError):
            file.with_name(file.name + "-wal").open("rb").close()
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as other:
            other.execute("SELECT 1 FROM sqlite_master").fetchone()
        with suppress(SandboxError):
            Sandbox(file).close()


if __name__ == "__main__":
    # Only once the file has an owner: this must not become one.
    from sandbox.storage.file.lock import read_owner

    target = Path(sys.argv[2])

    def begin() -> None:
        """Wait for the owner, which is this process."""
        pause = threading.Event()
        while not (read_owner(target) or {}).get("kafka"):
            pause.wait(PAUSE_S)
        meddle(target)

    threading.Thread(target=begin, daemon=True).start()
    main()
