"""What can become of the file while it is open, in words: the disk, other programs, the file itself."""

import errno
import os
import sqlite3
from pathlib import Path


class StorageFailed(Exception):
    """The file could not be read or written (disk full, I/O error, lock). Its write transaction was undone.

    Args:
        cause: what failed, as SQLite or the system says it.
        words: what that means, with the way out, in one or two whole sentences; None where only `cause` tells.
        busy: another program holds a lock: it may be over at any moment.
        unreadable: True if what would be read from the file now is not what was written.

    Attributes:
        stored: True if the transaction was stored nevertheless, so that it must not be reported as undone.
    """

    def __init__(self, cause: str, words: str | None = None, *, busy: bool = False, unreadable: bool = False) -> None:
        super().__init__(cause if words is None else f"{words.partition('.')[0]} ({cause})")
        self.cause = cause
        self.unreadable = unreadable
        self.stored = False
        self.words = words or f"The file cannot be used: {cause}."
        self.busy = busy


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
"""SQLite's primary result codes that are about the file (https://sqlite.org/rescode.html)."""
SIGNS_OF_DAMAGE = ("decode to UTF-8", "no such column", "no such table")
BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
GONE = "The file was moved, deleted or replaced. Put the same file back, or end the sandbox and start it anew."
LOG_GONE = (
    "The write-ahead log or its index (-wal, -shm) was deleted, moved or replaced by another program. Stop the sandbox "
    "and start it again."
)
"""The file has everything that was acknowledged."""
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
REFUSED = (
    "What programs send now is refused with KAFKA_STORAGE_ERROR, and they try again; what is stored can be read. This "
    "message goes away by itself when that is over."
)
BROKEN = "Whatever needs the damaged part is refused; the rest is served. It does not mend itself."
NOWHERE = "Nothing is written meanwhile: what programs send is refused with KAFKA_STORAGE_ERROR, and they try again."


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
"""What to do about a file that cannot be opened or created, by the system's error."""


def advice(error: OSError, folder: Path) -> str:
    """What to do about a file that cannot be opened or created in a folder; empty if nothing better is known."""
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
    """Why SQLite could not open a file, with the way out: it only says that it could not, so another file is tried."""
    if _code(error) == sqlite3.SQLITE_CANTOPEN:
        import tempfile

        try:
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as reason:
            return f"{reason.strerror or reason}. {advice(reason, path.parent)}".strip()
    return failure_of(error).words


def keeps_from_reading(error: BaseException) -> bool:
    """Whether the error of a query is about the file, not about the statement: as one that would write."""
    code = _code(error)
    return code in WORDS and code != sqlite3.SQLITE_READONLY


def _code(error: BaseException) -> int:
    """The primary result code. Text that is no UTF-8, or a table or column that is not there, is damage too."""
    if isinstance(error, sqlite3.OperationalError) and any(sign in str(error) for sign in SIGNS_OF_DAMAGE):
        return sqlite3.SQLITE_CORRUPT
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def failure_of(error: BaseException) -> StorageFailed:
    """An error of SQLite's as what it means."""
    code = _code(error)
    words = WORDS.get(code)
    return StorageFailed(str(error), words, busy=code in BUSY_CODES)


def gone(path: object) -> StorageFailed:
    """The failure of a file that is not where it was opened."""
    return StorageFailed(str(path), GONE)


def log_gone(path: str) -> StorageFailed:
    """The failure of a log or index that is not where it was opened, while what it holds is still known."""
    return StorageFailed(path, LOG_LOST)


def cut_short(path: str) -> StorageFailed:
    """The failure of a file or log that lacks what was written."""
    return StorageFailed(path, CUT_SHORT, unreadable=True)


def lock_lost(path: str) -> StorageFailed:
    """The failure of a commit whose lock is not held any more."""
    return StorageFailed(path, LOCK_LOST, busy=True)


def meaning(words: str) -> str:
    """What a failure means for those who use the file, by its words."""
    if "file is damaged" in words:
        return BROKEN
    return NOWHERE if words in (GONE, LOG_GONE, LOG_LOST, CUT_SHORT) else REFUSED
