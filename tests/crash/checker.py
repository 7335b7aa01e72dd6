"""Checks whether a file kept all promises in a client history, and reports the broken ones.

It reads the file with SQLite alone, even while its owner is dead and nothing was repaired yet. Only checksums are
compared by the sandbox's own check.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sandbox.storage.check import check
from tests.crash.history import (
    ABORTED,
    COMMITTED,
    GROUP,
    PIPELINE,
    STORED_ONCE,
    TOPIC,
    History,
    Place,
    source_of,
)

EVENTS = """
SELECT p.partition, e.offset, CAST(e.value AS BLOB),
  EXISTS (SELECT 1 FROM log_transactions x WHERE x.partition_id = p.id AND x.last_offset = e.offset)
FROM topics t JOIN partitions p ON p.topic = t.id JOIN events e ON e.partition_id = p.id
WHERE t.name = ? ORDER BY p.partition, e.offset
"""
BATCHES = """
SELECT p.partition, b.base_offset, b.last_offset, b.transactional,
  (SELECT x.aborted FROM log_transactions x WHERE x.partition_id = p.id AND x.producer_id = b.producer_id
    AND x.first_offset <= b.base_offset ORDER BY x.first_offset DESC LIMIT 1)
FROM topics t JOIN partitions p ON p.topic = t.id JOIN batches b ON b.partition_id = p.id
WHERE t.name = ? ORDER BY p.partition, b.base_offset
"""
OFFSETS = "SELECT group_id, partition, offset FROM committed_offsets WHERE topic = ?"
COMMITS = "SELECT group_id, partition, offset FROM commits WHERE topic = ? ORDER BY id"
TOPICS = "SELECT name FROM topics WHERE deleted_ms IS NULL"


@dataclass(frozen=True)
class Stored:
    """A file's content in the checked topic.

    Attributes:
        integrity: the result of SQLite's integrity check: "ok".
        events: (partition, offset) to value, without transaction markers.
        offsets: (partition, offset) of every row, including markers, in order.
        outcomes: (partition, offset) to the outcome of the row's transaction, "open" if it hasn't ended. Rows without a
            transaction have no entry.
        batches: (partition, base offset, last offset), in order.
        commits: (group, partition) to the committed offset.
        commit_history: (group, partition, offset) of each commit, oldest first.
        topics: the names of all topics.
    """

    integrity: str
    events: dict[Place, bytes]
    offsets: list[Place]
    outcomes: dict[Place, str]
    batches: list[tuple[int, int, int]]
    commits: dict[tuple[str, int], int]
    commit_history: list[tuple[str, int, int]]
    topics: set[str]

    @classmethod
    def of(cls, file: Path) -> "Stored":
        """Read a file."""
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            connection.execute("BEGIN")
            integrity = "; ".join(row[0] for row in connection.execute("PRAGMA integrity_check"))
            rows = connection.execute(EVENTS, (TOPIC,)).fetchall()
            batches = connection.execute(BATCHES, (TOPIC,)).fetchall()
            outcomes = {
                (partition, offset): {None: "open", 0: COMMITTED, 1: ABORTED}[aborted]
                for partition, first, last, transactional, aborted in batches
                if transactional
                for offset in range(first, last + 1)
            }
            return cls(
                integrity=integrity,
                events={(partition, offset): value for partition, offset, value, marker in rows if not marker},
                offsets=[(partition, offset) for partition, offset, _, _ in rows],
                outcomes=outcomes,
                batches=[(partition, first, last) for partition, first, last, _, _ in batches],
                commits={(row[0], row[1]): row[2] for row in connection.execute(OFFSETS, (TOPIC,))},
                commit_history=connection.execute(COMMITS, (TOPIC,)).fetchall(),
                topics={row[0] for row in connection.execute(TOPICS)},
            )

    def visible(self, place: Place) -> bool:
        """True if a read_committed reader may receive the event."""
        return self.outcomes.get(place, COMMITTED) == COMMITTED


def faults(history: History, file: Path, *, at_rest: bool = False) -> list[str]:
    """Return all broken promises.

    Args:
        history: the history of the file's clients. The outcomes of transactions in the file are recorded in it.
        file: the file; its owner may be dead.
        at_rest: True if no client is running, so that unanswered requests are decided.
    """
    with history.lock:
        stored = Stored.of(file)
        return [
            *([] if stored.integrity == "ok" else [f"the integrity check says: {stored.integrity}"]),
            *(f"a checksum does not fit: {finding.text}" for finding in check(file).findings),
            *_lost(history, stored),
            *_torn(history, stored),
            *_doubled_or_reordered(stored),
            *_read_wrongly(history, stored),
            *_transactions(history, stored),
            *_commits(history, stored),
            *_topics(history, stored),
            *(_snapshots(history, file) if at_rest else ()),
        ]


def _lost(history: History, stored: Stored) -> Iterator[str]:
    for place, value in history.events.items():
        if place not in stored.events:
            yield f"the acknowledged event at {place} is gone"
        elif stored.events[place] != value:
            yield f"the event at {place} has other bytes than were acknowledged"
    for partition in range(history.partitions):
        offsets = [offset for one, offset in stored.offsets if one == partition]
        if offsets != list(range(len(offsets))):
            yield f"the offsets of partition {partition} are not consecutive from 0"


def _torn(history: History, stored: Stored) -> Iterator[str]:
    """Batches must cover each event exactly once: an event outside all batches would never be served."""
    covered = [(partition, offset) for partition, first, last in stored.batches for offset in range(first, last + 1)]
    if covered != stored.offsets:
        yield "the record batches do not cover the events"
    found: dict[int, int] = {}
    for value in stored.events.values():
        name, number, _ = source_of(value)
        if name == b"import":
            found[number] = found.get(number, 0) + 1
    for number, (events, answered) in history.imports.items():
        there = found.get(number, 0)
        if there not in (0, events) or (answered and there != events):
            yield f"import {number} of {events} events is torn: {there} are there"


def _doubled_or_reordered(stored: Stored) -> Iterator[str]:
    counts: dict[bytes, int] = {}
    before: dict[tuple[bytes, int], tuple[int, int]] = {}
    for (partition, offset), value in stored.events.items():
        name, *rank = source_of(value)
        if name not in STORED_ONCE:
            continue
        counts[value] = counts.get(value, 0) + 1
        last = before.get((name, partition), (-1, -1))
        if (rank[0], rank[1]) < last:
            yield f"{value[:40]!r} at {(partition, offset)} comes after {last} of the same producer"
        before[name, partition] = (rank[0], rank[1])
    for value, count in counts.items():
        if count > 1:
            yield f"{value[:40]!r} is stored {count} times"


def _read_wrongly(history: History, stored: Stored) -> Iterator[str]:
    yield from history.backwards
    for place, value in history.seen.items():
        if stored.events.get(place) != value:
            yield f"the event that was read at {place} is not there"
        elif not stored.visible(place):
            yield f"the event at {place} was read, but its transaction is {stored.outcomes[place]}"
    for place in stored.events:
        if place[1] < history.positions.get(place[0], 0) and stored.visible(place) and place not in history.seen:
            yield f"the event at {place} was skipped by the reader"


def _transactions(history: History, stored: Stored) -> Iterator[str]:
    found: dict[int, list[str]] = {}
    for place, value in stored.events.items():
        name, number, _ = source_of(value)
        if name == b"transaction":
            found.setdefault(number, []).append(stored.outcomes.get(place, "none"))
    for number, told in history.transactions.items():
        outcomes, size = found.get(number, []), history.sizes[number]
        if COMMITTED in outcomes and outcomes != [COMMITTED] * size:
            yield f"transaction {number} of {size} events is torn: {outcomes}"
        whole = bool(outcomes) and set(outcomes) == {COMMITTED}
        if told == COMMITTED and not whole:
            yield f"transaction {number} was committed, and is not: {outcomes}"
        if told == ABORTED and COMMITTED in outcomes:
            yield f"transaction {number} was aborted, and is committed"
        now = COMMITTED if whole else ABORTED if ABORTED in outcomes else None
        if number in history.ended and history.ended[number] != now:
            yield f"transaction {number} was {history.ended[number]}, and is now {now}"
        elif now is not None:
            history.ended[number] = now
    last = max((number for number, outcomes in found.items() if set(outcomes) == {COMMITTED}), default=-1)
    offset = stored.commits.get((PIPELINE, 0), 0)
    if offset != last + 1:
        yield f"the offset of {PIPELINE} is {offset}, but the last committed transaction is {last}"


def _commits(history: History, stored: Stored) -> Iterator[str]:
    for partition, offset in history.commits.items():
        found = stored.commits.get((GROUP, partition), -1)
        if found < offset:
            yield f"the acknowledged commit of {offset} in partition {partition} is gone: {found}"
    last: dict[tuple[str, int], int] = {}
    for group, partition, offset in stored.commit_history:
        if group in (GROUP, PIPELINE):
            if offset < last.get((group, partition), 0):
                before = last[group, partition]
                yield f"the committed offset of {group} in partition {partition} went back from {before} to {offset}"
            last[group, partition] = offset


def _topics(history: History, stored: Stored) -> Iterator[str]:
    for topic, there in history.topics.items():
        if there is not None and there != (topic in stored.topics):
            yield f"topic {topic} was {'created' if there else 'deleted'}, and is {'gone' if there else 'there'}"


def _snapshots(history: History, file: Path) -> Iterable[str]:
    for name, offsets in history.snapshots.items():
        copy = file.with_name(file.name + "-snapshots") / f"{name}.db"
        if not copy.exists():
            yield f"snapshot {name} is gone"
            continue
        stored = Stored.of(copy)
        if stored.integrity != "ok":
            yield f"the integrity check of snapshot {name} says: {stored.integrity}"
        for place, value in history.events.items():
            if place[1] <= offsets.get(place[0], -1) and stored.events.get(place) != value:
                yield f"snapshot {name} lacks the acknowledged event at {place}"
