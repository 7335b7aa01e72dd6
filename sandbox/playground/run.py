"""Runs a scenario: its topic, its producer, its consumers, and the detection of completed steps."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.model.groups import GroupDescription
from sandbox.model.topics import TopicDescription
from sandbox.playground.description import ConsumerDescription, GroupFacts
from sandbox.playground.ground import Room
from sandbox.playground.spec import SHARE

TICK_S = 0.05
LOOK_S = 0.25
SENT_MAX = 50_000
"""The maximum number of events that one run's producer sends, so that a forgotten scenario doesn't fill the disk."""
JOIN_S = 15.0
SHARE_GROUP = "-share"
"""The suffix of the share group of a scenario that has one."""
CATCH_S = 3.0
"""Seconds that a crash waits until a consumer is processing an event."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a scenario.

    Attributes:
        text: what to watch or do.
        test: True if the facts show that it is done. Steps are tested in order, and stay done.
        asks: names of the actions that it asks for.
    """

    text: str
    test: Callable[["Run"], bool]
    asks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """A button of a scenario.

    Attributes:
        do: what it does.
        why_not: why the action isn't possible now, None if it is.
    """

    name: str
    label: str
    do: Callable[["Run"], None]
    why_not: Callable[["Run"], str | None] = lambda run: None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A guided scenario, as data.

    Attributes:
        name: its name in URLs, and in the names of its topic and group, `playground-<name>`.
        goal: one line.
        story: what is set up.
        lesson: what the scenario shows.
        partitions: number of partitions of its topic.
        rate: events per second that its producer sends.
        key: returns an event's key, from its number and whether keys are spread.
        setup: starts its consumers.
        note: returns the current figures, in one line.
        value: returns an event's value, from its number and whether the source is corrected. None: number and key as
            JSON.
        encoded: returns an event's value with a schema, in place of `value`.
        subject: the subject of the schema registry that it creates, None for none.
        shares: True if it has a share group too, `playground-<name>-share`.
    """

    name: str
    title: str
    goal: str
    story: str
    lesson: str
    partitions: int
    rate: float
    key: Callable[[int, bool], str]
    setup: Callable[["Run"], None]
    steps: tuple[Step, ...]
    actions: tuple[Action, ...]
    note: Callable[["Run"], str] = lambda run: ""
    value: Callable[[int, bool], str] | None = None
    encoded: Callable[["Run", int], bytes] | None = None
    subject: str | None = None
    shares: bool = False

    @property
    def thing(self) -> str:
        """The name of its topic and of its group."""
        return f"playground-{self.name}"

    @property
    def share_group(self) -> str:
        """The name of its share group."""
        return self.thing + SHARE_GROUP

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of its groups."""
        return (self.thing, self.share_group) if self.shares else (self.thing,)


@dataclass(slots=True)
class Seen:
    """The facts at one moment. `sharing` has the members of the share group, and `share_group` its description."""

    consumers: tuple[ConsumerDescription, ...] = ()
    facts: GroupFacts = field(default_factory=lambda: GroupFacts(""))
    group: GroupDescription | None = None
    sharing: tuple[ConsumerDescription, ...] = ()
    share_group: GroupDescription | None = None
    topic: TopicDescription | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


class Run:
    """A running scenario, until `end`.

    Args:
        scenario: the scenario to run.
        room: the playground.
        pace: speed factor, 1 for the usual speed.
    """

    def __init__(self, scenario: Scenario, room: Room, pace: float = 1.0) -> None:
        self.scenario = scenario
        self.room = room
        self.pace = pace
        self.spread = False
        """True if the producer writes good data: spread keys, or values without poison."""
        self.sent_back: dict[int, int] = {}
        """Partition of the dead-letter topic to the offset of the next event to send back."""
        self.writer_schemas: dict[int, str] = {}
        """The registered Avro schemas by id. The producer writes with the last one."""
        self.refusal: str | None = None
        """Why the registry refused a schema, in its words; None if it did not."""
        self.sent = 0
        self.done = [False] * len(scenario.steps)
        self.peak: dict[str, int] = {}
        self.seen = Seen()
        self._base: Mapping[str, int] = {}
        self._stopping = threading.Event()
        self._due = threading.Event()
        room.connection()
        room.ground.create_topic(scenario.thing, partitions=scenario.partitions)
        scenario.setup(self)
        self._thread = threading.Thread(target=self._work, name=scenario.thing, daemon=True)
        self._thread.start()

    @property
    def reached(self) -> bool:
        """True if every step is done."""
        return all(self.done)

    def end(self) -> None:
        """Stop its producer and its consumers. Its topic and group stay."""
        self.halt()
        self._thread.join(JOIN_S)
        for group in self.scenario.groups:
            self.room.stop_group(group)

    def halt(self) -> None:
        """Ask the producer to stop. Doesn't wait for that."""
        self._stopping.set()
        self._due.set()

    # Actions of a scenario

    def add(self, **more: Any) -> None:
        """Start a consumer. Times are for pace 1, and are divided by the pace."""
        for name, least in (("slow_ms", 1), ("auto_commit_ms", 500), ("flap_ms", 500), ("lock_ms", 1000)):
            if more.get(name):
                more[name] = max(least, int(more[name] / self.pace))
        more.setdefault("rate", None)
        if self.pace > 1:
            more.setdefault("session_timeout_ms", 2000)
        group = self.scenario.share_group if more.get("protocol") == SHARE else self.scenario.thing
        self.room.start(group, [self.scenario.thing], **more)
        self._due.set()

    def another(self) -> None:
        """Start one more consumer with the settings of the newest."""
        steady = [one.number for one in self.room.consumers(self.scenario.thing) if not one.spec.flap_ms]
        if steady:
            self.room.start_like(max(steady))
        else:
            self.scenario.setup(self)
        self._due.set()

    def change(self, **changes: Any) -> None:
        """Change the settings of all its consumers, and of the one that `another` starts next."""
        for one in self.room.consumers(self.scenario.thing):
            self.room.consumer(one.number).change(**changes)

    def crash(self) -> None:
        """Kill a consumer that has partitions; see `crash_busy`."""
        self.crash_busy(self.alive)

    def crash_busy(self, found: Callable[[], list[ConsumerDescription]]) -> None:
        """Kill one of the found consumers; slow ones while they process an event, so that it has an effect."""
        until = time.monotonic() + CATCH_S
        while any(one.spec.slow_ms for one in found()) and time.monotonic() < until:
            if any(one.working for one in found()):
                break
            self._stopping.wait(0.01)
        alive = sorted(found(), key=lambda one: (one.working is not None, len(one.assigned)))
        if alive:
            self.room.consumer(alive[-1].number).crash()

    def close_busy(self) -> None:
        """Make one consumer that has partitions leave."""
        busy = [one for one in self.alive() if one.assigned]
        if busy:
            self.room.consumer(busy[0].number).leave()

    def restart(self, **changes: Any) -> None:
        """Stop all its consumers, and start the same number with changed settings."""
        specs = [one.spec for one in self.alive()]
        self.room.stop_group(self.scenario.thing)
        for spec in specs:
            kept = {"slow_ms": spec.slow_ms, "flap_ms": spec.flap_ms, "commit": spec.commit, "rate": spec.rate}
            kept["session_timeout_ms"] = spec.session_timeout_ms
            self.room.start(self.scenario.thing, [self.scenario.thing], **{**kept, **changes})

    # Facts for the tests of steps

    def alive(self) -> list[ConsumerDescription]:
        """Return its running consumers, in their current state."""
        return [one for one in self.room.consumers(self.scenario.thing) if one.alive]

    def sharing(self) -> list[ConsumerDescription]:
        """Return the running members of its share group, in their current state."""
        return [one for one in self.room.consumers(self.scenario.share_group) if one.alive]

    def working(self) -> list[ConsumerDescription]:
        """Return the consumers that were running when the facts were collected, without those that repeatedly leave and
        rejoin.
        """
        return [one for one in self.seen.consumers if one.alive and not one.spec.flap_ms]

    def since(self, count: str) -> int:
        """Return a count's increase since the previous step was done: crashes, started, ended, processed, ..."""
        return self.seen.counts.get(count, 0) - self._base.get(count, 0)

    @property
    def stable(self) -> bool:
        """True if the group is not rebalancing."""
        return self.seen.group is not None and self.seen.group.state == "Stable"

    @property
    def lags(self) -> dict[int, int]:
        """Partition to lag. An unknown lag is 0."""
        group = self.seen.group
        return {one.partition: one.lag or 0 for one in group.partitions} if group is not None else {}

    @property
    def ends(self) -> dict[int, int]:
        """Partition to log end offset."""
        topic = self.seen.topic
        return {one.partition: one.end for one in topic.partitions} if topic is not None else {}

    # The thread

    def look_soon(self) -> None:
        """Test the steps again soon, because something happened that may complete one."""
        self._due.set()

    def _work(self) -> None:
        from confluent_kafka import Producer

        try:
            producer = Producer({**self.room.connection(), "client.id": self.scenario.thing, "log_level": 2})
        except BrokerError:
            return
        begun_s = looked_s = time.monotonic()
        while not self._stopping.is_set():
            self._due.wait(TICK_S)
            self._due.clear()
            now_s = time.monotonic()
            self._send(producer, int((now_s - begun_s) * self.scenario.rate * self.pace))
            if now_s - looked_s >= LOOK_S / self.pace:
                looked_s = now_s
                self.look()
        producer.flush(2.0)

    def _send(self, producer: Any, wanted: int) -> None:
        from confluent_kafka import KafkaException

        while self.sent < min(wanted, SENT_MAX) and not self._stopping.is_set():
            key = self.scenario.key(self.sent, self.spread)
            try:
                producer.produce(self.scenario.thing, self._value(key), key=key)
            except (BufferError, KafkaException):
                break
            self.sent += 1
        producer.poll(0)

    def _value(self, key: str) -> str | bytes:
        if self.scenario.encoded is not None:
            return self.scenario.encoded(self, self.sent)
        value = self.scenario.value
        return value(self.sent, self.spread) if value else f'{{"number": {self.sent}, "key": "{key}"}}'

    def look(self) -> None:
        """Collect the facts, and mark the steps that they show to be done."""
        try:
            self.seen = self._take()
            for index, step in enumerate(self.scenario.steps):
                if not self.done[index]:
                    if not step.test(self):
                        break
                    self.done[index] = True
                    self._base = self.seen.counts
                    self.peak = {}
        except BrokerError as error:
            # The topic or group was deleted meanwhile. The page still shows the completed steps.
            _log.debug("%s: %s", self.scenario.thing, error)

    def _take(self) -> Seen:
        room, thing = self.room, self.scenario.thing
        consumers = room.consumers(thing)
        facts = room.facts(thing)
        sharing = room.consumers(self.scenario.share_group) if self.scenario.shares else ()
        group = self._group(thing)
        share_group = self._group(self.scenario.share_group) if self.scenario.shares else None
        counts = {
            "started": len(consumers),
            "ended": sum(not one.alive for one in consumers),
            "crashes": facts.crashes,
            "processed": facts.processed,
            "redelivered": facts.redelivered,
            "missing": facts.missing,
            "rebalances": facts.rebalances,
            "gave_up": facts.gave_up,
            "dead_lettered": sum(one.counts.get("dead_lettered", 0) for one in consumers),
            "resolved": sum(one.counts.get("resolved", 0) for one in consumers),
            "generation": group.generation if group is not None else 0,
        }
        counts |= {
            f"share_{name}": sum(one.counts.get(name, 0) for one in sharing)
            for name in ("processed", "released", "rejected", "expired", "redeliveries")
        }
        counts["share_crashes"] = sum(one.state == "crashed" for one in sharing)
        return Seen(consumers, facts, group, sharing, share_group, room.ground.topic(thing), counts)

    def _group(self, name: str) -> GroupDescription | None:
        try:
            return self.room.ground.group(name)
        except BrokerError:
            return None
