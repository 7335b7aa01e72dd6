"""Topics as rows, and what is left of them when they are deleted."""

from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log import topics
from tests.clock import Clock


def row_counts(box: Sandbox) -> dict[str, int]:
    with box._database.reader() as reader:
        return {
            name: reader.query(f"SELECT count(*) FROM {name}")[0][0]
            for name in ("topics", "partitions", "events", "batches", "topic_settings")
        }


def events(count: int) -> list[NewEvent]:
    return [NewEvent(b"x", partition=number % 2) for number in range(count)]


EMPTY = {"topics": 0, "partitions": 0, "events": 0, "batches": 0, "topic_settings": 0}


def test_a_deleted_topic_leaves_no_row(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", partitions=2, settings={"retention.ms": "-1"})
    box.append_many("orders", events(12_000))
    assert row_counts(box)["events"] == 12_000
    box.delete_topic("orders")
    assert box.topics() == ()
    for _ in range(20):
        clock.pass_ms(100)
        box.set_setting("turn", "on")
    assert row_counts(box) == EMPTY


def test_the_rows_of_a_deleted_topic_go_also_when_the_sandbox_ends_before(file: Path, clock: Clock) -> None:
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.create_topic("orders", partitions=2)
        sandbox.append_many("orders", events(30_000))
        sandbox.delete_topic("orders")
        assert row_counts(sandbox)["events"] > 0, "all rows went at once: this test shows nothing"
    with Sandbox(file, clock=clock) as sandbox:
        assert sandbox.topics() == ()
        for _ in range(20):
            clock.pass_ms(100)
            sandbox.set_setting("turn", "on")
        assert row_counts(sandbox) == EMPTY


def test_a_purge_takes_a_bounded_number_of_rows_at_a_time(box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    box.append_many("orders", events(4_000))
    box._database.execute("UPDATE topics SET deleted_ms = 1")
    box._database.execute("UPDATE partitions SET log_start_offset = ?", (1 << OFFSET_BITS,))
    before = 4_000
    while topics.purge(box._database, 500):
        box._database.commit()
        left = row_counts(box)["events"]
        assert 0 < before - left <= 500
        before = left
    box._database.commit()
    assert row_counts(box)["events"] == 0


def test_a_topic_that_is_made_again_has_new_ids_and_starts_at_0(box: Sandbox, clock: Clock) -> None:
    first = box.create_topic("orders", partitions=2)
    box.append_many("orders", events(10))
    ids = {row[0] for row in box._database.query("SELECT id FROM partitions")}
    box.delete_topic("orders")
    for _ in range(3):
        clock.pass_ms(100)
        box.set_setting("turn", "on")
    second = box.create_topic("orders", partitions=2)
    assert second.topic_id != first.topic_id
    assert ids.isdisjoint(row[0] for row in box._database.query("SELECT id FROM partitions"))
    assert box.end_offsets("orders") == {0: 0, 1: 0}
    assert box.append("orders", "ham", partition=1).offset == 0


def test_ids_are_not_given_again_after_a_restart_either(file: Path, clock: Clock) -> None:
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.create_topic("orders", partitions=2)
        sandbox.delete_topic("orders")
    with Sandbox(file, clock=clock) as sandbox:
        clock.pass_ms(1_000)
        sandbox.set_setting("turn", "on")
        assert row_counts(sandbox) == EMPTY
        sandbox.create_topic("orders", partitions=1)
        assert sandbox._database.query("SELECT id FROM partitions") == [(3,)]


@pytest.mark.parametrize("value", ["1", "-5"])
def test_a_setting_of_the_file_is_kept(box: Sandbox, value: str) -> None:
    assert box.setting("colour") is None
    box.set_setting("colour", "red")
    box.set_setting("colour", value)
    assert box.setting("colour") == value
