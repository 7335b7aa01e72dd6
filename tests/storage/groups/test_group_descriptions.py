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
    set_state(box, "Stable")
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
    set_state(box, "Stable")
    assert word(box) == "caught up"
    assert [(one.trend, one.lag) for one in box.group_summaries()] == [("caught up", 0)]


def test_partitions_without_a_commit_are_counted_beside_the_lag(box: Sandbox) -> None:
    box.create_topic("orders", partitions=5)
    box.append_many("orders", [NewEvent(b"x", partition=number % 5) for number in range(500)])
    for partition in range(3):
        box.commit("app", "orders", partition, 90)
    group = box.group("app")
    assert (group.lag, group.uncommitted_lag, group.uncommitted_partitions) == (30, 200, 2)
    assert [(one.partition, one.uncommitted_lag) for one in group.partitions if one.committed is None] == [
        (3, 100),
        (4, 100),
    ]
    set_state(box, "Stable")
    group = box.group("app")
    assert (group.trend, group.drain_ms) == ("partly committed", None)
    (summary,) = box.group_summaries()
    assert (summary.lag, summary.uncommitted_lag, summary.uncommitted_partitions) == (30, 200, 2)


def test_an_empty_partition_without_a_commit_hides_no_trend(box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    append(box, 5)
    box.commit("app", "orders", 0, 5)
    set_state(box, "Stable")
    group = box.group("app")
    assert (group.trend, group.uncommitted_lag, group.uncommitted_partitions) == ("caught up", 0, 0)


def test_a_consumer_that_assigns_itself_partitions_is_no_group_without_members(box: Sandbox, clock: Clock) -> None:
    append(box, 100)
    for committed in (10, 20, 30, 40, 50):
        clock.pass_ms(5 * SECOND)
        box.commit("app", "orders", 0, committed)
    group = box.group("app")
    assert (group.trend, group.drain_ms) == ("draining", 30 * SECOND)
    clock.pass_ms(61 * SECOND)
    assert word(box) == "no active members"


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
    set_state(box, "Stable")
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
