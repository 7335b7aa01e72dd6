"""Worker threads: one is started whenever no other is free."""

import threading

import pytest

from sandbox.web.lanes import DaemonThreads


def test_a_job_starts_although_an_idle_thread_has_not_woken_up_for_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = DaemonThreads(2, "test")
    threads.submit(lambda: None).result(10)
    get, may_wake = threads._jobs.get, threading.Event()
    first_thread = threading.enumerate()

    class Jobs:
        """A queue whose first waiting thread is slow to wake up."""

        empty, put = threads._jobs.empty, threads._jobs.put

        def get(self) -> object:
            job = get()
            if threading.current_thread() in first_thread:
                may_wake.wait(10)
            return job

    monkeypatch.setattr(threads, "_jobs", Jobs())
    threads.submit(lambda: None).result(10)
    both = threading.Barrier(2)
    jobs = [threads.submit(both.wait, 10) for _ in range(2)]
    may_wake.set()
    for job in jobs:
        job.result(10)
    threads.shutdown()


def test_no_more_threads_than_allowed_are_started_and_each_job_runs() -> None:
    threads = DaemonThreads(3, "bounded")
    names: set[str] = set()
    jobs = [threads.submit(lambda: names.add(threading.current_thread().name)) for _ in range(500)]
    for job in jobs:
        job.result(10)
    assert len(names) <= 3
    threads.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        threads.submit(lambda: None)
