"""Recorded commit histories, replayed second by second: the words for the trend are true, and change seldom."""

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.lag_trend import Commit, Reading, Trend, cycle_of, trend_of
from sandbox.storage.groups.groups import CommittedOffset, GroupStore
from tests.clock import Clock

SECOND = 1_000
Second = Callable[[int], int]


class Recording:
    """A group with one member in one partition, recorded second by second."""

    def __init__(self, box: Sandbox, clock: Clock) -> None:
        self.box, self.clock = box, clock
        self.end = self.committed = 0
        self.trends: list[Trend] = []
        box.create_topic("orders", partitions=1)
        box.commit("app", "orders", 0, 0)
        self.set_state("Stable")

    def set_state(self, state: str) -> None:
        """As if the group had members, or had lost them."""
        self.box._database.execute("UPDATE groups SET state = ? WHERE group_id = 'app'", (state,))
        self.box._database.commit()

    def commit(self, offset: int, member_id: str = "m-1") -> None:
        """Commit as the group's member."""
        self.committed = offset
        row = CommittedOffset("orders", 0, offset, -1, "", self.clock.now_ms)
        GroupStore(self.box._database).commit("app", [row], 1, member_id)
        self.box._database.commit()

    def play(self, seconds: int, appended: Second, commits: Callable[[int], int | None]) -> Sequence[str]:
        """Append and commit for some seconds, and look at the trend four times a second. Returns its distinct words."""
        before = len(self.trends)
        for second in range(seconds):
            count = appended(second)
            if count:
                self.box.append_many("orders", [NewEvent(b"x")] * count)
                self.end += count
            offset = commits(second)
            if offset is not None:
                self.commit(offset)
            for _ in range(4):
                self.clock.pass_ms(250)
                group = self.box.group("app")
                self.trends.append(Trend(group.trend, group.drain_ms))
        return [word for word, _ in groupby(one.word for one in self.trends[before:])]


@pytest.fixture
def recording(box: Sandbox, clock: Clock) -> Recording:
    return Recording(box, clock)


def test_a_steady_reader_is_caught_up_all_the_time(recording: Recording) -> None:
    assert recording.play(90, lambda _: 20, lambda second: recording.end - 7 if second % 5 == 4 else None) == [
        "caught up"
    ]


def test_a_program_that_commits_batches_of_ten_seconds_is_caught_up(recording: Recording) -> None:
    words = recording.play(120, lambda _: 50, lambda second: max(0, recording.end - 500) if second % 10 == 9 else None)
    # Until its second batch nothing is known of its cycle.
    assert words[-1] == "caught up"
    assert len(words) <= 3


def test_a_bursty_topic_changes_the_word_at_most_twice_per_burst(recording: Recording) -> None:
    def read(_: int) -> int:
        return min(recording.end, recording.committed + 60)

    words = recording.play(120, lambda second: 1_000 if second % 40 == 0 else 0, read)
    assert set(words) <= {"caught up", "draining", "steady"}
    assert len(words) <= 1 + 3 * 2


def test_a_stuck_reader_is_stalled_and_stays_so_while_events_arrive(recording: Recording) -> None:
    recording.play(30, lambda _: 10, lambda _: recording.end)
    words = recording.play(120, lambda _: 10, lambda _: None)
    assert words[-1] == "stalled"
    assert len(words) <= 4
    assert all(one.drain_ms is None for one in recording.trends)


def test_a_reader_that_gets_stuck_while_it_catches_up_no_longer_drains(recording: Recording) -> None:
    recording.play(2, lambda _: 4, lambda _: 0)
    words = recording.play(60, lambda _: 4, lambda second: min(recording.end, 6 * (second + 1)) if second < 3 else None)
    assert words == ["caught up", "growing", "stalled"]


def test_a_slow_reader_grows_and_one_that_catches_up_drains_with_a_time_that_does_not_jump(
    recording: Recording,
) -> None:
    words = recording.play(120, lambda _: 100, lambda _: recording.committed + 40)
    assert words[-1] == "growing"
    assert len(words) <= 3
    before = len(recording.trends)
    words = recording.play(90, lambda _: 20, lambda _: min(recording.end, recording.committed + 80))
    assert [word for word in words if word != "steady"] == ["growing", "draining"]
    left = [one.drain_ms for one in recording.trends[before:] if one.drain_ms is not None]
    assert left
    assert all(later <= 1.5 * earlier for earlier, later in pairwise(left))
    assert len(set(left)) < 10


def test_a_reset_is_no_reading(recording: Recording) -> None:
    recording.play(60, lambda _: 10, lambda _: recording.end)
    recording.set_state("Empty")
    recording.commit(100, member_id="")
    words = recording.play(20, lambda _: 10, lambda _: None)
    assert words == ["no active members"]
    recording.commit(500, member_id="")
    assert recording.play(20, lambda _: 10, lambda _: None) == ["no active members"]
    assert all(one.drain_ms is None for one in recording.trends)
    rates = recording.box.group_history.rates(recording.box.group("app"))
    assert rates["orders", 0].committed_per_s == 0


def test_a_group_whose_members_died_has_no_active_members_at_once(recording: Recording) -> None:
    recording.play(60, lambda _: 100, lambda _: recording.committed + 40)
    recording.set_state("Empty")
    assert recording.play(90, lambda _: 100, lambda _: None) == ["no active members"]


def test_a_new_member_is_starting_until_it_has_committed_twice() -> None:
    behind = Reading(lag=500, age_ms=60_000, cycle_ms=5_000, quiet_ms=60_000, commits=())
    assert trend_of([behind], assigned_ms=2_000) == Trend("starting")
    assert trend_of([behind], assigned_ms=60_000) == Trend("stalled")
    once = Reading(500, 60_000, 5_000, 1_000, (Commit(0, 10, 510),))
    assert trend_of([once], assigned_ms=3_000) == Trend("starting")


def test_a_time_left_on_which_the_halves_of_the_window_disagree_is_not_shown() -> None:
    slower = (Commit(0, 0, 1000), Commit(15_000, 300, 1000), Commit(30_000, 400, 1000))
    assert trend_of([Reading(600, 60_000, 5_000, 0, slower)], None) == Trend("draining")
    even = (Commit(0, 0, 1000), Commit(15_000, 200, 1000), Commit(30_000, 400, 1000))
    assert trend_of([Reading(660, 60_000, 5_000, 0, even)], None) == Trend("draining", 50_000)


def test_a_pause_in_which_nothing_was_unread_is_no_commit_cycle() -> None:
    assert cycle_of([(600_000, 800), (600_000, 900)]) == 5_000
    assert cycle_of([(10_000, 19_000)] * 3) == 10_000
    assert cycle_of([]) == 5_000
