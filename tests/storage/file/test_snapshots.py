"""Copies of a file: one state each, looked over before they are used."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.kafka.errors import FileRefused
from sandbox.storage.file.database import Database, StorageFailed
from sandbox.storage.file.migrations import make_version
from sandbox.storage.file.snapshots import Identity, check_copy, copy_file, fit_pages, make_ready, opened, read_identity
from sandbox.storage.log.topics import save_file_setting


def made(path: Path, **settings: str) -> Path:
    """A sandbox file without topics."""
    database = Database(path)
    for name, value in settings.items():
        save_file_setting(database, name.replace("_", "."), value)
    database.close()
    return path


def do(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_copy_has_what_was_committed_and_not_what_comes_after(tmp_path: Path) -> None:
    database = Database(tmp_path / "dev.db")
    save_file_setting(database, "committed", "1")
    database.commit()
    save_file_setting(database, "open", "1")
    copy_file(tmp_path / "dev.db", tmp_path / "copy.db", in_use=True)
    database.commit()
    with opened(tmp_path / "copy.db") as reader:
        assert reader.query("SELECT name FROM settings") == [("committed",)]
    database.close()


def test_a_copy_is_read_without_leaving_files_beside_it(tmp_path: Path) -> None:
    copy_file(made(tmp_path / "dev.db"), tmp_path / "copy.db", in_use=False)
    check_copy(tmp_path / "copy.db", foreign=True)
    with opened(tmp_path / "copy.db") as reader:
        assert reader.one("SELECT count(*) FROM topics") == (0,)
    assert names(tmp_path) == ["copy.db", "dev.db"]


def as_text(path: Path) -> None:
    path.write_text("hello " * 100)


def as_nothing(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9_000])


def overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4_096 : 4_096 + 20_000] = b"\x5a" * 20_000
    path.write_bytes(data)


def newer(path: Path) -> None:
    do(path, "PRAGMA user_version = 99")


def of_another_program(path: Path) -> None:
    do(path, "PRAGMA application_id = 1")


def with_a_trigger(path: Path) -> None:
    do(path, "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM settings; END")


def without_a_guard(path: Path) -> None:
    do(path, "DROP TRIGGER events_are_immutable")


def without_a_table(path: Path) -> None:
    do(path, "DROP TABLE committed_offsets")


@pytest.mark.parametrize(
    "spoil",
    [
        as_text,
        as_nothing,
        cut,
        overwritten,
        newer,
        of_another_program,
        with_a_trigger,
        without_a_guard,
        without_a_table,
    ],
)
def test_what_is_no_whole_sandbox_file_is_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = made(tmp_path / "upload.db")
    spoil(path)
    with pytest.raises(FileRefused):
        check_copy(path, foreign=True)


def test_what_somebody_added_for_himself_is_no_reason_to_refuse(tmp_path: Path) -> None:
    path = made(tmp_path / "upload.db")
    do(path, "CREATE TABLE mine(x)", "CREATE INDEX also_mine ON mine(x)")
    check_copy(path, foreign=True)
    do(path, "CREATE INDEX more ON events(timestamp)", "CREATE VIEW v AS SELECT 1")
    with_a_trigger(path)
    check_copy(path, foreign=False)


def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        make_version(connection, 1)
        connection.execute("PRAGMA user_version = 1")
    check_copy(path, foreign=True)
    with opened(path) as reader:
        assert reader.one("SELECT count(*) FROM activity") == (0,)


def test_a_copy_made_ready_has_no_members_higher_epochs_and_the_place_of_the_file(tmp_path: Path) -> None:
    path = made(tmp_path / "copy.db", cluster_id="theirs", kafka_port="1", demo="on")
    do(
        path,
        "INSERT INTO topics(id, name, topic_id, created_ms) VALUES(1, 't', 'x', 0)",
        "INSERT INTO partitions(id, topic, partition, leader_epoch) VALUES(1, 1, 0, 3), (2, 1, 1, 3)",
        "INSERT INTO producers(created_ms) VALUES(0)",
        "INSERT INTO groups(group_id, state, generation, leader, updated_ms) VALUES('g', 'Stable', 4, 'm', 0)",
        "INSERT INTO group_members VALUES('g', 'm', NULL, '', '', 1, 1, '[]', x'', '{}', NULL, NULL)",
    )
    identity = Identity({"cluster.id": "ours"}, {("t", 0): 7}, {"g": 9}, 40, {".": 7}, 1)
    make_ready(path, identity)
    with opened(path) as reader:
        assert reader.query("SELECT * FROM group_members") == []
        assert reader.query("SELECT state, generation, leader FROM groups") == [("Empty", 10, None)]
        assert reader.query("SELECT partition, leader_epoch FROM partitions") == [(0, 8), (1, 4)]
        assert reader.query("SELECT name, value FROM settings") == [("cluster.id", "ours"), ("demo", "on")]
        assert read_identity(reader).last_producer_id > 1_000
    make_ready(path, None)
    with opened(path) as reader:
        assert reader.query("SELECT name, value FROM settings") == [("demo", "on")]


def test_content_is_replaced_as_one_while_others_read(tmp_path: Path) -> None:
    other = made(tmp_path / "other.db", what="new")
    database = Database(made(tmp_path / "dev.db", what="old"))
    with database.reader() as reader:
        assert reader.query("SELECT value FROM settings") == [("old",)]
        database.replace_content(other)
        assert reader.query("SELECT value FROM settings") == [("old",)]
    with database.reader() as reader:
        assert reader.query("SELECT value FROM settings") == [("new",)]
    assert database.query("PRAGMA journal_mode") == [("wal",)]
    save_file_setting(database, "what", "newer")
    database.close()
    with opened(tmp_path / "dev.db") as reader:
        assert reader.query("SELECT value FROM settings") == [("newer",)]


def test_what_cannot_be_read_replaces_nothing(tmp_path: Path) -> None:
    database = Database(made(tmp_path / "dev.db", what="old"))
    (tmp_path / "other.db").write_text("hello " * 1000)
    with pytest.raises(StorageFailed):
        database.replace_content(tmp_path / "other.db")
    assert database.query("SELECT value FROM settings") == [("old",)]
    database.close()


def test_a_copy_with_other_pages_is_made_to_fit(tmp_path: Path) -> None:
    other = made(tmp_path / "other.db", what="new")
    do(other, "PRAGMA journal_mode = DELETE", "PRAGMA page_size = 16384", "VACUUM")
    database = Database(made(tmp_path / "dev.db", what="old"))
    fit_pages(other, database.page_size_bytes())
    database.replace_content(other)
    assert database.query("SELECT value FROM settings") == [("new",)]
    database.close()


def test_content_is_not_replaced_while_another_program_holds_a_lock(tmp_path: Path) -> None:
    other = made(tmp_path / "other.db", what="new")
    database = Database(made(tmp_path / "dev.db", what="old"))
    with closing(sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)) as program:
        program.execute("BEGIN IMMEDIATE")
        # If the restore waited for the lock, the timer would end that.
        release = threading.Timer(10, lambda: program.execute("ROLLBACK"))
        release.start()
        with pytest.raises(StorageFailed) as failure:
            database.replace_content(other)
        release.cancel()
        assert failure.value.busy
        release.join()
        program.execute("ROLLBACK")
    assert database.query("SELECT value FROM settings") == [("old",)]
    database.replace_content(other)
    assert database.query("SELECT value FROM settings") == [("new",)]
    database.close()
