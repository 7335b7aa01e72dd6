"""Work is stopped from another thread, and only the work that is covered."""

import threading
from collections.abc import Callable

import pytest

from sandbox.model import cancellation
from sandbox.model.cancellation import Cancellation, Cancelled


def _in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_what_is_covered_is_refused_with_the_reason_once_it_was_cancelled() -> None:
    one, other = Cancellation("one"), Cancellation("other")
    with one.covering(), other.covering():
        cancellation.check()
        other.cancel()
        with pytest.raises(Cancelled, match="other"):
            cancellation.check()
    cancellation.check()
    with pytest.raises(Cancelled, match="other"), other.running(lambda: None):
        pass


def test_cancelling_interrupts_what_runs_until_it_ends() -> None:
    work, started, interrupts = Cancellation("enough"), threading.Event(), threading.Semaphore(0)

    def run() -> None:
        with work.covering(), cancellation.interruptible(interrupts.release):
            started.set()
            # As a statement that began after the first interrupt, and is reached by the third alone.
            for _ in range(3):
                assert interrupts.acquire(timeout=10)

    thread = _in_thread(run)
    assert started.wait(10)
    assert work.cancel_and_wait(10)
    thread.join(10)
    assert not thread.is_alive()


def test_work_that_cannot_be_interrupted_is_waited_for_no_longer_than_asked() -> None:
    work, started, ending = Cancellation("enough"), threading.Event(), threading.Event()

    def run() -> None:
        with work.running(lambda: None):
            started.set()
            ending.wait(30)

    thread = _in_thread(run)
    assert started.wait(10)
    assert not work.cancel_and_wait(0.05)
    ending.set()
    thread.join(10)
    assert work.cancel_and_wait(0.05)


def test_a_thread_does_not_wait_for_itself() -> None:
    work = Cancellation("enough")
    with work.running(lambda: None):
        assert work.cancel_and_wait(10)
