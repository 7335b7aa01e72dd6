"""Slices of the event loop's time, with a clock that the test sets."""

from collections.abc import Callable

import pytest

from sandbox.wire.time_slices import AT_ONCE, TURN_SECONDS, Steps, TimeSlices


class Loop:
    """An event loop whose turns the test runs, and a clock that work moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.soon: list[Callable[[], None]] = []
        self.slices = TimeSlices(self.soon.append, lambda: self.now_s)

    def turn(self) -> None:
        soon, self.soon[:] = tuple(self.soon), []
        for call in soon:
            call()


def job(loop: Loop, done: list[str], name: str, steps: int, step_s: float = TURN_SECONDS) -> Callable[[], bool]:
    """A job of several steps, which records each."""
    left = [steps]

    def step() -> bool:
        loop.now_s += step_s
        done.append(name)
        left[0] -= 1
        return left[0] > 0

    return step


def test_jobs_take_turns_and_the_loop_looks_for_what_has_come_between_their_steps() -> None:
    loop, done = Loop(), []  # type: ignore[var-annotated]
    for name in "abc":
        loop.slices.add_requests(job(loop, done, name, 2))
    seen = []
    while loop.soon:
        loop.turn()
        seen.append("".join(done))
    assert seen == ["a", "ab", "abc", "abca", "abcab", "abcabc", "abcabc"]


def test_short_steps_share_a_turn() -> None:
    loop, done = Loop(), []  # type: ignore[var-annotated]
    for name in "abcdef":
        loop.slices.add_requests(job(loop, done, name, 1, TURN_SECONDS / 3))
    loop.turn()
    assert len(done) in (3, 4)


def test_requests_do_not_wait_for_all_reads_nor_reads_for_all_requests() -> None:
    loop, done = Loop(), []  # type: ignore[var-annotated]
    for _ in range(20):
        loop.slices.add_read(job(loop, done, "r", 1_000, 10 * TURN_SECONDS))
        loop.slices.add_requests(job(loop, done, "q", 1_000))
    for _ in range(10):
        loop.turn()
    assert "".join(done) == "qr" * 10


@pytest.mark.parametrize("queue", ["reads", "answers"])
def test_few_jobs_are_begun_at_once_and_the_others_in_order_of_their_arrival(queue: str) -> None:
    loop, done = Loop(), []  # type: ignore[var-annotated]
    waiting = getattr(loop.slices, queue)
    waiting.extend(job(loop, done, name, 2) for name in "abcdefgh")
    loop.slices.add_requests(lambda: False)
    while waiting:
        loop.turn()
    assert sorted(done[: 2 * AT_ONCE]) == sorted("ab" * 2)
    assert sorted(done[2 * AT_ONCE :]) == sorted("cdefgh" * 2)


def test_reads_do_not_wait_for_long_answers_from_memory() -> None:
    loop, done = Loop(), []

    def answer() -> Steps:
        for _ in range(1_000):
            loop.now_s += TURN_SECONDS
            done.append("a")
            yield

    for _ in range(20):
        loop.slices.run(answer(), from_memory=True)
    loop.slices.add_read(job(loop, done, "r", 5, TURN_SECONDS))
    del done[:]
    for _ in range(5):
        loop.turn()
    assert "".join(done) == "ar" * 5


def test_what_is_short_is_done_at_once_and_what_is_long_in_later_turns() -> None:
    loop = Loop()
    done: list[int] = []

    def steps(count: int, step_s: float) -> Steps:
        for number in range(count):
            loop.now_s += step_s
            done.append(number)
            yield

    assert loop.slices.run(steps(3, TURN_SECONDS / 10))
    assert not loop.slices.run(steps(100, TURN_SECONDS / 10))
    at_once = len(done)
    assert at_once < 12
    turns = 0
    while loop.soon:
        loop.turn()
        turns += 1
    assert len(done) == 103
    assert turns >= 9


def test_a_turn_without_work_is_the_last(caplog: pytest.LogCaptureFixture) -> None:
    loop, done = Loop(), []  # type: ignore[var-annotated]

    def fail() -> bool:
        raise RuntimeError("no")

    loop.slices.add_read(fail)
    loop.slices.add_read(job(loop, done, "after", 1, 0))
    loop.turn()
    assert done == ["after"], "a job that fails holds up no other"
    assert "a job of the Kafka port failed" in caplog.text
    loop.turn()
    assert loop.soon == []
