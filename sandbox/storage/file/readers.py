"""Manages read-only connections: one per thread. Other threads can interrupt one, but never close it while it is in
use.

SQLite crashes the process if a connection is closed while another thread runs a statement on it. So `Readers.close`
closes only idle connections. It interrupts the others; each is closed by its own thread.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sandbox.kafka.errors import BrokerError
from sandbox.model import cancellation
from sandbox.model.cancellation import Cancellation
from sandbox.storage.file.failure import StorageFailed, failure_of, keeps_from_reading
from sandbox.storage.file.numbered import connect
from sandbox.storage.file.read_uri import read_uri

CLOSED = "This sandbox is closed."
CLOSE_WITHIN_S = 1.2
"""How long `Readers.close` waits for interrupted readers. Most statements end within a few ms of an interrupt."""

Row = tuple[Any, ...]
Parameters = Sequence[Any] | dict[str, Any]


class Reader:
    """One read transaction: every query sees the same state. Raises StorageFailed if the file cannot be read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for anything other than queries, such as registering functions."""
        return self._connection

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run a query and return all rows."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except (sqlite3.Error, OverflowError) as error:
            raise _reading_failed(error) from error

    def rows(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """Run a query and yield its rows lazily."""
        try:
            # Not `yield from`: that would close the cursor of a connection that may already be closed.
            for row in self._connection.execute(sql, parameters):  # noqa: UP028
                yield row
        except (sqlite3.Error, OverflowError) as error:
            raise _reading_failed(error) from error

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """Run a query and return the first row, or None."""
        try:
            row: Row | None = self._connection.execute(sql, parameters).fetchone()
        except (sqlite3.Error, OverflowError) as error:
            raise _reading_failed(error) from error
        return row


class _CancellableReader(Reader):
    """A reader that raises Cancelled at the next query once its work was cancelled."""

    def __init__(self, connection: sqlite3.Connection, check: Callable[[], None]) -> None:
        super().__init__(connection)
        self._check = check

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        self._check()
        return super().query(sql, parameters)

    def rows(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        self._check()
        return super().rows(sql, parameters)

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        self._check()
        return super().one(sql, parameters)


def _reading_failed(error: Exception) -> Exception:
    """Return the exception for a failed query; an error in the statement itself is returned unchanged."""
    if isinstance(error, OverflowError):
        return BrokerError("INVALID_REQUEST", "A number is too large: 64 bits are the most.")
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
        return cancellation.interrupted()
    return failure_of(error) if keeps_from_reading(error) else error


class _ThreadConnection:
    """The read-only connection of one thread; it ends with the thread.

    Attributes:
        users: how many blocks of its thread use it now. Guarded by the lock of `Readers`.
        closed: True after `close`.
    """

    def __init__(self, path: Path) -> None:
        self.users = 0
        self.closed = False
        self.thread = threading.get_ident()
        self.connection = connect(read_uri(path), uri=True)
        self.connection.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Close the connection. May be called again."""
        self.closed = True
        with suppress(sqlite3.Error, AttributeError):
            self.connection.close()

    def __del__(self) -> None:
        self.close()


class Readers:
    """The read-only connections to one file.

    Args:
        path: the file.
        check_place: raises StorageFailed if another file has taken its place.
    """

    def __init__(self, path: Path, check_place: Callable[[], None]) -> None:
        self._path = path
        self._check_place = check_place
        self._local = threading.local()
        # Reentrant: while `without_readers` holds it, listeners on the same thread may read.
        self._lock = threading.RLock()
        self._connections: WeakSet[_ThreadConnection] = WeakSet()
        self._stopping = Cancellation(CLOSED)

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """See `Database.reader`."""
        self._stopping.check()
        try:
            own = self._own_connection()
            if own.users:
                # An outer block of this thread holds the transaction, and is interrupted for this one too.
                yield _CancellableReader(own.connection, cancellation.check)
                return
            with (
                self._stopping.running(_nothing),
                self._in_use() as connection,
                self._stopping.covering(),
                interrupting(connection),
            ):
                connection.execute("BEGIN")
                try:
                    yield _CancellableReader(connection, cancellation.check)
                finally:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
        except StorageFailed as error:
            raise BrokerError("KAFKA_STORAGE_ERROR", error.words) from error

    @contextmanager
    def working(self) -> Iterator[None]:
        """See `Database.working`."""
        with self._stopping.running(_nothing), self._stopping.covering():
            yield

    def _own_connection(self) -> _ThreadConnection:
        own: _ThreadConnection | None = getattr(self._local, "own", None)
        if own is not None and not own.closed:
            return own
        with self._lock:
            # The path may lead to another file now.
            self._check_place()
            try:
                own = _ThreadConnection(self._path)
            except sqlite3.Error as error:
                raise failure_of(error) from error
            self._connections.add(own)
        self._local.own = own
        return own

    @contextmanager
    def _in_use(self) -> Iterator[sqlite3.Connection]:
        """Keep others from closing this thread's connection. Close it at the end if `close` was called meanwhile."""
        with self._lock:
            self._stopping.check()
            own = self._own_connection()
            own.users += 1
        try:
            yield own.connection
        finally:
            with self._lock:
                own.users -= 1
                unused = not own.users
            if unused and self._stopping.cancelled:
                own.close()

    @contextmanager
    def without_readers(self) -> Iterator[bool]:
        """A block in which the file has no read-only connection of `Readers`: new readers wait until it ends.

        Yields:
            False, and nothing is closed, if a thread is reading.
        """
        with self._lock:
            idle = not any(one.users for one in self._connections)
            if idle:
                for one in self._connections:
                    one.close()
            yield idle

    def close(self) -> bool:
        """Interrupt all readers, and close every connection.

        Returns:
            False if a reader did not end within `CLOSE_WITHIN_S`. Its thread closes its connection when it ends.
        """
        mine = threading.get_ident()
        with self._lock:
            self._stopping.cancelled = True
            idle = [one for one in self._connections if not one.users or one.thread == mine]
        for one in idle:
            one.close()
        return self._stopping.cancel_and_wait(CLOSE_WITHIN_S)


@contextmanager
def interrupting(connection: sqlite3.Connection) -> Iterator[None]:
    """Within the block, the cancellation that covers the current context interrupts the connection's statements."""

    def interrupt() -> None:
        # Its own thread may have stopped the work and closed the connection.
        with suppress(sqlite3.ProgrammingError):
            connection.interrupt()

    with cancellation.interruptible(interrupt):
        yield


def _nothing() -> None:
    """The interrupt function for work that checks for cancellation itself."""
