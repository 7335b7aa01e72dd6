"""Protects an open database file, its write-ahead log and its shared index, and detects when they were replaced.

Problem: three things that SQLite cannot detect lose acknowledged events.

- A program that closes any descriptor of the file ends the process's locks on it. Another process that then closes the
  file believes that it is the last one, and deletes the write-ahead log.
- The log or the index is deleted, moved, replaced or truncated. SQLite continues to write into a lost file.
- Two names of one file, such as a hard link or a file mounted alone into a container, each have their own log.

Solution: a descriptor that stays open while the file is owned. It holds an exclusive lock on a byte that SQLite does
not use, so that a file has one owner whatever its name. While the database is open, it also holds shared locks on the
bytes by which SQLite finds out whether others have the file open. Each commit checks the files before and after. On
systems without locks of open file descriptions (macOS, Windows), only the names of the files are checked.

The descriptor is closed after SQLite's own, and only when this process doesn't have the file open otherwise.

The format of the index and the log, and the bytes that SQLite locks: https://sqlite.org/walformat.html.
"""

import os
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox.kafka.errors import FileInUse, FileRefused
from sandbox.model.process import bind_to_process
from sandbox.storage.file import ofd_locks
from sandbox.storage.file.failure import StorageFailed, advice, cut_short, gone, lock_lost, log_gone

Identity = tuple[int, int]

SHARED_BYTES = (0x40000002, 510)
"""Start and length of the byte range in the database on which every connection holds a shared lock."""
OWNER_BYTE = 0x40010000
"""The byte in the database that its owner locks. The owner also locks OWNER_BYTE + 1 + its process id."""
PID_LIMIT = 1 << 22
WRITE_BYTE, READ_BYTES, OPEN_BYTE = 120, range(123, 128), 128
"""Bytes in the index: locked by the writer, by each reader, and by every connection that has it open."""
_INDEX = struct.Struct("=14xHIIII8s56xI")
_SUMS = struct.Struct(">II")
_WRITE_LOCK = ofd_locks.question(WRITE_BYTE, 1)
LOG_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
COPIED_BYTES = 1 << 20
TRIES = 3
"""How often the index is read before it counts as not matching the log: another program may be writing it."""

_held: dict[Identity, "FileGuard"] = {}
_held_lock = threading.RLock()
_left_open: list[int] = []
"""Descriptors of files that other code in this process still has open."""


