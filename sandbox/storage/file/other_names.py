"""Detects other names of a file, beside which SQLite would not find its write-ahead log.

Rule: the log of `dev.db` is `dev.db-wal` in the same folder, whatever other names the file has
(https://sqlite.org/howtocorrupt.html, section 2.5). The newest events are in the log until SQLite checkpoints it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from sandbox.kafka.errors import FileRefused
from sandbox.storage.file.network_drive import MOUNTS, mount_points


def refuse_log_of_another_name(path: Path) -> None:
    """Refuse a file whose newest events are in another name's log, in the same folder.

    Raises:
        FileRefused: names the file to open instead.
    """
    for other in _hard_links(path):
        log = other.with_name(other.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise FileRefused(
                f"{path} is also called {other.name}, and what was written last is in {log.name}. Open it by that name."
            )


def warning(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return a warning for a file that has other names, or None.

    Args:
        path: the file, with links followed.
        mounts: the system's list of mounts, in Linux' format (proc(5)).
    """
    if str(path) in mount_points(mounts):
        return (
            f"{path} is mounted alone, without its folder. The newest events are in {path.name}-wal beside it, outside "
            f"the mount: mount the folder {path.parent} instead, such as docker run -v ./data:/data."
        )
    links = path.stat().st_nlink
    if links > 1:
        return (
            f"{path} has {links} names (hard links). Always open it by the same one: the newest events are in "
            f"{path.name}-wal, which belongs to this name alone."
        )
    return None


def _hard_links(path: Path) -> Iterator[Path]:
    """The other names of a file in its folder."""
    if not path.exists() or path.stat().st_nlink == 1:
        return
    found = path.stat()
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name != path.name and entry.inode() == found.st_ino and not entry.is_symlink():
                yield Path(entry.path)
