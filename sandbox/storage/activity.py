"""Reads and writes the activity stream: from batches, commits and rebalances, and from the rows of `activity`.

Batches, commits and rebalances have their own rows. Everything else is written to `activity` in the transaction that
caused it; its oldest rows are deleted. Reading goes back in spans of `SPAN_MS`: everything of one kind that happened to
one thing within a span is one entry. A page is a number of whole spans, so that it does not change while others write,
and the next one begins where it ended. Events are counted from the offsets at the ends of a span, never one by one.
"""

import heapq
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sandbox.model.activity import ACTIVITY_MAX, ActivityEntry, ActivityPage, ActivityQuery, Happening
from sandbox.model.latest_cache import Remembered
from sandbox.model.rebalance import member_causes
from sandbox.storage.file.database import Database, Reader, Row

SPAN_MS = 10_000
CHUNK = 256
SCANNED_MAX = 40_000
"""The maximum number of rows of one table that are read for one page."""
BATCHES_READ = 48
PARTITIONS_LISTED_MAX = 8


class ActivitySource(ABC):
    """One kind of rows, read from the newest back."""

    @abstractmethod
    def latest_ms(self) -> int | None:
        """The time of the newest row that was not taken yet; None if there is none."""

    @abstractmethod
    def take(self, from_ms: int) -> list[ActivityEntry]:
        """Take the entries at or after `from_ms` that were not taken yet."""

    def stopped_ms(self) -> int | None:
        """The time at which the source stopped because it had read enough; None if it did not stop."""
        return None


class _Rows(ActivitySource):
    """The rows of a table with ascending ids and times.

    Args:
        reader: the read transaction.
        table: its name.
        time: the column with the time.
        columns: the columns to read, after id and time.
        where: other columns and the values that they must have.
        before_ms: only earlier rows.
    """

    def __init__(
        self, reader: Reader, table: str, time: str, columns: str, where: dict[str, str], before_ms: int | None
    ) -> None:
        self._reader = reader
        self._table, self._time = table, time
        conditions = "".join(f" AND {column} = ?" for column in where)
        self._sql = (
            f"SELECT id, {time}, {columns} FROM {table} NOT INDEXED "
            f"WHERE id > ? AND id <= ?{conditions} ORDER BY id DESC"
        )
        self._values = tuple(where.values())
        self._scanned = 0
        self._stopped_ms: int | None = None
        last = reader.one(f"SELECT max(id) FROM {table}")
        self._id: int = (last[0] if last else None) or 0
        first = reader.one(f"SELECT min(id) FROM {table}")
        self._first: int = (first[0] if first else None) or 0
        if before_ms is not None:
            self._id = self._before(before_ms)
        self._rows = self._read()
        self._next: Row | None = next(self._rows, None)

    def _before(self, at_ms: int) -> int:
        """Return the last id before a time."""
        low, high = self._first - 1, self._id
        while low < high:
            middle = (low + high + 1) // 2
            row = self._reader.one(
                f"SELECT id, {self._time} FROM {self._table} WHERE id <= ? ORDER BY id DESC LIMIT 1", (middle,)
            )
            if row is None or row[1] < at_ms:
                low = middle
            else:
                high = row[0] - 1
        return low

    def _read(self) -> Iterator[Row]:
        while self._id >= self._first and self._id > 0:
            yield from self._reader.query(self._sql, (self._id - CHUNK, self._id, *self._values))
            self._id -= CHUNK
            self._scanned += CHUNK
            if self._scanned >= SCANNED_MAX:
                row = self._reader.one(
                    f"SELECT {self._time} FROM {self._table} WHERE id > ? ORDER BY id LIMIT 1", (max(self._id, 0),)
                )
                self._stopped_ms = row[0] if row and self._id >= self._first else None
                return

    def stopped_ms(self) -> int | None:
        return self._stopped_ms

    def latest_ms(self) -> int | None:
        return None if self._next is None else self._next[1]

    def _take(self, from_ms: int) -> Iterator[Row]:
        while self._next is not None and self._next[1] >= from_ms:
            yield self._next
            self._next = next(self._rows, None)


class Happenings(_Rows):
    """The rows of `activity`."""

    def __init__(self, reader: Reader, query: ActivityQuery) -> None:
        where = {"topic": query.topic, "group_id": query.group}
        super().__init__(
            reader,
            "activity",
            "at_ms",
            "kind, topic, partition, group_id, details",
            {column: value for column, value in where.items() if value is not None},
            query.before_ms,
        )

    def take(self, from_ms: int) -> list[ActivityEntry]:
        """See `ActivitySource`."""
        return [
            ActivityEntry(at_ms, kind, json.loads(details), topic, partition, group)
            for _, at_ms, kind, topic, partition, group, details in self._take(from_ms)
        ]


