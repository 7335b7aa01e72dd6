"""Lag, its history and the word for where it is going, on a clock that the test sets."""

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from tests.clock import START_MS, Clock

SECOND = 1_000


def append(box: Sandbox, count: int, topic: str = "orders") -> None:
    box.append_many(topic, [NewEvent(b"x", partition=0)] * count)


def word(box: Sandbox) -> str:
    return box.group("app").trend


def set_state(box: Sandbox, state: str) -> None:
    """As if the group had members, who commit for it."""
    box._database.execute("UPDATE groups SET state = ? WHERE group_id = 'app'", (state,))
    box._database.commit()


def test_a_group_that_has_read_everything_is_caught_up(box: Sandbox) -> None:
    append(box, 5)
    box.commit("app", "orders", 0, 5, metadata="note")
    (line,) = box.lag("app")
    assert (line.committed, line.end, line.lag, line.lag_ms, line.metadata) == (5, 5, 0, 0, "note")
    assert (word(box), box.group("app").lag, box.group("app").drain_ms) == ("caught up", 0, None)


def test_lag_is_the_number_of_unread_events_and_the_age_of_the_oldest_of_them(box: Sandbox, clock: Clock) -> None:
    append(box, 5)
    clock.pass_ms(7 * SECOND)
    append(box, 3)
    clock.pass_ms(2 * SECOND)
    box.commit("app", "orders", 0, 2)
    assert [(one.lag, one.lag_ms) for one in box.lag("app")] == [(6, 9 * SECOND)]
    box.commit("app", "orders", 0, 5)
    assert [(one.lag, one.lag_ms) for one in box.lag("app")] == [(3, 2 * SECOND)]


def test_a_commit_beyond_the_end_is_out_of_range_and_never_caught_up(box: Sandbox, clock: Clock) -> None:
    append(box, 5)
    clock.pass_ms(3 * SECOND)
    box.commit("app", "orders", 0, 500)
    (line,) = box.lag("app")
    assert (line.committed, line.lag, line.unread, line.lag_ms) == (500, 5, 5, 3 * SECOND)
    assert (line.out_of_range, line.deleted_unread) == ("beyond end", 0)
    assert line.out_of_range_text == "committed 500, log ends at 5: the next poll resets (auto.offset.reset)"
    assert word(box) == "out of range"
    assert box.lag_history("app", since_ms=START_MS, points=2)[-1].lag == 5
    assert [(one.trend, one.lag) for one in box.group_summaries()] == [("out of range", 5)]


@pytest.mark.parametrize(("written", "start", "lag"), [(10, 7, 3), (7, 7, 0)])
def test_a_commit_below_the_start_names_what_was_deleted_unread(
    box: Sandbox, written: int, start: int, lag: int
) -> None:
    append(box, written)
    box.commit("app", "orders", 0, 2)
    box.delete_records("orders", {0: start})
    (line,) = box.lag("app")
    assert (line.out_of_range, line.deleted_unread, line.lag, line.unread) == ("below start", 5, lag, lag)
    assert line.out_of_range_text == "committed 2, log starts at 7: 5 events were deleted unread"
    assert word(box) == "out of range"


def test_a_commit_at_either_bound_of_the_log_is_in_range(box: Sandbox) -> None:
    append(box, 10)
    box.delete_records("orders", {0: 7})
    for offset, lag in ((7, 3), (10, 0)):
        box.commit("app", "orders", 0, offset)
        (line,) = box.lag("app")
        assert (line.out_of_range, line.out_of_range_text, line.lag) == (None, None, lag)
        assert word(box) != "out of range"


def test_a_group_returns_into_range_when_the_log_reaches_its_commit(box: Sandbox) -> None:
    append(box, 5)
    box.commit("app", "orders", 0, 8)
    assert [one.trend for one in box.group_summaries()] == ["out of range"]
    append(box, 3)
    assert word(box) == "caught up"
    assert [(one.trend, one.lag) for one in box.group_summaries()] == [("caught up", 0)]


def test_a_group_that_commits_more_than_comes_is_draining_and_says_how_long(box: Sandbox, clock: Clock) -> None:
    append(box, 100)
    for committed in (10, 20, 30, 40):
        box.commit("app", "orders", 0, committed)
        clock.pass_ms(5 * SECOND)
    group = box.group("app")
    assert (group.trend, group.lag) == ("draining", 60)
    assert group.drain_ms is not None
    assert 20 * SECOND <= group.drain_ms <= 60 * SECOND


def test_a_group_that_commits_less_than_comes_is_growing(box: Sandbox, clock: Clock) -> None:
    for committed in range(1, 8):
        append(box, 10)
        box.commit("app", "orders", 0, committed)
        clock.pass_ms(5 * SECOND)
    assert word(box) == "growing"
    assert box.group("app").drain_ms is None


def test_a_group_that_reads_what_comes_within_seconds_is_steady(box: Sandbox, clock: Clock) -> None:
    for number in range(10):
        append(box, 10 + number)
        clock.pass_ms(2 * SECOND)
        box.commit("app", "orders", 0, box.end_offsets("orders")[0] - 3)
    assert box.group("app").lag == 3
    assert word(box) == "steady"
    append(box, 50)
    clock.pass_ms(5 * SECOND)
    box.commit("app", "orders", 0, box.end_offsets("orders")[0] - 40)
    assert word(box) == "steady"
    clock.pass_ms(4 * SECOND)
    assert word(box) == "draining"


