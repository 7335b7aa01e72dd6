"""Samples of groups, and the words that follow from them."""

import pytest

from sandbox.model.lag_trend import Trend
from sandbox.remote.group_history import PLACES_MAX, SAMPLES_MAX, UNKNOWN_WORD, Sampled, Samples

PLACE = ("orders", 0)


def trend(committed: list[int], ends: list[int], state: str = "Stable") -> Trend:
    """The word for a group that was sampled once per second."""
    samples = Samples()
    for second, (offset, end) in enumerate(zip(committed, ends, strict=True)):
        samples.note(second * 1000, {"g": {PLACE: Sampled(offset, end, 0)}})
    return samples.trend("g", state, {PLACE: Sampled(committed[-1], ends[-1], 0)}, (len(ends) - 1) * 1000)


@pytest.mark.parametrize(
    ("committed", "ends", "state", "word"),
    [
        ([10] * 40, [10] * 40, "Stable", "caught up"),
        ([0] * 40, [10] * 40, "Stable", "stalled"),
        ([0] * 40, list(range(10, 50)), "Stable", "stalled"),
        (list(range(40)), list(range(10, 90, 2)), "Stable", "growing"),
        (list(range(0, 400, 10)), [600] * 40, "Stable", "draining"),
        (list(range(40)), list(range(100, 140)), "Stable", "steady"),
        ([0] * 40, [10] * 40, "Empty", "no active members"),
        ([0], [10], "Stable", UNKNOWN_WORD),
        ([0] * 40, [10] * 40, "PreparingRebalance", "rebalancing"),
        ([500] * 40, [5] * 40, "Empty", "out of range"),
    ],
)
def test_a_lag_has_a_word(committed: list[int], ends: list[int], state: str, word: str) -> None:
    assert trend(committed, ends, state).word == word


def test_a_lag_that_drains_has_an_estimate() -> None:
    assert trend(list(range(0, 400, 10)), [600] * 40).drain_ms == 20_000


def test_a_group_that_never_committed_is_not_caught_up() -> None:
    assert Samples().trend("g", "Stable", {}, 0) == Trend("never committed")


def test_samples_are_bounded_and_those_of_gone_groups_forgotten() -> None:
    samples = Samples()
    many = {("t", number): Sampled(0, 1, 0) for number in range(5000)}
    for second in range(SAMPLES_MAX + 100):
        samples.note(second * 1000, {"small": {PLACE: Sampled(0, 1, 0)}} if second < SAMPLES_MAX else {"large": many})
    assert samples.of("small") == []
    for second in range(200):
        samples.note((SAMPLES_MAX + 200 + second) * 1000, {"large": many})
    assert len(samples.of("large")) * len(many) <= PLACES_MAX


def test_a_history_has_no_more_points_than_asked_for_and_ends_now() -> None:
    samples = Samples()
    for second in range(300):
        samples.note(second * 1000, {"g": {PLACE: Sampled(second, 300, 0)}})
    points = samples.history("g", 100_000, 20)
    assert len(points) == 20
    assert (points[0].at_ms, points[-1].at_ms, points[-1].lag) == (100_000, 299_000, 1)
