"""A file that an older version wrote is brought to this one's, whole or not at all."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.kafka.errors import FileRefused
from sandbox.storage.file.migrations import STEPS
from sandbox.storage.file.schema import VERSION
from tests.storage.older_file import make_older


def make_version_1(file: Path) -> None:
    """A file with an event, as version 1 wrote it."""
    with Sandbox(file) as sandbox:
        sandbox.append("orders", "ham")
    make_older(file, 1)


def described(file: Path) -> tuple[int, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(file)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
        return version, connection.execute(schema).fetchall()


def test_each_version_has_the_step_that_leads_to_it() -> None:
    assert len(STEPS) == VERSION


def test_a_file_of_version_1_is_opened_with_all_it_holds(tmp_path: Path) -> None:
    make_version_1(tmp_path / "old.db")
    with Sandbox(tmp_path / "new.db"), Sandbox(tmp_path / "old.db") as sandbox:
        assert [event.value for event in sandbox.read("orders")] == [b"ham"]
    assert described(tmp_path / "old.db") == described(tmp_path / "new.db")
    assert described(tmp_path / "old.db")[0] == VERSION


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_older_file_has_its_tables_as_a_new_one(tmp_path: Path, version: int) -> None:
    file = tmp_path / "old.db"
    Sandbox(file).close()
    make_older(file, version)
    with Sandbox(tmp_path / "new.db"), Sandbox(file):
        pass
    assert described(file) == described(tmp_path / "new.db")


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    make_version_1(file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE event_templates(foreign_to_us)")
    before = described(file)
    with pytest.raises((FileRefused, sqlite3.Error), match="event_templates"):
        Sandbox(file)
    assert described(file) == before