class Rebalances(_Rows):
    """The rows of `rebalances`: each yields a rebalance, and the members that joined or left before it."""

    def __init__(self, reader: Reader, query: ActivityQuery) -> None:
        where = {} if query.group is None else {"group_id": query.group}
        columns = "group_id, generation, started_ms, details, members"
        super().__init__(reader, "rebalances", "ended_ms", columns, where, query.before_ms)

    def take(self, from_ms: int) -> list[ActivityEntry]:
        """See `ActivitySource`."""
        found = []
        for _, at_ms, group, generation, started_ms, stored, members in self._take(from_ms):
            details = json.loads(stored)
            numbers = {"generation": generation, "members": members, "duration_ms": at_ms - started_ms}
            found.append(ActivityEntry(at_ms, "rebalanced", {**numbers, **details}, group=group))
            found += [ActivityEntry(at_ms, kind, cause, group=group) for kind, cause in member_causes(details)]
        return found


class Commits(_Rows):
    """The rows of `commits`; all commits of one group in one topic within a span are one entry."""

    def __init__(self, reader: Reader, query: ActivityQuery) -> None:
        where = {"topic": query.topic, "group_id": query.group}
        super().__init__(
            reader,
            "commits",
            "committed_ms",
            "group_id, topic, partition, offset",
            {column: value for column, value in where.items() if value is not None},
            query.before_ms,
        )

    def take(self, from_ms: int) -> list[ActivityEntry]:
        """See `ActivitySource`."""
        newest: dict[tuple[str, str], Row] = {}
        counts: dict[tuple[str, str], int] = {}
        partitions: dict[tuple[str, str], set[int]] = {}
        for row in self._take(from_ms):
            place = (row[2], row[3])
            newest.setdefault(place, row)
            counts[place] = counts.get(place, 0) + 1
            partitions.setdefault(place, set()).add(row[4])
        return [
            ActivityEntry(
                row[1],
                "committed",
                {**_partitions(partitions[place]), "offset": row[5]},
                topic=place[1],
                partition=row[4],
                group=place[0],
                count=counts[place],
            )
            for place, row in newest.items()
        ]


