"""Writes commits of thousands of offsets in slices, each in its own turn, so that other clients are served in between.

A commit that arrives while another of its group is being written waits for it, so that an older offset never overwrites
a newer one. Later requests of the same connection wait too: while an earlier commit is being written, a member must not
leave its group, and a reader must not see the old offsets. If a slice can't be written, every offset of the request is
refused with COORDINATOR_NOT_AVAILABLE, and the client retries.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from sandbox.broker.groups.calls import OffsetCommit, PartitionError
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.database import StorageFailed

SLICE_OFFSETS = 1_000
"""The number of offsets that take about 20 ms to write."""

logger = logging.getLogger("sandbox.wire")

Outcome = Sequence[PartitionError]
Commit = Callable[[Sequence[OffsetCommit]], Outcome]


class LongCommits:
    """One broker's long commits.

    Args:
        soon: calls a function in a later turn of the event loop.
        wait: calls a function at the end of this turn, with the error if it could not be committed.
        undo: undoes this turn.
    """

    def __init__(
        self,
        soon: Callable[[Callable[[], None]], None],
        wait: Callable[[Callable[[BrokerError | None], None]], None],
        undo: Callable[[StorageFailed], object],
    ) -> None:
        self._soon = soon
        self._wait = wait
        self._undo = undo
        self._queues: dict[str, deque[Iterator[None]]] = {}

    def wants(self, group_id: str, offsets: int) -> bool:
        """Return True if a commit must be written in slices, or must wait for one."""
        return offsets > SLICE_OFFSETS or group_id in self._queues

    def run(self, group_id: str, offsets: Sequence[OffsetCommit], commit: Commit) -> Reply[Outcome]:
        """Write a commit in slices, after the group's earlier commits.

        Args:
            commit: writes one slice.
        """
        reply: Reply[Outcome] = Reply()
        queue = self._queues.setdefault(group_id, deque())
        queue.append(self._slices(offsets, commit, reply))
        if len(queue) == 1:
            self._step(group_id, queue)
        return reply

    def clear(self) -> None:
        """Cancel every commit without an answer, after clients were disconnected and the offsets replaced."""
        self._queues.clear()

    def _step(self, group_id: str, queue: deque[Iterator[None]]) -> None:
        """Write the next slice of a group's first commit, and schedule the following slice."""
        if self._queues.get(group_id) is not queue:
            return
        if next(queue[0], self) is self:
            queue.popleft()
        if queue:
            self._soon(lambda: self._step(group_id, queue))
        else:
            del self._queues[group_id]

    def _slices(self, offsets: Sequence[OffsetCommit], commit: Commit, reply: Reply[Outcome]) -> Iterator[None]:
        outcome: list[PartitionError] = []
        failed: list[BrokerError] = []
        for first in range(0, len(offsets), SLICE_OFFSETS):
            try:
                outcome += commit(offsets[first : first + SLICE_OFFSETS])
            except StorageFailed as error:
                failed.append(BrokerError("KAFKA_STORAGE_ERROR", str(error)))
                self._undo(error)
            except Exception as error:
                # Without an answer, every later commit of the group would wait for this one.
                logger.exception("A slice of a long OffsetCommit failed.")
                failed.append(BrokerError("UNKNOWN_SERVER_ERROR", str(error)))
            else:
                self._wait(lambda error: None if error is None else failed.append(error))
            if first + SLICE_OFFSETS < len(offsets):
                yield
            if failed:
                outcome = [PartitionError(one.topic, one.partition, "COORDINATOR_NOT_AVAILABLE") for one in offsets]
                break
        reply.set(outcome)
