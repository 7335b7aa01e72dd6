"""Compacts logs: keeps the last event of each key.

A pass over one partition has two phases, each done in small steps so that other requests are not delayed. The first
phase reads the keys of the dirty part (the part that was never compacted) and remembers the last offset of each. The
second phase reads the log from its start and removes every event that a later event with the same key replaces. Offsets
don't change, so gaps appear; record batches keep their first and last offset. Batches that lost all events are removed
too.

As in Kafka (https://kafka.apache.org/documentation/#compaction, KIP-58, KIP-354, KIP-534):

* Events without a key, and events of aborted transactions, are removed. The latter don't replace earlier events.
* Events of an open transaction, everything after them, and events younger than `min.compaction.lag.ms` are left alone.
* A tombstone is removed `delete.retention.ms` after the first pass that processed it.
* A log is compacted if its dirty part is more than `min.cleanable.dirty.ratio` of it, or if its first dirty event is
  older than `max.compaction.lag.ms`. This is checked every `log.cleaner.backoff.ms`.

Differs from Kafka: there are no segments, so the last record batch of the partition takes the place of the active
segment, which is never cleaned. (Its events still replace earlier ones.) A record batch with a wrong checksum is not
changed, and compaction stops before it. Expired tombstones are removed even if nothing new was written. Transaction
markers are kept.
"""

import logging
from collections.abc import Mapping

from sandbox.broker.logs.topic import Partition, Topic
from sandbox.broker.logs.turn import Turn
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError, EventsDamaged
from sandbox.storage.file.database import Database
from sandbox.storage.log import compaction, retention
from sandbox.storage.log.compaction import CleanedBatch, LogBatch, LogKey
from sandbox.storage.log.log_transactions import outcome

logger = logging.getLogger("sandbox")
STEP_BATCHES = 100
STEP_EVENTS = 500
"""The maximum number of batches or events that one step reads."""
PARTITIONS_MAX = 200
"""The maximum number of partitions that one tick checks."""
STEP_PAUSE_MS = 5
KEYS_MAX = 500_000
"""The maximum number of keys that one pass remembers. The next pass processes the rest."""


class Pass:
    """One pass over one partition.

    Args:
        partition: the partition.
        dirty: the start of its dirty part.
        end: the end of the dirty part; later events are too young, or not stable.
        clean_end: events below this offset may be removed.

    Attributes:
        removed: number of events removed.
        advanced: True if the pass reduced the dirty part.
    """

    def __init__(self, partition: Partition, dirty: int, end: int, clean_end: int) -> None:
        self.partition = partition
        self.position = dirty
        self.end = end
        self.clean_end = clean_end
        self.last_offsets: dict[bytes, int] = {}
        self.sweeping = False
        self.done = False
        self.removed = 0
        self.advanced = False


