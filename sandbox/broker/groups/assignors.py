"""The broker's assignors: they assign partitions to the members of a group (KIP-848, KIP-932)."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

Partitions = frozenset[tuple[UUID, int]]
"""(topic id, partition)."""
NO_PARTITIONS: Partitions = frozenset()

Target = dict[str, Partitions]


class Subscriber(NamedTuple):
    """A member, as an assignor sees it.

    Attributes:
        topics: ids of the existing topics that it subscribes to.
        had: its partitions in the previous target.
    """

    member_id: str
    instance_id: str | None
    topics: frozenset[UUID]
    had: Partitions


class TopicSize(NamedTuple):
    """A topic, as an assignor sees it."""

    name: str
    partitions: int


Assignor = Callable[[Sequence[Subscriber], Mapping[UUID, TopicSize]], Target]


def assign_range(members: Sequence[Subscriber], topics: Mapping[UUID, TopicSize]) -> Target:
    """Divide each topic into ranges of equal length, or one longer, in the order of the members.

    Args:
        members: all members of the group.
        topics: every topic that a member subscribes to.

    Returns:
        Every member's partitions; empty for a member that subscribes to nothing.
    """
    ordered = sorted(members, key=lambda one: (one.instance_id is None, one.instance_id or one.member_id))
    target: dict[str, set[tuple[UUID, int]]] = {one.member_id: set() for one in members}
    for topic_id, topic in topics.items():
        readers = [one for one in ordered if topic_id in one.topics]
        if not readers:
            continue
        each, longer = divmod(topic.partitions, len(readers))
        start = 0
        for index, reader in enumerate(readers):
            end = start + each + (index < longer)
            target[reader.member_id].update((topic_id, partition) for partition in range(start, end))
            start = end
    return {member_id: frozenset(partitions) for member_id, partitions in target.items()}


def assign_uniform(members: Sequence[Subscriber], topics: Mapping[UUID, TopicSize]) -> Target:
    """Give every member equally many partitions, as far as subscriptions allow, and move as few as possible.

    Args:
        members: all members of the group.
        topics: every topic that a member subscribes to.

    Returns:
        Every member's partitions; empty for a member that subscribes to nothing.
    """
    readers = sorted((one for one in members if one.topics), key=lambda one: one.member_id)
    target: Target = {one.member_id: NO_PARTITIONS for one in members}
    if not readers:
        return target
    wanted = sorted({topic_id for one in readers for topic_id in one.topics}, key=lambda one: topics[one].name)
    everything = [(topic_id, partition) for topic_id in wanted for partition in range(topics[topic_id].partitions)]
    kept = _kept(readers, everything)
    if all(one.topics == readers[0].topics for one in readers):
        _fill_alike(kept, everything)
    else:
        _fill_by_subscription(kept, everything, readers)
    target.update((member_id, frozenset(partitions)) for member_id, partitions in kept.items())
    return target


def _kept(readers: Iterable[Subscriber], everything: list[tuple[UUID, int]]) -> dict[str, list[tuple[UUID, int]]]:
    """Return the partitions that each member had and still subscribes to, in the order of `everything`."""
    owner: dict[tuple[UUID, int], str] = {}
    subscribed = {one.member_id: one.topics for one in readers}
    for one in readers:
        for place in one.had:
            if place[0] in one.topics:
                owner.setdefault(place, one.member_id)
    kept: dict[str, list[tuple[UUID, int]]] = {member_id: [] for member_id in subscribed}
    for place in everything:
        if place in owner:
            kept[owner[place]].append(place)
    return kept


def _fill_alike(kept: dict[str, list[tuple[UUID, int]]], everything: list[tuple[UUID, int]]) -> None:
    """Assign if all members subscribe to the same topics: each gets the same number, some one more."""
    each, extra = divmod(len(everything), len(kept))
    for partitions in kept.values():
        more = len(partitions) > each and extra > 0
        extra -= more
        del partitions[each + more :]
    taken = {place for partitions in kept.values() for place in partitions}
    free = deque(place for place in everything if place not in taken)
    for partitions in kept.values():
        while len(partitions) < each:
            partitions.append(free.popleft())
    for partitions in kept.values():
        if free and len(partitions) == each:
            partitions.append(free.popleft())


def _fill_by_subscription(
    kept: dict[str, list[tuple[UUID, int]]], everything: list[tuple[UUID, int]], readers: Sequence[Subscriber]
) -> None:
    """Assign if subscriptions differ: give free partitions to the least loaded member, then even out by moving some."""
    by_topic: dict[UUID, list[str]] = {}
    for one in readers:
        for topic_id in one.topics:
            by_topic.setdefault(topic_id, []).append(one.member_id)
    taken = {place for partitions in kept.values() for place in partitions}
    free = [place for place in everything if place not in taken]
    for place in sorted(free, key=lambda one: len(by_topic[one[0]])):
        least = min(by_topic[place[0]], key=lambda member_id: len(kept[member_id]))
        kept[least].append(place)
    holds = {member_id: Counter(place[0] for place in partitions) for member_id, partitions in kept.items()}
    settled: set[str] = set()
    while len(settled) < len(kept):
        fullest = max((one for one in kept if one not in settled), key=lambda member_id: len(kept[member_id]))
        path = _path_to_less(fullest, kept, holds, by_topic)
        if not path:
            settled.add(fullest)
            continue
        for giver, topic_id, taker in path:
            place = max(one for one in kept[giver] if one[0] == topic_id)
            kept[giver].remove(place)
            kept[taker].append(place)
            holds[giver][topic_id] -= 1
            holds[taker][topic_id] += 1
        settled.clear()


def _path_to_less(
    start: str,
    kept: Mapping[str, list[tuple[UUID, int]]],
    holds: Mapping[str, Counter[UUID]],
    by_topic: Mapping[UUID, list[str]],
) -> list[tuple[str, UUID, str]]:
    """Return the shortest chain of moves (giver, topic, taker) from a member to one with two partitions fewer, or [].

    Each chain reduces the sum of the squares of the loads, so the number of chains is finite.
    """
    came_from: dict[str, tuple[str, UUID]] = {}
    seen, topics_seen = {start}, set[UUID]()
    waiting = deque([start])
    while waiting:
        giver = waiting.popleft()
        for topic_id in sorted(one for one, count in holds[giver].items() if count > 0 and one not in topics_seen):
            topics_seen.add(topic_id)
            for taker in by_topic[topic_id]:
                if taker in seen:
                    continue
                seen.add(taker)
                came_from[taker] = (giver, topic_id)
                if len(kept[taker]) <= len(kept[start]) - 2:
                    return _back(taker, came_from)
                waiting.append(taker)
    return []


def _back(end: str, came_from: Mapping[str, tuple[str, UUID]]) -> list[tuple[str, UUID, str]]:
    path = []
    while end in came_from:
        giver, topic_id = came_from[end]
        path.append((giver, topic_id, end))
        end = giver
    return path[::-1]


ASSIGNORS: dict[str, Assignor] = {"uniform": assign_uniform, "range": assign_range}
"""All assignors. `group.consumer.assignors` names the enabled ones, the default first."""


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
        for place in sorted(_kept_shares(one.had, owners)):
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


def _kept_shares(had: Partitions, owners: Mapping[tuple[UUID, int], list[str]]) -> list[tuple[UUID, int]]:
    return [place for place in had if place in owners]
