"""Runs requests that write thousands of rows in slices, each in its own turn, so that other clients are served between.

These are OffsetCommit, TxnOffsetCommit, DeleteRecords, CreateTopics, DeleteTopics and very large Produce requests. A
commit that arrives while another of its group is being written waits for it, whichever listener it arrives at, so that
an older offset never overwrites a newer one. Later requests of the same connection wait too: while an earlier commit is
being written, a member must not leave its group, and a reader must not see the old offsets. If a slice can't be
written, it and the later ones are refused: the answer has the outcome of each row, so that a client sends only those
again that are not stored.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sandbox.broker.groups.calls import OffsetCommit, PartitionError
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.database import StorageFailed

SLICE_ROWS = 1_000
"""The number of offsets that take about 20 ms to write."""

logger = logging.getLogger("sandbox.wire")


Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Given = TypeVar("Given")


def not_committed(one: OffsetCommit) -> PartitionError:
    """Return the outcome for an offset of a commit that could not be written."""
    return PartitionError(one.topic, one.partition, "COORDINATOR_NOT_AVAILABLE")


class LongWrites:
    """The long writes of all brokers and listeners.

    Args:
        soon: calls a function in a later turn of the event loop.
        wait: calls a function at the end of this turn, with the error if it could not be committed.
        undo: undoes this turn.

    Attributes:
        clears: how often all writes without an answer were cancelled.
    """

    def __init__(
        self,
        soon: Callable[[Callable[[], None]], None],
        wait: Callable[[Callable[[BrokerError | None], None]], None],
        undo: Callable[[Exception], object],
    ) -> None:
        self._soon = soon
        self._wait = wait
        self._undo = undo
        self._queues: dict[str | None, deque[Iterator[None]]] = {}
        self.clears = 0

    def wants(self, group_id: str | None, rows: int, slice_rows: int = SLICE_ROWS) -> bool:
        """Return True if a request must be written in slices, or must wait for one."""
        return rows > slice_rows or group_id in self._queues

    def run(
        self,
        group_id: str | None,
        items: Sequence[Item],
        write: Callable[[Sequence[Item]], Sequence[Outcome]],
        refused: Callable[[Item], Outcome],
        answer: Callable[[Sequence[Outcome]], Given],
        slice_rows: int = SLICE_ROWS,
    ) -> Reply[Given]:
        """Write a request in slices, after the group's earlier ones.

        Args:
            group_id: the group; None for requests about topics.
            items: the rows to write.
            write: writes one slice. Returns the outcome of each item.
            refused: returns an item's outcome if its slice could not be written.
            answer: returns the answer from the outcome of each item.
            slice_rows: the number of items per slice.
        """
        reply: Reply[Given] = Reply(stored=True)
        queue = self._queues.setdefault(group_id, deque())
        queue.append(self._slices(items, write, refused, answer, reply, slice_rows))
        if len(queue) == 1:
            self._step(group_id, queue)
        return reply

    def clear(self) -> None:
        """Cancel every write without an answer, after clients were disconnected and the rows replaced."""
        self._queues.clear()
        self.clears += 1

    def _step(self, group_id: str | None, queue: deque[Iterator[None]]) -> None:
        """Write the next slice of a group's first request, and schedule the following slice."""
        if self._queues.get(group_id) is not queue:
            return
        try:
            ended = next(queue[0], self) is self
        except Exception:
            # The requests behind it must not wait forever.
            logger.exception("A long write could not be answered.")
            ended = True
        if ended:
            queue.popleft()
        if queue:
            self._soon(lambda: self._step(group_id, queue))
        else:
            del self._queues[group_id]

    def _slices(
        self,
        items: Sequence[Item],
        write: Callable[[Sequence[Item]], Sequence[Outcome]],
        refused: Callable[[Item], Outcome],
        answer: Callable[[Sequence[Outcome]], Given],
        reply: Reply[Given],
        slice_rows: int,
    ) -> Iterator[None]:
        outcome: list[Outcome] = []
        failed: list[BrokerError] = []
        for first in range(0, len(items), slice_rows):
            try:
                written = write(items[first : first + slice_rows])
            except StorageFailed as error:
                failed.append(BrokerError("KAFKA_STORAGE_ERROR", str(error)))
                self._undo(error)
            except Exception as error:
                # Without an answer, every later request of the group would wait for this one.
                logger.exception("A slice of a long write failed.")
                failed.append(BrokerError("UNKNOWN_SERVER_ERROR", str(error)))
                self._undo(error)
            else:
                self._wait(lambda error: None if error is None else failed.append(error))
            # Meanwhile the turn ends, with or without a commit.
            yield
            if failed:
                break
            outcome += written
        reply.set(answer([*outcome, *(refused(one) for one in items[len(outcome) :])]))
