"""The logs of a cluster's topics from outside: how fast they grow, which keys they hold, and taking records out."""

import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from itertools import pairwise

from confluent_kafka import TopicPartition

from sandbox.kafka.errors import BrokerError
from sandbox.model.capabilities import missing
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
from sandbox.model.messages import MessageQuery
from sandbox.model.topics import PartitionDescription, TopicDescription
from sandbox.remote.connection import ClusterConnection
from sandbox.remote.logs import Logs
from sandbox.remote.messages import RemoteSearch

STEP_MS = 3_000
STEPS = 20
NOW_MS = 10_000
LEAST_MS = 4_000
"""How long a topic must have been watched before its rate is shown."""
SAMPLE_EVENTS = 1_000
SAMPLE_BUDGET_MS = 1_500
HIGH_WATERMARK = -1


class Growth:
    """End offsets of each topic over the last minute. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: deque[tuple[int, dict[str, int]]] = deque()

    def note(self, at_ms: int, ends: Mapping[str, int]) -> None:
        """Write down the ends of the logs, all partitions of a topic together."""
        with self._lock:
            if not self._seen or at_ms - self._seen[-1][0] >= 300:
                self._seen.append((at_ms, dict(ends)))
            while self._seen and self._seen[0][0] < at_ms - STEP_MS * STEPS:
                self._seen.popleft()

    def known_ms(self, now_ms: int) -> int:
        """Return how long the topic has been watched without a gap until now; 0 if it isn't watched."""
        with self._lock:
            if not self._seen or now_ms - self._seen[-1][0] > LEAST_MS:
                return 0
            return now_ms - self._seen[0][0]

    def rate(self, topic: str, now_ms: int) -> AppendRate:
        """How many events were written to a topic in each step of the last minute, and per second just now."""
        with self._lock:
            seen = [(at_ms, ends[topic]) for at_ms, ends in self._seen if topic in ends]
        counts = [0] * STEPS
        since_ms = (now_ms // STEP_MS - STEPS + 1) * STEP_MS
        for (_, before), (at_ms, end) in pairwise(seen):
            step = (at_ms - since_ms) // STEP_MS
            if 0 <= step < STEPS:
                counts[step] += max(0, end - before)
        recent = [one for one in seen if one[0] >= now_ms - NOW_MS]
        length_ms = recent[-1][0] - recent[0][0] if len(recent) > 1 else 0
        per_s = 1000 * max(0, recent[-1][1] - recent[0][1]) / length_ms if length_ms else 0.0
        return AppendRate(per_s, tuple(counts), STEP_MS)


class RemoteLogOperations:
    """Operations on logs (`backend.logs`).

    Args:
        connection: the cluster.
        logs: the cluster's topics, requested again after each change.
        growth: the recorded end offsets.
    """

    def __init__(self, connection: ClusterConnection, logs: Logs, growth: Growth) -> None:
        self._connection = connection
        self._logs = logs
        self._growth = growth

    def rates(self, topics: Collection[str]) -> dict[str, AppendRate]:
        """How many events were written to topics in the last minute, as far as it was watched."""
        now_ms = int(time.time() * 1000)
        return {topic: self._growth.rate(topic, now_ms) for topic in topics}

    def default_settings(self) -> dict[str, str]:
        """Return the brokers' defaults for all topic settings."""
        return self._logs.default_settings()

    def sample_keys(self, topic: str) -> KeySample:
        """The most frequent keys of the newest events of a topic."""
        return frequent_keys(*self._newest(topic))

    def key_moves(self, topic: str, partitions: int) -> KeyMoves:
        """Preview where the keys of a topic's newest events go after partitions are added. Changes nothing."""
        return key_moves(*self._newest(topic), partitions)

    def _newest(self, topic: str) -> tuple[TopicDescription, list[SampledKey]]:
        """The topic, and (partition, key) of its newest events."""
        query = MessageQuery(topic, limit=SAMPLE_EVENTS, budget_ms=SAMPLE_BUDGET_MS)
        page = RemoteSearch(self._connection, self._logs, query).page(0)
        return self._logs.describe(topic, ()), [(event.partition, event.key) for event in page.events]

    def offsets_at(self, topic: str, timestamp_ms: int) -> dict[int, int]:
        """Return, by partition, the offset of the first event at or after a time, or the log's end."""
        described = self._logs.describe(topic, ())
        found = self._logs.offsets_at([(topic, one.partition) for one in described.partitions], timestamp_ms)
        return {
            one.partition: one.end if (at := found.get((topic, one.partition))) is None else at
            for one in described.partitions
        }

    def preview_delete(self, topic: str, offsets: Mapping[int, int]) -> tuple[Loss, ...]:
        """Preview what `delete_records` would delete from each named partition."""
        logs = {one.partition: one for one in self._logs.describe(topic, ()).partitions}
        return tuple(_loss(topic, logs, partition, offset) for partition, offset in sorted(offsets.items()))

    def delete_records(self, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
        """Delete the events below an offset of each partition, -1 for its end. Returns the new log start offsets."""
        self._connection.require_writes()
        losses = self.preview_delete(topic, offsets)
        asked = [TopicPartition(topic, loss.partition, loss.after) for loss in losses]
        futures = self._connection.ask(
            lambda timeout_s: self._connection.admin.delete_records(
                asked, request_timeout=timeout_s, operation_timeout=timeout_s
            )
        )
        found = {place.partition: self._connection.result(future).low_watermark for place, future in futures.items()}
        self._logs.forget()
        return found

    def preview_retention(self, topic: str, settings: Mapping[str, str | None] | None = None) -> tuple[Loss, ...]:
        """Refused on a cluster."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("apply_retention_now"))

    def apply_retention(self, topic: str | None = None) -> int:
        """Refused on a cluster."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("apply_retention_now"))

    def preview_compaction(self, topic: str) -> CompactionPreview:
        """Refused on a cluster."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("compact_now"))

    def compact(self, topic: str) -> int:
        """Refused on a cluster."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("compact_now"))


def _loss(topic: str, logs: Mapping[int, PartitionDescription], partition: int, offset: int) -> Loss:
    log = logs.get(partition)
    if log is None:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"Topic {topic} has no partition {partition}.")
    if not -1 <= offset <= log.end:
        raise BrokerError(
            "OFFSET_OUT_OF_RANGE", f"Partition {partition} of {topic} ends at offset {log.end}: {offset} is beyond it."
        )
    after = log.end if offset == HIGH_WATERMARK else max(log.start, offset)
    return Loss(partition, log.start, after, log.end, after - log.start, exact=False)
