"""Committed offsets: checks, storage and retention.

The rows are the only copy, so that a failed write transaction discards its commits. Rules: KIP-211 (retention starts
when a group becomes empty), KIP-496 (deleting offsets), and Kafka's classic group for permission to commit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from sandbox.broker.groups.calls import FetchedOffset, OffsetCommit, PartitionError
from sandbox.broker.groups.classic_group import State
from sandbox.broker.groups.consumer_group import ConsumerGroup
from sandbox.broker.groups.listing import AnyGroup
from sandbox.broker.groups.share_group import ShareGroup
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.client_text import within_protocol
from sandbox.storage.groups.groups import CommittedOffset, GroupStore

CONSUMER = "consumer"
"""The protocol type of groups whose members read partitions."""

NO_OFFSET = -1

PartitionExists = Callable[[str, int], bool]
DecodeSubscription = Callable[[bytes], tuple[str, ...] | None]
StageOffsets = Callable[[list[CommittedOffset]], None]


class Offsets:
    """The committed offsets of all groups.

    Args:
        config: `offset.metadata.max.bytes` and `offsets.retention.minutes` are read at each call.
        decode_subscription: decodes a consumer's metadata to the topics that it subscribes to, None if it can't.
    """

    def __init__(self, store: GroupStore, config: BrokerConfig, decode_subscription: DecodeSubscription) -> None:
        self._store = store
        self._config = config
        self._decode_subscription = decode_subscription

    def refusal(
        self,
        group: AnyGroup,
        generation: int,
        member_id: str,
        instance_id: str | None,
        *,
        knows_epochs: bool = True,
        transactional: bool = False,
    ) -> str | None:
        """Return the error for a commit, or None if it is allowed.

        A group without members accepts commits of clients that assign partitions themselves (generation -1). Otherwise
        only a member of the current generation may commit, and not between its JoinGroup's answer and its assignment.
        In the consumer protocol `generation` is the member's epoch, and requests must support epochs (version 9). A
        transaction may also commit between them, and without a member (KIP-447).
        """
        if transactional and generation < 0 and not member_id and instance_id is None:
            return None
        if isinstance(group, ShareGroup):
            return "GROUP_ID_NOT_FOUND"
        if isinstance(group, ConsumerGroup):
            if generation < 0 and not group.members:
                return None
            member = group.members.get(member_id)
            needs_epochs = member is not None and member.classic is None and not transactional
            return "UNSUPPORTED_VERSION" if needs_epochs and not knows_epochs else group.refusal(member_id, generation)
        if generation < 0 and group.state is State.EMPTY:
            return None
        refusal = group.refusal(member_id, instance_id)
        if refusal is not None:
            return refusal
        if generation != group.generation:
            return "ILLEGAL_GENERATION"
        return "REBALANCE_IN_PROGRESS" if group.state is State.COMPLETING_REBALANCE and not transactional else None

    def check(self, offsets: Iterable[OffsetCommit], exists: PartitionExists | None) -> tuple[PartitionError, ...]:
        """Check which offsets can be committed: the partition must exist, and the metadata must not be too long."""
        length_max = self._config.number("offset.metadata.max.bytes")
        outcome: list[PartitionError] = []
        for topic, partition, _, _, metadata in offsets:
            error = "NONE"
            if exists is not None and not exists(topic, partition):
                error = "UNKNOWN_TOPIC_OR_PARTITION"
            elif metadata is not None and _length(metadata) > length_max:
                error = "OFFSET_METADATA_TOO_LARGE"
            outcome.append(PartitionError(topic, partition, error))
        return tuple(outcome)

    def commit(
        self,
        group_id: str,
        generation: int,
        member_id: str,
        offsets: Sequence[OffsetCommit],
        exists: PartitionExists | None,
        now_ms: int,
        stage: StageOffsets | None = None,
    ) -> tuple[PartitionError, ...]:
        """Store the offsets that `check` accepts.

        Args:
            stage: takes them instead, for the end of a transaction.
        """
        outcome = self.check(offsets, exists)
        rows = [
            CommittedOffset(topic, partition, offset, leader_epoch, metadata, now_ms)
            for (topic, partition, offset, leader_epoch, metadata), found in zip(offsets, outcome, strict=True)
            if found.error == "NONE"
        ]
        if rows and stage is not None:
            stage(rows)
        elif rows:
            self._store.commit(group_id, rows, generation, member_id)
        return outcome

    def fetch(self, group_id: str, topics: Mapping[str, Iterable[int]] | None) -> tuple[FetchedOffset, ...]:
        """Return the requested committed offsets, in the order of the request; all if `topics` is None."""
        committed = self._store.offsets(group_id)
        if topics is None:
            return tuple(_fetched(offset) for offset in committed.values())
        return tuple(
            _fetched(committed[topic, partition])
            if (topic, partition) in committed
            else FetchedOffset(topic, partition, NO_OFFSET, -1, "")
            for topic, partitions in topics.items()
            for partition in partitions
        )

    def delete(self, group: AnyGroup, partitions: Iterable[tuple[str, int]]) -> tuple[PartitionError, ...]:
        """Delete committed offsets, except in topics that a member subscribes to."""
        subscribed = self.subscribed_topics(group)
        outcome: list[PartitionError] = []
        for topic, partition in partitions:
            reads = topic in subscribed if subscribed is not None else group.protocol_type == CONSUMER
            outcome.append(PartitionError(topic, partition, "GROUP_SUBSCRIBED_TO_TOPIC" if reads else "NONE"))
        self._store.delete_offsets(group.group_id, [one[:2] for one in outcome if one.error == "NONE"])
        return tuple(outcome)

    def subscribed_topics(self, group: AnyGroup) -> frozenset[str] | None:
        """Return the topics that a consumer group's members subscribe to, or None if unknown."""
        if isinstance(group, ConsumerGroup | ShareGroup):
            return group.subscribed
        if group.protocol_type != CONSUMER:
            return None
        topics: set[str] = set()
        for member in group.members.values():
            subscription = self._decode_subscription(member.metadata(group.protocol or member.protocols[0][0]))
            if subscription is None:
                return None
            topics.update(subscription)
        return frozenset(topics)

    def expire(self, group: AnyGroup, now_ms: int) -> bool:
        """Delete expired offsets. Returns True if there were any.

        Retention starts when the last member left; for a group that only commits, at each commit. A stable consumer
        group loses the offsets of topics that no member subscribes to anymore. In the consumer protocol retention
        always starts at the commit.
        """
        retention_ms = self._config.number("offsets.retention.minutes") * 60_000
        consumer = isinstance(group, ConsumerGroup)
        subscribed = self.subscribed_topics(group) if consumer or group.state is State.STABLE else None
        if not consumer and group.state is not State.EMPTY and subscribed is None:
            return False
        counts_from_state = group.state is State.EMPTY and not consumer and group.protocol_type != ""
        expired = [
            (offset.topic, offset.partition)
            for offset in self._store.offsets(group.group_id).values()
            if (subscribed is None or offset.topic not in subscribed)
            and now_ms - max(offset.committed_ms, group.since_ms if counts_from_state else 0) >= retention_ms
        ]
        self._store.delete_offsets(group.group_id, expired)
        return bool(expired)


def _fetched(offset: CommittedOffset) -> FetchedOffset:
    metadata = within_protocol(offset.metadata or "")
    return FetchedOffset(offset.topic, offset.partition, offset.offset, offset.leader_epoch, metadata)


def _length(metadata: str) -> int:
    """Return the length in UTF-16 units, as Kafka counts it."""
    return len(metadata.encode("utf-16-le", "surrogatepass")) // 2
