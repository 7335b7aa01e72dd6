"""Byte-range locks of open file descriptions (Linux), which closing another descriptor does not release.

Rule: the POSIX locks that SQLite takes belong to the process. They end when the process closes any descriptor of the
file, even one that it opened itself (https://sqlite.org/howtocorrupt.html, section 2.2). Locks of an open file
description end with their own descriptor, and conflict with POSIX locks as another process's locks would (fcntl(2)).
"""

import errno
import os
import struct
import sys
from pathlib import Path
from typing import NamedTuple

_FLOCK = struct.Struct("hhqqi4x")
"""`struct flock`: type, whence, start, length, process id."""
_CONFLICTS = (errno.EAGAIN, errno.EACCES)
LOCKS = Path("/proc/locks")
AVAILABLE = sys.platform == "linux"

if sys.platform == "linux":
    import fcntl

    _SET, _GET = fcntl.F_OFD_SETLK, fcntl.F_OFD_GETLK
    _READ, _WRITE, _NONE = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK

    def _call(descriptor: int, command: int, request: bytes) -> bytes:
        return fcntl.fcntl(descriptor, command, request)

else:
    _SET = _GET = _READ = _WRITE = _NONE = 0

    def _call(descriptor: int, command: int, request: bytes) -> bytes:
        raise OSError(errno.ENOSYS, "this system has no locks of open file descriptions")


class LockHolder(NamedTuple):
    """A lock that conflicts with the requested one.

    Attributes:
        start: its first byte.
        pid: the process that holds it; -1 for a lock of an open file description.
    """

    start: int
    pid: int


def lock(descriptor: int, start: int, length: int, *, exclusive: bool) -> bool:
    """Take a lock, without waiting.

    Returns:
        False if another lock conflicts with it.

    Raises:
        OSError: this system or file system has no such locks.
    """
    try:
        _call(descriptor, _SET, _FLOCK.pack(_WRITE if exclusive else _READ, 0, start, length, 0))
    except OSError as error:
        if error.errno in _CONFLICTS:
            return False
        raise
    return True


def unlock(descriptor: int, start: int, length: int) -> None:
    """Release this descriptor's lock on a byte range; a length of 0 extends to the end of the file."""
    _call(descriptor, _SET, _FLOCK.pack(_NONE, 0, start, length, 0))


def holder(descriptor: int, start: int, length: int) -> LockHolder | None:
    """Return a lock that conflicts with an exclusive one, also one that this process holds by another descriptor."""
    kind, _, begins, _, pid = _FLOCK.unpack(_call(descriptor, _GET, question(start, length)))
    return None if kind == _NONE else LockHolder(begins, pid)


def question(start: int, length: int) -> bytes:
    """Return the request for `pid_of`, which can be reused."""
    return _FLOCK.pack(_WRITE, 0, start, length, 0)


def pid_of(descriptor: int, asked: bytes) -> int:
    """Like `holder`, with a prepared request, for every commit: the process id, or 0 if there is no lock."""
    return int(_FLOCK.unpack(_call(descriptor, _GET, asked))[4])


def locked_here(descriptor: int) -> bool:
    """Return whether this process holds a POSIX lock on a descriptor's file, which closing it would release."""
    found = os.fstat(descriptor)
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        lines = LOCKS.read_text().splitlines()
    except OSError:
        return True
    # "1: POSIX  ADVISORY  READ 4711 fe:00:9978131 1073741826 1073742335", see proc(5).
    return any(fields[1] == "POSIX" and fields[4:6] == [str(os.getpid()), place] for fields in map(str.split, lines))
