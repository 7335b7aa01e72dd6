"""The connections: one that writes, read-only ones for everybody else.

Problem: SQLite allows one writer, and versions before 3.51.3 have a rare race when two connections write or checkpoint
at the same instant. Here one connection does both, in one transaction at a time, which `commit` ends; readers open the
file read-only and see one consistent state for as long as their `with` lasts.
"""

import os
import sqlite3
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sandbox.kafka.errors import BrokerError, FileRefused, SandboxError
from sandbox.storage.file import row_checksums
from sandbox.storage.file.failure import StorageFailed as StorageFailed
from sandbox.storage.file.failure import failure_of, gone, keeps_from_reading
from sandbox.storage.file.migrations import migrate
from sandbox.storage.file.numbered import connect
from sandbox.storage.file.read_uri import read_uri
from sandbox.storage.file.schema import APPLICATION_ID, VERSION

MAGIC = b"SQLite format 3\x00"
Row = tuple[Any, ...]
Parameters = Sequence[Any] | dict[str, Any]


OPENING_S = 2.0
"""How long opening waits for another program that holds a lock."""
BUSY_MS = 250
"""How long a write waits for one. Meanwhile nobody is served, so the next ones fail at once until it has gone."""


class Reader:
    """One read transaction: every query sees the same state. It raises StorageFailed where the file cannot be read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """The rows."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except (sqlite3.Error, OverflowError) as error:
            raise _reading_failed(error) from error

    def rows(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """The rows, one by one, as they are asked for."""
        try:
            # Not `yield from`: that would close the cursor of a connection which may be closed by then.
            for row in self._connection.execute(sql, parameters):  # noqa: UP028
                yield row
        except (sqlite3.Error, OverflowError) as error:
            raise _reading_failed(error) from error

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row, or None."""
        try:
            row: Row | None = self._connection.execute(sql, parameters).fetchone()
        except (sqlite3.Error, OverflowError) as error:
            raise _reading_failed(error) from error
        return row


def _reading_failed(error: Exception) -> Exception:
    """What a failed query raises: a defect of the statement stays what it is."""
    if isinstance(error, OverflowError):
        return BrokerError("INVALID_REQUEST", "A number is too large: 64 bits are the most.")
    return failure_of(error) if keeps_from_reading(error) else error


class _ThreadConnection:
    """The read-only connection of one thread; it ends with the thread."""

    def __init__(self, path: Path) -> None:
        self.connection = connect(read_uri(path), uri=True)
        self.connection.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Close it. May be called again."""
        with suppress(sqlite3.Error, AttributeError):
            self.connection.close()

    def __del__(self) -> None:
        self.close()


class Database(Reader):
    """An open sandbox file. The caller holds its lock.

    Args:
        path: the file; it is made where it does not exist.

    Raises:
        FileRefused: it is not a sandbox file of this version or an older one, or cannot be opened. Nothing was changed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.realpath(path))
        self.statements = self.commits = 0
        self._local = threading.local()
        self._readers: WeakSet[_ThreadConnection] = WeakSet()
        self._readers_lock = threading.Lock()
        self.closed = False
        self.read_only = False
        self.slowest_commit_s = 0.0
        self._waits = True
        current = check_file(self.path)
        try:
            self._writer = self._open_writer(current)
        except sqlite3.Error as error:
            raise FileRefused(f"{self.path} cannot be opened. {failure_of(error).words}") from error
        super().__init__(self._writer)
        self._log = self.path.with_name(self.path.name + "-wal")
        # As text: `os.stat` of a Path takes half as long again, and every commit asks.
        self._spelled = str(self.path)
        self._place = self._places()

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

    def _places(self) -> tuple[tuple[int, int] | None, ...]:
        """Which file lies where this one was opened, and which where its log was; None where there is none."""
        found: list[tuple[int, int] | None] = []
        for path in (self.path, self._log):
            try:
                there = os.stat(path)
            except OSError:
                found.append(None)
            else:
                found.append((there.st_dev, there.st_ino))
        return tuple(found)

    def check_place(self) -> None:
        """Look whether the file is still where it was opened; StorageFailed where nobody would find what is written."""
        places = self._places()
        if places != self._place:
            if places[0] != self._place[0] or self._place[1] is not None:
                raise gone(self.path)
            # The first write makes the log.
            self._place = places

    def _check_file(self) -> None:
        """As `check_place`, of the file alone: one look a commit. Its log is looked at every few seconds."""
        try:
            there = os.stat(self._spelled)
        except OSError:
            raise gone(self.path) from None
        if (there.st_dev, there.st_ino) != self._place[0]:
            raise gone(self.path)

    @property
    def in_transaction(self) -> bool:
        """True while there are writes that `commit` has not ended."""
        return bool(self._writer.in_transaction)

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Write, in the one write transaction, which begins here where none is open.

        Raises:
            StorageFailed: the disk is full or failed; call `rollback`.
            sqlite3.IntegrityError: a guard of the schema refused it; call `rollback` here too.
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
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._wait_for_others(not failure_of(error).busy)
            raise
        self._wait_for_others(True)

    def _wait_for_others(self, wanted: bool) -> None:
        """Choose whether the next write waits for a lock. Who waited once in vain need not be waited for again."""
        if wanted is not self._waits:
            self._waits = wanted
            self._writer.execute(f"PRAGMA busy_timeout = {BUSY_MS if wanted else 0}")

    def commit(self) -> None:
        """End the write transaction: all of it is in the file, or StorageFailed is raised and none of it is."""
        if not self._writer.in_transaction:
            return
        self.commits += 1
        started_s = time.perf_counter()
        try:
            self._check_file()
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self.rollback()
            raise failure_of(error) from error
        except StorageFailed:
            self.rollback()
            raise
        self.slowest_commit_s = max(self.slowest_commit_s, time.perf_counter() - started_s)

    def rollback(self) -> None:
        """Undo the write transaction."""
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def forbid_writes(self) -> None:
        """Change nothing in the file from now on: SQLite itself refuses what would. Call it between transactions."""
        self.read_only = True
        self._writer.execute("PRAGMA query_only = ON")

    def sync_every_commit(self, wanted: bool) -> None:
        """Choose whether a commit also survives a loss of power (`flush.messages=1`). Call it between transactions."""
        self._writer.execute(f"PRAGMA synchronous = {'FULL' if wanted else 'NORMAL'}")

    def replace_content(self, source: Path) -> None:
        """Put the content of another sandbox file in place of this one's, in one transaction: all of it, or nothing.

        Readers go on with what they see until they are done. Call it between transactions.

        Args:
            source: a copy that nobody has open, of the same version and page size.

        Raises:
            StorageFailed: nothing was replaced.
        """
        try:
            with closing(sqlite3.connect(read_uri(source, immutable=True), uri=True)) as connection:
                connection.backup(self._writer)
            # The log is as large as the file now: it is emptied here, not by the next who writes.
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            raise failure_of(error) from error

    def page_size_bytes(self) -> int:
        """The size of a page of the file."""
        return int(self.query("PRAGMA page_size")[0][0])

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """A read-only connection of this thread, in one read transaction. Calls may nest and share the outer one."""
        if self.closed:
            raise SandboxError("This sandbox is closed.")
        try:
            connection = self._own_connection()
            if connection.in_transaction:
                yield Reader(connection)
                return
            connection.execute("BEGIN")
            try:
                yield Reader(connection)
            finally:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
        except StorageFailed as error:
            raise BrokerError("KAFKA_STORAGE_ERROR", error.words) from error

    def _own_connection(self) -> sqlite3.Connection:
        """The read-only connection of this thread."""
        own: _ThreadConnection | None = getattr(self._local, "own", None)
        if own is None:
            # What lies there now may be another file.
            self.check_place()
            try:
                own = _ThreadConnection(self.path)
            except sqlite3.Error as error:
                raise failure_of(error) from error
            self._local.own = own
            with self._readers_lock:
                self._readers.add(own)
        return own.connection

    def size_bytes(self) -> int:
        """The size of the file and its write-ahead log on disk."""
        return sum(place.stat().st_size for place in (self.path, self._log) if place.exists())

    def close(self) -> None:
        """Commit what is pending, and close every connection."""
        try:
            self.commit()
        finally:
            self.closed = True
            with self._readers_lock:
                readers = tuple(self._readers)
            for reader in readers:
                reader.close()
            self._writer.close()


def refuse_no_regular_file(path: Path) -> None:
    """Raise FileRefused for a folder, a pipe or a device; a path that does not exist passes."""
    if path.is_dir():
        raise FileRefused(f"{path} is a folder. Name a file in it, such as {path / 'dev.db'}.")
    if path.exists() and not path.is_file():
        # Reading a pipe would wait for its writer.
        raise FileRefused(f"{path} is a pipe, a device or a socket. Name a regular file.")


def check_file(path: Path, *, to_write: bool = True) -> bool:
    """Look whether a path can be a sandbox file, which may be written where `to_write`, and change nothing.

    Returns:
        True for a sandbox file of this version; False for one to be made, or to be brought up to date.

    Raises:
        FileRefused: with the reason and the way out.
    """
    try:
        refuse_no_regular_file(path)
        if not path.parent.is_dir():
            raise FileRefused(f"{path} cannot be made: the folder {path.parent} does not exist.")
        if not path.exists():
            return False
        if path.stat().st_size == 0:
            return False
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise FileRefused(f"{path} cannot be read: {error.strerror or error}") from error
    if to_write and not os.access(path, os.W_OK):
        raise FileRefused(f"{path} is read-only for this user. Change its permissions, or work on a copy.")
    if len(header) < 100 or not header.startswith(MAGIC):
        raise FileRefused(f"{path} is not an SQLite database. Choose another file name; nothing was changed.")
    _check_length(path, header)
    version, application = struct.unpack(">i", header[60:64])[0], struct.unpack(">i", header[68:72])[0]
    if application != APPLICATION_ID:
        version, application = _look_inside(path)
    if application != APPLICATION_ID:
        if application == 0 and version == -1:
            return False
        raise FileRefused(f"{path} is the database of another program. Choose another file name; nothing was changed.")
    if version > VERSION:
        raise FileRefused(
            f"{path} was written by a newer Kafka Sandbox (file version {version}, this one knows {VERSION}). "
            "Upgrade with: pip install --upgrade kafka-sandbox"
        )
    return bool(version == VERSION)


def _check_length(path: Path, header: bytes) -> None:
    """Refuse a file that is shorter than its header says. With a write-ahead log beside it, that may have the rest."""
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


def _look_inside(path: Path) -> tuple[int, int]:
    """Version and application id as SQLite sees them, write-ahead log included; version -1 where there is no table."""
    try:
        # Without a log nobody writes, and `immutable` keeps SQLite from making files beside it.
        connection = sqlite3.connect(read_uri(path, immutable=not _has_log(path)), uri=True)
        try:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise FileRefused(f"{path} cannot be read as a database: {error}. Nothing was changed.") from error
    return (version if tables else -1), application
