"""Warns about where a file is: under other names too, or on a network drive."""

import os
from collections.abc import Iterator
from pathlib import Path

from sandbox.kafka.errors import FileRefused

MOUNTS = Path("/proc/self/mountinfo")
NETWORK_TYPES = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "lustre", "9p", "drvfs", "davfs")
)
LOCAL_FUSE = frozenset(("fuseblk", "fuse.portal"))


def network_drive_warning(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return a warning for a file on a network drive, or None.

    Args:
        path: the file, with links followed.
        mounts: the system's list of mounts, in Linux' format (proc(5)); without one, the result is None.
    """
    kind = _file_system(path, mounts)
    if kind is None or kind in LOCAL_FUSE or not (kind in NETWORK_TYPES or kind.startswith("fuse")):
        return None
    return (
        f"{path} lies on a file system of the type {kind}, such as network drives have. SQLite's locks and its "
        "write-ahead log cannot be relied on there: keep the file on a disk of this machine."
    )


def _file_system(path: Path, mounts: Path) -> str | None:
    """The type of a path's file system: the one mounted at the deepest folder above it."""
    found: tuple[int, str] | None = None
    for point, kind in _mounted(mounts):
        above = os.path.commonpath((point, path)) == point if point.startswith("/") else False
        # If two are mounted at the same place, the later one is visible.
        if above and (found is None or len(point) >= found[0]):
            found = len(point), kind
    return found[1] if found else None


def mount_points(mounts: Path = MOUNTS) -> set[str]:
    """Return all mount points; empty on systems that do not list them."""
    return {point for point, _ in _mounted(mounts)}


def _mounted(mounts: Path) -> Iterator[tuple[str, str]]:
    """Yield each mount point and the type of its file system."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) >= 5 and after:
            point = fields[4].encode("utf-8", "surrogateescape").decode("unicode_escape", "replace")
            yield point, after.split(" ")[0]


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


def other_names_warning(path: Path, mounts: Path = MOUNTS) -> str | None:
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
