"""A list of groups from memory is the one that is worked out from every row; only what has changed is worked out."""

import random

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.groups import GroupSummary, summary_of
from sandbox.storage.groups import group_summaries
from sandbox.storage.groups.group_descriptions import describe_groups
from tests.clock import Clock

QUIET_MS = 120_000


def remembered(box: Sandbox) -> group_summaries.GroupSummaries:
    with box._database.reader() as reader:
        return box._summaries.of(reader)


def worked_out(box: Sandbox, clock: Clock) -> tuple[GroupSummary, ...]:
    with box._database.reader() as reader:
        return tuple(summary_of(group, clock.now_ms) for group in describe_groups(reader, clock.now_ms))


def fill(box: Sandbox, groups: int) -> None:
    for topic, partitions in (("orders", 3), ("clicks", 2)):
        box.create_topic(topic, partitions=partitions)
        box.append_many(topic, (NewEvent(b"x", b"%d" % number) for number in range(200)), chunk=10)
    for group in range(groups):
        for partition, end in box.end_offsets("orders").items():
            box.commit(f"group-{group}", "orders", partition, end * (group % 3) // 2)


def test_whatever_happens_the_list_from_memory_is_the_one_from_the_rows(box: Sandbox, clock: Clock) -> None:
    fill(box, 6)
    chance = random.Random(3)
    for turn in range(150):
        clock.pass_ms(chance.choice((0, 10, 500, 7_000, 30_000)))
        topic = chance.choice(("orders", "clicks"))
        ends = box.end_offsets(topic)
        partition = chance.choice(list(ends))
        what = chance.randrange(8)
        if what < 4:
            box.append(topic, "x", partition=partition)
        elif what < 6:
            offset = chance.choice((ends[partition], ends[partition] // 2, 0))
            box.commit(f"group-{chance.randrange(8)}", topic, partition, offset)
        elif what == 6:
            box.logs.delete_records(topic, {partition: ends[partition] // 3})
        elif turn % 3 == 0 and len(box.groups()) > 3:
            box.delete_group(chance.choice(box.groups()).group)
        assert box.group_summaries() == worked_out(box, clock), turn


def test_only_the_groups_whose_rows_changed_are_worked_out_again(box: Sandbox, clock: Clock) -> None:
    fill(box, 9)
    box.create_topic("alone", partitions=1)
    box.commit("reader", "alone", 0, 0)
    clock.pass_ms(QUIET_MS)
    memory = remembered(box)
    box.group_summaries()
    before = memory.worked_out
    clock.pass_ms(1_000)
    box.group_summaries()
    assert memory.worked_out == before, "nothing has changed"
    box.append("alone", "x")
    box.group_summaries()
    assert memory.worked_out == before + 1, "the one that read to the end is behind now"
    clock.pass_ms(1_000)
    box.group_summaries()
    before = memory.worked_out
    box.append("orders", "x", partition=0)
    box.group_summaries()
    caught_up = sum(group % 3 == 2 for group in range(9))
    assert memory.worked_out == before + caught_up, "the others are only a little farther behind"


def test_a_group_that_goes_on_by_itself_is_looked_at_each_time(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", partitions=1)
    box.append_many("orders", [NewEvent(b"x")] * 10)
    for offset in (2, 3, 4, 5):
        clock.pass_ms(5_000)
        box.commit("app", "orders", 0, offset)
    words = set()
    for _ in range(20):
        words.add(box.group_summaries()[0].trend)
        assert box.group_summaries() == worked_out(box, clock)
        clock.pass_ms(5_000)
    assert {"draining", "no active members"} <= words


def test_a_restored_snapshot_is_not_seen_through_what_was_known_before(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", partitions=1)
    box.append_many("orders", [NewEvent(b"x")] * 4)
    box.commit("app", "orders", 0, 4)
    snapshot = box.snapshots.take("early")
    clock.pass_ms(QUIET_MS)
    box.append("orders", "soon gone")
    clock.pass_ms(1_000)
    assert box.group_summaries()[0].unread_since_ms == clock.now_ms - 1_000
    box.snapshots.restore(snapshot.name)
    clock.pass_ms(5_000)
    box.append("orders", "later")
    clock.pass_ms(1_000)
    assert box.group_summaries() == worked_out(box, clock)
    assert box.group_summaries()[0].unread_since_ms == clock.now_ms - 1_000


def test_more_commits_than_may_be_remembered_are_worked_out_each_time(
    box: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_summaries, "COMMITS_MAX", 5)
    fill(box, 3)
    for _ in range(2):
        assert box.group_summaries() == worked_out(box, clock)
    assert remembered(box)._known == {}
