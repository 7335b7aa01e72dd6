"""Records what clients were promised and what they saw, like the Kafka workload of Jepsen.

Every value names its writer: `NAME-NUMBER-INDEX-padding`. From the values and this history, `checker` finds events that
a file lost, duplicated, reordered or tore.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

TOPIC = "orders"
PARTITIONS = 2
GROUP = "app"
"""The group that reads everything and commits regularly."""
PIPELINE = "pipeline"
"""Transactions commit its offset in partition 0: the number of the last committed transaction, plus 1."""
STORED_ONCE = frozenset((b"once", b"transaction", b"import", b"page"))
"""Writers whose values must be stored at most once, and in each partition in the order in which they were sent."""
UNKNOWN, COMMITTED, ABORTED = "unknown", "committed", "aborted"

Place = tuple[int, int]


def value_of(name: str, number: int, index: int = 0) -> bytes:
    """Return a value that names its writer. The length varies."""
    return f"{name}-{number}-{index}-{'x' * (number % 200)}".encode()


def source_of(value: bytes) -> tuple[bytes, int, int]:
    """Return the name, number and index of a value; ("", -1, -1) for a value of another writer."""
    name, *numbers = value.split(b"-", 3)
    return (name, int(numbers[0]), int(numbers[1])) if len(numbers) == 3 else (b"", -1, -1)


@dataclass
class History:
    """Answers and events that clients have received. All methods are thread-safe.

    Attributes:
        events: (partition, offset) to the acknowledged value.
        commits: partition to the highest acknowledged commit of `GROUP`.
        transactions: number to the outcome that the client got.
        sizes: number of a transaction to its number of events.
        ended: number of a transaction to its outcome in the file, at an earlier check.
        seen: (partition, offset) to the value that the read_committed reader received.
        positions: partition to that reader's next offset.
        backwards: what that reader received out of order.
        imports: number to (events, True if answered): all of them must be stored, or none.
        topics: name to True if created, False if deleted, None if the request wasn't answered.
        snapshots: name to the last acknowledged offset of each partition when it was requested.
        partitions: the topic's number of partitions.
    """

    events: dict[Place, bytes] = field(default_factory=dict)
    commits: dict[int, int] = field(default_factory=dict)
    transactions: dict[int, str] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    ended: dict[int, str] = field(default_factory=dict)
    seen: dict[Place, bytes] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    backwards: list[str] = field(default_factory=list)
    imports: dict[int, tuple[int, bool]] = field(default_factory=dict)
    topics: dict[str, bool | None] = field(default_factory=dict)
    snapshots: dict[str, dict[int, int]] = field(default_factory=dict)
    partitions: int = PARTITIONS
    lock: threading.RLock = field(default_factory=threading.RLock)

    def acknowledged(self, partition: int, offset: int, value: bytes) -> None:
        """Record an acknowledged event."""
        with self.lock:
            self.events[partition, offset] = value

    def committed(self, partition: int, offset: int) -> None:
        """Record an acknowledged commit of `GROUP`."""
        with self.lock:
            self.commits[partition] = max(offset, self.commits.get(partition, 0))

    def transaction(self, number: int, outcome: str, size: int | None = None) -> None:
        """Record a transaction's outcome, and its size when it begins."""
        with self.lock:
            self.transactions[number] = outcome
            if size is not None:
                self.sizes[number] = size

    def read(self, events: Iterable[tuple[int, int, bytes]]) -> None:
        """Record the (partition, offset, value) of events that the read_committed reader received."""
        with self.lock:
            for partition, offset, value in events:
                if offset < self.positions.get(partition, 0):
                    self.backwards.append(f"offset {offset} of partition {partition} was read after a later one")
                self.seen[partition, offset] = value
                self.positions[partition] = max(offset + 1, self.positions.get(partition, 0))

    def last_offsets(self) -> dict[int, int]:
        """Return the last acknowledged offset of each partition."""
        with self.lock:
            found: dict[int, int] = {}
            for partition, offset in self.events:
                found[partition] = max(offset, found.get(partition, -1))
            return found

    def values(self, name: bytes | None = None) -> set[bytes]:
        """Return all acknowledged values, or one writer's."""
        with self.lock:
            return {value for value in self.events.values() if name is None or value.startswith(name + b"-")}
