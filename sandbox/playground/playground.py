"""Runs consumers in any group, in addition to the user's own programs, with injected faults.

    with Sandbox("dev.db") as sandbox:
        sandbox.serve()
        consumer = sandbox.playground.start(group="billing", topics=["orders"], commit="auto", rate=5)
        consumer.crash()                                                # as kill -9
        again = sandbox.playground.start(group="billing", topics=["orders"])
        print(sandbox.playground.facts("billing").redelivered)

Each is an ordinary confluent_kafka Consumer in its own process, connected like any other program, so it behaves the
same on a real cluster. Consumers end with the sandbox, or with the process that started them, even if that is killed.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.kafka.errors import BrokerError
from sandbox.model.process import bind_to_process
from sandbox.playground.consumer import LEAVE_S, PlaygroundConsumer
from sandbox.playground.description import ConsumerDescription, GroupFacts
from sandbox.playground.ground import Ground
from sandbox.playground.scenarios import Scenarios
from sandbox.playground.spec import DEAD_LETTERS, ConsumerSpec

if TYPE_CHECKING:
    from sandbox.registry.registry import SchemaRegistry

RANGES_MAX = 5000
"""The maximum number of ranges per partition. Beyond it, the oldest gap is dropped."""


class Handled:
    """A set of offsets, stored as sorted ranges. Its size depends on the number of gaps only."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, offset: int) -> bool:
        at = bisect_left(self._lasts, offset)
        return at < len(self._firsts) and self._firsts[at] <= offset

    def add(self, first: int, last: int) -> int:
        """Add the offsets `first` to `last`, both included. Returns how many of them were in the set already."""
        # Adjacent and overlapping ranges are merged.
        start = bisect_left(self._lasts, first - 1)
        end = start
        again, low, high = 0, first, last
        while end < len(self._firsts) and self._firsts[end] <= last + 1:
            again += max(0, min(last, self._lasts[end]) - max(first, self._firsts[end]) + 1)
            low, high = min(low, self._firsts[end]), max(high, self._lasts[end])
            end += 1
        self._firsts[start:end] = [low]
        self._lasts[start:end] = [high]
        if len(self._firsts) > RANGES_MAX:
            del self._firsts[1], self._lasts[0]
        return again

    def gaps(self) -> list[tuple[int, int]]:
        """Return the gaps between the ranges as (first, last), in order."""
        return [(last + 1, first - 1) for last, first in zip(self._lasts, self._firsts[1:], strict=False)]


CLOSE_WITHIN_S = 1.0
"""Total seconds for all consumers to leave their groups when the playground closes."""
CONSUMERS_MAX = 32
ENDED_KEPT = 32
GAPS_SHOWN = 20


class Account:
    """Records which events the consumers of each group have handled, and counts redeliveries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handled: dict[str, dict[tuple[str, int], Handled]] = {}
        self._counts: dict[str, list[int]] = {}
        self._topic_ids: dict[str, str] = {}

    def handled(self, group: str, runs: list[Any], events: list[Any]) -> tuple[int, list[bool]]:
        """Record runs of offsets; see `sandbox.playground.consumer.DeliveryRecord`."""
        with self._lock:
            places = self._handled.setdefault(group, {})
            each = []
            for event in events:
                topic, partition, offset = event["at"]
                known = places.get((topic, partition))
                each.append(known is not None and offset in known)
            again = 0
            counts = self._counts.setdefault(group, [0, 0])
            for topic, partition, first, last in runs:
                again += places.setdefault((topic, partition), Handled()).add(first, last)
                counts[0] += last - first + 1
            counts[1] += again
            return again, each

    def facts(self, group: str) -> GroupFacts:
        """Return a group's processed, redelivered and missing events."""
        with self._lock:
            gaps = [
                (topic, partition, *gap)
                for (topic, partition), handled in sorted(self._handled.get(group, {}).items())
                for gap in handled.gaps()
            ]
            processed, redelivered = self._counts.get(group, (0, 0))
        missing = sum(last - first + 1 for _, _, first, last in gaps)
        return GroupFacts(group, processed, redelivered, tuple(gaps[:GAPS_SHOWN]), missing)

    def forget(self, group: str) -> None:
        """Forget everything that a group has handled."""
        with self._lock:
            self._handled.pop(group, None)
            self._counts.pop(group, None)

    def same_topic(self, topic: str, topic_id: str) -> None:
        """Forget a topic's offsets if it was deleted and created again, because they are different events."""
        with self._lock:
            if self._topic_ids.setdefault(topic, topic_id) != topic_id:
                self._topic_ids[topic] = topic_id
                for places in self._handled.values():
                    for place in [place for place in places if place[0] == topic]:
                        del places[place]


