"""What happened, in one stream: from the rows that exist anyway, and from those of `activity`.

Batches, commits and rebalances have rows of their own. The rest is written to `activity` in the transaction that did
it; its oldest rows go. Reading goes back in spans of `SPAN_MS`: what happened of one kind to one thing within a span is
one entry. A page is a number of whole spans, so that it stays as it is while others write, and the next one begins
where it ended. Events are counted by looking up the ends of a span, never one by one.
"""

from collections.abc import Iterator, Sequence

from sandbox.activity_record import ACTIVITY_MAX, ActivityEntry, ActivityPage, ActivityQuery, Happening
from sandbox.storage.activity_sources import SPAN_MS, Batches, Commits, Happenings, Rebalances, Source
from sandbox.storage.database import Database, Reader

SPANS_MAX = 400
SAME_SHOWN = 10
"""So many entries of one kind that fall into one span are told one by one, the rest together."""


def record(database: Database, happenings: Sequence[Happening], now_ms: int) -> None:
    """Write what happened in this turn, and let the oldest rows go."""
    database.executemany(
        "INSERT INTO activity(at_ms, kind, topic, partition, group_id, detail) VALUES(?, ?, ?, ?, ?, ?)",
        [(now_ms, one.kind, one.topic, one.partition, one.group, one.detail) for one in happenings],
    )
    database.execute("DELETE FROM activity WHERE id <= (SELECT max(id) FROM activity) - ?", (ACTIVITY_MAX,))


def read_activity(reader: Reader, query: ActivityQuery) -> ActivityPage:
    """One page of what happened, newest first."""
    sources = tuple(_sources(reader, query))
    entries: list[ActivityEntry] = []
    next_ms: int | None = None
    for _ in range(SPANS_MAX):
        latest_ms = max((at_ms for source in sources if (at_ms := source.latest_ms()) is not None), default=None)
        until_ms = _complete_until(sources)
        if until_ms is not None and (latest_ms is None or latest_ms < until_ms) and until_ms != query.before_ms:
            next_ms = until_ms
            break
        if latest_ms is None or (query.since_ms is not None and latest_ms < query.since_ms):
            next_ms = None
            break
        if len(entries) >= query.limit:
            break
        next_ms = latest_ms // SPAN_MS * SPAN_MS
        found = [entry for source in sources for entry in source.take(next_ms)]
        if query.since_ms is not None:
            found = [entry for entry in found if entry.at_ms >= query.since_ms]
        entries += _together([entry for entry in found if query.wants(entry.kind)])
    return ActivityPage(tuple(entries), next_ms, *_there(reader, entries))


def _complete_until(sources: Sequence[Source]) -> int | None:
    """Where the last span ends that not every source has read whole; None where all have."""
    stopped = [at_ms for source in sources if (at_ms := source.stopped_ms()) is not None]
    return (max(stopped) // SPAN_MS + 1) * SPAN_MS if stopped else None


def _sources(reader: Reader, query: ActivityQuery) -> Iterator[Source]:
    if query.wants("produced") and query.group is None:
        yield Batches(reader, query)
    if query.wants("committed"):
        yield Commits(reader, query)
    if query.wants("joined", "left", "rebalanced") and query.topic is None:
        yield Rebalances(reader, query)
    if query.kinds - {"produced", "committed", "joined", "left", "rebalanced"} or not query.kinds:
        yield Happenings(reader, query)


def _together(found: list[ActivityEntry]) -> list[ActivityEntry]:
    """The entries of one span in order, with a sum in place of many of the same kind."""
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
        words = (
            f"{count:,} events into {len(entries):,} more topics" if kind == "produced" else f"{len(entries):,} more"
        )
        shown.append(ActivityEntry(entries[-1].at_ms, kind, f"{words} in these ten seconds", count=count))
    return shown


def _there(reader: Reader, entries: Sequence[ActivityEntry]) -> tuple[frozenset[str], frozenset[str]]:
    topics = {entry.topic for entry in entries if entry.topic is not None}
    groups = {entry.group for entry in entries if entry.group is not None}
    return (
        frozenset(
            topic
            for topic in topics
            if reader.one("SELECT 1 FROM topics WHERE name = ? AND deleted_ms IS NULL", (topic,)) is not None
        ),
        frozenset(
            group for group in groups if reader.one("SELECT 1 FROM groups WHERE group_id = ?", (group,)) is not None
        ),
    )
