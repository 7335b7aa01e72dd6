"""Opens a sandbox file: one connection that writes, and read-only connections for everything else.

Problem: SQLite allows one writer, and versions before 3.51.3 have a rare race when two connections write or checkpoint
at the same instant. Here one connection does both, in one transaction at a time, which `commit` ends. Readers open the
file read-only and see one consistent state within their `with` block.
"""

import os
import sqlite3
import struct
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import Any, NoReturn, cast

from sandbox.kafka.errors import FileRefused, NoSandboxFile
from sandbox.model.process import bind_to_process, never_destroy
from sandbox.storage.file import ofd_locks, row_checksums
from sandbox.storage.file.failure import BUSY, LOG_GONE, LOG_LOST, NOWHERE, failure_of, why_not_opened
from sandbox.storage.file.failure import StorageFailed as StorageFailed
from sandbox.storage.file.guard import FileGuard, held_here
from sandbox.storage.file.migrations import migrate
from sandbox.storage.file.numbered import connect
from sandbox.storage.file.read_uri import read_uri
from sandbox.storage.file.readers import Parameters as Parameters
from sandbox.storage.file.readers import Reader as Reader
from sandbox.storage.file.readers import Readers, interrupting
from sandbox.storage.file.readers import Row as Row
from sandbox.storage.file.schema import APPLICATION_ID, VERSION

MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100

OPENING_S = 2.0
"""How long opening waits for another program that holds a lock."""
BUSY_MS = 250
"""How long a write waits for a lock. No client is served meanwhile, so later writes fail immediately until it is free.
"""
REOPEN_TRIES, REOPEN_PAUSE_S = 3, 0.01
"""How often, and at what interval, `replace_log` tries to open the file again while everybody waits."""


class _Unopened:
    """Takes the place of the writer's connection while the file could not be opened again."""

    in_transaction = False

    def __init__(self, cause: str, words: str) -> None:
        self._cause, self._words = cause, words

    def execute(self, *_: object) -> NoReturn:
        raise StorageFailed(self._cause, self._words, effect=NOWHERE)

    executemany = execute

    def close(self) -> None:
        """Nothing is open."""