class Compaction:
    """Compacts logs.

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
        self._look_at_ms = now_ms
        self._step_at_ms = now_ms
        self._waiting: list[tuple[str, int]] = []
        self._pass: Pass | None = None
        self._told: set[tuple[int, int]] = set()

    def reload(self) -> None:
        """Cancel the current pass after a turn was undone. It will start again."""
        self._pass = None

    def next_deadline_ms(self) -> int:
        """Return when `tick` must be called next."""
        return min(self._look_at_ms, self._step_at_ms) if self._waiting or self._pass else self._look_at_ms

    def unfinished_ms(self) -> int | None:
        """Return when `tick` continues what it started; None if nothing is left."""
        return self._step_at_ms if self._waiting or self._pass else None

    def clock_moved(self, by_ms: int) -> None:
        """Move the deadlines along with the clock."""
        self._look_at_ms += by_ms
        self._step_at_ms += by_ms

    def tick(self, now_ms: int, aged_ms: int) -> None:
        """Run the tasks that are due: one step of a pass.

        Args:
            aged_ms: the time to which ages are computed; see `AgeHold`.
        """
        if now_ms >= self._look_at_ms:
            self._waiting = [
                (topic.name, one.partition)
                for topic in self._topics.values()
                if self.is_compacted(topic)
                for one in topic.partitions
            ]
            self._look_at_ms = now_ms + max(STEP_PAUSE_MS, self._config.number("log.cleaner.backoff.ms"))
        if now_ms < self._step_at_ms:
            return
        for _ in range(min(PARTITIONS_MAX, len(self._waiting)) if self._pass is None else 0):
            name, number = self._waiting.pop()
            topic = self._topics.get(name)
            if topic is not None and number < len(topic.partitions) and self.is_compacted(topic):
                self._pass = self.begin(topic.partitions[number], aged_ms)
            if self._pass is not None:
                break
        if self._pass is not None and not self.step(self._pass, now_ms, aged_ms):
            self._pass = None
        self._step_at_ms = now_ms + STEP_PAUSE_MS

    def is_compacted(self, topic: Topic) -> bool:
        """True if the topic's `cleanup.policy` includes compaction."""
        return "compact" in topic.value("cleanup.policy", self._config).split(",")

    def begin(self, partition: Partition, now_ms: int, *, forced: bool = False) -> Pass | None:
        """Start a pass over a partition. Returns None if none is due.

        Args:
            forced: True ignores the thresholds and cleans even a small dirty part.

        Raises:
            BrokerError: INVALID_REQUEST if the topic isn't compacted.
        """
        topic = partition.topic
        if not self.is_compacted(topic):
            raise BrokerError("INVALID_REQUEST", f"Topic {topic.name} is not compacted: set its cleanup.policy first.")
        last = compaction.last_base_offset(self._database, partition.id)
        if last is None:
            return None
        dirty = max(partition.start, compaction.first_dirty_offset(self._database, partition.id))
        lag_ms = topic.number("min.compaction.lag.ms", self._config)
        end = min(partition.high_watermark, partition.last_stable_offset)
        if lag_ms > 0:
            end = compaction.first_young_offset(self._database, partition.id, dirty, end, now_ms - lag_ms)
        clean_end = min(last, end)
        horizon_ms = compaction.earliest_horizon_ms(self._database, partition.id)
        if horizon_ms is None or horizon_ms > now_ms:
            dirty_bytes = self._bytes_between(partition, dirty, clean_end)
            if dirty_bytes <= 0 or not (forced or self._is_filthy(partition, dirty, dirty_bytes, now_ms)):
                return None
        return Pass(partition, dirty, max(end, dirty), max(clean_end, min(dirty, last)))

    def _bytes_between(self, partition: Partition, first: int, below: int) -> int:
        if below <= first:
            return 0
        until, begin = (retention.bytes_until(self._database, partition.id, offset) for offset in (below, first))
        return until - begin

    def _is_filthy(self, partition: Partition, dirty: int, dirty_bytes: int, now_ms: int) -> bool:
        """Return True if the dirty part is large or old enough to be compacted."""
        size = retention.log_size(self._database, partition.id)
        end = retention.bytes_until(self._database, partition.id, 1 << 62)
        clean_bytes = max(0, size - (end - retention.bytes_until(self._database, partition.id, dirty)))
        ratio = float(partition.topic.value("min.cleanable.dirty.ratio", self._config))
        if dirty_bytes / (clean_bytes + dirty_bytes) > ratio:
            return True
        oldest_ms = compaction.earliest_timestamp(self._database, partition.id, dirty)
        return oldest_ms is not None and now_ms - oldest_ms > partition.topic.number(
            "max.compaction.lag.ms", self._config
        )

    def step(self, work: Pass, now_ms: int, aged_ms: int | None = None) -> bool:
        """Do one step of a pass.

        Args:
            aged_ms: the time to which ages are computed; None for `now_ms`.

        Returns:
            True if the pass isn't finished.
        """
        partition = work.partition
        topic = self._topics.get(partition.topic.name)
        if topic is not partition.topic or not self.is_compacted(topic):
            work.done = True
            return False
        if work.sweeping:
            self._sweep(work, now_ms, now_ms if aged_ms is None else aged_ms)
        else:
            self._learn(work)
        if work.done and work.removed:
            self._turn.note("compacted", {"events": work.removed}, topic=topic.name, partition=partition.partition)
        return not work.done

    def _learn(self, work: Pass) -> None:
        """Remember the last offset of each key in the next piece of the dirty part."""
        partition = work.partition
        work.position = max(work.position, partition.start)
        batches = compaction.read_batches(
            self._database, partition.id, work.position, work.end, STEP_BATCHES, STEP_EVENTS
        )
        for batch in batches:
            aborted = self._is_aborted(partition, batch)
            full = len(work.last_offsets) >= KEYS_MAX
            if aborted is None or full or not self._is_as_written(partition, batch):
                work.end = max(batch.base_offset, partition.start)
                work.clean_end = min(work.clean_end, work.end)
                break
            if not batch.control and not aborted:
                self._learn_keys(work, max(batch.base_offset, work.position), min(batch.last_offset, work.end - 1))
            work.position = batch.last_offset + 1
        else:
            if batches and work.position < work.end:
                return
        work.sweeping = True
        work.position = partition.start

    def _learn_keys(self, work: Pass, first: int, last: int) -> None:
        for event in compaction.read_keys(self._database, work.partition.id, first, last):
            if event.key is not None:
                work.last_offsets[event.key] = event.offset

    def _is_as_written(self, partition: Partition, batch: LogBatch) -> bool:
        """Return False, and log it once, if a batch is damaged. A damaged batch is neither used nor changed."""
        try:
            compaction.compare(self._database, partition.id, batch.base_offset, partition.start)
        except EventsDamaged as error:
            if (partition.id, batch.base_offset) not in self._told:
                self._told.add((partition.id, batch.base_offset))
                logger.error("compaction leaves a record batch as it is: %s", error.detail)
            return False
        return True

    def _is_aborted(self, partition: Partition, batch: LogBatch) -> bool | None:
        if not batch.transactional or batch.control:
            return False
        return outcome(self._database, partition.id, batch.producer_id, batch.base_offset)

    def _sweep(self, work: Pass, now_ms: int, aged_ms: int) -> None:
        """Remove obsolete events from the next piece of the log."""
        partition = work.partition
        work.position = max(work.position, partition.start)
        batches = compaction.read_batches(
            self._database, partition.id, work.position, work.clean_end, STEP_BATCHES, STEP_EVENTS
        )
        cleaned: list[CleanedBatch] = []
        keep_until_ms = now_ms + partition.topic.number("delete.retention.ms", self._config)
        for batch in batches:
            if not batch.control and batch.last_offset < work.clean_end:
                cleaned.append(self._clean(work, batch, aged_ms, keep_until_ms))
            work.position = batch.last_offset + 1
        self._apply(work, [one for one in cleaned if one.changed and self._is_as_written(partition, one.batch)])
        if not batches or work.position >= work.clean_end:
            work.advanced = work.clean_end > compaction.first_dirty_offset(self._database, partition.id)
            if work.advanced:
                compaction.set_first_dirty_offset(self._database, partition.id, work.clean_end)
            work.done = True

    def _clean(self, work: Pass, batch: LogBatch, aged_ms: int, keep_until_ms: int) -> CleanedBatch:
        partition = work.partition
        due = batch.delete_horizon_ms is not None and batch.delete_horizon_ms <= aged_ms
        aborted = self._is_aborted(partition, batch)
        removed: list[int] = []
        kept: list[LogKey] = []
        for event in compaction.read_keys(
            self._database, partition.id, max(batch.base_offset, partition.start), batch.last_offset
        ):
            if (
                aborted
                or event.key is None
                or work.last_offsets.get(event.key, -1) > event.offset
                or (due and event.tombstone)
            ):
                removed.append(event.offset)
            else:
                kept.append(event)
        horizon_ms = None
        if any(event.tombstone for event in kept):
            horizon_ms = batch.delete_horizon_ms if batch.delete_horizon_ms is not None else keep_until_ms
        stays = bool(kept) or self._tells_duplicates(partition, batch)
        return CleanedBatch(batch, removed, kept, stays, horizon_ms)

    def _tells_duplicates(self, partition: Partition, batch: LogBatch) -> bool:
        """Return True if the batch is needed to detect duplicates, because it is one of its producer's newest."""
        return batch.producer_id >= 0 and batch.base_offset >= compaction.remembered_from(
            self._database, partition.id, batch.producer_id
        )

    def _apply(self, work: Pass, cleaned: list[CleanedBatch]) -> None:
        if not cleaned:
            return
        partition = work.partition
        work.removed += compaction.apply(self._database, partition.id, cleaned, partition.start)
        self._turn.changes.partitions.add(partition)
        self._turn.changes.cleaned.add(partition)