class Batches(ActivitySource):
    """The rows of `batches`, read at the ends of spans: all batches of one topic within a span are one entry."""

    def __init__(self, reader: Reader, query: ActivityQuery) -> None:
        self._reader = reader
        self._names: dict[int, tuple[str, int]] = {}
        self._heads: list[tuple[int, int, int, int]] = []
        rows = reader.query(
            "SELECT p.id, t.name, p.partition, b.appended_ms, b.base_offset, b.last_offset "
            "FROM topics t JOIN partitions p ON p.topic = t.id CROSS JOIN batches b ON b.partition_id = p.id "
            "AND b.base_offset = (SELECT max(base_offset) FROM batches WHERE partition_id = p.id) "
            "WHERE t.deleted_ms IS NULL" + ("" if query.topic is None else " AND t.name = ?"),
            () if query.topic is None else (query.topic,),
        )
        for partition_id, topic, partition, appended_ms, base, last in rows:
            self._names[partition_id] = (topic, partition)
            head: tuple[int, int, int] | None = (appended_ms, base, last)
            if query.before_ms is not None and appended_ms >= query.before_ms:
                head = self._first_and_before(partition_id, base, last, query.before_ms)[1]
            if head is not None:
                self._heads.append((-head[0], partition_id, head[1], head[2]))
        heapq.heapify(self._heads)

    def latest_ms(self) -> int | None:
        """See `ActivitySource`."""
        return -self._heads[0][0] if self._heads else None

    def take(self, from_ms: int) -> list[ActivityEntry]:
        """See `ActivitySource`."""
        events: dict[str, int] = {}
        newest: dict[str, tuple[int, int, int]] = {}
        partitions: dict[str, set[int]] = {}
        while self._heads and -self._heads[0][0] >= from_ms:
            negative_ms, partition_id, base, last = heapq.heappop(self._heads)
            topic, partition = self._names[partition_id]
            first, before = self._first_and_before(partition_id, base, last, from_ms)
            count = last - first + 1 - self._markers(partition_id, first, last)
            if count:
                events[topic] = events.get(topic, 0) + count
                newest.setdefault(topic, (-negative_ms, partition, self._last_event(partition_id, last)))
                partitions.setdefault(topic, set()).add(partition)
            if before is not None:
                heapq.heappush(self._heads, (-before[0], partition_id, before[1], before[2]))
        return [
            ActivityEntry(
                at_ms,
                "produced",
                _partitions(partitions[topic]),
                topic=topic,
                partition=partition,
                offset=offset,
                count=events[topic],
            )
            for topic, (at_ms, partition, offset) in newest.items()
        ]

    def _markers(self, partition_id: int, first: int, last: int) -> int:
        row = self._reader.one(
            "SELECT count(*) FROM log_transactions WHERE partition_id = ? AND last_offset BETWEEN ? AND ?",
            (partition_id, first, last),
        )
        return row[0] if row else 0

    def _last_event(self, partition_id: int, last: int) -> int:
        """The offset of the last event up to `last`, which may be a transaction marker's offset."""
        row = self._reader.one(
            "SELECT last_offset FROM batches WHERE partition_id = ? AND base_offset <= ? AND control = 0 "
            "ORDER BY base_offset DESC LIMIT 1",
            (partition_id, last),
        )
        return row[0] if row else last

    def _first_and_before(
        self, partition_id: int, base: int, last: int, from_ms: int
    ) -> tuple[int, tuple[int, int, int] | None]:
        """Go back in one log to a time.

        Args:
            base: the base offset of the batch to go back from.
            last: its last offset.

        Returns:
            The first offset of the batches since then (`last` + 1 for none), and the batch before them: its append
            time, its base offset and its last offset.
        """
        first = last + 1
        read = 0
        rows = self._reader.rows(
            "SELECT appended_ms, base_offset, last_offset FROM batches WHERE partition_id = ? AND base_offset <= ? "
            "ORDER BY base_offset DESC LIMIT ?",
            (partition_id, base, BATCHES_READ),
        )
        for row in rows:
            if row[0] < from_ms:
                return first, (row[0], row[1], row[2])
            first = row[1]
            read += 1
        if read < BATCHES_READ:
            return first, None
        return self._search(partition_id, first, from_ms)

    def _search(self, partition_id: int, first: int, from_ms: int) -> tuple[int, tuple[int, int, int] | None]:
        """The same by binary search: a log may have a hundred thousand batches within one span."""
        low, high = -1, first
        before: tuple[int, int, int] | None = None
        while low + 1 < high:
            middle = (low + high) // 2
            row = self._reader.one(
                "SELECT appended_ms, base_offset, last_offset FROM batches WHERE partition_id = ? AND base_offset <= ? "
                "ORDER BY base_offset DESC LIMIT 1",
                (partition_id, middle),
            )
            if row is None:
                low = middle
            elif row[0] < from_ms:
                before, low = (row[0], row[1], row[2]), middle
            else:
                high = row[1]
        return high, before


def _partitions(partitions: set[int]) -> dict[str, Any]:
    if len(partitions) > PARTITIONS_LISTED_MAX:
        return {"partition_count": len(partitions)}
    return {"partitions": sorted(partitions)}


SPANS_MAX = 400
SETTLED_MS = 5_000
"""Anything older is in the file or never will be, so it can be cached."""
ENTRIES_KEPT = 5_000
SAME_SHOWN = 10
"""The maximum number of entries of one kind per span that are listed; the rest are summed up."""


def record(database: Database, happenings: Sequence[Happening], now_ms: int) -> None:
    """Write activity rows, and delete the oldest beyond `ACTIVITY_MAX`."""
    database.executemany(
        "INSERT INTO activity(at_ms, kind, topic, partition, group_id, details) VALUES(?, ?, ?, ?, ?, ?)",
        [
            (now_ms, one.kind, one.topic, one.partition, one.group, json.dumps(one.details, ensure_ascii=False))
            for one in happenings
        ],
    )
    database.execute("DELETE FROM activity WHERE id <= (SELECT max(id) FROM activity) - ?", (ACTIVITY_MAX,))


def read_activity(reader: Reader, query: ActivityQuery) -> ActivityPage:
    """Return one page of activity, newest first."""
    entries, next_ms, _ = _read(reader, query, None)
    return ActivityPage(tuple(entries), next_ms, *_there(reader, entries))