class Database(Reader):
    """An open sandbox file. The caller holds its lock.

    Args:
        path: the file; it is created if it does not exist.
        guard: the file's guard, which the caller closes afterwards; None to create one here.

    Raises:
        FileRefused: it is not a sandbox file of this version or an older one, or cannot be opened. Nothing was changed.
    """

    def __init__(self, path: str | os.PathLike[str], guard: FileGuard | None = None) -> None:
        self.path = Path(os.path.realpath(path))
        check_path(self.path)
        bind_to_process(self)
        self._guard = guard or FileGuard(self.path)
        self._own_guard = guard is None
        try:
            self._open()
        except BaseException:
            self._close_guard()
            raise

    def _open(self) -> None:
        self.statements = self.commits = 0
        self.closed = False
        self.read_only = False
        self.slowest_commit_s = 0.0
        self._rescue_done = False
        self._waits = True
        self._begun = False
        self._replacing = threading.RLock()
        self.writes_back = False
        current = check_file(self.path)
        try:
            self._writer = self._open_writer(current)
        except sqlite3.Error as error:
            raise FileRefused(f"{self.path} cannot be opened: {why_not_opened(error, self.path)}") from error
        super().__init__(self._writer)
        self._log = self.path.with_name(self.path.name + "-wal")
        try:
            self._guard.watch()
        except BaseException:
            self._writer.close()
            raise
        self._readers = Readers(self.path, self.check_place)

    def _open_writer(self, current: bool) -> sqlite3.Connection:
        connection = connect(self.path, cached_statements=256, timeout=OPENING_S)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute("PRAGMA recursive_triggers = ON")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            if not current:
                migrate(connection)
            row_checksums.keep(connection)
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        except BaseException:
            connection.close()
            raise
        return connection

    def check_place(self) -> None:
        """Raise StorageFailed if the file, its log or its index were replaced, so that writes would be lost."""
        with self._replacing:
            self._check_opened()
            self._guard.check()

    def _check_opened(self) -> None:
        if isinstance(self._writer, _Unopened):
            self._writer.execute()

    def check_or_rescue(self) -> None:
        """Like `check_place`, for the writer, between transactions: first saves a deleted log's content."""
        self._check_opened()
        try:
            self._guard.check()
        except StorageFailed as error:
            raise self._rescued(error) from error

    def _rescued(self, error: StorageFailed) -> StorageFailed:
        """Save the content of a log that was deleted or replaced, which this process still has open.

        Returns:
            The failure; its words state whether everything is saved now.
        """
        if error.words != LOG_LOST or self._writer.in_transaction or not self._guard.log_is_whole:
            return error
        if not self._rescue_done:
            # First, because the process may be killed in the middle of the checkpoint.
            copied = self._guard.put_back()
            with suppress(sqlite3.Error):
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._rescue_done = not self._guard.pending()
            if not (copied or self._rescue_done):
                return error
        rescued = StorageFailed(error.cause, LOG_GONE, effect=NOWHERE)
        rescued.stored = error.stored
        return rescued

    @property
    def in_transaction(self) -> bool:
        """True while there are writes that were not committed or rolled back."""
        return self._begun

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Execute a statement in the write transaction, which begins here if none is open.

        Raises:
            StorageFailed: the disk is full or failed; call `rollback`.
            sqlite3.IntegrityError: a trigger or constraint of the schema refused it; call `rollback` here too.
        """
        self.statements += 1
        try:
            self._begin()
            return self._writer.execute(sql, parameters)
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.Error, OverflowError) as error:
            raise failure_of(error) from error

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Write many rows with one statement, as `execute` does."""
        self.statements += 1
        try:
            self._begin()
            self._writer.executemany(sql, rows)
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.Error, OverflowError) as error:
            raise failure_of(error) from error

    def _begin(self) -> None:
        if self._writer.in_transaction:
            return
        self._check_not_undone()
        if self._guard.suspect:
            self.check_or_rescue()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._wait_for_others(not failure_of(error).busy)
            raise
        self._begun = True
        self._wait_for_others(True)

    def _check_not_undone(self) -> None:
        """Raise StorageFailed if SQLite has rolled back the transaction, such as at a full disk, before `rollback`.

        Otherwise later writes of the turn would be committed without the earlier ones.
        """
        if self._begun:
            raise StorageFailed("an earlier write of the transaction failed")

    def _wait_for_others(self, wanted: bool) -> None:
        """Set whether the next write waits for a lock. After one timeout, later writes don't wait."""
        if wanted is not self._waits:
            self._waits = wanted
            self._writer.execute(f"PRAGMA busy_timeout = {BUSY_MS if wanted else 0}")

    def commit(self) -> None:
        """Commit the write transaction. If StorageFailed is raised, no client may get an acknowledgement.

        If the log was deleted during the commit itself, everything is stored although StorageFailed is raised.
        """
        if not self._writer.in_transaction:
            self._check_not_undone()
            return
        self.commits += 1
        started_s = time.perf_counter()
        done = False
        try:
            self._guard.before_commit()
            self._writer.execute("COMMIT")
            done, self._begun = True, False
            self._guard.after_commit()
        except sqlite3.Error as error:
            self.rollback()
            raise failure_of(error) from error
        except StorageFailed as error:
            self.rollback()
            error.stored = done and not error.unreadable
            raise self._rescued(error) from error
        self.slowest_commit_s = max(self.slowest_commit_s, time.perf_counter() - started_s)

    def rollback(self) -> None:
        """Roll back the write transaction, if one is open."""
        self._begun = False
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def forbid_writes(self) -> None:
        """Make the writer read-only from now on (enforced by SQLite). Call it between transactions."""
        self.read_only = True
        self._writer.execute("PRAGMA query_only = ON")

    def sync_every_commit(self, wanted: bool) -> None:
        """Set whether a commit also survives a loss of power (`flush.messages=1`). Call it between transactions."""
        self._writer.execute(f"PRAGMA synchronous = {'FULL' if wanted else 'NORMAL'}")

    def check_unlocked(self) -> None:
        """Raise StorageFailed if another program holds a lock that prevents writes. Call it between transactions."""
        try:
            self._begin()
        except sqlite3.Error as error:
            raise failure_of(error) from error
        self.rollback()

    def replace_content(self, source: Path) -> None:
        """Replace the content with another sandbox file's, atomically, in one transaction.

        Open read transactions still see the old content. Call it between transactions, after `check_unlocked`.

        Args:
            source: a copy that is not open anywhere, of the same version and page size.

        Raises:
            StorageFailed: nothing was replaced.
        """
        self.check_or_rescue()
        try:
            with closing(sqlite3.connect(read_uri(source, immutable=True), uri=True)) as connection:
                connection.backup(self._writer, progress=_refuse_to_wait)
            # The log is now as large as the file: checkpoint it here, not in the next write.
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            raise failure_of(error) from error
        self.check_or_rescue()

    def without_readers(self) -> AbstractContextManager[bool]:
        """A block in which only the writer has the file open. Yields False if a thread is reading."""
        return self._readers.without_readers()

    def replace_log(self, log: Path, index: Path) -> bool:
        """Replace the content by replacing the write-ahead log, which takes as long for any size.

        A log with every page of another content makes the file have that content, whatever the file itself holds.
        Renaming it is atomic. SQLite must then write it into the file: call `write_back` in another thread. Call this
        between transactions, within `without_readers`. Both files are used up. The file may not be open afterwards, if
        the system refuses to open it: call `reopen` before anything is read.

        Args:
            log: a log with every page, synced to disk; see `snapshots.make_log`.
            index: its index.

        Returns:
            False if another connection has the file open, or this system has no locks to find out. Nothing was changed.

        Raises:
            StorageFailed: the file cannot be used.
        """
        if not ofd_locks.AVAILABLE or not self.shrink_log():
            return False
        with self._replacing:
            self._guard.let_go()
            self._writer.close()
            self._use(_Unopened("the log is being replaced", "A snapshot is being restored."))
            # If it is, the next commit would write all of it back, while everybody waits.
            self.writes_back = replaced = self._guard.replace_log(log, index)
            for number in range(REOPEN_TRIES):
                try:
                    self.reopen()
                    break
                except StorageFailed:
                    if number < REOPEN_TRIES - 1:
                        time.sleep(REOPEN_PAUSE_S)
                    elif not replaced:
                        raise
        return replaced

    def reopen(self) -> None:
        """Open the file again, if that failed when its log was replaced. Call it between transactions.

        Raises:
            StorageFailed: it cannot be opened now. Every read and write fails until it can.
        """
        if not isinstance(self._writer, _Unopened):
            return
        with self._replacing:
            try:
                writer = self._open_writer(True)
                if self.writes_back:
                    writer.execute("PRAGMA wal_autocheckpoint = 0")
            except sqlite3.Error as error:
                unopened = _Unopened(str(error), why_not_opened(error, self.path))
                self._use(unopened)
                unopened.execute()
            self._use(writer)
            self._waits = True
            self._guard.watch()

    def _use(self, writer: sqlite3.Connection | _Unopened) -> None:
        # An `_Unopened` has the methods that are called here.
        self._writer = cast(sqlite3.Connection, writer)
        super().__init__(self._writer)

    def write_back(self) -> None:
        """Write a log that replaced another into the file, in the caller's thread. Call `written_back` afterwards.

        This is the only place where another connection than the writer's does a checkpoint. The reader keeps the
        log from being reset meanwhile, so SQLite's WAL-reset bug (https://sqlite.org/wal.html#walresetbug) cannot
        occur.
        """
        with self.reader() as reader:
            reader.query("SELECT 1 FROM sqlite_master LIMIT 1")
            with closing(connect(self.path)) as connection, interrupting(connection), suppress(sqlite3.Error):
                # If it fails, the writer repeats it at the next commit.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def written_back(self) -> None:
        """Let commits do checkpoints again. Call it between transactions, on the writer's thread."""
        self.writes_back = False
        if not isinstance(self._writer, _Unopened):
            self._writer.execute("PRAGMA wal_autocheckpoint = 1000")
        with suppress(StorageFailed):
            # If there is a problem, the next commit reports it.
            self._guard.written_back()

    def page_size_bytes(self) -> int:
        """Return the size of one page of the file, in bytes. Thread-safe.

        The writing connection is for one thread. Another thread that used it could deadlock: one thread would hold
        Python's lock and wait for the connection's, the other, in a checksum's trigger, the other way round.
        """
        with self.reader() as reader:
            return int(reader.query("PRAGMA page_size")[0][0])

    def reader(self) -> AbstractContextManager[Reader]:
        """This thread's read-only connection, in one read transaction. Nested calls share the outer transaction."""
        return self._readers.reader()

    def working(self) -> AbstractContextManager[None]:
        """A block that uses other connections to the file: `close` interrupts it, and waits until it ends."""
        return self._readers.working()

    def size_bytes(self) -> int:
        """Return the size of the file and its write-ahead log on disk."""
        return sum(place.stat().st_size for place in (self.path, self._log) if place.exists())

    @property
    def log_bytes(self) -> int:
        """The size of the write-ahead log at the last commit or check."""
        return self._guard.log_bytes

    def log_readers(self) -> set[int]:
        """Return the ids of known processes whose read transactions keep the log from being emptied."""
        return self._guard.readers()

    def shrink_log(self) -> bool:
        """Checkpoint the log and empty it, without waiting. Call it between transactions.

        Returns:
            False if a read transaction prevents it.

        Raises:
            StorageFailed: the file could not be written.
        """
        try:
            self._writer.execute("PRAGMA busy_timeout = 0")
            try:
                busy = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                self._writer.execute(f"PRAGMA busy_timeout = {BUSY_MS if self._waits else 0}")
        except sqlite3.Error as error:
            raise failure_of(error) from error
        self._guard.check()
        return not busy

    def close(self) -> None:
        """Commit pending writes, interrupt readers (see `Readers.close`), and close every connection."""
        try:
            self.commit()
        finally:
            self.closed = True
            self._readers.close()
            with suppress(StorageFailed):
                # A reader may have found that the log was deleted, and there was no write since.
                self.check_or_rescue()
            self._guard.let_go()
            # Last: the last connection that may write removes the -wal and -shm files.
            self._writer.close()
            self._close_guard()

    def leave_to_parent(self) -> None:
        """After a fork: the connections belong to the parent, and SQLite must not even close them here."""
        with suppress(AttributeError):
            never_destroy(self._writer)

    def _close_guard(self) -> None:
        if self._own_guard:
            self._guard.close()


