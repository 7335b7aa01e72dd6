"""Snapshots, what differs between two of them, and forks: plain values."""

from dataclasses import dataclass

NOW = "now"
"""What stands for the file as it is, where the name of a snapshot could stand."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot of a sandbox file.

    Attributes:
        taken_ms: when, or when it was uploaded.
        note: what somebody wrote about it.
        kind: "taken", "automatic" (before something was destroyed), "uploaded", or "found" (put there by hand).
        action: what an automatic one was taken before, such as "delete topic orders"; else "".
        events: how many can be read, over all topics.
        file: where it lies.
    """

    name: str
    taken_ms: int
    size_bytes: int
    note: str
    kind: str
    action: str
    topics: int
    events: int
    groups: int
    file: str


@dataclass(frozen=True, slots=True)
class UndoPoint:
    """What was done so that an action can be undone.

    Attributes:
        name: the automatic snapshot, None where there is none.
        skipped: why there is none, as a sentence; None where there is one.
    """

    name: str | None
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """A partition in one of two states: its log start offset, its end and how many events are between."""

    start: int
    end: int
    events: int


@dataclass(frozen=True, slots=True)
class PartitionDifference:
    """A partition that is not the same in two states.

    Attributes:
        left, right: None where there is no such partition.
        other_events: True where the same offsets hold other events: both went their own way.
        right_ms: when the right one was last written to, or its topic created.
    """

    topic: str
    partition: int
    left: Ends | None
    right: Ends | None
    other_events: bool
    right_ms: int | None


@dataclass(frozen=True, slots=True)
class OffsetDifference:
    """A committed offset that is not the same; None where nothing is committed.

    Attributes:
        right_ms: when the right one was committed.
    """

    group: str
    topic: str
    partition: int
    left: int | None
    right: int | None
    right_ms: int | None


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A setting of a topic, group or broker that is not the same; None where it has its default."""

    kind: str
    resource: str
    name: str
    left: str | None
    right: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two states of a sandbox, left and right.

    Attributes:
        left, right: names of snapshots, or "now".
        same_partitions, same_offsets: how many are the same.
        topics_left, topics_right: those that only one of them has.
        groups_left, groups_right: likewise.
    """

    left: str
    right: str
    partitions: tuple[PartitionDifference, ...]
    offsets: tuple[OffsetDifference, ...]
    settings: tuple[SettingDifference, ...]
    same_partitions: int
    same_offsets: int
    topics_left: tuple[str, ...]
    topics_right: tuple[str, ...]
    groups_left: tuple[str, ...]
    groups_right: tuple[str, ...]

    @property
    def same(self) -> bool:
        """True where nothing differs."""
        return not (self.partitions or self.offsets or self.settings or self.groups_left or self.groups_right)

    def events_lost(self) -> dict[str, int]:
        """Topic to how many events the right one has that the left one has not: what going back to the left loses."""
        lost: dict[str, int] = {}
        for one in self.partitions:
            if one.right is None:
                continue
            kept = 0 if one.left is None or one.other_events else one.left.end
            count = min(one.right.events, max(0, one.right.end - max(kept, one.right.start)))
            if count:
                lost[one.topic] = lost.get(one.topic, 0) + count
        return lost

    def events_back(self) -> dict[str, int]:
        """Topic to how many events the left one has that the right one has not: what going back brings back."""
        back: dict[str, int] = {}
        for one in self.partitions:
            if one.left is None:
                continue
            if one.right is None or one.other_events:
                count = one.left.events
            else:
                count = max(0, one.left.events - max(0, min(one.left.end, one.right.end) - one.right.start))
            if count:
                back[one.topic] = back.get(one.topic, 0) + count
        return back


@dataclass(frozen=True, slots=True)
class RestorePreview:
    """What restoring a snapshot would do; nothing was changed.

    Attributes:
        comparison: the snapshot on the left, now on the right.
        clients: how many connections of Kafka clients would be closed.
        no_undo: why no automatic snapshot would be taken first, None where one would be.
    """

    snapshot: Snapshot
    comparison: Comparison
    clients: int
    no_undo: str | None


@dataclass(frozen=True, slots=True)
class Restored:
    """A snapshot that was restored, and how to undo that."""

    snapshot: Snapshot
    undo: UndoPoint


@dataclass(frozen=True, slots=True)
class ForkDescription:
    """A copy of a snapshot that is open beside, in a process of its own.

    Attributes:
        id: counts from 1.
        source: the snapshot's name, or "now".
        kafka, web: where it listens.
        running: False once its process has ended.
    """

    id: int
    source: str
    file: str
    kafka: str
    web: str
    pid: int
    started_ms: int
    running: bool
