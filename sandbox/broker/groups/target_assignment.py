"""What a consumer group subscribes to, and the target that follows from it (KIP-848)."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from sandbox.broker.groups.assignors import ASSIGNORS, NO_PARTITIONS, Partitions, Subscriber, TopicSize
from sandbox.broker.groups.consumer_group import Consumer, ConsumerGroup
from sandbox.broker.logs.topic import Topic
from sandbox.broker.name_pattern import NamePattern

PATTERNS_MAX = 1_000
"""How many regular expressions are remembered with what they match."""


class Topics(NamedTuple):
    """Every topic that there is, as the broker has them now."""

    by_name: Mapping[str, Topic]
    by_id: Mapping[UUID, Topic]


NO_TOPICS = Topics({}, {})


class Subscriptions:
    """From what members subscribe to, to topics.

    Args:
        topics: looked at anew at each call.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._names: tuple[str, ...] = ()
        self._matches: dict[str, frozenset[str]] = {}

    def matches(self, pattern: str) -> frozenset[str]:
        """The topics whose names a regular expression matches now.

        Raises:
            PatternError: it is not one.
        """
        names = tuple(self._topics.by_name)
        if names != self._names or len(self._matches) >= PATTERNS_MAX:
            self._names, self._matches = names, {}
        if pattern not in self._matches:
            compiled = NamePattern(pattern)
            self._matches[pattern] = frozenset(name for name in names if compiled.matches(name))
        return self._matches[pattern]

    def names_of(self, member: Consumer) -> frozenset[str]:
        """What a member subscribes to: names, whether there are such topics or not, and what its expression matches."""
        return frozenset(member.topics) | (self.matches(member.pattern) if member.pattern else frozenset())

    def refresh(self, group: ConsumerGroup) -> frozenset[tuple[UUID, int]]:
        """Look anew at what a group subscribes to; returns the ids and sizes of the topics that there are."""
        group.subscribed = frozenset(name for member in group.members.values() for name in self.names_of(member))
        found = (self._topics.by_name.get(name) for name in group.subscribed)
        return frozenset((topic.topic_id, len(topic.partitions)) for topic in found if topic is not None)

    def assign(self, group: ConsumerGroup, assignors: Iterable[str]) -> None:
        """Compute the target of the group's epoch.

        Args:
            assignors: the names of those that are on, the default first.
        """
        subscribers = [self._subscriber(member) for member in group.members.values()]
        sizes = {
            topic_id: TopicSize(self._topics.by_id[topic_id].name, partitions)
            for topic_id, partitions in sorted(group.metadata)
        }
        group.protocol = _elected(group, tuple(assignors))
        target = ASSIGNORS[group.protocol](subscribers, sizes)
        for member in group.members.values():
            member.target = target.get(member.member_id, NO_PARTITIONS)
        group.assignment_epoch = group.generation
        group.changed = True

    def _subscriber(self, member: Consumer) -> Subscriber:
        topics = (self._topics.by_name.get(name) for name in self.names_of(member))
        ids = frozenset(topic.topic_id for topic in topics if topic is not None)
        return Subscriber(member.member_id, member.instance_id, ids, member.target)

    def by_topic(self, partitions: Partitions) -> dict[str, tuple[int, ...]]:
        """Partitions by the name of their topic, in order; without those of topics that are gone."""
        found: dict[str, list[int]] = {}
        for topic_id, partition in partitions:
            topic = self._topics.by_id.get(topic_id)
            if topic is not None:
                found.setdefault(topic.name, []).append(partition)
        return {name: tuple(sorted(found[name])) for name in sorted(found)}

    def names(self, partitions: Partitions) -> tuple[str, ...]:
        """Partitions in words: "orders-0", "orders-1"."""
        return tuple(f"{topic}-{one}" for topic, several in self.by_topic(partitions).items() for one in several)


def sizes_of(group: ConsumerGroup) -> frozenset[tuple[UUID, int]]:
    """The ids and sizes of the topics that a target was made for: all their partitions are in it."""
    counts: dict[UUID, int] = {}
    for member in group.members.values():
        for topic_id, _ in member.target:
            counts[topic_id] = counts.get(topic_id, 0) + 1
    return frozenset(counts.items())


def _elected(group: ConsumerGroup, assignors: tuple[str, ...]) -> str:
    """The assignor with most votes; of those with as many, and without any votes, the one named first."""
    votes = [member.assignor for member in group.members.values() if member.assignor in assignors]
    return max(assignors, key=votes.count)
