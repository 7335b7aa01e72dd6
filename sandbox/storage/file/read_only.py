"""Opens a sandbox file read-only, in one read transaction, whichever process owns it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.storage.file.database import is_open_here
from sandbox.storage.file.read_uri import read_uri

BUSY_S = 1.0


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file for reading; the connection is closed at the end of the block.

    Text that is not UTF-8 is read with replacement characters.

    Raises:
        sqlite3.Error: the file can't be read now.
    """
    open_elsewhere = path.with_name(path.name + "-wal").exists() or is_open_here(path)
    # Without a write-ahead log the file is not open anywhere; `immutable` also works in a read-only folder.
    ways = (False,) if open_elsewhere else (False, True)
    for immutable in ways:
        connection = sqlite3.connect(
            read_uri(path, immutable=immutable), uri=True, isolation_level=None, timeout=BUSY_S
        )
        connection.text_factory = _text
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM main.sqlite_master LIMIT 1").fetchone()
        except sqlite3.Error as error:
            connection.close()
            if immutable is ways[-1] or not isinstance(error, sqlite3.OperationalError):
                raise
            continue
        try:
            yield connection
        finally:
            connection.close()
        return


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
