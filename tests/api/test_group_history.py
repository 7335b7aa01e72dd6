"""The small curves of the list of groups, and what is remembered of them."""

from sandbox.api.group_history import SPARK_POINTS, SPARK_STEP_MS, SandboxGroupHistory
from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from tests.clock import Clock


def lags(box: Sandbox) -> tuple[int | None, ...]:
    return box.group_history.sparks(box.group_summaries(), budget_ms=60_000)["app"].lags


def grow(box: Sandbox, clock: Clock, steps: int) -> None:
    for _ in range(steps):
        box.append_many("orders", [NewEvent(b"x", partition=0)] * 2)
        clock.pass_ms(SPARK_STEP_MS)


def test_a_spark_is_the_lag_of_the_last_minutes_and_ends_with_the_lag_as_it_stands(box: Sandbox, clock: Clock) -> None:
    grow(box, clock, 1)
    box.commit("app", "orders", 0, 0)
    grow(box, clock, 3)
    box.append("orders", "now", partition=0)
    found = lags(box)
    assert len(found) == SPARK_POINTS + 1
    assert found[-4:] == (4, 6, 8, 9)
    assert found[0] is None


def test_what_is_remembered_is_what_a_first_look_finds(box: Sandbox, clock: Clock) -> None:
    grow(box, clock, 1)
    box.commit("app", "orders", 0, 0)
    for _ in range(SPARK_POINTS + 5):
        grow(box, clock, 1)
        seen = lags(box)
    fresh = SandboxGroupHistory(box._runtime).sparks(box.group_summaries(), budget_ms=60_000)["app"]
    assert seen == fresh.lags
    with box._database.reader() as reader:
        known = box.group_history._sparks.of(reader).known
    assert known
    assert all(len(kept) <= SPARK_POINTS for kept in known.values())


def test_a_list_too_long_for_one_look_is_finished_by_the_next_ones(box: Sandbox) -> None:
    box.append("orders", "x")
    for number in range(5):
        box.commit(f"g{number}", "orders", 0, 0)
    groups = box.group_summaries()
    looks = 0
    while len(box.group_history.sparks(groups, budget_ms=0)) < 5:
        looks += 1
        box.group_history.sparks(groups, budget_ms=60_000)
        assert looks < 3
    assert len(SandboxGroupHistory(box._runtime).sparks(groups, budget_ms=-1)) == 0


def test_groups_of_one_topic_share_what_was_read_of_it(box: Sandbox, clock: Clock) -> None:
    grow(box, clock, 3)
    for group in ("a", "b"):
        box.commit(group, "orders", 0, 1)
    clock.pass_ms(SPARK_STEP_MS)
    sparks = box.group_history.sparks(box.group_summaries(), budget_ms=60_000)
    assert sparks["a"] == sparks["b"]
    assert sparks["a"].lags[-1] == 5
