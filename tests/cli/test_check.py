"""`sandbox check`: a file at rest, one that is open, one that is damaged, and what is no sandbox."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import FileRefused
from sandbox.kafka.event import NewEvent
from sandbox.storage.check import check, count_batches
from tests.cli.conftest import CommandLine
from tests.storage.damage import damage
from tests.storage.older_file import make_older


@pytest.fixture
def file(command_line: CommandLine) -> Path:
    path = command_line.folder / "dev.db"
    with Sandbox(path) as box:
        box.create_topic("orders", settings={"retention.ms": "1000000"})
        for value in ("ham", "eggs", "spam"):
            box.append("orders", value)
        box.commit("billing", "orders", 0, 2)
    return path


def test_a_whole_file_is_told_so_beside_its_owner_and_without(command_line: CommandLine, file: Path) -> None:
    said = command_line.ok("check").out
    assert said.startswith("dev.db is whole: 3 events in 3 record batches and ")
    with Sandbox(file) as box:
        box.append("orders", "more")
        (told,) = command_line.ok("check", "dev.db", "--json").rows
    assert (told["whole"], told["events"], told["findings"], told["without_checksum"]) == (True, 4, [], 0)


def test_each_damage_is_named_with_its_place_and_nothing_is_repaired(command_line: CommandLine, file: Path) -> None:
    damage(file, "UPDATE events SET value = 'egg' WHERE value = 'eggs'")
    damage(file, "UPDATE topic_settings SET value = '3000000'")
    damage(file, "UPDATE committed_offsets SET offset = 3")
    before = file.read_bytes()
    result = command_line.run("check", "dev.db")
    assert (result.status, file.read_bytes()) == (1, before)
    assert "orders-0, offset 1: the file is damaged" in result.out
    assert "topic_settings, topic 1, name 'retention.ms': this row is not as the sandbox wrote it. Set it" in result.out
    assert "The group billing committed 2 in orders-0 last, and 3 is written down. Reset" in result.out
    assert "dev.db is damaged: 4 things are not as written" in result.out
    (told,) = command_line.run("check", "dev.db", "--json").rows
    places = [finding["place"] for finding in told["findings"]]
    assert sorted(places) == ["committed_offsets", "committed_offsets", "orders-0", "topic_settings"]


def test_an_older_file_is_looked_at_without_changing_it(command_line: CommandLine, file: Path) -> None:
    make_older(file, 1)
    before = file.read_bytes()
    said = command_line.ok("check").out
    assert "is whole: 3 events" in said
    assert "3 record batches and rows were written by an earlier version and have no checksum" in said
    assert file.read_bytes() == before


def test_what_is_no_sandbox_is_told(command_line: CommandLine, file: Path) -> None:
    (command_line.folder / "notes.db").write_text("hello " * 50)
    other = command_line.run("check", "notes.db")
    assert (other.status, "is not an SQLite database" in other.out) == (1, True)
    assert other.out.endswith("notes.db is not a sandbox file, or its beginning is damaged.\n")
    assert command_line.run("check", "absent.db").status == 5
    file.write_bytes(file.read_bytes()[:9000])
    assert "is cut short" in command_line.run("check").out


@pytest.fixture
def may_not_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user who may read alone; for root the system makes an exception."""
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))


@pytest.mark.usefixtures("may_not_write")
def test_what_may_be_read_alone_is_looked_at(file: Path) -> None:
    assert check(file).events == 3
    assert check(file).whole


@pytest.mark.usefixtures("may_not_write")
def test_a_place_that_keeps_a_file_from_being_read_is_no_damage(file: Path) -> None:
    file.with_name("dev.db-wal").write_bytes(bytes(32))
    assert count_batches(file) is None
    with pytest.raises(FileRefused, match="Copy both files to a folder of yours"):
        check(file)


def test_what_a_sandbox_writes_while_it_is_looked_through_is_no_damage(file: Path) -> None:
    with Sandbox(file) as box:
        for number in range(200):
            box.append_many("orders", [NewEvent(b"%d" % number * 100)] * 10)
    batches: list[int] = []

    def advance(done: int) -> None:
        batches.append(done)
        if len(batches) == 5:
            with Sandbox(file) as box:
                box.delete_records("orders", {0: 1_900})
                for _ in range(100):
                    box.append_many("orders", [NewEvent(b"x" * 300)] * 10)

    assert check(file, advance).findings == []


def test_a_table_of_the_users_is_no_damage(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute('CREATE TABLE "my ""own"" notes"(id INTEGER PRIMARY KEY AUTOINCREMENT)')
    assert check(file).whole


def test_of_much_damage_some_is_told_and_how_much_more_there_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.storage.check.FINDINGS_MAX", 2)
    for offset in range(3):
        damage(file, f"UPDATE events SET value = 'x' WHERE id = {(1 << 40) + offset}")
    texts = [finding.text for finding in check(file).findings]
    assert [text[:18] for text in texts[:2]] == ["orders-0, offset 0", "orders-0, offset 1"]
    assert texts[2:] == ["orders-0: 1 more are not as written."]
