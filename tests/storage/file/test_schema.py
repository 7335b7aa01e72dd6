"""The guards of the file, and the view that people read."""

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.api.sandbox import Sandbox
from tests.clock import START_MS


@pytest.fixture
def filled(file: Path) -> Path:
    with Sandbox(file) as sandbox:
        for value in ("ham", "eggs", "spam"):
            sandbox.append("orders", value, key="k")
        sandbox.commit("app", "orders", 0, 1)
    return file


@pytest.fixture
def stranger(filled: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody who opens the file with nothing set."""
    with closing(sqlite3.connect(filled)) as connection:
        yield connection


def everything(connection: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    return [connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("events", "batches", "commits")]


FIRST_ID = 1 << 40


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE events SET value = 'other'", "events are immutable"),
        ("UPDATE events SET id = id + 100", "events are immutable"),
        ("DELETE FROM events WHERE offset = 2", "append-only"),
        ("DELETE FROM events", "append-only"),
        ("UPDATE batches SET base_offset = 7", "record batches are immutable"),
        ("DELETE FROM batches", "append-only"),
        ("UPDATE commits SET offset = 0", "history of commits is immutable"),
        ("UPDATE partitions SET log_start_offset = -1", "never falls"),
    ],
)
def test_what_is_written_cannot_be_changed_by_anybody(
    stranger: sqlite3.Connection, statement: str, reason: str
) -> None:
    before = everything(stranger)
    with pytest.raises(sqlite3.IntegrityError, match=reason):
        stranger.execute(statement)
    stranger.rollback()
    assert everything(stranger) == before


@pytest.mark.parametrize("verb", ["REPLACE INTO", "INSERT OR REPLACE INTO"])
def test_replace_is_refused_on_the_sandboxs_own_connection(box: Sandbox, verb: str) -> None:
    box.append("orders", "ham")
    statement = f"{verb} events(id, timestamp, value) SELECT id, timestamp, 'other' FROM events"
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        box._database.execute(statement)
    box._database.rollback()
    assert [event.value for event in box.read("orders")] == [b"ham"]


def test_an_insert_over_an_event_is_refused(stranger: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        stranger.execute("INSERT INTO events(id, timestamp) SELECT id, 1 FROM events LIMIT 1")


def in_view(box: Sandbox, columns: str = "*") -> list[tuple[object, ...]]:
    with box._database.reader() as reader:
        return reader.query(f"SELECT {columns} FROM messages ORDER BY topic, partition, offset")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-62_135_596_800_000, 253_402_300_799_999).filter(lambda stamp: stamp != -1))
def test_the_view_shows_any_time_of_a_calendar_to_the_millisecond(stamp_ms: int) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE e(timestamp)")
        connection.execute("INSERT INTO e VALUES(?)", (stamp_ms,))
        shown = connection.execute(f"SELECT {time_expression()} FROM e").fetchone()[0]
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=stamp_ms)
    assert shown == f"{expected:%Y-%m-%dT%H:%M:%S}.{expected.microsecond // 1000:03}Z".rjust(24, "0")


def time_expression() -> str:
    """How the view makes its `timestamp`."""
    from sandbox.storage.file.schema import VIEWS

    start = VIEWS.index("CASE WHEN e.timestamp")
    return VIEWS[start : VIEWS.index("AS timestamp", start)]


def test_the_view_reads_as_people_do(box: Sandbox) -> None:
    box.append("orders", "Größe 🙂", key="k", timestamp_ms=1_700_000_000_007, headers={"trace": "42"})
    box.append("orders", b"\xff\x00", key=b"\xfe", timestamp_ms=-86_400_000)
    box.append("orders", None, timestamp_ms=-1)
    box.append("orders", "", key="", headers=(("h", None), ("h", b""), ("h", b"\xff"), ("\udcfe", b"x")))
    assert in_view(box, "topic, partition, offset, timestamp, key, value") == [
        ("orders", 0, 0, "2023-11-14T22:13:20.007Z", "k", "Größe 🙂"),
        ("orders", 0, 1, "1969-12-31T00:00:00.000Z", "x'FE'", "x'FF00'"),
        ("orders", 0, 2, None, None, None),
        ("orders", 0, 3, "2023-11-14T22:13:20.000Z", "", ""),
    ]
    headers = [json.loads(str(row[0])) for row in in_view(box, "headers")]
    assert headers == [
        [["trace", "42"]],
        [],
        [],
        [["h", None], ["h", ""], ["h", {"base64": "/w=="}], [{"base64": "/g=="}, "x"]],
    ]
    assert START_MS == 1_700_000_000_000


def test_the_view_shows_no_event_of_a_deleted_topic(box: Sandbox) -> None:
    box.append("orders", "ham")
    box.append("payments", "eggs")
    box.delete_topic("orders")
    assert in_view(box, "topic, value") == [("payments", "eggs")]


def test_the_sqlite3_shell_reads_the_view(filled: Path) -> None:
    command = ["sqlite3", "-json", str(filled), "SELECT * FROM messages"]
    rows = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    assert [(row["topic"], row["partition"], row["offset"], row["value"]) for row in rows] == [
        ("orders", 0, 0, "ham"),
        ("orders", 0, 1, "eggs"),
        ("orders", 0, 2, "spam"),
    ]
    assert [row["headers"] for row in rows] == ["[]"] * 3


def test_lag_is_one_query_of_the_file(filled: Path) -> None:
    command = ["sqlite3", str(filled), "SELECT group_id, topic, partition, committed, end_offset, lag FROM lag"]
    assert subprocess.run(command, capture_output=True, check=True, timeout=30).stdout == b"app|orders|0|1|3|2\n"