class FileGuard:
    """Holds one database file for its owner. The file is created if it does not exist.

    Args:
        path: the file, with links followed.

    Attributes:
        suspect: True if the last check found a problem.
        watching: True once SQLite has the file open.
        log_bytes: the size of the write-ahead log at the last check.

    Raises:
        FileInUse: this or another process owns the file, under this name or another one.
        FileRefused: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names = tuple(f"{path}{ending}" for ending in ("", "-wal", "-shm"))
        self._descriptors: dict[str, int] = {}
        self._places: list[Identity | None] = [None, None, None]
        self._size_bytes = 0
        # The size that writing back a log that replaced another may cut the file to, until `written_back`.
        self._least_bytes: int | None = None
        self._last_frame: tuple[int, bytes] | None = None
        self._copy: Identity | None = None
        self._watched: list[int] = []
        self._shared = False
        self._index_descriptor = self._log_descriptor = -1
        self.suspect = False
        self.watching = False
        self.log_bytes = 0
        with _held_lock:
            _close_left_open()
            if held_here(path) is not None:
                raise FileInUse(str(path), {"pid": os.getpid()}, other_name=True)
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
            except OSError as error:
                hint = advice(error, path.parent)
                raise FileRefused(f"{path} cannot be opened: {error.strerror or error}. {hint}".strip()) from error
            self._descriptors["file"] = descriptor
            # Not os.fstat: on Windows, that may name the device differently.
            found = os.stat(path)
            place = self._places[0] = found.st_dev, found.st_ino
            self._size_bytes = found.st_size
            self._own(descriptor)
            _held[place] = self
            bind_to_process(self)

    def _own(self, descriptor: int) -> None:
        try:
            owned = ofd_locks.lock(descriptor, OWNER_BYTE, 1, exclusive=True)
            if owned:
                ofd_locks.lock(descriptor, OWNER_BYTE + 1 + os.getpid(), 1, exclusive=False)
        except OSError:
            # The system or file system has no such locks: only the lock file beside the file protects it.
            return
        if not owned:
            other = ofd_locks.holder(descriptor, OWNER_BYTE + 1, PID_LIMIT)
            _close(descriptor)
            del self._descriptors["file"]
            owner: dict[str, object] = {"pid": other.start - OWNER_BYTE - 1} if other else {}
            raise FileInUse(str(self.path), owner, other_name=True)

    def header(self, length: int) -> bytes:
        """Return the first bytes of the file, read without opening it again."""
        if hasattr(os, "pread"):
            return os.pread(self._descriptors["file"], length, 0)
        # Windows: there, closing a file releases only its own locks.
        with self.path.open("rb") as file:
            return file.read(length)

    def watch(self) -> None:
        """Start to check the log and the index. Call it once SQLite has opened them."""
        self.watching = True
        self._watched, self._last_frame = [], None
        for at, name in enumerate(("log", "index"), 1):
            try:
                if ofd_locks.AVAILABLE and name not in self._descriptors:
                    self._descriptors[name] = os.open(self._names[at], os.O_RDWR | os.O_CLOEXEC)
                found = os.stat(self._names[at])
            except OSError:
                continue
            self._places[at] = found.st_dev, found.st_ino
            self._watched.append(at)
        try:
            self._share()
        except OSError:
            self._shared = False
        if self._least_bytes is not None and self._shared:
            self._least_bytes = self._expected_bytes()
        self.check()

    def written_back(self) -> None:
        """Check the file's size by the writer's own checkpoints alone again, after a log that replaced another."""
        self._look_at_file()
        self._least_bytes = None

    def _share(self) -> None:
        index, log = self._descriptors.get("index"), self._descriptors.get("log")
        if index is not None and log is not None:
            self._index_descriptor, self._log_descriptor = index, log
            self._shared = ofd_locks.lock(self._descriptors["file"], *SHARED_BYTES, exclusive=False)
            self._shared &= ofd_locks.lock(index, OPEN_BYTE, 1, exclusive=False)

    # Checks of a commit

    def before_commit(self) -> None:
        """Raise StorageFailed unless a commit would go into our files. Call it inside the transaction."""
        if self.suspect:
            self.check()
            return
        self._look_at_file()
        if self._shared:
            if ofd_locks.pid_of(self._index_descriptor, _WRITE_LOCK) != os.getpid():
                raise lock_lost(self._names[2])
            last = self._last_frame
            if last is None or os.pread(self._log_descriptor, FRAME_HEADER_BYTES, last[0]) != last[1]:
                # Another program may have written, or emptied the log.
                self._last_frame = self._frame()

    def after_commit(self) -> None:
        """Raise StorageFailed unless the commit went into our files."""
        self._look_at_log()
        if self._shared:
            before, now = self._last_frame, self._frame()
            same_log = before is not None and now is not None and before[1][8:16] == now[1][8:16]
            # A log that was truncated and then written again has a hole.
            if same_log and before and os.pread(self._log_descriptor, FRAME_HEADER_BYTES, before[0]) != before[1]:
                self.suspect = True
                raise cut_short(self._names[1])
            self._last_frame = now

    def check(self) -> None:
        """Check the file, the log and the index; raise StorageFailed with the problem."""
        self.suspect = True
        self._look_at_file()
        self._look_at_log()
        if self._shared:
            self._frame()
        self.suspect = False

    def _look_at_file(self) -> None:
        found = self._look_at(0)
        if found is None:
            raise gone(self.path)
        if found.st_size < self._size_bytes and self._shared and found.st_size < self._expected_bytes():
            self.suspect = True
            raise cut_short(self._names[0])
        self._size_bytes = found.st_size

    def _look_at_log(self) -> None:
        for which in self._watched:
            found = self._look_at(which)
            if found is None:
                raise log_gone(self._names[which])
            if which == 1:
                self.log_bytes = found.st_size

    def _look_at(self, which: int) -> os.stat_result | None:
        """Return the state of one file; None if it was moved, deleted or replaced."""
        try:
            found = os.stat(self._names[which])
        except OSError:
            found = None
        place = self._places[which]
        if found is not None and place is not None and found.st_ino == place[1] and found.st_dev == place[0]:
            return found
        self.suspect = True
        return None

    # The log, as the index describes it

    def _index(self) -> tuple[Any, ...]:
        """Page size, last frame, pages of the file, the frame's two checksums and salt, frames checkpointed."""
        data = os.pread(self._index_descriptor, _INDEX.size, 0)
        if len(data) < _INDEX.size:
            self.suspect = True
            raise cut_short(self._names[2])
        return _INDEX.unpack(data)

    def _expected_bytes(self) -> int:
        page_bytes, _, pages, *_ = self._index()
        size_bytes = int(pages) * (65536 if page_bytes == 1 else page_bytes)
        # Another connection's checkpoint may cut the file while a commit adds pages, which are still in the log.
        return size_bytes if self._least_bytes is None else min(size_bytes, self._least_bytes or size_bytes)

    def _frame(self) -> tuple[int, bytes] | None:
        """Return position and header of the last frame; None if the log is empty. StorageFailed if the log lacks it."""
        for _ in range(TRIES):
            page_bytes, last, _, sum_1, sum_2, salt, _ = self._index()
            if not last:
                return None
            place = LOG_HEADER_BYTES + (last - 1) * (FRAME_HEADER_BYTES + (65536 if page_bytes == 1 else page_bytes))
            frame = os.pread(self._log_descriptor, FRAME_HEADER_BYTES, place)
            if frame[8:] == salt + _SUMS.pack(sum_1, sum_2):
                return place, frame
        self.suspect = True
        raise cut_short(self._names[1])

    @property
    def log_is_whole(self) -> bool:
        """True if everything committed is in the log that this process has open, even if it was moved."""
        try:
            self._look_at_file()
            if self._shared:
                self._frame()
        except StorageFailed:
            return False
        return True

    def pending(self) -> bool:
        """Return True if the log holds frames that are not in the file yet."""
        if not self._shared:
            return False
        _, last, *_, written_back = self._index()
        return bool(written_back < last)

    def readers(self) -> set[int]:
        """Return the ids of the processes that hold a read transaction on the log, this one included."""
        if not self._shared:
            return set()
        holders = (ofd_locks.holder(self._descriptors["index"], byte, 1) for byte in READ_BYTES)
        return {one.pid for one in holders if one is not None and one.pid > 0}

    def put_back(self) -> bool:
        """Write a copy of a log that was deleted or replaced under its name, so that the next start finds everything.

        A checkpoint cannot do this alone: a read transaction of another program may keep it from being complete, and
        a file with a part of a checkpoint is damaged without its log.

        Returns:
            True if everything committed is in the log at that place now.
        """
        try:
            found = os.stat(self._names[1])
            if (found.st_dev, found.st_ino) in (self._places[1], self._copy):
                return True
        except OSError:
            pass
        part = f"{self._names[1]}-part"
        try:
            self._move_aside()
            if not self._shared:
                return False
            self._copy_log(part)
            found = os.stat(part)
            os.replace(part, self._names[1])
        except (OSError, StorageFailed):
            with suppress(OSError):
                os.unlink(part)
            return False
        self._copy = found.st_dev, found.st_ino
        return True

    def _copy_log(self, target: str) -> None:
        page_bytes, last, *_ = self._index()
        frame_bytes = FRAME_HEADER_BYTES + (65536 if page_bytes == 1 else page_bytes)
        left, place = LOG_HEADER_BYTES + last * frame_bytes if last else 0, 0
        mode = os.fstat(self._log_descriptor).st_mode & 0o777
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), mode)
        with open(descriptor, "wb") as file:
            while left:
                piece = os.pread(self._log_descriptor, min(left, COPIED_BYTES), place)
                if not piece:
                    raise cut_short(self._names[1])
                file.write(piece)
                left, place = left - len(piece), place + len(piece)
            file.flush()
            os.fsync(file.fileno())

    def _move_aside(self) -> None:
        """Rename a log that replaced ours, so that SQLite does not apply it to the file."""
        try:
            found = os.stat(self._names[1])
        except OSError:
            return
        if not found.st_size:
            return
        number = 1
        while os.path.exists(target := f"{self._names[1]}-replaced-{number}"):
            number += 1
        os.rename(self._names[1], target)

    def replace_log(self, log: Path, index: Path) -> bool:
        """Put another write-ahead log and its index in place. Call `let_go` and close SQLite's connections before.

        An exclusive lock on the file keeps every other program out meanwhile. The shared lock on the index keeps
        SQLite from reading the whole log again at the next opening. A kill leaves the old content (the file without a
        log) or the new one: the rename of the log decides.

        Returns:
            False if the file is open elsewhere. Nothing was changed.
        """
        self._shared, file = False, self._descriptors["file"]
        self._watched, self._last_frame = [], None
        for name in ("log", "index"):
            if name in self._descriptors:
                _close(self._descriptors.pop(name))
        try:
            if not ofd_locks.lock(file, *SHARED_BYTES, exclusive=True):
                return False
        except OSError:
            return False
        try:
            # A program that opened the file since may have left a log with its writes.
            if os.path.exists(self._names[1]):
                return False
            os.rename(log, self._names[1])
            self._least_bytes = 0
            self._take_index(index)
        except OSError:
            return False
        finally:
            self._end_exclusive_lock(file)
        return True

    def _end_exclusive_lock(self, file: int) -> None:
        """Make the exclusive lock a shared one, or release it: otherwise no other program could open the file."""
        try:
            ofd_locks.lock(file, *SHARED_BYTES, exclusive=False)
        except OSError:
            with suppress(OSError):
                ofd_locks.unlock(file, *SHARED_BYTES)

    def _take_index(self, index: Path) -> None:
        with suppress(OSError):
            os.rename(index, self._names[2])
            descriptor = self._descriptors["index"] = os.open(self._names[2], os.O_RDWR | os.O_CLOEXEC)
            ofd_locks.lock(descriptor, OPEN_BYTE, 1, exclusive=False)
        with suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    # Closing

    def let_go(self) -> None:
        """Release the locks, so that SQLite's last connection deletes the log; not if the log has a problem."""
        if self._shared and not self.suspect:
            ofd_locks.unlock(self._descriptors["file"], *SHARED_BYTES)
            ofd_locks.unlock(self._descriptors["index"], OPEN_BYTE, 1)

    def close(self) -> None:
        """End the ownership. Close SQLite's connections before this call. May be called again."""
        self._shared = self.watching = False
        with _held_lock:
            place = self._places[0]
            if place is not None and _held.get(place) is self:
                del _held[place]
            while self._descriptors:
                _close(self._descriptors.popitem()[1])
            _close_left_open()

    def leave_to_parent(self) -> None:
        """After a fork: drop the descriptors, which belong to the parent, without releasing its locks."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in self._descriptors.values():
            # The number stays in use: otherwise closing it here could close an unrelated file.
            os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)
        self._descriptors = {}
        self._shared = False


def held_here(path: Path) -> FileGuard | None:
    """Return the guard of a file that this process owns, whatever its name; None for other files."""
    if not _held:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    return _held.get((found.st_dev, found.st_ino))


def _close(descriptor: int) -> None:
    """Close a database's descriptor; later, if a connection of this process would lose its locks now."""
    try:
        ofd_locks.unlock(descriptor, 0, 0)
        in_use = ofd_locks.holder(descriptor, *SHARED_BYTES) or ofd_locks.holder(descriptor, OPEN_BYTE, 1)
    except OSError:
        in_use = None
    if in_use is not None and ofd_locks.locked_here(descriptor):
        _left_open.append(descriptor)
    else:
        os.close(descriptor)


def _close_left_open() -> None:
    waiting, _left_open[:] = list(_left_open), []
    for descriptor in waiting:
        _close(descriptor)


def _after_fork() -> None:
    global _held_lock
    _held_lock = threading.RLock()
    _held.clear()
    _left_open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
