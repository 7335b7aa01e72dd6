"""Resolves a consumer group's subscriptions and computes its target assignment (KIP-848)."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from sandbox.broker.groups.assignors import ASSIGNORS, NO_PARTITIONS, Partitions, Subscriber, TopicSize
from sandbox.broker.groups.consumer_group import ConsumerGroup, ConsumerMember
from sandbox.broker.logs.topic import Topic
from sandbox.broker.name_pattern import NamePattern

PATTERNS_MAX = 1_000
"""The maximum number of regular expressions whose matches are cached."""


class TopicLookup(NamedTuple):
    """The broker's current topics."""

    by_name: Mapping[str, Topic]
    by_id: Mapping[UUID, Topic]


NO_TOPICS = TopicLookup({}, {})


class Subscriptions:
    """Resolves members' subscriptions to topics.

    Args:
        topics: the current topics, read at each call.
    """

    def __init__(self, topics: TopicLookup) -> None:
        self._topics = topics
        self._names: tuple[str, ...] = ()
        self._matches: dict[str, frozenset[str]] = {}

    def matches(self, pattern: str) -> frozenset[str]:
        """Return the topics whose names currently match a regular expression.

        Raises:
            PatternError: the expression is invalid.
        """
        names = tuple(self._topics.by_name)
        if names != self._names or len(self._matches) >= PATTERNS_MAX:
            self._names, self._matches = names, {}
        if pattern not in self._matches:
            compiled = NamePattern(pattern)
            self._matches[pattern] = frozenset(name for name in names if compiled.matches(name))
        return self._matches[pattern]

    def topic_id(self, name: str) -> UUID | None:
        """Return a topic's id, or None if it doesn't exist."""
        topic = self._topics.by_name.get(name)
        return None if topic is None else topic.topic_id

    def names_of(self, member: ConsumerMember) -> frozenset[str]:
        """Return the names that a member subscribes to, existing or not, and the matches of its expression."""
        return frozenset(member.topics) | (self.matches(member.pattern) if member.pattern else frozenset())

    def refresh(self, group: ConsumerGroup) -> frozenset[tuple[UUID, int]]:
        """Update a group's subscribed names. Returns the ids and numbers of partitions of the existing topics."""
        group.subscribed = frozenset(name for member in group.members.values() for name in self.names_of(member))
        found = (self._topics.by_name.get(name) for name in group.subscribed)
        return frozenset((topic.topic_id, len(topic.partitions)) for topic in found if topic is not None)

    def assign(self, group: ConsumerGroup, assignors: Iterable[str]) -> None:
        """Compute the target for the group's epoch.

        Args:
            assignors: the names of the enabled assignors, the default first.
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

    def _subscriber(self, member: ConsumerMember) -> Subscriber:
        topics = (self._topics.by_name.get(name) for name in self.names_of(member))
        ids = frozenset(topic.topic_id for topic in topics if topic is not None)
        return Subscriber(member.member_id, member.instance_id, ids, member.target)

    def by_topic(self, partitions: Partitions) -> dict[str, tuple[int, ...]]:
        """Group partitions by topic name, sorted, without partitions of deleted topics."""
        found: dict[str, list[int]] = {}
        for topic_id, partition in partitions:
            topic = self._topics.by_id.get(topic_id)
            if topic is not None:
                found.setdefault(topic.name, []).append(partition)
        return {name: tuple(sorted(found[name])) for name in sorted(found)}

    def names(self, partitions: Partitions) -> tuple[str, ...]:
        """Return partitions in words: "orders-0", "orders-1"."""
        return tuple(f"{topic}-{one}" for topic, several in self.by_topic(partitions).items() for one in several)


def sizes_of(group: ConsumerGroup) -> frozenset[tuple[UUID, int]]:
    """Return the ids and numbers of partitions of the topics that the target covers. It contains all of their
    partitions.
    """
    counts: dict[UUID, int] = {}
    for member in group.members.values():
        for topic_id, _ in member.target:
            counts[topic_id] = counts.get(topic_id, 0) + 1
    return frozenset(counts.items())


def _elected(group: ConsumerGroup, assignors: tuple[str, ...]) -> str:
    """Return the assignor with the most votes; if tied or without votes, the one named first."""
    votes = [member.assignor for member in group.members.values() if member.assignor in assignors]
    return max(assignors, key=votes.count)
