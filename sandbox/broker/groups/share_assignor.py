"""The broker's assignor of share groups, named `simple`: several members may have the same partition.

With at most as many members as partitions, each partition has one member. With more members, each partition has equally
many. The numbers of partitions of two members differ by at most one, and as few as possible move.

Source: KIP-932; the numbers are taken from Apache Kafka 4.4's SimpleAssignor.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sandbox.broker.groups.assignors import Partitions, Subscriber, Target, TopicSize

SIMPLE = "simple"


def assign_simple(members: Sequence[Subscriber], topics: Mapping[UUID, TopicSize]) -> Target:
    """Assign the partitions of every topic to the members that subscribe to it.

    Args:
        members: all members of the group, in the order in which they joined.
        topics: every topic that a member subscribes to.

    Returns:
        Every member's partitions.
    """
    if all(one.topics == members[0].topics for one in members):
        return _spread(members, [place for topic_id, topic in topics.items() for place in _places(topic_id, topic)])
    target: dict[str, set[tuple[UUID, int]]] = {one.member_id: set() for one in members}
    for topic_id, topic in topics.items():
        readers = [one for one in members if topic_id in one.topics]
        for member_id, partitions in _spread(readers, _places(topic_id, topic)).items():
            target[member_id] |= partitions
    return {member_id: frozenset(partitions) for member_id, partitions in target.items()}


def _places(topic_id: UUID, topic: TopicSize) -> list[tuple[UUID, int]]:
    return [(topic_id, partition) for partition in range(topic.partitions)]


def _spread(members: Sequence[Subscriber], places: Sequence[tuple[UUID, int]]) -> Target:
    """Give each partition to equally many members, and each member equally many partitions, or one more."""
    if not members or not places:
        return {one.member_id: frozenset[tuple[UUID, int]]() for one in members}
    sharing = -(-len(members) // len(places))
    total = sharing * len(places)
    upto = [-(-total * number // len(members)) for number in range(len(members) + 1)]
    owners: dict[tuple[UUID, int], list[str]] = {place: [] for place in places}
    left: dict[str, int] = {}
    for number, one in enumerate(members):
        left[one.member_id] = upto[number + 1] - upto[number]
        for place in sorted(_kept(one.had, owners)):
            if left[one.member_id] and len(owners[place]) < sharing:
                owners[place].append(one.member_id)
                left[one.member_id] -= 1
    for place in sorted(places, key=lambda one: len(owners[one])):
        while len(owners[place]) < sharing:
            takers = [one for one, count in left.items() if count and one not in owners[place]]
            if not takers:
                break
            # The one with the most room, so that the last partitions still find a member that doesn't have them.
            taker = max(takers, key=lambda one: left[one])
            owners[place].append(taker)
            left[taker] -= 1
    return {
        one.member_id: frozenset(place for place, found in owners.items() if one.member_id in found) for one in members
    }


def _kept(had: Partitions, owners: Mapping[tuple[UUID, int], list[str]]) -> list[tuple[UUID, int]]:
    return [place for place in had if place in owners]
