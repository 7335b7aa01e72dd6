"""Sources of the activity stream: each reads back in time, span by span, and no more than it must."""

import heapq
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from sandbox.model.activity import ActivityEntry, ActivityQuery
from sandbox.model.rebalance import member_causes
from sandbox.storage.file.database import Reader, Row

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
