"""A turn: all changes that one commit makes durable and visible.

Requests that arrive together share one commit. Each stages its rows and its changes in memory, and passes a callback if
it must wait for durability. At the end the whole turn is committed or, if the file can't be written, undone, and every
callback gets the outcome.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import BrokerError
from sandbox.model.activity import Details, Happening
from sandbox.model.overview import Change

Waiter = Callable[[BrokerError | None], None]


@dataclass(slots=True)
class Changes:
    """The changes of a turn.

    Attributes:
        partitions: those that were appended to, cut or compacted.
        cleaned: the compacted ones of `partitions`; caches of their batches are outdated.
        topics: names of changed topics.
        commits: ids of groups whose offsets changed.
        groups: ids of groups with other changes.
        cluster: True if brokers, leaders, in-sync replicas or faults changed.
        schemas: True if the schema registry changed.
    """

    partitions: set[Partition] = field(default_factory=set)
    cleaned: set[Partition] = field(default_factory=set)
    topics: set[str] = field(default_factory=set)
    commits: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    cluster: bool = False
    schemas: bool = False

    def __bool__(self) -> bool:
        return bool(self.partitions or self.topics or self.commits or self.groups or self.cluster or self.schemas)

    def told(self, now_ms: int) -> Iterable[Change]:
        """Convert to the changes that subscribers get."""
        none: frozenset[str] = frozenset()
        if self.topics:
            yield Change("topics", frozenset(self.topics), none, now_ms)
        if self.partitions:
            yield Change("events", frozenset(one.topic.name for one in self.partitions), none, now_ms)
        if self.commits:
            yield Change("commit", none, frozenset(self.commits), now_ms)
        if self.groups:
            yield Change("group", none, frozenset(self.groups), now_ms)
        if self.schemas:
            yield Change("schemas", none, none, now_ms)
        if self.cluster:
            yield Change("cluster", none, none, now_ms)


class Turn:
    """The current turn.

    Attributes:
        changes: its changes so far.
        events: number of events appended so far.
        happenings: activity that has no other rows.
    """

    def __init__(self) -> None:
        self.changes = Changes()
        self.events = 0
        self.happenings: list[Happening] = []
        self._waiters: list[Waiter] = []

    def appended(self, partition: Partition, events: int) -> None:
        """Record an append of `events` events."""
        self.changes.partitions.add(partition)
        self.events += events

    def note(
        self,
        kind: str,
        details: Details,
        *,
        topic: str | None = None,
        partition: int | None = None,
        group: str | None = None,
    ) -> None:
        """Record something for the activity stream; see `Happening`."""
        self.happenings.append(Happening(kind, details, topic, partition, group))

    def wait(self, waiter: Waiter) -> None:
        """Call `waiter` at the end: with None after the commit, with the error if the turn was undone."""
        self._waiters.append(waiter)

    def take(self) -> tuple[Changes, list[Waiter]]:
        """End this turn and start the next. Returns the changes and the waiters."""
        taken = self.changes, self._waiters
        self.changes, self._waiters, self.events, self.happenings = Changes(), [], 0, []
        return taken