class ActivityMemory:
    """Caches the activity of one file, for pages that are read repeatedly.

    The part before the current spans is read once per span. Nothing is added there any more, and deletions from it (a
    deleted topic, retention) are themselves recorded in `activity`.
    """

    def __init__(self) -> None:
        self._past: Remembered[ActivityPage] = Remembered(ENTRIES_KEPT)

    def read(self, reader: Reader, query: ActivityQuery, now_ms: int) -> ActivityPage:
        """Like `read_activity`, with the cache.

        Args:
            now_ms: in ms since 1970.
        """
        settled_ms = (now_ms - SETTLED_MS) // SPAN_MS * SPAN_MS
        if query.before_ms is not None or (query.since_ms is not None and query.since_ms >= settled_ms):
            return read_activity(reader, query)
        entries, next_ms, more = _read(reader, query, settled_ms)
        if more:
            rest = replace(query, before_ms=settled_ms, limit=query.limit - len(entries))
            told = reader.one("SELECT max(id) FROM activity")
            past = self._past.get(
                query, (rest, told), lambda: read_activity(reader, rest), weight=query.limit + SAME_SHOWN
            )
            entries += past.entries
            next_ms = past.next_ms
        return ActivityPage(tuple(entries), next_ms, *_there(reader, entries))


def _read(reader: Reader, query: ActivityQuery, floor_ms: int | None) -> tuple[list[ActivityEntry], int | None, bool]:
    """Read span by span.

    Args:
        floor_ms: time to stop at, the beginning of a span; None for no limit.

    Returns:
        The entries, newest first; where the next page begins (None if there is none); and True if it stopped at the
        floor with more to read.
    """
    sources = tuple(_sources(reader, query))
    entries: list[ActivityEntry] = []
    next_ms: int | None = None
    for _ in range(SPANS_MAX):
        latest_ms = max((at_ms for source in sources if (at_ms := source.latest_ms()) is not None), default=None)
        until_ms = _complete_until(sources)
        if until_ms is not None and (latest_ms is None or latest_ms < until_ms) and until_ms != query.before_ms:
            return entries, until_ms, False
        if latest_ms is None or (query.since_ms is not None and latest_ms < query.since_ms):
            return entries, None, False
        if len(entries) >= query.limit:
            break
        if floor_ms is not None and latest_ms < floor_ms:
            return entries, next_ms, True
        next_ms = latest_ms // SPAN_MS * SPAN_MS
        found = [entry for source in sources for entry in source.take(next_ms)]
        if query.since_ms is not None:
            found = [entry for entry in found if entry.at_ms >= query.since_ms]
        entries += _together([entry for entry in found if query.wants(entry.kind)])
    return entries, next_ms, False


def _complete_until(sources: Sequence[ActivitySource]) -> int | None:
    """Return the end of the last span that a source has not read completely; None if all have."""
    stopped = [at_ms for source in sources if (at_ms := source.stopped_ms()) is not None]
    return (max(stopped) // SPAN_MS + 1) * SPAN_MS if stopped else None


def _sources(reader: Reader, query: ActivityQuery) -> Iterator[ActivitySource]:
    if query.wants("produced") and query.group is None:
        yield Batches(reader, query)
    if query.wants("committed"):
        yield Commits(reader, query)
    if query.wants("joined", "left", "rebalanced") and query.topic is None:
        yield Rebalances(reader, query)
    if query.kinds - {"produced", "committed", "joined", "left", "rebalanced"} or not query.kinds:
        yield Happenings(reader, query)


def _together(found: list[ActivityEntry]) -> list[ActivityEntry]:
    """Sort the entries of one span, with one sum instead of many entries of the same kind."""
    shown: list[ActivityEntry] = []
    told: dict[str, int] = {}
    rest: dict[str, list[ActivityEntry]] = {}
    for entry in sorted(found, key=lambda one: one.at_ms, reverse=True):
        told[entry.kind] = told.get(entry.kind, 0) + 1
        if told[entry.kind] <= SAME_SHOWN:
            shown.append(entry)
        else:
            rest.setdefault(entry.kind, []).append(entry)
    for kind, entries in rest.items():
        count = sum(entry.count for entry in entries)
        shown.append(ActivityEntry(entries[-1].at_ms, kind, {"more": len(entries)}, count=count))
    return shown


def _there(reader: Reader, entries: Sequence[ActivityEntry]) -> tuple[frozenset[str], frozenset[str]]:
    """Return which of the entries' topics and groups still exist."""
    topics = {entry.topic for entry in entries if entry.topic is not None}
    groups = {entry.group for entry in entries if entry.group is not None}
    return (
        _known(reader, "SELECT name FROM topics WHERE deleted_ms IS NULL AND name", topics),
        _known(reader, "SELECT group_id FROM groups WHERE group_id", groups),
    )


def _known(reader: Reader, select: str, names: set[str]) -> frozenset[str]:
    rows = reader.query(f"{select} IN (SELECT value FROM json_each(?))", (json.dumps(list(names)),))
    return frozenset(row[0] for row in rows)
