"""What clients were promised and what they saw, in the manner of the Kafka workload of Jepsen.

Every value says who wrote it: `NAME-NUMBER-INDEX-padding`. From it, and from what is written down here, `checker` tells
what a file lost, doubled, reordered or tore.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

TOPIC = "orders"
PARTITIONS = 2
GROUP = "app"
"""Reads everything and commits as it goes."""
PIPELINE = "pipeline"
"""Its offset in partition 0 is committed by transactions: the number of the last one that was committed, plus 1."""
STORED_ONCE = frozenset((b"once", b"transaction", b"import", b"page"))
"""Whose values may be stored once and no more, and in each partition in the order in which they were sent."""
UNKNOWN, COMMITTED, ABORTED = "unknown", "committed", "aborted"

Place = tuple[int, int]


def value_of(name: str, number: int, index: int = 0) -> bytes:
    """A value that says where it comes from, of a length that varies."""
    return f"{name}-{number}-{index}-{'x' * (number % 200)}".encode()


def source_of(value: bytes) -> tuple[bytes, int, int]:
    """The name, number and index of a value; nobody's where it is none of ours."""
    name, *numbers = value.split(b"-", 3)
    return (name, int(numbers[0]), int(numbers[1])) if len(numbers) == 3 else (b"", -1, -1)


@dataclass
class History:
    """What was answered, and what was read. The methods may be called from any thread.

    Attributes:
        events: (partition, offset) to the value that was acknowledged there.
        commits: partition to the largest offset whose commit was acknowledged to `GROUP`.
        transactions: number to what the client was told of its end.
        sizes: number of a transaction to how many events it has.
        ended: number of a transaction to how the file once said that it ended.
        seen: (partition, offset) to the value that the read_committed reader was given.
        positions: partition to where that reader goes on.
        backwards: what that reader was given out of order.
        imports: number to (events, whether it was answered): all of them are stored, or none.
        topics: name to True where it was created, False where it was deleted, None where nobody answered.
        snapshots: name to the last acknowledged offset of each partition when it was asked for.
        partitions: how many the topic has.
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
        """An event was acknowledged."""
        with self.lock:
            self.events[partition, offset] = value

    def committed(self, partition: int, offset: int) -> None:
        """A commit of `GROUP` was acknowledged."""
        with self.lock:
            self.commits[partition] = max(offset, self.commits.get(partition, 0))

    def transaction(self, number: int, outcome: str, size: int | None = None) -> None:
        """What is known of the end of a transaction; its size when it begins."""
        with self.lock:
            self.transactions[number] = outcome
            if size is not None:
                self.sizes[number] = size

    def read(self, events: Iterable[tuple[int, int, bytes]]) -> None:
        """What the read_committed reader was given: partition, offset and value of each."""
        with self.lock:
            for partition, offset, value in events:
                if offset < self.positions.get(partition, 0):
                    self.backwards.append(f"offset {offset} of partition {partition} was read after a later one")
                self.seen[partition, offset] = value
                self.positions[partition] = max(offset + 1, self.positions.get(partition, 0))

    def last_offsets(self) -> dict[int, int]:
        """The last acknowledged offset of each partition."""
        with self.lock:
            found: dict[int, int] = {}
            for partition, offset in self.events:
                found[partition] = max(offset, found.get(partition, -1))
            return found

    def values(self, name: bytes | None = None) -> set[bytes]:
        """Every value that was acknowledged, or those of one writer."""
        with self.lock:
            return {value for value in self.events.values() if name is None or value.startswith(name + b"-")}
