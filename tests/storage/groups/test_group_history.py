"""The past of groups from their rows: lag in events and time, marks, rates, and the reset that can be taken back."""

import random

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.calls import OffsetCommit
from sandbox.kafka.event import NewEvent
from sandbox.model.group_history import LagPoint, Rates
from sandbox.storage.groups.group_history import commits_at, committed_at, end_at, ends_at, places
from sandbox.web.activity import mark_text
from tests.clock import START_MS, Clock

SECOND = 1_000


def append(box: Sandbox, count: int, partition: int = 0) -> None:
    box.append_many("orders", [NewEvent(b"x", partition=partition)] * count)


def commit_as_member(box: Sandbox, clock: Clock, offset: int, generation: int = 1) -> None:
    """As a member commits: a reset differs by its committer."""
    row = ("app", "orders", 0, offset, clock(), generation, "member-1")
    box._database.execute(
        "INSERT INTO commits(group_id, topic, partition, offset, committed_ms, generation, member_id) "
        "VALUES(?, ?, ?, ?, ?, ?, ?)",
        row,
    )
    box._database.execute(
        "UPDATE committed_offsets SET offset = ?, committed_ms = ? WHERE group_id = 'app' AND partition = 0",
        (offset, clock()),
    )
    box._database.execute("UPDATE groups SET generation = ? WHERE group_id = 'app'", (generation,))
    box._database.commit()


def test_many_moments_at_once_say_the_same_as_one_by_one(box: Sandbox, clock: Clock) -> None:
    chance = random.Random(7)
    append(box, 1)
    box.commit("app", "orders", 0, 0)
    for _ in range(60):
        clock.pass_ms(chance.choice((0, 1, 500, 9_000)))
        if chance.random() < 0.5:
            append(box, chance.randint(1, 4))
        else:
            box.commit("app", "orders", 0, chance.randint(0, 40))
    moments = sorted(chance.randint(START_MS - 100, clock() + 100) for _ in range(80))
    with box._database.reader() as reader:
        place = places(reader)["orders", 0]
        assert ends_at(reader, place, moments) == [end_at(reader, place, moment) for moment in moments]
        assert commits_at(reader, "app", "orders", 0, moments) == [
            committed_at(reader, "app", "orders", 0, moment) for moment in moments
        ]


def test_lag_in_time_is_the_age_that_the_oldest_unread_event_had(box: Sandbox, clock: Clock) -> None:
    append(box, 2)
    box.commit("app", "orders", 0, 0)
    clock.pass_ms(10 * SECOND)
    box.commit("app", "orders", 0, 2)
    clock.pass_ms(10 * SECOND)
    append(box, 1)
    clock.pass_ms(10 * SECOND)
    points = box.lag_history("app", since_ms=START_MS, points=7)
    assert [point.lag_ms for point in points] == [0, 5_000, 0, 0, 0, 5_000, 10_000]
    assert [point.lag for point in points] == [2, 2, 0, 0, 1, 1, 1]


def test_lag_of_a_time_whose_batches_retention_has_taken_is_unknown(box: Sandbox, clock: Clock) -> None:
    append(box, 10)
    box.commit("app", "orders", 0, 4)
    clock.pass_ms(10 * SECOND)
    append(box, 10)
    box.delete_records("orders", {0: 10})
    points = box.lag_history("app", since_ms=START_MS, points=3)
    assert [(point.lag, point.lag_ms) for point in points] == [(None, None), (None, None), (10, None)]


def test_rates_are_taken_from_commit_to_commit_of_the_last_half_minute(box: Sandbox, clock: Clock) -> None:
    append(box, 1_000)
    for committed in (100, 150, 200, 250):
        clock.pass_ms(10 * SECOND)
        box.commit("app", "orders", 0, committed)
    append(box, 60)
    assert box.group_history.rates(box.group("app")) == {("orders", 0): Rates(2.0, 5.0)}
    clock.pass_ms(31 * SECOND)
    assert box.group_history.rates(box.group("app")) == {("orders", 0): Rates(0.0, 0.0)}
    box.commit("app", "orders", 0, 900)
    assert box.group_history.rates(box.group("app"))["orders", 0].committed_per_s == 0, "a reset is no reading"


def marks(box: Sandbox, points: int) -> list[tuple[int, str, str]]:
    found = box.lag_history("app", since_ms=START_MS, points=points)
    return [
        (one.at_ms - START_MS, one.kind, mark_text(one)) for one in box.group_history.marks("app", found, since_ms=0)
    ]


