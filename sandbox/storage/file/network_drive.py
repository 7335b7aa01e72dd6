"""Detects files on network drives, where SQLite's locks and shared memory are unreliable.

Rule: a file in WAL mode needs shared memory between the processes that open it, which a network file system does not
provide (https://sqlite.org/wal.html).
"""

import os
from collections.abc import Iterator
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NETWORK_TYPES = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "lustre", "9p", "drvfs", "davfs")
)
LOCAL_FUSE = frozenset(("fuseblk", "fuse.portal"))


def warning(path: Path, mounts: Path = MOUNTS) -> str | None:
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
