"""A hanging client is found."""

import threading

import pytest

from tests.crash.endings import NeverReturned, still_at_work, within


def hang(until: threading.Event) -> None:
    until.wait()


def test_a_thread_that_never_ends_is_a_finding_that_says_where_it_hangs() -> None:
    ended, told = threading.Event(), threading.Event()
    ended.set()
    threads = [threading.Thread(target=hang, args=(event,)) for event in (ended, told)]
    for thread in threads:
        thread.start()
    try:
        (found,) = still_at_work(threads, 0.05)
        assert "0.05 s after the request" in found
        assert "until.wait()" in found
    finally:
        told.set()
    assert still_at_work(threads, 10) == []


def test_a_call_that_never_returns_is_given_up() -> None:
    told = threading.Event()
    with pytest.raises(NeverReturned, match="hang"):
        within(0.05, hang, told)
    told.set()
    within(10, hang, told)


def test_what_a_call_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        within(10, divmod, 1, 0)
