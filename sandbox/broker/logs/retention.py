"""Retention and DeleteRecords: remove the oldest events of a log.

The log start offset increases first, in one visible step. The rows below it are removed afterwards, in pieces.

Kafka removes whole segments, and the active one only after it is rolled. The sandbox has no segments and removes whole
record batches, so it applies the limits exactly, where Kafka retains up to one segment more (1 GB or 7 days by
default). As in Kafka, events are only removed from the start of a log: an expired batch waits for the batches before
it, and a log that exceeds its size limit loses at most the excess. A batch is as old as its largest timestamp.
"""

from collections.abc import Mapping

from sandbox.broker.happenings import note_cut
from sandbox.broker.logs.topic import Partition, Topic
from sandbox.broker.logs.turn import Turn
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.database import Database
from sandbox.storage.log import retention, topics

BATCHES_MAX = 5_000
"""The maximum number of a partition's batches that one check reads."""
PARTITIONS_MAX = 200
"""The maximum number of partitions that one tick checks."""
PURGE_ROWS = 2_000
PURGE_PAUSE_MS = 10
HIGH_WATERMARK = -1


class Retention:
    """Removes the oldest events of logs.

    Args:
        database: the file that stores them.
        config: the broker's settings.
        turn: the turn that the changes belong to.
        topics: every topic by name.
        now_ms: the current time; the first check is due then.
    """

    def __init__(
        self, database: Database, config: BrokerConfig, turn: Turn, topics: Mapping[str, Topic], now_ms: int
    ) -> None:
        self._database = database
        self._config = config
        self._turn = turn
        self._topics = topics
        self._check_at_ms = now_ms
        self._waiting: list[tuple[str, int]] = []
        self._purging: list[int] = []
        self._purge_at_ms = now_ms
        self.reload()

    def reload(self) -> None:
        """Reload the list of partitions with rows to purge, after a turn was undone."""
        self._waiting.clear()
        self._purging = retention.partitions_to_purge(self._database)

    def next_deadline_ms(self) -> int:
        """Return when `tick` must be called next."""
        return min(self._check_at_ms, self._purge_at_ms) if self._purging or self._waiting else self._check_at_ms

    def unfinished_ms(self) -> int | None:
        """Return when `tick` continues a check or a purge that was started; None if none was."""
        return self._purge_at_ms if self._purging or self._waiting else None

    def clock_moved(self, by_ms: int) -> None:
        """Move the deadlines along with the clock."""
        self._check_at_ms += by_ms
        self._purge_at_ms += by_ms

    def tick(self, now_ms: int, aged_ms: int) -> None:
        """Run the tasks that are due: check every log once per `log.retention.check.interval.ms`, and purge some rows.

        Args:
            aged_ms: the time to which ages are computed; see `AgeHold`.
        """
        if now_ms >= self._check_at_ms:
            self._waiting = [
                (topic.name, one.partition)
                for topic in self._topics.values()
                if self._is_deleted_from(topic)
                for one in topic.partitions
            ]
            interval_ms = self._config.number("log.retention.check.interval.ms")
            self._check_at_ms = now_ms + max(PURGE_PAUSE_MS, interval_ms)
        if (self._waiting or self._purging) and now_ms >= self._purge_at_ms:
            self._check_some(aged_ms)
            self.purge()
            self._purge_at_ms = now_ms + PURGE_PAUSE_MS

    def _is_deleted_from(self, topic: Topic) -> bool:
        return "delete" in topic.value("cleanup.policy", self._config).split(",")

    def _check_some(self, aged_ms: int) -> None:
        """Check waiting partitions, up to this tick's limit."""
        for _ in range(min(PARTITIONS_MAX, len(self._waiting))):
            name, number = self._waiting[-1]
            topic = self._topics.get(name)
            if topic is not None and number < len(topic.partitions) and self.cut(topic.partitions[number], aged_ms):
                return
            self._waiting.pop()

    def cut(self, partition: Partition, now_ms: int) -> bool:
        """Apply retention to one log. Returns True if it read `BATCHES_MAX` batches and must be called again."""
        topic = partition.topic
        if not self._is_deleted_from(topic) or partition.start >= partition.next:
            return False
        retention_ms = topic.number("retention.ms", self._config)
        retention_bytes = topic.number("retention.bytes", self._config)
        first = partition.start
        until, more = first, False
        if retention_ms >= 0:
            until, more = retention.expired_until(
                self._database,
                partition.id,
                partition.start,
                partition.high_watermark,
                now_ms - retention_ms,
                BATCHES_MAX,
            )
        if retention_bytes >= 0 and not more:
            self.raise_start(partition, until)
            excess = self.size_bytes(partition) - retention_bytes
            if excess > 0:
                until, more = retention.oversized_until(
                    self._database, partition.id, until, partition.high_watermark, excess, BATCHES_MAX
                )
        self.raise_start(partition, until)
        if partition.start > first:
            note_cut(self._turn, partition, "retention", first, partition.start)
        return more

    def size_bytes(self, partition: Partition) -> int:
        """Return the log's size in bytes: its record batches as produced, minus what compaction removed."""
        return retention.log_size(self._database, partition.id)

    def raise_start(self, partition: Partition, offset: int) -> None:
        """Set the log start offset to `offset`, if that is higher than the current one."""
        if offset <= partition.start:
            return
        retention.set_log_start(self._database, partition.id, offset)
        partition.start = offset
        self._turn.changes.partitions.add(partition)
        if partition.id not in self._purging:
            self._purging.append(partition.id)

    def delete_records(self, partition: Partition, offset: int) -> int:
        """Delete the events below an offset (KIP-107).

        Args:
            offset: the new log start offset, or -1 for the high watermark.

        Returns:
            The log start offset. It doesn't change if it is already beyond `offset`.

        Raises:
            BrokerError: POLICY_VIOLATION if the topic is only compacted, OFFSET_OUT_OF_RANGE.
        """
        self.check_delete(partition, offset)
        first = partition.start
        self.raise_start(partition, partition.high_watermark if offset == HIGH_WATERMARK else offset)
        if partition.start > first:
            note_cut(self._turn, partition, "deleted", first, partition.start)
        return partition.start

    def check_delete(self, partition: Partition, offset: int) -> None:
        """Raise the errors of `delete_records` without deleting anything."""
        topic = partition.topic
        if not self._is_deleted_from(topic):
            raise BrokerError("POLICY_VIOLATION", f"Topic {topic.name} is compacted: its events cannot be deleted.")
        if not HIGH_WATERMARK <= offset <= partition.high_watermark:
            raise BrokerError(
                "OFFSET_OUT_OF_RANGE",
                f"{topic.name}-{partition.partition} ends at {partition.high_watermark}: {offset} is not in it.",
            )

    def purge(self) -> bool:
        """Remove some rows below the log start offsets. Returns True if more are left."""
        starts = {one.id: one.start for topic in self._topics.values() for one in topic.partitions}
        while self._purging:
            partition_id = self._purging[-1]
            start = starts.get(partition_id)
            if start is not None and topics.purge_partition(self._database, partition_id, start, PURGE_ROWS):
                return True
            self._purging.pop()
        return False


