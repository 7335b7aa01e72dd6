"""A file that an older version wrote is brought to this one's, whole or not at all."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.kafka.errors import FileRefused
from sandbox.storage.check import check
from sandbox.storage.file import row_checksums
from sandbox.storage.file.migrations import STEPS
from sandbox.storage.file.schema import VERSION
from sandbox.web.activity import entry_text
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


OLD_REASON = "member c-1 joined (new); member c-2 left, c-3's session of 6,000 ms timed out; waited 6 s for c-3"
OLD_ACTIVITY = {
    "reset": "3 committed offsets set to latest: partition 0 at 0",
    "returned": "2 dead letters; the last: orders.dlq/0/1 is orders/0/4 now",
    "altered": "retention.ms is 1000",
}


def make_version_4(file: Path) -> None:
    """A file with activity and a rebalance, as version 4 wrote them. The checksum of the last row is wrong."""
    Sandbox(file).close()
    make_older(file, 4)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        row_checksums.keep(connection)
        connection.execute(
            "INSERT INTO rebalances(group_id, generation, started_ms, ended_ms, reason, members, assignment) "
            "VALUES('g', 3, 1000, 1040, ?, 2, '{}')",
            (OLD_REASON,),
        )
        for kind, sentence in OLD_ACTIVITY.items():
            connection.execute("INSERT INTO activity(at_ms, kind, detail) VALUES(2000, ?, ?)", (kind, sentence))
        connection.execute("UPDATE activity SET checksum = checksum + 1 WHERE kind = 'altered'")


def test_sentences_of_version_4_become_fields_and_read_as_before(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    make_version_4(file)
    with Sandbox(file) as sandbox:
        entries = sandbox.activity.read().entries
    assert sorted((entry.kind, entry_text(entry)) for entry in entries) == [
        ("altered", "retention.ms is 1000"),
        ("joined", "member c-1 joined (new)"),
        ("left", "member c-2 left, c-3's session of 6,000 ms timed out"),
        ("rebalanced", f"generation 3, 2 members, took 40 ms: {OLD_REASON}"),
        ("reset", "3 committed offsets set to latest: partition 0 at 0"),
        ("returned", "2 dead letters; the last: orders.dlq 0 · 1 is now orders 0 · 4"),
    ]
    details = {entry.kind: entry.details for entry in entries}
    assert details["reset"]["committed_offsets"] == 3
    assert details["returned"]["to"] == {"topic": "orders", "partition": 0, "offset": 4}


def test_a_migrated_row_has_a_right_checksum_only_if_the_old_one_was_right(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    make_version_4(file)
    Sandbox(file).close()
    (finding,) = check(file).findings
    assert "activity" in finding.text


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_old_file_with_a_view_over_a_missing_table_is_migrated_and_keeps_the_view(
    tmp_path: Path, version: int
) -> None:
    file = tmp_path / "old.db"
    Sandbox(file).close()
    make_older(file, version)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE VIEW mine AS SELECT * FROM gone")
    with Sandbox(file) as sandbox:
        assert sandbox._runtime.call(
            lambda now_ms: sandbox._database._writer.execute("PRAGMA writable_schema").fetchone()
        ) == (0,)
    assert ("view", "mine", "CREATE VIEW mine AS SELECT * FROM gone") in described(file)[1]


@pytest.mark.parametrize("damaged", ["x'74ff78'", "CAST(x'74ff78' AS TEXT)"])
def test_a_damaged_sentence_of_version_4_does_not_prevent_the_migration_and_is_still_reported(
    tmp_path: Path, damaged: str
) -> None:
    file = tmp_path / "old.db"
    Sandbox(file).close()
    make_older(file, 4)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"INSERT INTO activity(at_ms, kind, detail, checksum) VALUES(2000, 'altered', {damaged}, 7)")
        connection.execute(
            "INSERT INTO rebalances(group_id, generation, started_ms, ended_ms, reason, members, assignment, checksum) "
            f"VALUES('g', 3, 1000, 1040, {damaged}, 2, '{{}}', 7)",
        )
    with Sandbox(file) as sandbox:
        texts = {entry.kind: entry.details.get("text") for entry in sandbox.activity.read().entries}
    assert texts["altered"] == texts["rebalanced"] == "t\N{REPLACEMENT CHARACTER}x"
    assert [finding.place for finding in check(file).findings] == ["rebalances", "activity"]
