"""Retention and DeleteRecords: what leaves a log at its start.

The log start offset rises first, in one step that everybody sees; the rows below it are removed afterwards, some at a
time.

Kafka removes whole segments, the active one only once it is rolled; the sandbox has no segments and removes whole
record batches. So it keeps what is wanted to the batch, where Kafka keeps up to a segment (1 GB or 7 days by default)
more. As in Kafka, a log is cut from its start only: a batch that is too old waits for those before it; and a log that
is too large loses no more than what is too much. The largest timestamp of a batch says how old it is.
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
"""How many batches of a partition one look goes through."""
PARTITIONS_MAX = 200
"""How many partitions are looked at in one tick."""
PURGE_ROWS = 2_000
PURGE_PAUSE_MS = 10
HIGH_WATERMARK = -1


class Retention:
    """Cuts logs at their start.

    Args:
        database: the rows.
        config: the broker's settings.
        turn: the turn that changes belong to.
        topics: every topic by its name.
        now_ms: the time; the first check is due then.
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
        """Find out again what waits to be purged, after a turn was undone."""
        self._waiting.clear()
        self._purging = retention.partitions_to_purge(self._database)

    def next_deadline_ms(self) -> int:
        """When `tick` has something to do."""
        return min(self._check_at_ms, self._purge_at_ms) if self._purging or self._waiting else self._check_at_ms

    def clock_moved(self, by_ms: int) -> None:
        """Move the deadlines along with the clock."""
        self._check_at_ms += by_ms
        self._purge_at_ms += by_ms

    def tick(self, now_ms: int, aged_ms: int) -> None:
        """Do what is due: look at every log once in `log.retention.check.interval.ms`; remove some rows.

        Args:
            aged_ms: the time that ages are counted to; see `AgeHold`.
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
        """Look at the partitions that wait, until it was enough for this tick."""
        for _ in range(min(PARTITIONS_MAX, len(self._waiting))):
            name, number = self._waiting[-1]
            topic = self._topics.get(name)
            if topic is not None and number < len(topic.partitions) and self.cut(topic.partitions[number], aged_ms):
                return
            self._waiting.pop()

    def cut(self, partition: Partition, now_ms: int) -> bool:
        """Apply retention to one log. True where it looked at so many batches that it must look again."""
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
        """The size of a log: its record batches as produced, less what compaction took."""
        return retention.log_size(self._database, partition.id)

    def raise_start(self, partition: Partition, offset: int) -> None:
        """Make `offset` the log start offset, where it is beyond the present one."""
        if offset <= partition.start:
            return
        retention.set_log_start(self._database, partition.id, offset)
        partition.start = offset
        self._turn.changes.partitions.add(partition)
        if partition.id not in self._purging:
            self._purging.append(partition.id)

    def delete_records(self, partition: Partition, offset: int) -> int:
        """Remove the events below an offset (KIP-107).

        Args:
            offset: the new log start offset, or -1 for the high watermark.

        Returns:
            The log start offset, which stays where it is beyond `offset` already.

        Raises:
            BrokerError: POLICY_VIOLATION where the topic is compacted only, OFFSET_OUT_OF_RANGE.
        """
        self.check_delete(partition, offset)
        first = partition.start
        self.raise_start(partition, partition.high_watermark if offset == HIGH_WATERMARK else offset)
        if partition.start > first:
            note_cut(self._turn, partition, "deleted", first, partition.start)
        return partition.start

    def check_delete(self, partition: Partition, offset: int) -> None:
        """Refuse what `delete_records` refuses."""
        topic = partition.topic
        if not self._is_deleted_from(topic):
            raise BrokerError("POLICY_VIOLATION", f"Topic {topic.name} is compacted: its events cannot be deleted.")
        if not HIGH_WATERMARK <= offset <= partition.high_watermark:
            raise BrokerError(
                "OFFSET_OUT_OF_RANGE",
                f"{topic.name}-{partition.partition} ends at {partition.high_watermark}: {offset} is not in it.",
            )

    def purge(self) -> bool:
        """Remove some rows that have left their logs. True where more are left."""
        starts = {one.id: one.start for topic in self._topics.values() for one in topic.partitions}
        while self._purging:
            partition_id = self._purging[-1]
            start = starts.get(partition_id)
            if start is not None and topics.purge_partition(self._database, partition_id, start, PURGE_ROWS):
                return True
            self._purging.pop()
        return False