def _refuse_to_wait(status: int, _left: int, _pages: int) -> None:
    """Abort a backup that another program's lock blocks: sqlite3 itself would retry forever."""
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise StorageFailed("database is locked", BUSY, busy=True)


def check_path(path: Path, *, to_write: bool = True) -> None:
    """Check that a sandbox file may be at a path, without opening it; FileRefused with the reason and advice."""
    try:
        refuse_no_regular_file(path)
        if not path.parent.is_dir():
            raise FileRefused(f"{path} cannot be created: the folder {path.parent} does not exist.")
        if to_write and path.exists() and path.stat().st_size and not os.access(path, os.W_OK):
            raise FileRefused(f"{path} is read-only for this user. Change its permissions, or work on a copy.")
    except OSError as error:
        raise FileRefused(f"{path} cannot be read: {error.strerror or error}") from error


def refuse_no_regular_file(path: Path) -> None:
    """Raise FileRefused for a folder, a pipe or a device; a path that does not exist passes."""
    if path.is_dir():
        raise FileRefused(f"{path} is a folder. Name a file in it, such as {path / 'dev.db'}.")
    if path.exists() and not path.is_file():
        # Reading a pipe would wait for its writer.
        raise FileRefused(f"{path} is a pipe, a device or a socket. Name a regular file.")


