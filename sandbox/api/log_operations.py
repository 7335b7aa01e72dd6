"""The logs of a topic: growth, frequent keys, and previewed deletion.

    with Sandbox("dev.db") as sandbox:
        for loss in sandbox.logs.preview_delete("orders", {0: 100}):
            print(loss.partition, loss.events, "events will be deleted")
        sandbox.logs.delete_records("orders", {0: 100})

Each operation has a preview. Costly figures are estimated from bounded samples, and are marked as estimates.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from sandbox.broker.logs.compaction import Pass
from sandbox.broker.logs.topic import Partition
from sandbox.kafka.broker_config import TOPIC_SETTING, check_topic_setting, topic_value
from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.model.logs import (
    AppendRate,
    CompactionPreview,
    KeyMoves,
    KeySample,
    Loss,
    SampledKey,
    frequent_keys,
    key_moves,
)
from sandbox.model.topics import PartitionDescription, TopicDescription
from sandbox.runtime.runtime import Runtime
from sandbox.storage.check import CheckReport, check
from sandbox.storage.file.content import OfContent
from sandbox.storage.log import log_samples, retention, topic_descriptions
from sandbox.storage.search import messages

SAMPLE_EVENTS = 5_000
"""Approximate maximum number of events in a sample of keys."""
STEP_MS = 3_000
STEPS = 20
NOW_STEPS = 3
"""The current rate covers this many whole steps, and the one in progress."""
SETTLED_MS = 5_000
"""Rows older than this are complete, so results that are based on them can be cached."""
ENDS_MAX = 20_000
"""The maximum number of cached log ends."""
BATCHES_MAX = 20_000
"""The maximum number of batches of a partition that a preview of retention reads."""
HIGH_WATERMARK = -1


@dataclass(frozen=True, slots=True)
class _Bounds:
    """One log: row id, log start offset, end."""

    id: int
    start: int
    end: int


class SandboxLogOperations:
    """Queries and operations on logs. Each step of a deletion is a separate turn, so clients are served in between.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._broker = runtime.broker
        self._ends = OfContent[log_samples.Ends](dict)

    def check(self) -> CheckReport:
        """Check the whole file for damage. Changes nothing and doesn't block other users of the file."""
        self._runtime.check_place()
        with self._runtime.database.working():
            return check(self._runtime.database.path)

    def rates(self, topics: Collection[str]) -> dict[str, AppendRate]:
        """Return the number of events that were written to each named topic in the last minute."""
        now_ms = self._runtime.clock()
        since_ms = (now_ms // STEP_MS - STEPS + 1) * STEP_MS
        with self._runtime.database.reader() as reader:
            ends = self._ends.of(reader)
            if len(ends) > ENDS_MAX:
                ends.clear()
            for place in [place for place in tuple(ends) if place[1] < since_ms]:
                ends.pop(place, None)
            found = log_samples.count_appends(reader, topics, since_ms, STEP_MS, now_ms - SETTLED_MS, ends)
        return {topic: _rate(found.get(topic, []), now_ms) for topic in topics}

    def default_settings(self) -> dict[str, str]:
        """Return the default of each topic setting: the broker's value, otherwise Kafka's."""
        return {name: topic_value(name, {}, self._broker.config) for name in TOPIC_SETTING}

    def sample_keys(self, topic: str) -> KeySample:
        """Return the most frequent keys of a topic's newest events.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION.
        """
        return frequent_keys(*self._newest(topic))

    def key_moves(self, topic: str, partitions: int) -> KeyMoves:
        """Preview where the keys of a topic's newest events go after partitions are added. Changes nothing.

        Args:
            partitions: the new total.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION; INVALID_PARTITIONS if the topic already has as many.
        """
        return key_moves(*self._newest(topic), partitions)

    def offsets_at(self, topic: str, timestamp_ms: int) -> dict[int, int]:
        """Return, by partition, the offset of the first event at or after a time, or the log's end.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION.
        """
        bounds = self._bounds(topic)
        with self._runtime.database.reader() as reader:
            found = messages.offsets_for_time(reader, topic, timestamp_ms)
        ends = {partition: one.end for partition, one in bounds.items()}
        return {partition: ends[partition] if offset is None else offset for partition, offset in found.items()}

    def preview_delete(self, topic: str, offsets: Mapping[int, int]) -> tuple[Loss, ...]:
        """Preview what `delete_records` would delete from each named partition.

        Args:
            offsets: the new log start offset by partition, -1 for the high watermark.

        Raises:
            BrokerError: as `delete_records`.
        """
        found = self._broker.topic(topic)
        described = self._described(topic)
        losses = []
        for number, offset in sorted(offsets.items()):
            partition = found.partition(number)
            self._broker.retention.check_delete(partition, offset)
            losses.append(_loss(described.partitions[number], offset))
        return tuple(losses)

    def preview_retention(self, topic: str, settings: Mapping[str, str | None] | None = None) -> tuple[Loss, ...]:
        """Preview what retention would delete from each partition now.

        Args:
            settings: assume these settings of the topic; None for a setting's default.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION; INVALID_CONFIG for a setting.
        """
        described = self._described(topic)
        own = dict(described.settings)
        for name, value in (settings or {}).items():
            if value is None:
                own.pop(name, None)
            else:
                own[name] = check_topic_setting(name, value)
        config = self._broker.config
        if "delete" not in topic_value("cleanup.policy", own, config).split(","):
            return ()
        retention_ms = int(topic_value("retention.ms", own, config))
        retention_bytes = int(topic_value("retention.bytes", own, config))
        before_ms = self._runtime.clock() - retention_ms if retention_ms >= 0 else None
        losses = []
        with self._runtime.database.reader() as reader:
            for number, one in self._bounds(topic).items():
                until, more = retention.cut_until(
                    reader, one.id, one.start, one.end, before_ms, retention_bytes, BATCHES_MAX
                )
                losses.append(_loss(described.partitions[number], until, more))
        return tuple(losses)

    def preview_compaction(self, topic: str) -> CompactionPreview:
        """Preview `compact`, from a sample of the newest events that were never compacted.

        Raises:
            BrokerError: as `compact`.
        """
        found = self._broker.topic(topic)
        if not self._broker.compaction.is_compacted(found):
            raise BrokerError("INVALID_REQUEST", f"Topic {topic} is not compacted: set its cleanup.policy first.")
        with self._runtime.database.reader() as reader:
            logs = log_samples.dirty_logs(reader, topic)
            keys = log_samples.newest_keys(reader, logs, SAMPLE_EVENTS)
        different = {(partition, key) for partition, _, key in keys if key is not None}
        dirty = sum(end - start for _, _, start, end in logs)
        return CompactionPreview(dirty, len(keys), len(keys) - len(different), len(different))

    def _described(self, topic: str) -> TopicDescription:
        with self._runtime.database.reader() as reader:
            found = topic_descriptions.describe_topics(reader, topic)
        if not found:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {shown_name(topic)}.")
        return found[0]

    def _bounds(self, topic: str) -> dict[int, _Bounds]:
        with self._runtime.database.reader() as reader:
            found = topic_descriptions.partition_ids(reader, topic)
        if found is None:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {shown_name(topic)}.")
        return {partition: _Bounds(*one) for partition, one in found.items()}

    def _newest(self, topic: str) -> tuple[TopicDescription, list[SampledKey]]:
        described = self._described(topic)
        logs = [(partition, one.id, one.start, one.end) for partition, one in self._bounds(topic).items()]
        with self._runtime.database.reader() as reader:
            keys = log_samples.newest_keys(reader, logs, SAMPLE_EVENTS)
        return described, [(partition, key) for partition, _, key in keys]

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


def _rate(counts: list[int], now_ms: int) -> AppendRate:
    whole = (*counts, *[0] * (STEPS - len(counts)))[:STEPS]
    length_ms = NOW_STEPS * STEP_MS + now_ms % STEP_MS + 1
    return AppendRate(1000 * sum(whole[-NOW_STEPS - 1 :]) / length_ms, whole, STEP_MS)


def _loss(partition: PartitionDescription, offset: int, more: bool = False) -> Loss:
    after = partition.end if offset == HIGH_WATERMARK else max(partition.start, offset)
    whole = partition.events == partition.end - partition.start
    events = after - partition.start if whole else min(after - partition.start, partition.events)
    exact = whole or after in (partition.start, partition.end)
    return Loss(partition.partition, partition.start, after, partition.end, events, exact, more)
