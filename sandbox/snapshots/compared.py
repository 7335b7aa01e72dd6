"""Compares two states of a sandbox: partitions, committed offsets and settings."""

from dataclasses import dataclass

from sandbox.model.topics import PartitionName, TopicDescription
from sandbox.snapshots.description import Comparison, Ends, OffsetDifference, PartitionDifference, SettingDifference
from sandbox.storage.file.database import Reader
from sandbox.storage.file.snapshots import Offset, batch_at, read_groups, read_offsets
from sandbox.storage.log.topic_descriptions import describe_topics
from sandbox.storage.resources import load_settings

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
