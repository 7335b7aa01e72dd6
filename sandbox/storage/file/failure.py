"""Describes failures of the open file: of the disk, caused by other programs, or of the file itself."""

import errno
import os
import sqlite3
from pathlib import Path

REFUSED = (
    "What programs send now is refused with KAFKA_STORAGE_ERROR, and they try again; what is stored can be read. This "
    "message disappears when the cause is gone."
)
BROKEN = (
    "Whatever needs the damaged part is refused; the rest is served. The damage stays until you restore a snapshot or "
    "a copy."
)
NOWHERE = "Nothing is written meanwhile: what programs send is refused with KAFKA_STORAGE_ERROR, and they try again."


class StorageFailed(Exception):
    """The file could not be read or written (disk full, I/O error, lock). Its write transaction was rolled back.

    Args:
        cause: the error message of SQLite or the system.
        words: what the error means and what to do about it, in one or two sentences; None if only `cause` is known.
        busy: True if another program holds a lock, which it may release at any moment.
        unreadable: True if the file's current content is not what was written.
        effect: what the failure means for users of the file: `REFUSED`, `BROKEN` or `NOWHERE`.

    Attributes:
        stored: True if the transaction was stored nevertheless, so that it must not be reported as rolled back.
    """

    def __init__(
        self,
        cause: str,
        words: str | None = None,
        *,
        busy: bool = False,
        unreadable: bool = False,
        effect: str = REFUSED,
    ) -> None:
        super().__init__(cause if words is None else f"{words.partition('.')[0]} ({cause})")
        self.cause = cause
        self.unreadable = unreadable
        self.stored = False
        self.words = words or f"The file cannot be used: {cause}."
        self.busy = busy
        self.effect = effect


BUSY = "Another program holds a lock on the file. Close that program, or end its transaction."
DAMAGED = "The file is damaged. Go back to a snapshot or a copy; topics that are whole can be exported."
READ_ONLY = "The file has become read-only. Make the file and its folder writable again."
WORDS = {
    sqlite3.SQLITE_FULL: "The disk is full. Make room on it.",
    sqlite3.SQLITE_IOERR: "The disk reports an error. Look whether it is full, at its quota, or going away.",
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_PERM: READ_ONLY,
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_CANTOPEN: "The file or its write-ahead log cannot be opened. Put them back where they were.",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
}
"""Messages by SQLite's primary result codes that concern the file (https://sqlite.org/rescode.html)."""
SIGNS_OF_DAMAGE = ("decode to UTF-8", "no such column", "no such table")
BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
GONE = "The file was moved, deleted or replaced. Restore the same file, or restart the sandbox."
LOG_GONE = (
    "The write-ahead log or its index (-wal, -shm) was deleted, moved or replaced by another program. Stop the sandbox "
    "and start it again."
)
"""Shown if every acknowledged write is in the file, or in a copy of its log."""
LOG_LOST = (
    "The write-ahead log (-wal) was deleted, moved or replaced by another program, and what was written last could not "
    "be saved yet. Do not kill the sandbox: end every other program that has the file open."
)
CUT_SHORT = (
    "The file or its write-ahead log (-wal) was cut short by another program. Stop the sandbox and start it again; if "
    "events are missing, go back to a snapshot or a copy."
)
LOCK_LOST = (
    "A program in this process opened and closed the file's index (-shm) during a write, which releases SQLite's lock. "
    "Only read the file through SQLite while the sandbox has it open."
)
NO_INODES = (
    "The disk has no room for another file: all of its inodes are in use (see df -i). Delete files on it, or put the "
    "sandbox on another disk."
)
ADVICE = {
    errno.ENOSPC: "The disk is full. Make room on it, or put the sandbox on another disk.",
    errno.EDQUOT: "Your quota on the disk is used up. Delete files of yours on it, or put the sandbox on another disk.",
    errno.EMFILE: "This process has too many files open. Close some, or raise its limit (see ulimit -n).",
    errno.ENFILE: "The system has too many files open. Close programs.",
    errno.EROFS: "The disk is mounted read-only. Work on a copy elsewhere.",
    errno.EACCES: "Make the folder and its files readable and writable for this user, or work on a copy elsewhere.",
}
"""Advice by the system's error number, for a file that cannot be opened or created."""


def advice(error: OSError, folder: Path) -> str:
    """Return advice about a file that cannot be opened or created in a folder; empty if there is none."""
    if error.errno == errno.ENOSPC and _has_no_inodes(folder):
        return NO_INODES
    return ADVICE.get(error.errno or 0, "")


def _has_no_inodes(folder: Path) -> bool:
    try:
        disk = os.statvfs(folder)
    except (OSError, AttributeError):
        return False
    return disk.f_files > 0 and disk.f_favail == 0


def why_not_opened(error: sqlite3.Error, path: Path) -> str:
    """Return why SQLite could not open a file, and what to do about it.

    SQLite does not report the system's error, so a temporary file is created in the same folder to find it out.
    """
    if _code(error) == sqlite3.SQLITE_CANTOPEN:
        import tempfile

        try:
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as reason:
            return f"{reason.strerror or reason}. {advice(reason, path.parent)}".strip()
    return failure_of(error).words


def keeps_from_reading(error: BaseException) -> bool:
    """Return whether a query failed because of the file, rather than its statement (such as an attempt to write)."""
    code = _code(error)
    return code in WORDS and code != sqlite3.SQLITE_READONLY


def _code(error: BaseException) -> int:
    """The primary result code. Text that is not UTF-8, and a missing table or column, also count as damage."""
    if isinstance(error, sqlite3.OperationalError) and any(sign in str(error) for sign in SIGNS_OF_DAMAGE):
        return sqlite3.SQLITE_CORRUPT
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def failure_of(error: BaseException) -> StorageFailed:
    """Convert an SQLite error to a StorageFailed with its meaning."""
    code = _code(error)
    words = WORDS.get(code)
    effect = BROKEN if words == DAMAGED else REFUSED
    return StorageFailed(str(error), words, busy=code in BUSY_CODES, effect=effect)


def gone(path: object) -> StorageFailed:
    """The failure of a file that was moved, deleted or replaced."""
    return StorageFailed(str(path), GONE, effect=NOWHERE)


def log_gone(path: str) -> StorageFailed:
    """The failure of a log or index that was moved, deleted or replaced while this process still has it open."""
    return StorageFailed(path, LOG_LOST, effect=NOWHERE)


def cut_short(path: str) -> StorageFailed:
    """The failure of a file or log that lacks data that was written to it."""
    return StorageFailed(path, CUT_SHORT, unreadable=True, effect=NOWHERE)


def lock_lost(path: str) -> StorageFailed:
    """The failure of a commit that no longer holds SQLite's write lock."""
    return StorageFailed(path, LOCK_LOST, busy=True)