def test_a_group_with_members_that_commits_nothing_is_stalled(box: Sandbox, clock: Clock) -> None:
    append(box, 10)
    box.commit("app", "orders", 0, 1)
    set_state(box, "Stable")
    clock.pass_ms(60 * SECOND)
    assert word(box) == "stalled"
    append(box, 10)
    clock.pass_ms(SECOND)
    assert word(box) == "growing"


def test_a_group_that_has_just_begun_to_read_is_not_stalled(box: Sandbox, clock: Clock) -> None:
    append(box, 100)
    clock.pass_ms(60 * SECOND)
    box.commit("app", "orders", 0, 10)
    set_state(box, "Stable")
    clock.pass_ms(3 * SECOND)
    assert word(box) == "draining"
    set_state(box, "Empty")
    box.commit("app", "orders", 0, 40)
    set_state(box, "Stable")
    clock.pass_ms(SECOND)
    assert word(box) == "draining"
    clock.pass_ms(60 * SECOND)
    assert word(box) == "stalled"


def test_a_first_commit_in_one_partition_does_not_hide_that_the_others_stand_still(box: Sandbox, clock: Clock) -> None:
    append(box, 100)
    box.create_partitions("orders", 2)
    box.append("orders", "x", partition=1)
    box.commit("app", "orders", 0, 5)
    clock.pass_ms(60 * SECOND)
    append(box, 50)
    box.commit("app", "orders", 1, 1)
    set_state(box, "Stable")
    clock.pass_ms(3 * SECOND)
    assert word(box) == "growing"


def test_a_group_that_has_drained_and_rests_while_events_come_is_growing(box: Sandbox, clock: Clock) -> None:
    append(box, 100)
    box.commit("app", "orders", 0, 10)
    clock.pass_ms(5 * SECOND)
    box.commit("app", "orders", 0, 100)
    clock.pass_ms(10 * SECOND)
    append(box, 30)
    assert box.group("app").lag == 30
    assert word(box) == "growing"


def test_a_group_whose_members_have_gone_is_without_members(box: Sandbox, clock: Clock) -> None:
    append(box, 10)
    box.commit("app", "orders", 0, 1)
    clock.pass_ms(61 * SECOND)
    assert word(box) == "without members"


def test_a_group_that_rebalances_says_so(box: Sandbox) -> None:
    append(box, 10)
    box.commit("app", "orders", 0, 1)
    set_state(box, "PreparingRebalance")
    assert word(box) == "rebalancing"


def test_a_group_without_a_commit_has_never_committed(box: Sandbox) -> None:
    append(box, 10)
    box.commit("app", "orders", 0, 1)
    box.delete_topic("orders")
    box._database.execute("INSERT OR IGNORE INTO groups(group_id, state, updated_ms) VALUES('app', 'Stable', 1)")
    box._database.commit()
    assert (word(box), box.group("app").lag, box.lag("app")) == ("never committed", None, ())


def test_the_history_of_lag_is_worked_out_from_the_rows(box: Sandbox, clock: Clock) -> None:
    start = clock.now_ms
    append(box, 10)
    clock.pass_ms(10 * SECOND)
    box.commit("app", "orders", 0, 4)
    clock.pass_ms(10 * SECOND)
    append(box, 10)
    clock.pass_ms(10 * SECOND)
    box.commit("app", "orders", 0, 20)
    history = box.lag_history("app", since_ms=start, points=7)
    assert [(point.at_ms - start, point.committed, point.end, point.lag) for point in history] == [
        (0, None, 10, None),
        (5 * SECOND, None, 10, None),
        (10 * SECOND, 4, 10, 6),
        (15 * SECOND, 4, 10, 6),
        (20 * SECOND, 4, 20, 16),
        (25 * SECOND, 4, 20, 16),
        (30 * SECOND, 20, 20, 0),
    ]


@pytest.mark.parametrize("batches", [1, 2, 7, 100])
def test_the_history_finds_the_end_of_a_log_among_any_number_of_batches(
    box: Sandbox, clock: Clock, batches: int
) -> None:
    append(box, 1)
    box.commit("app", "orders", 0, 0)
    for _ in range(batches):
        clock.pass_ms(SECOND)
        append(box, 2)
    history = box.lag_history("app", since_ms=START_MS, points=batches + 1)
    assert [point.end for point in history] == [1 + 2 * number for number in range(batches + 1)]


def test_the_history_before_the_first_event_is_empty(box: Sandbox, clock: Clock) -> None:
    append(box, 3)
    box.commit("app", "orders", 0, 3)
    points = box.lag_history("app", since_ms=START_MS - 60 * SECOND, points=4)
    assert [(point.end, point.committed) for point in points] == [(0, None)] * 3 + [(3, 3)]


def test_groups_are_listed_by_id_with_the_topics_they_read(box: Sandbox) -> None:
    append(box, 1)
    append(box, 1, "payments")
    box.commit("b", "payments", 0, 1)
    box.commit("a", "orders", 0, 0)
    box.commit("a", "payments", 0, 0)
    assert [(one.group, one.topics, one.lag) for one in box.groups()] == [
        ("a", ("orders", "payments"), 2),
        ("b", ("payments",), 0),
    ]
    assert box.topic("payments").groups == ("a", "b")
