"""Builds the URI with which SQLite opens a file read-only."""

import os
from pathlib import Path


def read_uri(path: str | os.PathLike[str], *, immutable: bool = False) -> str:
    """Return the URI of a file, whatever characters or bytes its name has.

    Args:
        path: the file. It becomes absolute, because `file::memory:` is not a file.
        immutable: True if the file isn't written meanwhile; SQLite then creates no file beside it.
    """
    return f"{Path(os.path.abspath(path)).as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