JUMP_MS = 3_600_000
"""Deletion by age is held back if the clock is set forward by more than this."""
HOLD_MS = 3_600_000


class AgeHold:
    """How far the clock was set forward, until the new time is accepted.

    Attributes:
        jump_ms: size of the jump in ms; 0 if nothing is held back.
        until_ms: when deletion by age continues, by the current clock.
    """

    def __init__(self) -> None:
        self.jump_ms = 0
        self.until_ms = 0

    def clock_moved(self, by_ms: int, set_ms: int, now_ms: int) -> None:
        """Handle a clock that moved by `by_ms` more than the elapsed running time; it was set by `set_ms`."""
        self.until_ms += by_ms
        jump_ms = self.jump_ms + set_ms
        if jump_ms <= JUMP_MS:
            self.jump_ms = 0
            return
        self.jump_ms = jump_ms
        if set_ms > JUMP_MS:
            self.until_ms = now_ms + HOLD_MS

    def end_if_over(self, now_ms: int) -> bool:
        """Accept the new time if the hold is over. Returns True if that happened in this call."""
        if not self.jump_ms or now_ms < self.until_ms:
            return False
        self.jump_ms = 0
        return True

    def time_ms(self, now_ms: int) -> int:
        """Return the time to which ages are computed."""
        return now_ms - self.jump_ms