class Playground:
    """The running consumers of a cluster, at most `CONSUMERS_MAX`. All methods are thread-safe.

    Args:
        ground: the cluster.
        connection: returns librdkafka's connection settings, or None if no client can connect.
        clock: returns the current time in ms.
    """

    def __init__(
        self, ground: Ground, connection: Callable[[], Mapping[str, Any] | None], clock: Callable[[], int]
    ) -> None:
        bind_to_process(self)
        self.ground = ground
        self.clock = clock
        self._connection = connection
        self._lock = threading.RLock()
        self._consumers: dict[int, PlaygroundConsumer] = {}
        self._last = 0
        self._closed = False
        self._account = Account()
        self.scenarios = Scenarios(self)

    @property
    def consumers_max(self) -> int:
        """The maximum number of running consumers."""
        return CONSUMERS_MAX

    def connection(self) -> Mapping[str, Any]:
        """Return librdkafka's connection settings.

        Raises:
            BrokerError: BROKER_NOT_AVAILABLE if no Kafka port is open, or the playground is closed.
        """
        found = None if self._closed else self._connection()
        if found is None:
            raise BrokerError("BROKER_NOT_AVAILABLE", "No Kafka port is open, and a consumer connects to one.")
        return found

    @property
    def registry(self) -> "SchemaRegistry":
        """The schema registry of the cluster.

        Raises:
            BrokerError: INVALID_REQUEST if there is none.
        """
        found = self.ground.schema_registry
        if found is None:
            raise BrokerError(
                "INVALID_REQUEST", "It needs a schema registry, which a sandbox file has. A cluster has none here."
            )
        return found()

    # Consumers

    def start(self, group: str, topics: Iterable[str], **more: Any) -> PlaygroundConsumer:
        """Start a consumer.

        Args:
            group: its group id.
            topics: the topics it subscribes to; they must exist.
            **more: the other attributes of `sandbox.playground.spec.ConsumerSpec`, such as commit, rate, slow_ms, fail.

        Returns:
            The consumer. It runs until `close`, `crash`, or the end of the sandbox.

        Raises:
            BrokerError: INVALID_REQUEST or INVALID_GROUP_ID with the reason, UNKNOWN_TOPIC_OR_PARTITION,
                BROKER_NOT_AVAILABLE, or POLICY_VIOLATION if `CONSUMERS_MAX` consumers are running.
        """
        return self.start_spec(ConsumerSpec(group, tuple(topics), **more))

    def start_spec(self, spec: ConsumerSpec) -> PlaygroundConsumer:
        """Start a consumer; see `start`."""
        spec.checked()
        connection = self.connection()
        for topic in spec.topics:
            self._account.same_topic(topic, self.ground.topic(topic).topic_id)
        if spec.poisoned and spec.then == "dlq":
            self._make_dead_letter_topics(spec)
        with self._lock:
            if sum(one.alive for one in self._consumers.values()) >= CONSUMERS_MAX:
                raise BrokerError(
                    "POLICY_VIOLATION", f"{CONSUMERS_MAX} consumers are running, the maximum. Close one first."
                )
            self._drop_oldest()
            self._last += 1
            consumer = PlaygroundConsumer(
                self._last, spec, connection, self._account, self.clock, self.scenarios.look_soon
            )
            self._consumers[self._last] = consumer
            return consumer

    def start_like(self, number: int) -> PlaygroundConsumer:
        """Start another consumer with the same settings and group as consumer `number`, which may have ended."""
        return self.start_spec(replace(self.consumer(number).spec, client_id=None))

    def _make_dead_letter_topics(self, spec: ConsumerSpec) -> None:
        there = {one.topic for one in self.ground.topics()}
        for topic in spec.topics:
            if topic + DEAD_LETTERS not in there:
                self.ground.create_topic(topic + DEAD_LETTERS, partitions=1)

    def _drop_oldest(self) -> None:
        ended = [number for number, one in self._consumers.items() if not one.alive]
        for number in ended[: max(0, len(ended) - ENDED_KEPT)]:
            del self._consumers[number]

    def consumer(self, number: int) -> PlaygroundConsumer:
        """Return one consumer. Raises BrokerError RESOURCE_NOT_FOUND if it doesn't exist."""
        with self._lock:
            found = self._consumers.get(number)
        if found is None:
            raise BrokerError("RESOURCE_NOT_FOUND", f"The playground has no consumer {number}.")
        return found

    def consumers(self, group: str | None = None) -> tuple[ConsumerDescription, ...]:
        """Describe all consumers in the order in which they were started, including those that have ended.

        Args:
            group: only this group; None for all.
        """
        with self._lock:
            found = list(self._consumers.values())
        return tuple(one.describe() for one in found if group is None or one.spec.group == group)

    def members(self, group: str) -> tuple[str, ...]:
        """Return the client ids of a group's running playground consumers."""
        with self._lock:
            return tuple(one.client_id for one in self._consumers.values() if one.alive and one.spec.group == group)

    def crash(self, number: int) -> None:
        """Kill a consumer, like `kill -9`."""
        consumer = self.consumer(number)
        if consumer.alive:
            consumer.crash()

    def stop_group(self, group: str) -> int:
        """Make a group's playground consumers leave and end, and wait for that. Returns how many did."""
        with self._lock:
            found = [one for one in self._consumers.values() if one.alive and one.spec.group == group]
        _end(found)
        return len(found)

    def forget(self, group: str) -> int:
        """Forget a group's ended consumers, and its handled events if no consumer is left. Returns how many were
        forgotten.
        """
        with self._lock:
            ended = [number for number, one in self._consumers.items() if one.spec.group == group and not one.alive]
            for number in ended:
                del self._consumers[number]
            if all(one.spec.group != group for one in self._consumers.values()):
                self._account.forget(group)
            return len(ended)

    def facts(self, group: str) -> GroupFacts:
        """Return what a group's known consumers did in total."""
        known = self._account.facts(group)
        ours = self.consumers(group)
        return replace(
            known,
            crashes=sum(one.state == "crashed" for one in ours),
            rebalances=sum(one.counts.get("rebalances", 0) for one in ours),
            gave_up=sum(one.counts.get("gave_up", 0) for one in ours if one.alive),
        )

    def close(self) -> None:
        """End all consumers and scenarios, and kill what takes too long. Idempotent."""
        self._closed = True
        self.scenarios.close()
        with self._lock:
            found = list(self._consumers.values())
        _end(found, CLOSE_WITHIN_S)


def _end(consumers: list[PlaygroundConsumer], within_s: float = LEAVE_S) -> None:
    for one in consumers:
        one.leave()
    until = time.monotonic() + within_s
    for one in consumers:
        one.close(max(0.0, until - time.monotonic()))
