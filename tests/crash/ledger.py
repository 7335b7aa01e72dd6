"""What clients were promised, and what is wrong with a file that should keep it."""

import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

TOPIC = "orders"
PARTITIONS = 2
GROUP = "app"


@dataclass
class Ledger:
    """Every acknowledgement that a client got.

    Attributes:
        events: (partition, offset) to the value that was acknowledged there.
        commits: partition to the largest offset whose commit was acknowledged.
        once: values of idempotent producers, which may be stored once and no more.
    """

    events: dict[tuple[int, int], bytes] = field(default_factory=dict)
    commits: dict[int, int] = field(default_factory=dict)
    once: set[bytes] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledged(self, partition: int, offset: int, value: bytes, *, once: bool) -> None:
        """An event was acknowledged."""
        with self.lock:
            self.events[partition, offset] = value
            if once:
                self.once.add(value)

    def committed(self, partition: int, offset: int) -> None:
        """A commit was acknowledged."""
        with self.lock:
            self.commits[partition] = max(offset, self.commits.get(partition, 0))

    def faults(self, file: Path) -> list[str]:
        """What the file lacks or has too much of; nothing where every promise was kept."""
        with self.lock, closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
            stored = connection.execute(
                "SELECT partition, offset, CAST(value AS BLOB) FROM messages WHERE topic = ? ORDER BY 1, 2", (TOPIC,)
            ).fetchall()
            batches = connection.execute(
                "SELECT p.partition, b.base_offset, b.last_offset FROM batches b JOIN partitions p "
                "ON p.id = b.partition_id JOIN topics t ON t.id = p.topic WHERE t.name = ? ORDER BY 1, 2",
                (TOPIC,),
            ).fetchall()
            commits = connection.execute(
                "SELECT partition, offset FROM committed_offsets WHERE group_id = ? AND topic = ?", (GROUP, TOPIC)
            ).fetchall()
            found = [] if integrity == "ok" else [f"the integrity check says: {integrity}"]
            return [
                *found,
                *self._wrong_events(stored),
                *_wrong_batches(stored, batches),
                *self._wrong_commits(commits),
            ]

    def _wrong_events(self, stored: Iterable[tuple[int, int, bytes]]) -> Iterable[str]:
        by_place = {(partition, offset): value for partition, offset, value in stored}
        for partition in range(PARTITIONS):
            offsets = [offset for one, offset in by_place if one == partition]
            if offsets != list(range(len(offsets))):
                yield f"the offsets of partition {partition} are not consecutive from 0"
        for place, value in self.events.items():
            if place not in by_place:
                yield f"the acknowledged event at {place} is gone"
            elif by_place[place] != value:
                yield f"the event at {place} has other bytes than were acknowledged"
        counts: dict[bytes, int] = {}
        for value in by_place.values():
            counts[value] = counts.get(value, 0) + 1
        for value in self.once:
            if counts.get(value, 0) > 1:
                yield f"{value!r} of an idempotent producer is stored {counts[value]} times"

    def _wrong_commits(self, commits: Iterable[tuple[int, int]]) -> Iterable[str]:
        known = dict(commits)
        for partition, offset in self.commits.items():
            if known.get(partition, -1) < offset:
                yield f"the acknowledged commit of {offset} in partition {partition} is gone: {known.get(partition)}"


def _wrong_batches(stored: Iterable[tuple[int, int, bytes]], batches: Iterable[tuple[int, int, int]]) -> Iterable[str]:
    """Batches must cover the events, each once: an event outside any would never be served."""
    covered = [(partition, offset) for partition, first, last in batches for offset in range(first, last + 1)]
    if covered != [(partition, offset) for partition, offset, _ in stored]:
        yield "the record batches do not cover the events"
