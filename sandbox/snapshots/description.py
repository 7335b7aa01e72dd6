"""Descriptions of snapshots, of their differences, and of forks: plain values."""

from dataclasses import dataclass

from sandbox.model.topics import PartitionName, TopicDescription
from sandbox.storage.file.database import Reader
from sandbox.storage.file.snapshots import Offset, batch_at, read_groups, read_offsets
from sandbox.storage.log.topic_descriptions import describe_topics
from sandbox.storage.resources import load_settings

NOW = "now"
"""Stands for the current state of the file, in place of a snapshot's name."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot of a sandbox file.

    Attributes:
        taken_ms: when it was taken or uploaded.
        note: the user's note.
        kind: "taken", "automatic" (before a destructive action), "uploaded", or "found" (copied there by hand).
        action: the action that an automatic snapshot precedes, such as "delete topic orders"; else "".
        events: number of readable events in all topics.
        file: its path.
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
    """The automatic snapshot that was taken so that an action can be undone.

    Attributes:
        name: the snapshot's name, None if none was taken.
        skipped: why none was taken, as a sentence; None if one was.
    """

    name: str | None
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """A partition in one of two states: its log start offset, its log end offset and the number of events between."""

    start: int
    end: int
    events: int


@dataclass(frozen=True, slots=True)
class PartitionDifference:
    """A partition that differs between two states.

    Attributes:
        left, right: None if the partition doesn't exist there.
        other_events: True if the same offsets hold different events, because the states diverged.
        right_ms: when the right partition was last written, or its topic created.
    """

    topic: str
    partition: int
    left: Ends | None
    right: Ends | None
    other_events: bool
    right_ms: int | None


@dataclass(frozen=True, slots=True)
class OffsetDifference:
    """A committed offset that differs; None if nothing is committed.

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
    """A setting of a topic, group or broker that differs; None if it has its default."""

    kind: str
    resource: str
    name: str
    left: str | None
    right: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between two states of a sandbox, left and right.

    Attributes:
        left, right: names of snapshots, or "now".
        same_partitions, same_offsets: how many are equal.
        topics_left, topics_right: topics that exist in only one of them.
        groups_left, groups_right: groups that exist in only one of them.
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
        """True if nothing differs."""
        return not (self.partitions or self.offsets or self.settings or self.groups_left or self.groups_right)

    def events_lost(self) -> dict[str, int]:
        """Return topic to number of events that only the right state has, and that restoring the left one deletes."""
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
        """Return topic to number of events that only the left state has, and that restoring it brings back."""
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
    """The effect of restoring a snapshot. Nothing was changed.

    Attributes:
        comparison: the snapshot on the left, the current state on the right.
        clients: number of Kafka client connections that would be closed.
        no_undo: why no automatic snapshot would be taken first, None if one would be.
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
class RestoredTopic:
    """A topic that was restored or copied out of a snapshot.

    Attributes:
        topic: its name now.
        events: how many events it has.
        groups: groups whose committed offsets were restored.
        groups_left_out: groups whose offsets were not restored, because they have members.
        renumbered: True if some events have other offsets than in the snapshot, whose log began later or had gaps.
        undo: how to undo a restore.
    """

    topic: str
    events: int
    groups: tuple[str, ...]
    groups_left_out: tuple[str, ...]
    renumbered: bool
    undo: UndoPoint


@dataclass(frozen=True, slots=True)
class ForkDescription:
    """A copy of a snapshot that is open in a separate process.

    Attributes:
        id: 1 and up.
        source: the snapshot's name, or "now".
        kafka, web: its addresses.
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


LOOKED_INTO_MAX = 2_000
"""The maximum number of partitions with different ends whose common offsets are compared for different events."""

NO_OFFSET = (None, None)


@dataclass(frozen=True, slots=True)
class _State:
    topics: dict[str, TopicDescription]
    ends: dict[PartitionName, Ends]
    written_ms: dict[PartitionName, int]
    offsets: dict[Offset, tuple[int, int]]
    groups: frozenset[str]
    settings: dict[tuple[str, str, str], str]


def compare(left_name: str, left: Reader, right_name: str, right: Reader) -> Comparison:
    """Compare two states.

    Args:
        left_name, right_name: their names in the result.
        left, right: one read transaction each.
    """
    a, b = _state(left), _state(right)
    partitions = []
    places = sorted(a.ends.keys() | b.ends.keys())
    looked_into = 0
    for place in places:
        ends_a, ends_b = a.ends.get(place), b.ends.get(place)
        other = False
        if ends_a is not None and ends_b is not None:
            other = a.topics[place[0]].topic_id != b.topics[place[0]].topic_id
            if not other and ends_a.end == ends_b.end:
                other = a.written_ms[place] != b.written_ms[place]
            elif not other and looked_into < LOOKED_INTO_MAX:
                looked_into += 1
                other = _went_apart(left, right, place, ends_a, ends_b)
        if other or ends_a != ends_b:
            partitions.append(PartitionDifference(*place, ends_a, ends_b, other, b.written_ms.get(place)))
    offsets = []
    for one in sorted(a.offsets.keys() | b.offsets.keys()):
        (before, _), (after, after_ms) = a.offsets.get(one, NO_OFFSET), b.offsets.get(one, NO_OFFSET)
        if before != after:
            offsets.append(OffsetDifference(*one, before, after, after_ms))
    settings = [
        SettingDifference(*place, a.settings.get(place), b.settings.get(place))
        for place in sorted(a.settings.keys() | b.settings.keys())
        if a.settings.get(place) != b.settings.get(place)
    ]
    return Comparison(
        left_name,
        right_name,
        tuple(partitions),
        tuple(offsets),
        tuple(settings),
        same_partitions=len(places) - len(partitions),
        same_offsets=len(a.offsets.keys() | b.offsets.keys()) - len(offsets),
        topics_left=tuple(sorted(a.topics.keys() - b.topics.keys())),
        topics_right=tuple(sorted(b.topics.keys() - a.topics.keys())),
        groups_left=tuple(sorted(a.groups - b.groups)),
        groups_right=tuple(sorted(b.groups - a.groups)),
    )


def _state(reader: Reader) -> _State:
    topics = {topic.topic: topic for topic in describe_topics(reader)}
    settings = {
        (kind, resource, name): value
        for (kind, resource), found in load_settings(reader).items()
        for name, value in found.items()
    }
    for topic in topics.values():
        settings.update({("topic", topic.topic, name): value for name, value in topic.settings.items()})
    return _State(
        topics,
        {
            (topic.topic, one.partition): Ends(one.start, one.end, one.events)
            for topic in topics.values()
            for one in topic.partitions
        },
        {
            (topic.topic, one.partition): max(topic.created_ms, one.last_append_ms or 0)
            for topic in topics.values()
            for one in topic.partitions
        },
        read_offsets(reader),
        read_groups(reader),
        settings,
    )


def _went_apart(left: Reader, right: Reader, place: PartitionName, a: Ends, b: Ends) -> bool:
    """True if the last offset that both states have belongs to different batches."""
    last = min(a.end, b.end) - 1
    if last < max(a.start, b.start):
        return False
    return batch_at(left, *place, last) != batch_at(right, *place, last)