@pytest.mark.parametrize("points", [2, 3, 50])
def test_a_reset_backwards_is_marked_to_the_millisecond(box: Sandbox, clock: Clock, points: int) -> None:
    append(box, 100)
    box.commit("app", "orders", 0, 1)
    for offset in (20, 40, 60):
        clock.pass_ms(7 * SECOND)
        commit_as_member(box, clock, offset)
    clock.pass_ms(333)
    box.reset("app", to="earliest")
    clock.pass_ms(7 * SECOND)
    # The curve is back where it was before the reset only at the end: both of its ends are known.
    commit_as_member(box, clock, 0)
    resets = [mark for mark in marks(box, points) if mark[1] == "reset"]
    assert resets[0][0] == 21_333


def test_an_offset_that_a_member_moved_back_is_no_reset(box: Sandbox, clock: Clock) -> None:
    append(box, 100)
    box.commit("app", "orders", 0, 50)
    clock.pass_ms(7 * SECOND)
    commit_as_member(box, clock, 10)
    clock.pass_ms(7 * SECOND)
    assert marks(box, 20) == [(7_000, "moved back", "moved back: orders 0")]


def test_the_history_never_has_more_marks_than_it_says(box: Sandbox, clock: Clock) -> None:
    append(box, 1)
    box.commit("app", "orders", 0, 0)
    for generation in range(150):
        box._database.execute(
            "INSERT INTO rebalances(group_id, generation, started_ms, ended_ms, details, members, assignment) "
            "VALUES('app', ?, ?, ?, '{\"text\": \"x\"}', 0, '{}')",
            (generation, clock(), clock()),
        )
    box._database.commit()
    found = box.group_history.marks("app", (), since_ms=0)
    assert len(found) == 100
    assert mark_text(found[-1]) == "generation 149: x"


def test_the_work_of_a_history_does_not_grow_with_the_number_of_commits(
    box: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(box, 1)
    box.commit("app", "orders", 0, 0)

    def rows_read(commits: int) -> int:
        box._database.executemany(
            "INSERT INTO commits(group_id, topic, partition, offset, committed_ms, generation, member_id) "
            "VALUES('app', 'orders', 0, ?, ?, 1, 'm')",
            [(number, START_MS + number) for number in range(commits)],
        )
        box._database.commit()
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        with box._database.reader() as reader:
            reader._connection.set_progress_handler(count, 100)
            box.lag_history("app", since_ms=START_MS, points=100)
            reader._connection.set_progress_handler(None, 100)
        return steps

    few = rows_read(2_000)
    many = rows_read(40_000)
    assert many < 3 * few


def reset_before(box: Sandbox) -> dict[tuple[str, int], int | None] | None:
    found = box.group_history.last_reset(box.group("app"))
    return None if found is None else found.before


def test_a_reset_is_known_until_the_group_goes_on(box: Sandbox, clock: Clock) -> None:
    append(box, 100)
    box.commit("app", "orders", 0, 1)
    commit_as_member(box, clock, 40)
    assert reset_before(box) is None
    clock.pass_ms(SECOND)
    box.reset("app", to="latest")
    assert reset_before(box) == {("orders", 0): 40}
    clock.pass_ms(SECOND)
    commit_as_member(box, clock, 100)
    assert reset_before(box) is None


def test_a_program_that_assigns_partitions_to_itself_does_not_reset_with_each_commit(
    box: Sandbox, clock: Clock
) -> None:
    append(box, 100)
    for offset in (1, 2, 3):
        clock.pass_ms(SECOND)
        box.commit("app", "orders", 0, offset)
        assert reset_before(box) is None
    clock.pass_ms(SECOND)
    box.reset("app", to="earliest")
    assert reset_before(box) == {("orders", 0): 3}


def test_a_reset_concerns_the_partitions_that_it_moved(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", partitions=2)
    append(box, 10)
    append(box, 10, 1)
    offsets = [OffsetCommit("orders", partition, 5, -1, "") for partition in (0, 1)]
    box._runtime.call(lambda now_ms: box._runtime.coordinator.set_offsets("app", offsets, now_ms))
    clock.pass_ms(SECOND)
    box.reset("app", topic="orders", partition=1, to="earliest")
    assert reset_before(box) == {("orders", 1): 5}


def test_points_have_the_partitions_that_are_asked_for(box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    append(box, 3, 0)
    append(box, 4, 1)
    box.commit("app", "orders", 0, 0)
    box.commit("app", "orders", 1, 0)
    found: list[LagPoint] = box.group_history.lag("app", since_ms=START_MS, points=2, partitions=[("orders", 1)])
    assert {point.partition for point in found} == {1}
    assert found[-1].lag == 4
