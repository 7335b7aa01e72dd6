"""Closing a file while other threads read it: they are interrupted, and no connection is closed while it is in use."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.kafka.errors import SandboxError
from sandbox.model.cancellation import Cancellation, Cancelled
from sandbox.storage.file.database import Database
from sandbox.storage.file.readers import Reader
from tests.waiting import eventually

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


class Reading(threading.Thread):
    """Reads in a separate thread, and keeps what it raised."""

    def __init__(self, database: Database, read: Callable[[Reader], object]) -> None:
        super().__init__(daemon=True)
        self._database = database
        self._read = read
        self.begun = threading.Event()
        self.raised: BaseException | None = None
        self.start()
        assert self.begun.wait(10)

    def run(self) -> None:
        try:
            with self._database.reader() as reader:
                self.begun.set()
                self._read(reader)
        except BaseException as error:
            self.raised = error


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "read.db")
    opened.execute("INSERT INTO settings(name, value) VALUES ('a', 'b')")
    opened.commit()
    yield opened
    if not opened.closed:
        opened.close()


def _beside(database: Database) -> list[str]:
    return sorted(path.name for path in database.path.parent.iterdir() if path != database.path)


def test_long_queries_end_when_the_file_is_closed_and_nothing_stays_beside_it(database: Database) -> None:
    readings = [Reading(database, lambda reader: reader.query(ENDLESS)) for _ in range(6)]
    assert "read.db-wal" in _beside(database)
    database.close()
    for one in readings:
        one.join(10)
        assert isinstance(one.raised, Cancelled)
        assert str(one.raised) == "This sandbox is closed."
    assert _beside(database) == []


def test_rows_that_are_read_one_by_one_end_too(database: Database) -> None:
    endless = ENDLESS.replace("count(*)", "x")
    reading = Reading(database, lambda reader: [None for _ in reader.rows(endless)] and None)
    database.close()
    reading.join(10)
    assert isinstance(reading.raised, Cancelled)


def test_many_short_queries_end_at_the_next_one(database: Database) -> None:
    def read(reader: Reader) -> None:
        while True:
            reader.one("SELECT 1")

    reading = Reading(database, read)
    database.close()
    reading.join(10)
    assert isinstance(reading.raised, Cancelled)


def test_a_reader_that_does_not_end_is_abandoned_and_closes_its_own_connection(database: Database) -> None:
    held, after = threading.Event(), threading.Event()
    seen: list[object] = []

    def read(reader: Reader) -> None:
        held.wait(30)
        # The connection was not closed under this thread: the reader refuses, SQLite would not.
        seen.append(reader._connection.execute("SELECT 1").fetchone())
        after.set()
        reader.query("SELECT 1")

    reading = Reading(database, read)
    closing = threading.Thread(target=database.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    held.set()
    reading.join(10)
    assert after.is_set()
    assert seen == [(1,)]
    assert isinstance(reading.raised, Cancelled)


def test_the_connections_of_threads_that_rest_are_closed(database: Database) -> None:
    kept: list[sqlite3.Connection] = []
    going_on = threading.Event()

    def rest() -> None:
        with database.reader() as reader:
            kept.append(reader._connection)
        going_on.wait(30)

    thread = threading.Thread(target=rest, daemon=True)
    thread.start()
    eventually(lambda: kept)
    eventually(lambda: not kept[0].in_transaction)
    database.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept[0].execute("SELECT 1")
    assert _beside(database) == []
    going_on.set()
    thread.join(10)


def test_who_closes_the_file_while_it_reads_does_not_wait_for_itself(database: Database) -> None:
    with database.reader() as reader:
        database.close()
        with pytest.raises(Cancelled):
            reader.query("SELECT 1")


def test_work_over_other_connections_is_refused_after_and_interrupted_by_closing(database: Database) -> None:
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        with database.working():
            begun.set()
            ended.wait(30)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert begun.wait(10)
    closing = threading.Thread(target=database.close, daemon=True)
    closing.start()
    eventually(lambda: database.closed)
    ended.set()
    thread.join(10)
    closing.join(10)
    with pytest.raises(SandboxError, match="closed"), database.working():
        pass
    with pytest.raises(SandboxError, match="closed"), database.reader():
        pass


def test_one_request_is_cancelled_and_the_others_go_on(database: Database) -> None:
    work = Cancellation("The client has gone.")

    def read() -> None:
        with work.covering(), database.reader() as reader:
            begun.set()
            try:
                reader.query(ENDLESS)
            except Cancelled as error:
                raised.append(str(error))

    begun, raised = threading.Event(), list[str]()
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert begun.wait(10)
    assert work.cancel_and_wait(10)
    thread.join(10)
    assert raised == ["The client has gone."]
    with database.reader() as reader:
        assert reader.query("SELECT value FROM settings WHERE name = 'a'") == [("b",)]
