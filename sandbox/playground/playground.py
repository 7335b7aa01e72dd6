"""The playground: consumers started in any group, beside the user's own programs, and what is made to go wrong in them.

    with Sandbox("dev.db") as sandbox:
        sandbox.serve()
        consumer = sandbox.playground.start(group="billing", topics=["orders"], commit="auto", rate=5)
        consumer.crash()                                                # as kill -9
        again = sandbox.playground.start(group="billing", topics=["orders"])
        print(sandbox.playground.facts("billing").redelivered)

Each is an ordinary confluent_kafka Consumer in a process of its own, connected as any program is; so all of this is
the same on a real cluster. They end with the sandbox, or with the process that started them however that ends.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.model.process import bind_to_process
from sandbox.playground.consumer import LEAVE_S, PlaygroundConsumer
from sandbox.playground.description import ConsumerDescription, GroupFacts
from sandbox.playground.ground import Ground
from sandbox.playground.history import Handled
from sandbox.playground.scenarios import Scenarios
from sandbox.playground.spec import DEAD_LETTERS, ConsumerSpec

CLOSE_WITHIN_S = 1.0
"""How long all consumers together have to leave their groups when the playground closes."""
CONSUMERS_MAX = 32
ENDED_KEPT = 32
GAPS_SHOWN = 20


class Account:
    """Which events the playground's consumers of a group have handled, and how often again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handled: dict[str, dict[tuple[str, int], Handled]] = {}
        self._counts: dict[str, list[int]] = {}
        self._topic_ids: dict[str, str] = {}

    def handled(self, group: str, runs: list[Any], events: list[Any]) -> tuple[int, list[bool]]:
        """Take down runs of offsets; see `sandbox.playground.consumer.Told`."""
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
        """What is known of a group."""
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
        """Begin anew."""
        with self._lock:
            self._handled.pop(group, None)
            self._counts.pop(group, None)

    def same_topic(self, topic: str, topic_id: str) -> None:
        """Forget the offsets of a topic that was deleted and made anew: they are other events."""
        with self._lock:
            if self._topic_ids.setdefault(topic, topic_id) != topic_id:
                self._topic_ids[topic] = topic_id
                for places in self._handled.values():
                    for place in [place for place in places if place[0] == topic]:
                        del places[place]


class Playground:
    """Consumers at work in a cluster, at most `CONSUMERS_MAX` of them. Every method may be called from any thread.

    Args:
        ground: the cluster.
        connection: gives librdkafka's settings that say where it is, None where no client can connect.
        clock: the time in ms.
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
        """How many may be at work at a time."""
        return CONSUMERS_MAX

    def connection(self) -> Mapping[str, Any]:
        """Librdkafka's settings that say where the cluster is.

        Raises:
            BrokerError: BROKER_NOT_AVAILABLE where no Kafka port is open, or the playground was closed.
        """
        found = None if self._closed else self._connection()
        if found is None:
            raise BrokerError("BROKER_NOT_AVAILABLE", "No Kafka port is open, and a consumer connects to one.")
        return found

    # Consumers

    def start(self, group: str, topics: Iterable[str], **more: Any) -> PlaygroundConsumer:
        """Start a consumer.

        Args:
            group: its group id.
            topics: what it subscribes to; they must be there.
            **more: the other attributes of `sandbox.playground.spec.ConsumerSpec`, such as commit, rate, slow_ms, fail.

        Returns:
            The consumer, which works until `close`, `crash`, or the end of the sandbox.

        Raises:
            BrokerError: INVALID_REQUEST or INVALID_GROUP_ID with what is wrong, UNKNOWN_TOPIC_OR_PARTITION,
                BROKER_NOT_AVAILABLE, POLICY_VIOLATION where there are `CONSUMERS_MAX` at work.
        """
        return self.start_spec(ConsumerSpec(group, tuple(topics), **more))

    def start_spec(self, spec: ConsumerSpec) -> PlaygroundConsumer:
        """Start a consumer as `start` does."""
        spec.checked()
        connection = self.connection()
        for topic in spec.topics:
            self._account.same_topic(topic, self.ground.topic(topic).topic_id)
        if spec.poisoned and spec.then == "dlq":
            self._make_dead_letter_topics(spec)
        with self._lock:
            if sum(one.alive for one in self._consumers.values()) >= CONSUMERS_MAX:
                raise BrokerError(
                    "POLICY_VIOLATION", f"{CONSUMERS_MAX} consumers are at work, which is the most. Close one first."
                )
            self._drop_oldest()
            self._last += 1
            consumer = PlaygroundConsumer(
                self._last, spec, connection, self._account, self.clock, self.scenarios.look_soon
            )
            self._consumers[self._last] = consumer
            return consumer

    def start_like(self, number: int) -> PlaygroundConsumer:
        """Start another one that does what a consumer does, or did, in the same group."""
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
        """One of them; BrokerError RESOURCE_NOT_FOUND where there is none of that number."""
        with self._lock:
            found = self._consumers.get(number)
        if found is None:
            raise BrokerError("RESOURCE_NOT_FOUND", f"The playground has no consumer {number}.")
        return found

    def consumers(self, group: str | None = None) -> tuple[ConsumerDescription, ...]:
        """Each of them, also those that have ended, in the order of their start.

        Args:
            group: only of this group; None for all.
        """
        with self._lock:
            found = list(self._consumers.values())
        return tuple(one.describe() for one in found if group is None or one.spec.group == group)

    def members(self, group: str) -> tuple[str, ...]:
        """The client ids of the playground's consumers at work in a group."""
        with self._lock:
            return tuple(one.client_id for one in self._consumers.values() if one.alive and one.spec.group == group)

    def crash(self, number: int) -> None:
        """Kill a consumer, as `kill -9` does."""
        consumer = self.consumer(number)
        if consumer.alive:
            consumer.crash()

    def stop_group(self, group: str) -> int:
        """Let the playground's consumers of a group leave it and end; how many. Returns when they have."""
        with self._lock:
            found = [one for one in self._consumers.values() if one.alive and one.spec.group == group]
        _end(found)
        return len(found)

    def forget(self, group: str) -> int:
        """Forget the consumers of a group that have ended, and what the group handled where none is left; how many."""
        with self._lock:
            ended = [number for number, one in self._consumers.items() if one.spec.group == group and not one.alive]
            for number in ended:
                del self._consumers[number]
            if all(one.spec.group != group for one in self._consumers.values()):
                self._account.forget(group)
            return len(ended)

    def facts(self, group: str) -> GroupFacts:
        """What the consumers of a group did together, as far as they are remembered."""
        known = self._account.facts(group)
        ours = self.consumers(group)
        return replace(
            known,
            crashes=sum(one.state == "crashed" for one in ours),
            rebalances=sum(one.counts.get("rebalances", 0) for one in ours),
            gave_up=sum(one.counts.get("gave_up", 0) for one in ours if one.alive),
        )

    def close(self) -> None:
        """End every consumer and scenario; what takes too long is killed. May be called again."""
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
