"""Reads and writes the activity stream: from batches, commits and rebalances, and from the rows of `activity`.

Batches, commits and rebalances have their own rows. Everything else is written to `activity` in the transaction that
caused it; its oldest rows are deleted. Reading goes back in spans of `SPAN_MS`: everything of one kind that happened to
one thing within a span is one entry. A page is a number of whole spans, so that it does not change while others write,
and the next one begins where it ended. Events are counted from the offsets at the ends of a span, never one by one.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sandbox.model.activity import ACTIVITY_MAX, ActivityEntry, ActivityPage, ActivityQuery, Happening
from sandbox.model.latest_cache import Remembered
from sandbox.storage.activity_sources import SPAN_MS, ActivitySource, Batches, Commits, Happenings, Rebalances
from sandbox.storage.file.database import Database, Reader

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
