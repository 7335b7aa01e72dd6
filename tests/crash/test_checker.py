"""The checker of the crash tests finds each kind of broken promise."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import copytree

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from tests.crash.checker import Stored, faults
from tests.crash.history import ABORTED, COMMITTED, GROUP, PARTITIONS, PIPELINE, TOPIC, History, value_of

NAMES = ("once", "plain")


def transact(box: Sandbox, history: History) -> None:
    """Commit transactions 0 and 2, and abort 1, each with 3 events."""
    address = {"bootstrap.servers": box.kafka_address, "log_level": 0}
    metadata = Consumer({**address, "group.id": PIPELINE}).consumer_group_metadata()
    producer = Producer({**address, "transactional.id": "writer"})
    producer.init_transactions(10)

    def delivered(_error: object, message: Message) -> None:
        history.acknowledged(message.partition() or 0, message.offset() or 0, message.value() or b"")

    for number in range(3):
        history.transaction(number, ABORTED if number == 1 else COMMITTED, 3)
        producer.begin_transaction()
        for index in range(3):
            value = value_of("transaction", number, index)
            producer.produce(TOPIC, value, partition=index % PARTITIONS, on_delivery=delivered)
        producer.send_offsets_to_transaction([TopicPartition(TOPIC, 0, number + 1)], metadata, 10)
        if number == 1:
            producer.flush(10)
            producer.abort_transaction(10)
        else:
            producer.commit_transaction(10)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, History]:
    """A file with events, imports, transactions, commits, topics and a snapshot, and its history."""
    folder, history = tmp_path_factory.mktemp("made"), History()
    with Sandbox(folder / "dev.db") as box:
        box.serve(kafka_port=0, web_port=None)
        box.create_topic(TOPIC, partitions=PARTITIONS)
        for number in range(20):
            event = NewEvent(value_of(NAMES[number % 3 == 0], number), None, (), None, number % 2)
            ((partition, offset),) = box.append_all(TOPIC, [event])
            history.acknowledged(partition, offset, event.value or b"")
        box.append_all(TOPIC, [NewEvent(value_of("import", 7, index)) for index in range(6)])
        history.imports[7] = (6, False)
        for offset in (3, 7):
            box.commit(GROUP, TOPIC, 0, offset)
            history.committed(0, offset)
        box.snapshots.take("s1")
        history.snapshots["s1"] = history.last_offsets()
        transact(box, history)
        box.create_topic("there")
        history.topics |= {"there": True, "gone": False, "unknown": None}
    stored = Stored.of(folder / "dev.db")
    history.read((*place, value) for place, value in stored.events.items() if stored.visible(place))
    return folder, history


@pytest.fixture
def kept(made: tuple[Path, History], tmp_path: Path) -> Iterator[tuple[Path, History]]:
    """A copy of the file, and the history, which is reset after the test."""
    folder, history = made
    copytree(folder, tmp_path / "copy")
    ended, backwards = dict(history.ended), list(history.backwards)
    yield tmp_path / "copy" / "dev.db", history
    history.ended, history.backwards = ended, backwards


def without_guards(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, statement


def test_a_file_that_keeps_every_promise_has_no_fault(kept: tuple[Path, History]) -> None:
    file, history = kept
    assert faults(history, file, at_rest=True) == []
    assert history.ended == {0: COMMITTED, 1: ABORTED, 2: COMMITTED}
    assert len(history.seen) == 20 + 6 + 6


EVENT = "partition_id = 1 AND offset = 4"
SAME = f"(SELECT value FROM events WHERE {EVENT})"
LAST = "(SELECT max(first_offset) FROM log_transactions WHERE aborted = {})"


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        ([f"DELETE FROM events WHERE id = (SELECT id FROM events WHERE {EVENT})"], "event at (0, 4) is gone"),
        ([f"DELETE FROM events WHERE id = (SELECT id FROM events WHERE {EVENT})"], "are not consecutive"),
        ([f"UPDATE events SET value = 'once-999-0-' WHERE {EVENT}"], "has other bytes"),
        ([f"UPDATE events SET value = 'once-999-0-' WHERE {EVENT}"], "that was read at (0, 4) is not there"),
        ([f"UPDATE events SET value = 'once-999-0-' WHERE {EVENT}"], "of the same producer"),
        ([f"UPDATE events SET value = {SAME} WHERE partition_id = 1 AND offset = 5"], "is stored 2 times"),
        (["DELETE FROM batches WHERE base_offset = 3"], "do not cover"),
        (["UPDATE batches SET last_offset = 9 WHERE base_offset = 3"], "do not cover"),
        (["UPDATE events SET value = 'plain-1-0-' WHERE value LIKE 'import-7-2-%'"], "import 7 of 6 events is torn"),
        (["UPDATE log_transactions SET aborted = 0 WHERE aborted = 1"], "was aborted, and is committed"),
        (["UPDATE log_transactions SET aborted = 1 WHERE aborted = 0"], "was committed, and is not"),
        (["UPDATE log_transactions SET aborted = 1 WHERE aborted = 0"], "was read, but its transaction is aborted"),
        (["UPDATE log_transactions SET aborted = 1 WHERE partition_id = 1"], "is torn"),
        (["UPDATE log_transactions SET aborted = 0 WHERE aborted = 1"], "was skipped by the reader"),
        (["UPDATE log_transactions SET last_offset = NULL, aborted = NULL"], "its transaction is open"),
        ([f"UPDATE committed_offsets SET offset = 2 WHERE group_id = '{PIPELINE}'"], "the last committed transaction"),
        ([f"UPDATE committed_offsets SET offset = 6 WHERE group_id = '{GROUP}'"], "commit of 7 in partition 0 is gone"),
        (["DELETE FROM committed_offsets"], "the acknowledged commit of 7 in partition 0 is gone"),
        (["UPDATE commits SET offset = 9 WHERE offset = 3"], "went back from 9 to 7"),
        ([f"UPDATE events SET timestamp = timestamp + 1 WHERE {EVENT}"], "a checksum does not fit"),
        (["UPDATE topics SET deleted_ms = 1 WHERE name = 'there'"], "topic there was created, and is gone"),
        (["UPDATE topics SET name = 'gone' WHERE name = 'there'"], "topic gone was deleted, and is there"),
    ],
)
def test_a_planted_fault_is_found(kept: tuple[Path, History], statements: list[str], fault: str) -> None:
    file, history = kept
    without_guards(file, *statements)
    found = faults(history, file)
    assert any(fault in one for one in found), found


def test_an_outcome_that_changes_is_found_though_nobody_was_told(kept: tuple[Path, History]) -> None:
    file, history = kept
    told = dict(history.transactions)
    history.transactions.update(dict.fromkeys(told, "unknown"))
    try:
        assert faults(history, file) == []
        without_guards(file, "UPDATE log_transactions SET aborted = 1 - aborted")
        assert any("transaction 1 was aborted, and is now committed" in one for one in faults(history, file))
    finally:
        history.transactions.update(told)


def test_a_snapshot_that_lacks_something_is_found(kept: tuple[Path, History]) -> None:
    file, history = kept
    copy = file.with_name("dev.db-snapshots") / "s1.db"
    without_guards(copy, "DELETE FROM events WHERE id = (SELECT max(id) FROM events WHERE value LIKE 'once-%')")
    found = faults(history, file, at_rest=True)
    assert any("snapshot s1 lacks" in one for one in found), found
    copy.unlink()
    assert any("snapshot s1 is gone" in one for one in faults(history, file, at_rest=True))


def test_a_reader_that_is_given_the_past_again_is_found() -> None:
    history = History()
    history.read([(0, 5, b"once-1-0-"), (0, 4, b"once-0-0-")])
    assert history.backwards == ["offset 4 of partition 0 was read after a later one"]


def test_a_corrupt_page_is_found(kept: tuple[Path, History]) -> None:
    file, history = kept
    with closing(sqlite3.connect(file)) as connection:
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'batches_by_time'").fetchone()
    content = bytearray(file.read_bytes())
    start = (root - 1) * page_bytes
    content[start + 100 : start + page_bytes] = bytes(page_bytes - 100)
    file.write_bytes(content)
    assert find(lambda: faults(history, file))


def find(faults_of: Callable[[], list[str]]) -> bool:
    try:
        return bool(faults_of())
    except sqlite3.DatabaseError:
        return True


def test_events_that_were_in_a_lost_write_ahead_log_alone_are_missed(tmp_path: Path) -> None:
    history, file = History(), tmp_path / "dev.db"
    with Sandbox(file) as box:
        box.create_topic(TOPIC, partitions=PARTITIONS)
        with closing(sqlite3.connect(file)) as other:
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
        for number in range(5):
            event = NewEvent(value_of("plain", number), None, (), None, 0)
            ((partition, offset),) = box.append_all(TOPIC, [event])
            history.acknowledged(partition, offset, event.value or b"")
        copytree(tmp_path, tmp_path / "killed", ignore=lambda *_: {"killed", "dev.db-wal", "dev.db-shm"})
    assert "the acknowledged event at (0, 4) is gone" in faults(history, tmp_path / "killed" / "dev.db")
    assert faults(history, file) == []
