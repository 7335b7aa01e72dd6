"""`sandbox up`, in a process where other code opens the same file: `python -m tests.crash.meddler up FILE ...`.

Each way of opening it releases the process's locks on the file, unless something keeps them.
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
    """Open the file repeatedly, in each way that a program might, until the process ends."""
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
    # Starts only once the file has an owner, so that this code doesn't become its owner.
    from sandbox.storage.file.lock import read_owner

    target = Path(sys.argv[2])

    def begin() -> None:
        """Wait until this process owns the file."""
        pause = threading.Event()
        while not (read_owner(target) or {}).get("kafka"):
            pause.wait(PAUSE_S)
        meddle(target)

    threading.Thread(target=begin, daemon=True).start()
    main()
