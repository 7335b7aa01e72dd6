"""A turn: everything that one commit makes durable and visible.

Requests that arrive together share one commit. Each stages its rows and its changes in memory; whoever must wait for
durability gives a callback. At the end all of the turn is committed, or, when the file cannot be written, all of it is
undone and everybody is told.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sandbox.broker.logs.topic import Partition
from sandbox.kafka.errors import BrokerError
from sandbox.model.activity import Happening
from sandbox.model.cluster import Change

Waiter = Callable[[BrokerError | None], None]


@dataclass(slots=True)
class Changes:
    """What a turn changed.

    Attributes:
        partitions: appended to, cut or compacted.
        cleaned: those of them that were compacted: what is kept of their batches elsewhere is not as it is now.
        topics: names.
        commits: ids of groups whose offsets changed.
        groups: ids of groups that changed otherwise.
        cluster: True where brokers, leaders, in-sync sets or faults changed.
    """

    partitions: set[Partition] = field(default_factory=set)
    cleaned: set[Partition] = field(default_factory=set)
    topics: set[str] = field(default_factory=set)
    commits: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    cluster: bool = False

    def __bool__(self) -> bool:
        return bool(self.partitions or self.topics or self.commits or self.groups or self.cluster)

    def told(self, now_ms: int) -> Iterable[Change]:
        """The same, as it is told to those who watch."""
        none: frozenset[str] = frozenset()
        if self.topics:
            yield Change("topics", frozenset(self.topics), none, now_ms)
        if self.partitions:
            yield Change("events", frozenset(one.topic.name for one in self.partitions), none, now_ms)
        if self.commits:
            yield Change("commit", none, frozenset(self.commits), now_ms)
        if self.groups:
            yield Change("group", none, frozenset(self.groups), now_ms)
        if self.cluster:
            yield Change("cluster", none, none, now_ms)


class Turn:
    """The turn that is open now.

    Attributes:
        changes: what it changed so far.
        events: how many events it appended so far.
        happenings: what happened in it that has no rows of its own.
    """

    def __init__(self) -> None:
        self.changes = Changes()
        self.events = 0
        self.happenings: list[Happening] = []
        self._waiters: list[Waiter] = []

    def appended(self, partition: Partition, events: int) -> None:
        """Note an append."""
        self.changes.partitions.add(partition)
        self.events += events

    def note(
        self,
        kind: str,
        detail: str,
        *,
        topic: str | None = None,
        partition: int | None = None,
        group: str | None = None,
    ) -> None:
        """Note what happened beside the log, for the stream of activity; see `Happening`."""
        self.happenings.append(Happening(kind, detail, topic, partition, group))

    def wait(self, waiter: Waiter) -> None:
        """Call `waiter` at the end: with None after the commit, with the error after everything was undone."""
        self._waiters.append(waiter)

    def take(self) -> tuple[Changes, list[Waiter]]:
        """End this turn and begin the next: what changed, and who waits."""
        taken = self.changes, self._waiters
        self.changes, self._waiters, self.events, self.happenings = Changes(), [], 0, []
        return taken
