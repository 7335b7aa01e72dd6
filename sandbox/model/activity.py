"""What happened in a sandbox, as plain values."""

from dataclasses import dataclass

KINDS = {
    "produced": "events were appended",
    "returned": "dead letters were sent back to their topic from this page",
    "committed": "a group committed offsets",
    "joined": "a member joined a group",
    "left": "a member left a group, or was lost",
    "rebalanced": "a group shared out its partitions anew",
    "reset": "committed offsets were set by hand",
    "created": "a topic came to be",
    "deleted": "a topic, a group or events were deleted by hand",
    "altered": "settings, partitions or replicas were changed",
    "injected": "a fault was injected, or ended",
    "started": "a broker was started",
    "stopped": "a broker was stopped",
    "moved": "leaders moved to other brokers",
    "retention": "events left a log by retention",
    "compacted": "events left a log by compaction",
    "generated": "a generator was started, or ended",
    "snapshot": "a snapshot was taken, restored or forked",
    "clock": "the system clock was set",
}
"""Each kind of thing that happens, and what it means."""
ACTIVITY_MAX = 10_000
"""How many rows are kept of what has no rows of its own."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened beside the log, in the turn that did it.

    Attributes:
        kind: a name of `KINDS`.
        detail: the rest of it, in words.
    """

    kind: str
    detail: str
    topic: str | None = None
    partition: int | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class ActivityQuery:
    """Which part of what happened to read, newest first.

    Attributes:
        kinds: only these of `KINDS`; all where empty.
        topic: only what is about this topic.
        group: only what is about this group.
        since_ms: nothing earlier.
        before_ms: nothing at this time or later: where the page before it ended. None for the newest.
        limit: about so many entries; those of the same ten seconds stay together.
    """

    kinds: frozenset[str] = frozenset()
    topic: str | None = None
    group: str | None = None
    since_ms: int | None = None
    before_ms: int | None = None
    limit: int = 60

    def wants(self, *kinds: str) -> bool:
        """True where one of these kinds is asked for."""
        return not self.kinds or not self.kinds.isdisjoint(kinds)


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """Something that happened, or the same thing several times within ten seconds.

    Attributes:
        at_ms: when, by the sandbox's clock; the last time where it was several.
        detail: what, in words, without the name of topic and group.
        offset: with topic and partition, the event that it is about; else None.
        count: how many events or commits, or how often.
    """

    at_ms: int
    kind: str
    detail: str
    topic: str | None = None
    partition: int | None = None
    group: str | None = None
    offset: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """A part of what happened.

    Attributes:
        entries: newest first.
        next_ms: `before_ms` of the next page; None where there is nothing older.
        topics: those of the entries' topics that are there now.
        groups: those of the entries' groups that are there now.
    """

    entries: tuple[ActivityEntry, ...]
    next_ms: int | None
    topics: frozenset[str]
    groups: frozenset[str]
