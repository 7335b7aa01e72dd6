"""Divides the event loop's time among requests, so that none of them blocks the others.

One thread does all the work. A Fetch of 50 MB from rows, or a connection that sends 10,000 requests at once, would make
every other client wait until it is done. So such work is a job that runs in steps. There are three queues: one for
connections with more requests, one for long answers from memory, and one for reads from rows, because a step of a read
takes as long as many requests. In each turn of the loop each queue runs for `TURN_SECONDS`, its jobs in rotation; then
the loop checks for new input. As a result, the data that a job reads may change between two steps, so it must not use a
query's result across them.
"""

import logging
from collections import deque
from collections.abc import Callable, Generator
from time import perf_counter

TURN_SECONDS = 0.002
"""How long a queue's jobs run in one turn of the loop. A step that has begun is finished."""

AT_ONCE = 2
"""The number of reads, and of long answers, in rotation. Each holds its data, so the others wait until one is done."""

Job = Callable[[], bool]
"""Runs one step. Returns True if it has more to do."""
Steps = Generator[None, None, None]
"""Work that can be interrupted at each `yield`."""

logger = logging.getLogger("sandbox.wire")


class TimeSlices:
    """Work that did not fit into one turn.

    Args:
        call_soon: calls a function in the next turn of the event loop.
        now_s: returns a time in seconds.

    Attributes:
        requests: jobs that handle one connection's requests.
        reads: jobs that read rows; the first `AT_ONCE` of them have begun.
        answers: jobs that build long answers from memory; the first `AT_ONCE` of them have begun.
    """

    def __init__(
        self, call_soon: Callable[[Callable[[], None]], object], now_s: Callable[[], float] = perf_counter
    ) -> None:
        self._call_soon = call_soon
        self._now_s = now_s
        self.requests: deque[Job] = deque()
        self.reads: deque[Job] = deque()
        self.answers: deque[Job] = deque()
        self._ends_s = 0.0
        self._has_turn = False

    def add_requests(self, job: Job) -> None:
        """Handle requests from the next turn on, until `job` returns False."""
        self.requests.append(job)
        self._begin()

    def add_read(self, job: Job) -> None:
        """Read rows from the next turn on, until `job` returns False. A job that raises is logged and dropped."""
        self.reads.append(job)
        self._begin()

    def run(self, steps: Steps, *, from_memory: bool = False) -> bool:
        """Run the steps in this turn if it has time for them, and the rest in later turns.

        Args:
            steps: the work.
            from_memory: True if it reads no rows, so that reads and it needn't wait for each other.

        Returns:
            True if all of it is done. If not, the steps themselves must report that they are done.
        """
        for _ in steps:
            if not self._has_time():
                queue = self.answers if from_memory else self.reads
                queue.append(lambda: _step(steps))
                self._begin()
                return False
        return True

    def _has_time(self) -> bool:
        if self._has_turn:
            return self._now_s() < self._ends_s
        self._ends_s = self._now_s() + TURN_SECONDS
        self._begin()
        return True

    def _begin(self) -> None:
        if not self._has_turn:
            self._has_turn = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        self._has_turn = False
        if self.requests or self.reads or self.answers:
            self._begin()
        self._rotate(self.requests)
        self._rotate_first(self.answers)
        self._ends_s = self._rotate_first(self.reads)

    def _rotate_first(self, jobs: deque[Job]) -> float:
        """Like `_rotate`, for the first `AT_ONCE` jobs."""
        begun = deque(jobs.popleft() for _ in range(min(AT_ONCE, len(jobs))))
        ends_s = self._rotate(begun)
        jobs.extendleft(reversed(begun))
        return ends_s

    def _rotate(self, jobs: deque[Job]) -> float:
        """Run one step of each job in rotation, until the time is over. Returns the end of that time."""
        now_s = self._now_s()
        ends_s = now_s + TURN_SECONDS
        while jobs and now_s < ends_s:
            job = jobs.popleft()
            try:
                if job():
                    jobs.append(job)
            except Exception:
                logger.exception("a job of the Kafka port failed")
            now_s = self._now_s()
        return ends_s


def _step(steps: Steps) -> bool:
    for _ in steps:
        return True
    return False
