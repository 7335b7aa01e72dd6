"""Descriptions of consumers, groups and scenarios in the playground: plain values, as in `sandbox.model`."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.playground.spec import ConsumerSpec

AT_WORK = ("starting", "running", "paused", "closing")
"""States of a consumer whose process is running."""


@dataclass(frozen=True, slots=True)
class HandledEvent:
    """One event that a playground consumer has handled.

    Attributes:
        key: its first bytes, None for null.
        value: its first bytes, None for null (a tombstone).
        value_bytes: length of the whole value.
        outcome: "processed", "dead-lettered" or "skipped"; in a share group "processed" (accepted), "released",
            "rejected", "expired" (its lock expired before it was accepted) or "skipped".
        attempts: number of attempts to process it; in a share group its delivery count.
        redelivered: True if a consumer of the group had handled it before.
        at_ms: when the consumer's report arrived.
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
    """An event that fails repeatedly and blocks its partition."""

    topic: str
    partition: int
    offset: int
    attempts: int
    why: str


@dataclass(frozen=True, slots=True)
class ConsumerDescription:
    """The state of one playground consumer.

    Attributes:
        number: 1 and up, in the order in which consumers were started.
        state: starting, running, paused, closing; closed, crashed or failed.
        pid: its process id.
        assigned: its assigned topic-partitions.
        positions: topic-partition to the next offset to process.
        working: the event that it is processing.
        idle: True if its last poll returned no event.
        counts: processed, failures, dead_lettered, skipped, commits, refused (failed commits), rebalances, and
            gave_up (total number of revoked partitions); in a share group released, rejected, expired (acknowledged
            after the lock) and redeliveries (events that were delivered before).
        redelivered: number of handled events that its group had handled before.
        events: the latest handled events, newest first.
        notes: (time in ms, sentence) of what happened, newest first.
        error: the Kafka client's last error; None if there was none, or it recovered.
        ended_ms: None while its process is running.
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
    events: tuple[HandledEvent, ...]
    notes: tuple[tuple[int, str], ...]
    error: str | None
    started_ms: int
    ended_ms: int | None

    @property
    def alive(self) -> bool:
        """True while its process is running."""
        return self.state in AT_WORK


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What the playground's consumers of one group did in total.

    Attributes:
        processed: handled events, including redeliveries.
        redelivered: how many of them had been handled before.
        passed_over: gaps between handled events, as (topic, partition, first offset, last offset). Their events were
            lost, skipped or sought past, or never existed (as in a compacted topic). At most 20.
        missing: total number of offsets in all gaps.
        crashes: number of killed consumers.
        rebalances: number of assignments that its consumers received.
        gave_up: total number of partitions that rebalances revoked.
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
    """One step of a scenario, and whether the facts show that it is done."""

    text: str
    done: bool


@dataclass(frozen=True, slots=True)
class ActionDescription:
    """An action that a scenario offers.

    Attributes:
        why_not: why the action isn't possible now, None if it is.
        due: True if the next step asks for this action.
    """

    name: str
    label: str
    why_not: str | None = None
    due: bool = False


@dataclass(frozen=True, slots=True)
class ScenarioDescription:
    """A guided scenario.

    Attributes:
        name: its name in URLs, such as "lose-no-event".
        goal: one line.
        story: what is set up, in plain words.
        steps: what to watch and do, in order.
        actions: its buttons while it is running.
        lesson: what the scenario showed; displayed when all steps are done.
        topic: the topic that it creates.
        groups: the groups that it creates; the first has the name of the topic.
        sent: number of events that its producer has sent.
        note: the current figures, in one line; "" for nothing.
        things: names of the existing topics and groups that the scenario created.
        program: the name of the Python program that does the same.
    """

    name: str
    title: str
    goal: str
    story: str
    lesson: str
    program: str
    running: bool = False
    completed: bool = False
    steps: tuple[StepDescription, ...] = ()
    actions: tuple[ActionDescription, ...] = ()
    topic: str = ""
    groups: tuple[str, ...] = ()
    sent: int = 0
    note: str = ""
    things: tuple[str, ...] = ()
