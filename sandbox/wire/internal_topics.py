"""Kafka's internal topics, which have no rows: their records are derived from the rows of groups.

Tools such as Burrow, kminion and the console consumer with the offsets formatter follow `__consumer_offsets`. Here it
has one partition, with a record for each row of the history of commits: its offset is the row's id minus 1, so that it
never changes. Left out: the records of groups and members, and tombstones of offsets that were deleted.

`__transaction_state` and `__share_group_state` are listed, but can't be read (TOPIC_AUTHORIZATION_FAILED, which clients
show): their rows have no history. As in Kafka, each topic is there once it is used, and clients can't write to it.

Source: the schemas OffsetCommitKey, version 1, and OffsetCommitValue, version 3, of Apache Kafka's group coordinator.
"""

import logging
import struct
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from sandbox.broker.logs.topic import Partition, Topic
from sandbox.kafka.client_text import within_protocol
from sandbox.kafka.errors import BrokerError
from sandbox.storage.groups.groups import SHARE_TYPE, CommittedOffset, GroupStore
from sandbox.wire.records.batch import encode_batch

if TYPE_CHECKING:
    from sandbox.broker.broker import Broker
    from sandbox.broker.groups.coordinator import GroupCoordinator

OFFSETS, TRANSACTIONS, SHARE_STATE = "__consumer_offsets", "__transaction_state", "__share_group_state"
TOPIC_IDS = {OFFSETS: -1, TRANSACTIONS: -2, SHARE_STATE: -3}
"""The ids of the topics and of their partitions, which no row has."""
SETTINGS = {"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "104857600"}
KEY_VERSION, VALUE_VERSION = 1, 3
ROWS_MAX = 500
"""The maximum number of rows in one record batch."""

logger = logging.getLogger("sandbox.wire")


class InternalTopics:
    """The internal topics of one broker.

    Args:
        broker: gives the cluster and the file.
        coordinator: gives the groups.
    """

    def __init__(self, broker: "Broker", coordinator: "GroupCoordinator") -> None:
        self._broker = broker
        self._coordinator = coordinator
        self._store = GroupStore(broker.database)
        self._topics: dict[str, Topic] = {}

    def _topic(self, name: str) -> Topic:
        if name not in self._topics:
            topic_id = uuid5(UUID(int=0), f"{self._broker.cluster_id} {name}")
            topic = self._topics[name] = Topic(TOPIC_IDS[name], name, topic_id, 0, dict(SETTINGS))
            topic.partitions.append(Partition(topic.id, topic, 0))
            self.refresh()
        topic = self._topics[name]
        controller = self._broker.cluster.controller
        for partition in topic.partitions:
            partition.leader, partition.replicas, partition.isr = controller, (controller,), (controller,)
        return topic

    def refresh(self) -> Partition | None:
        """Make new commits visible, after they are durable. Returns the partition if it has been used."""
        topic = self._topics.get(OFFSETS)
        if topic is None:
            return None
        (partition,) = topic.partitions
        partition.next = self._store.last_commit()
        partition.settle()
        return partition

    def _is_used(self, name: str) -> bool:
        if name == TRANSACTIONS:
            return self._broker.transactions.is_used
        if name == SHARE_STATE:
            return self._coordinator.has_groups(SHARE_TYPE)
        return self._store.last_commit() > 0 or self._coordinator.has_groups()

    def find(self, name: str | None, topic_id: UUID | None = None) -> Topic | None:
        """Return an internal topic by its name or its id, or None if there is none, or it isn't used yet."""
        for one in TOPIC_IDS:
            if (name or None) in (one, None) and one not in self._broker.topics:
                topic = self._topic(one)
                if (name or topic.topic_id == topic_id) and self._is_used(one):
                    return topic
        return None

    def listed(self) -> list[Topic]:
        """Return the internal topics that are used."""
        found = (self.find(name) for name in TOPIC_IDS)
        return [topic for topic in found if topic is not None]

    def read(self, partition: Partition, offset: int, size_bytes_max: int) -> list[bytes]:
        """Return record batches from an offset on, below the high watermark, but at least one.

        Raises:
            BrokerError: TOPIC_AUTHORIZATION_FAILED for a topic that has no history.
        """
        if partition.topic.name != OFFSETS:
            reason = f"{partition.topic.name} can't be read: its state is rows of the sandbox file, without a history."
            logger.info(reason)
            raise BrokerError("TOPIC_AUTHORIZATION_FAILED", reason)
        batches: list[bytes] = []
        size_bytes = 0
        while offset < partition.high_watermark and (not batches or size_bytes < size_bytes_max):
            rows = self._store.commits(offset, partition.high_watermark, ROWS_MAX)
            if not rows:
                break
            records = [(number - 1, one.committed_ms, _key(group, one), _value(one), ()) for number, group, one in rows]
            batch = encode_batch(records[0][0], records)
            if batches and size_bytes + len(batch) > size_bytes_max:
                break
            batches.append(batch)
            size_bytes += len(batch)
            offset = records[-1][0] + 1
        return batches

    def offset_for_time(self, partition: Partition, timestamp: int) -> tuple[int, int] | None:
        """Return the offset and the time of the first commit at or after a time, or None."""
        return self._store.commit_at(timestamp) if partition.topic.name == OFFSETS else None


def _string(text: str) -> bytes:
    encoded = within_protocol(text).encode("utf-8", "surrogatepass")
    return struct.pack(">h", len(encoded)) + encoded


def _key(group: str, commit: CommittedOffset) -> bytes:
    return struct.pack(">h", KEY_VERSION) + _string(group) + _string(commit.topic) + struct.pack(">i", commit.partition)


def _value(commit: CommittedOffset) -> bytes:
    return (
        struct.pack(">hqi", VALUE_VERSION, commit.offset, commit.leader_epoch)
        + _string(commit.metadata or "")
        + struct.pack(">q", commit.committed_ms)
    )