def check_file(path: Path, *, to_write: bool = True) -> bool:
    """Check that a path can be a sandbox file (a writable one if `to_write`), without changing anything.

    Returns:
        True for a sandbox file of this version; False if it must be created or migrated.

    Raises:
        FileRefused: with the reason and advice.
    """
    check_path(path, to_write=to_write)
    try:
        if not path.exists() or path.stat().st_size == 0:
            return False
        header = _header(path)
    except OSError as error:
        raise FileRefused(f"{path} cannot be read: {error.strerror or error}") from error
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        raise NoSandboxFile(f"{path} is not an SQLite database. Choose another file name; nothing was changed.")
    _check_length(path, header)
    version, application = struct.unpack(">i", header[60:64])[0], struct.unpack(">i", header[68:72])[0]
    if application != APPLICATION_ID:
        version, application = _look_inside(path)
    if application != APPLICATION_ID:
        if application == 0 and version == -1:
            return False
        raise NoSandboxFile(
            f"{path} is the database of another program. Choose another file name; nothing was changed."
        )
    if version > VERSION:
        raise FileRefused(
            f"{path} was written by a newer Kafka Sandbox (file version {version}, this one knows {VERSION}). "
            "Upgrade with: pip install --upgrade kafka-sandbox"
        )
    return bool(version == VERSION)


def _header(path: Path) -> bytes:
    """Return the file's first bytes.

    A file that this process owns is not opened: closing it would release SQLite's locks.
    """
    guard = held_here(path)
    if guard is not None:
        return guard.header(HEADER_BYTES)
    with path.open("rb") as file:
        return file.read(HEADER_BYTES)


def _check_length(path: Path, header: bytes) -> None:
    """Refuse a file that is shorter than its header states, unless a write-ahead log beside it may hold the rest."""
    page_bytes, pages = struct.unpack(">H", header[16:18])[0], struct.unpack(">I", header[28:32])[0]
    wanted = pages * (65536 if page_bytes == 1 else page_bytes)
    found = path.stat().st_size
    if found < wanted and not _has_log(path):
        raise FileRefused(
            f"{path} is cut short: {found:,} of {wanted:,} bytes. Take a whole copy, or another file name; nothing was "
            "changed."
        )


def _has_log(path: Path) -> bool:
    return path.with_name(path.name + "-wal").exists()


def is_open_here(path: Path) -> bool:
    """Return whether this process has a database open. Closing an `immutable` connection would release its locks."""
    guard = held_here(path)
    return guard is not None and guard.watching


def _look_inside(path: Path) -> tuple[int, int]:
    """Return version and application id as SQLite sees them, including the log; version -1 if there is no table."""
    try:
        # Without a log there is no writer, and `immutable` keeps SQLite from creating files beside it.
        quiet = not _has_log(path) and not is_open_here(path)
        connection = sqlite3.connect(read_uri(path, immutable=quiet), uri=True)
        try:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise FileRefused(f"{path} cannot be read as a database: {error}. Nothing was changed.") from error
    return (version if tables else -1), application
