"""Runs retention, compaction and DeleteRecords on request, in small steps."""

from collections.abc import Mapping
from functools import partial

from sandbox.broker.logs.compaction import Pass
from sandbox.broker.logs.topic import Partition
from sandbox.runtime.runtime import Runtime


class Cleaning:
    """Deletes events from logs by retention and compaction. Each step is a separate turn, so clients are served in
    between.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._broker = runtime.broker

    def apply_retention(self, topic: str | None = None) -> int:
        """Apply retention, and delete the rows below the new log start offsets. Returns how many offsets the logs lost.

        Args:
            topic: only this one; None for all topics.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION.
        """
        lost = 0
        wanted = tuple(self._broker.topics.values()) if topic is None else (self._broker.topic(topic),)
        for one in wanted:
            for partition in tuple(one.partitions):
                lost += self._cut(one.name, partition.partition)
        while self._runtime.call(lambda now_ms: self._broker.retention.purge()):
            pass
        return lost

    def _cut(self, name: str, number: int) -> int:
        def cut(now_ms: int) -> tuple[int, bool]:
            topic = self._broker.topics.get(name)
            if topic is None or number >= len(topic.partitions):
                return 0, False
            partition = topic.partitions[number]
            before = partition.start
            more = self._broker.retention.cut(partition, now_ms)
            return partition.start - before, more

        lost, more = self._runtime.call(cut)
        while more:
            gone, more = self._runtime.call(cut)
            lost += gone
        return lost

    def compact(self, topic: str) -> int:
        """Compact a topic as far as its settings allow, even a little. Returns how many events were deleted.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION; INVALID_REQUEST if `cleanup.policy` doesn't include compaction.
        """
        return sum(self._compact(partition) for partition in tuple(self._broker.topic(topic).partitions))

    def _compact(self, partition: Partition) -> int:
        def begin(now_ms: int) -> Pass | None:
            return self._broker.compaction.begin(partition, now_ms, forced=True)

        def step(now_ms: int, work: Pass) -> bool:
            return self._broker.compaction.step(work, now_ms)

        removed = 0
        while (work := self._runtime.call(begin)) is not None:
            while self._runtime.call(partial(step, work=work)):
                pass
            removed += work.removed
            if not work.advanced:
                break
        return removed

    def delete_records(self, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
        """Delete the events below an offset of each partition, all or none.

        Args:
            offsets: partition to the new log start offset, -1 for the high watermark.

        Returns:
            Partition to log start offset.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION, OFFSET_OUT_OF_RANGE; POLICY_VIOLATION for a topic that is
                compacted only.
        """

        def delete(now_ms: int) -> dict[int, int]:
            found = self._broker.topic(topic)
            places = [(found.partition(number), offset) for number, offset in offsets.items()]
            for partition, offset in places:
                self._broker.retention.check_delete(partition, offset)
            return {one.partition: self._broker.retention.delete_records(one, offset) for one, offset in places}

        return self._runtime.call(delete)
