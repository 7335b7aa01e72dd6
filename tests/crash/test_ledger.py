"""The checker of the crash tests finds what is planted."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.event import NewEvent
from sandbox.sandbox import Sandbox
from tests.crash.ledger import GROUP, PARTITIONS, TOPIC, Ledger


@pytest.fixture
def kept(file: Path) -> Ledger:
    """A file with 20 events, and what was promised of it."""
    ledger = Ledger()
    with Sandbox(file) as sandbox:
        sandbox.create_topic(TOPIC, partitions=PARTITIONS)
        for number in range(20):
            value = b"%d" % number
            sandbox.append_many(TOPIC, [NewEvent(value, None, (), None, number % 2)])
            ledger.acknowledged(number % 2, number // 2, value, once=True)
        sandbox.commit(GROUP, TOPIC, 0, 7)
        ledger.committed(0, 7)
    return ledger


def without_guards(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


def test_a_file_that_keeps_every_promise_has_no_fault(kept: Ledger, file: Path) -> None:
    assert kept.faults(file) == []


FIRST = "(SELECT id FROM events WHERE partition_id = 1"


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (f"DELETE FROM events WHERE id = {FIRST} AND offset = 4)", "the acknowledged event at (0, 4) is gone"),
        (f"DELETE FROM events WHERE id = {FIRST} AND offset = 4)", "are not consecutive"),
        (f"DELETE FROM events WHERE id = {FIRST} AND offset = 9)", "the acknowledged event at (0, 9) is gone"),
        ("UPDATE events SET value = 'other' WHERE partition_id = 1 AND offset = 4", "has other bytes"),
        ("UPDATE events SET value = '2' WHERE partition_id = 1 AND offset = 4", "is stored 2 times"),
        ("DELETE FROM batches WHERE base_offset = 3", "do not cover"),
        ("UPDATE batches SET last_offset = 9 WHERE base_offset = 3", "do not cover"),
        ("UPDATE committed_offsets SET offset = 6", "the acknowledged commit of 7 in partition 0 is gone"),
        ("DELETE FROM committed_offsets", "the acknowledged commit of 7 in partition 0 is gone"),
    ],
)
def test_a_planted_fault_is_found(kept: Ledger, file: Path, statement: str, fault: str) -> None:
    without_guards(file, statement)
    assert any(fault in one for one in kept.faults(file)), kept.faults(file)


def test_a_corrupt_page_is_found(kept: Ledger, file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'batches_by_time'").fetchone()
    data = bytearray(file.read_bytes())
    start = (root - 1) * page_bytes
    data[start + 100 : start + page_bytes] = bytes(page_bytes - 100)
    file.write_bytes(data)
    assert find(lambda: kept.faults(file))


def find(faults: Callable[[], list[str]]) -> bool:
    try:
        return bool(faults())
    except sqlite3.DatabaseError:
        return True
