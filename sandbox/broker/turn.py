"""A turn: everything that one commit makes durable and visible.

Requests that arrive together share one commit. Each stages its rows and its changes in memory; whoever must wait for
durability gives a callback. At the end all of the turn is committed, or, when the file cannot be written, all of it is
undone and everybody is told.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.broker.topic import Partition
from sandbox.errors import BrokerError

Waiter = Callable[[BrokerError | None], None]


@dataclass(slots=True)
class Changes:
    """What a turn changed: partitions appended to or cut, names of topics, group ids by kind of change."""

    partitions: set[Partition] = field(default_factory=set)
    topics: set[str] = field(default_factory=set)
    commits: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.partitions or self.topics or self.commits or self.groups)


class Turn:
    """The turn that is open now.

    Attributes:
        changes: what it changed so far.
        events: how many events it appended so far.
    """

    def __init__(self) -> None:
        self.changes = Changes()
        self.events = 0
        self._waiters: list[Waiter] = []

    def appended(self, partition: Partition, events: int) -> None:
        """Note an append."""
        self.changes.partitions.add(partition)
        self.events += events

    def wait(self, waiter: Waiter) -> None:
        """Call `waiter` at the end: with None after the commit, with the error after everything was undone."""
        self._waiters.append(waiter)

    def take(self) -> tuple[Changes, list[Waiter]]:
        """End this turn and begin the next: what changed, and who waits."""
        taken = self.changes, self._waiters
        self.changes, self._waiters, self.events = Changes(), [], 0
        return taken
