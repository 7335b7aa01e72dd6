"""The activity of a sandbox, as plain values.

An entry has a kind and fields, its `details`. The page and the tools choose the words; no code reads them back. The
fields by kind (a place is `{"topic", "partition", "offset"}`; a field without a value may be missing or null):

| kind | details |
|---|---|
| produced | `partitions`: their numbers; more than 8 are counted in `partition_count` instead |
| committed | `partitions` or `partition_count`; `offset`: the last one committed |
| rebalanced | `generation`, `members`, `duration_ms`, and the fields of `sandbox.model.rebalance.rebalance_details` |
| joined, left | one cause of a rebalance: `cause`, `member`, `reason`, `timeout_ms` |
| returned | `dead_letters`: how many; `from`, `to`: the places of the last one before and after |
| reset | `to`: the target as requested; `committed_offsets`: how many; `places`: the new offsets, if they are few |
| created | `partitions`: how many |
| deleted | `resource`: "topic" (with `partitions`), "group", "committed_offsets" or "records" (as in `retention`) |
| altered | `setting` and `value` (null: the default), or `partitions` and `before`, or `replicas` |
| injected | `action`: "injected", "ended" or "cleared"; `fault`: its fields |
| started, stopped | `broker` |
| moved | `leader`: -1 for none; or `leaders`: how many moved together |
| retention | `offsets`: how many were removed, `log_start_offset` |
| compacted | `events`: how many were removed |
| generated | `generator`, `state`; `template`, `events_per_s`, `seed`; or `events`, `error` |
| schema | `subject`; `action`: "registered" (`version`, `id`, `type`), "deleted" (`versions`), else `value` |
| snapshot | `action`: "taken", "restored" or "forked"; `name`, `undo`, `address` |
| clock | `by_ms`: how far the clock was set forward; negative if it was set back |

`more` is the number of entries that an entry sums up. `text` is the sentence of a row that version 4 of the file wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Details = Mapping[str, Any]
"""An entry's fields, as JSON values."""

KINDS = {
    "produced": "events were appended",
    "returned": "dead letters were sent back to their topic from this page",
    "committed": "a group committed offsets",
    "joined": "a member joined a group",
    "left": "a member left a group, or was lost",
    "rebalanced": "a group reassigned its partitions",
    "reset": "committed offsets were set by hand",
    "created": "a topic was created",
    "deleted": "a topic, a group or events were deleted by hand",
    "altered": "settings, partitions or replicas were changed",
    "injected": "a fault was injected, or ended",
    "started": "a broker was started",
    "stopped": "a broker was stopped",
    "moved": "leaders moved to other brokers",
    "retention": "events left a log by retention",
    "compacted": "events left a log by compaction",
    "generated": "a generator was started, or ended",
    "schema": "a schema was registered or deleted, or a subject's settings or mode were changed",
    "snapshot": "a snapshot was taken, restored or forked",
    "clock": "the system clock was set",
}
"""Each kind of activity, with a description."""
ACTIVITY_MAX = 10_000
"""The maximum number of rows in the table `activity`."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened outside the log, recorded in the turn that did it.

    Attributes:
        kind: a key of `KINDS`.
        details: the kind's fields.
    """

    kind: str
    details: Details
    topic: str | None = None
    partition: int | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class ActivityQuery:
    """The part of the activity to read, newest first.

    Attributes:
        kinds: only these kinds; empty for all.
        topic: only activity of this topic.
        group: only activity of this group.
        since_ms: nothing earlier.
        before_ms: only earlier activity: the end of the previous page. None for the newest.
        limit: the approximate number of entries; entries of the same ten seconds stay together.
    """

    kinds: frozenset[str] = frozenset()
    topic: str | None = None
    group: str | None = None
    since_ms: int | None = None
    before_ms: int | None = None
    limit: int = 60

    def wants(self, *kinds: str) -> bool:
        """Return True if the query includes one of these kinds."""
        return not self.kinds or not self.kinds.isdisjoint(kinds)


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """Something that happened, or the same thing several times within ten seconds.

    Attributes:
        at_ms: when, by the sandbox's clock; the last time if there were several.
        details: the kind's fields.
        offset: with topic and partition, the event that it is about; else None.
        count: the number of events, commits or repetitions.
    """

    at_ms: int
    kind: str
    details: Details = field(default_factory=dict)
    topic: str | None = None
    partition: int | None = None
    group: str | None = None
    offset: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """One page of activity.

    Attributes:
        entries: newest first.
        next_ms: `before_ms` of the next page; None if there is nothing older.
        topics: the entries' topics that exist now.
        groups: the entries' groups that exist now.
    """

    entries: tuple[ActivityEntry, ...]
    next_ms: int | None
    topics: frozenset[str]
    groups: frozenset[str]
