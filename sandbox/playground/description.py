"""What the playground tells of itself: plain values, as in `sandbox.model.cluster`."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.playground.spec import ConsumerSpec

AT_WORK = ("starting", "running", "paused", "closing")
"""States of a consumer whose process lives."""


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """One event as a consumer of the playground handled it.

    Attributes:
        key: its first bytes, None for null.
        value: its first bytes, None for null: a tombstone.
        value_bytes: how long the whole value is.
        outcome: "processed", "dead-lettered" or "skipped".
        attempts: how often it was tried.
        redelivered: True where a consumer of the group had handled it before.
        at_ms: when it was told.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    value_bytes: int
    outcome: str
    attempts: int
    redelivered: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """An event that fails again and again, and holds up its partition."""

    topic: str
    partition: int
    offset: int
    attempts: int
    why: str


@dataclass(frozen=True, slots=True)
class ConsumerDescription:
    """One consumer of the playground as it stands.

    Attributes:
        number: 1 and up, in the order of their start.
        state: starting, running, paused, closing; closed, crashed or failed.
        pid: of the process that it is.
        assigned: topic-partitions that it owns.
        positions: topic-partition to the next offset to process.
        working: the event that it works on now.
        idle: True where its last poll brought no event.
        counts: processed, failures, dead_lettered, skipped, commits, refused (commits that were), rebalances, and
            gave_up (partitions, each time).
        redelivered: how many of those it handled were handled before in its group.
        events: the newest that it handled, newest first.
        notes: what happened in words, newest first, with the time.
        error: the last error of the Kafka client, None where it recovered or had none.
        ended_ms: None while its process lives.
    """

    number: int
    client_id: str
    spec: ConsumerSpec
    state: str
    pid: int
    assigned: tuple[tuple[str, int], ...]
    positions: Mapping[tuple[str, int], int]
    working: tuple[str, int, int] | None
    stuck: Stuck | None
    idle: bool
    counts: Mapping[str, int]
    redelivered: int
    events: tuple[SeenEvent, ...]
    notes: tuple[tuple[int, str], ...]
    error: str | None
    started_ms: int
    ended_ms: int | None

    @property
    def alive(self) -> bool:
        """True while its process lives."""
        return self.state in AT_WORK


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What the playground's consumers of one group did together.

    Attributes:
        processed: events handled, each time counted.
        redelivered: how many of them had been handled before.
        passed_over: (topic, partition, first, last offset) that lie between events that were handled, and were not:
            lost, skipped, sought past, or no events at all (as in a compacted topic). At most 20.
        missing: how many offsets these are.
        crashes: how many of its consumers were killed.
        rebalances: how often its consumers were given an assignment.
        gave_up: how many partitions they had to give up in rebalances, each time counted.
    """

    group: str
    processed: int = 0
    redelivered: int = 0
    passed_over: tuple[tuple[str, int, int, int], ...] = ()
    missing: int = 0
    crashes: int = 0
    rebalances: int = 0
    gave_up: int = 0


@dataclass(frozen=True, slots=True)
class StepDescription:
    """One step of a scenario, and whether the facts say that it is done."""

    text: str
    done: bool


@dataclass(frozen=True, slots=True)
class ActionDescription:
    """Something that a scenario offers to do.

    Attributes:
        why_not: why it cannot be done now, None where it can.
        due: True where the step that is next asks for it.
    """

    name: str
    label: str
    why_not: str | None = None
    due: bool = False


@dataclass(frozen=True, slots=True)
class ScenarioDescription:
    """A guided scenario.

    Attributes:
        name: as in its address, "lose-no-event".
        goal: one line.
        story: what is set up, in plain words.
        steps: what to watch and do, in order.
        actions: its buttons, where it runs.
        lesson: what it showed, told when the goal is reached.
        topic: the topic and group that it makes, where it runs.
        sent: how many events its producer sent.
        note: what can be seen now, in one line; "" for nothing.
        things: names of the topics and groups that are there because of it.
        program: the name of the Python that does the same.
    """

    name: str
    title: str
    goal: str
    story: str
    lesson: str
    program: str
    running: bool = False
    reached: bool = False
    steps: tuple[StepDescription, ...] = ()
    actions: tuple[ActionDescription, ...] = ()
    topic: str = ""
    group: str = ""
    sent: int = 0
    note: str = ""
    things: tuple[str, ...] = ()
