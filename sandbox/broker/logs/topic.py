"""Topics and partitions in the broker's memory, and the rules for topic names."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from sandbox.kafka.broker_config import BrokerConfig, topic_value
from sandbox.kafka.errors import BrokerError

NAME_LENGTH_MAX = 249
_NAME = re.compile(r"[a-zA-Z0-9._-]+")

NODE_ID = 1
"""The first broker's id. It is the only broker by default."""


@dataclass(slots=True, eq=False)
class Partition:
    """One partition.

    Attributes:
        id: the id of its row.
        start: the log start offset.
        next: the offset of the next event; higher than `high_watermark` until the commit.
        high_watermark: the end of the committed events; events at or above it are never served.
        last_stable_offset: the end of the events that no open transaction can change; read_committed reads up to it.
        open_transactions: producer id to the first offset of its open transaction in this partition.
        aborted_until: the offset of the last marker that aborted events, -1 for none.
        bytes_total: the total size of all batches ever written, in bytes.
    """

    id: int
    topic: "Topic"
    partition: int
    start: int = 0
    next: int = 0
    high_watermark: int = 0
    leader_epoch: int = 0
    bytes_total: int = 0
    last_timestamp_ms: int | None = None
    last_append_ms: int | None = None
    leader: int = NODE_ID
    replicas: tuple[int, ...] = (NODE_ID,)
    isr: tuple[int, ...] = (NODE_ID,)
    last_stable_offset: int = 0
    open_transactions: dict[int, int] = field(default_factory=dict)
    aborted_until: int = -1

    def settle(self) -> None:
        """Make everything visible that was written, after the commit made it durable."""
        self.high_watermark = self.last_stable_offset = self.next
        if self.open_transactions:
            self.last_stable_offset = max(self.start, min(self.open_transactions.values()))

    def check_leader(self, broker: int) -> None:
        """Raise BrokerError NOT_LEADER_OR_FOLLOWER if a broker doesn't lead this partition."""
        if broker != self.leader:
            raise BrokerError(
                "NOT_LEADER_OR_FOLLOWER",
                f"Broker {broker} does not lead {self.topic.name}-{self.partition}: "
                + (f"broker {self.leader} does." if self.leader > 0 else "it has no leader."),
            )

    def check_leader_epoch(self, epoch: int) -> None:
        """Refuse a leader epoch that isn't the current one (KIP-320); -1 is not checked.

        Raises:
            BrokerError: FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
        """
        if epoch >= 0 and epoch != self.leader_epoch:
            raise BrokerError("FENCED_LEADER_EPOCH" if epoch < self.leader_epoch else "UNKNOWN_LEADER_EPOCH")


@dataclass(slots=True, eq=False)
class Topic:
    """One topic.

    Attributes:
        id: the id of its row.
        settings: the settings that were set for it.
        replication_factor: number of its replicas; limited to the number of brokers.
    """

    id: int
    name: str
    topic_id: UUID
    created_ms: int
    settings: dict[str, str]
    replication_factor: int = 1
    partitions: list[Partition] = field(default_factory=list)
    _cache: dict[str, str] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def value(self, name: str, broker: BrokerConfig) -> str:
        """Return a setting's effective value."""
        found = self._cache.get(name)
        if found is None:
            found = self._cache[name] = topic_value(name, self.settings, broker)
        return found

    def number(self, name: str, broker: BrokerConfig) -> int:
        """Return a numeric setting's effective value."""
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = int(self.value(name, broker))
        return found

    def set(self, settings: dict[str, str]) -> None:
        """Replace the topic's settings."""
        self.settings = settings
        self._cache.clear()
        self._numbers.clear()

    def partition(self, number: int) -> Partition:
        """Return a partition. Raises BrokerError UNKNOWN_TOPIC_OR_PARTITION if it doesn't exist."""
        if 0 <= number < len(self.partitions):
            return self.partitions[number]
        raise BrokerError(
            "UNKNOWN_TOPIC_OR_PARTITION",
            f"Topic {self.name} has no partition {number}: it has 0 to {len(self.partitions) - 1}.",
        )


def check_name(name: str) -> None:
    """Raise INVALID_TOPIC_EXCEPTION for a name that Kafka refuses (org.apache.kafka.common.internals.Topic)."""
    reason = None
    if not name:
        reason = "the empty string is not allowed"
    elif name in (".", ".."):
        reason = f"'{name}' is not allowed"
    elif len(name) > NAME_LENGTH_MAX:
        reason = f"the length of '{name[:40]}...' is longer than the max allowed length {NAME_LENGTH_MAX}"
    elif not _NAME.fullmatch(name):
        reason = f"'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    if reason:
        raise BrokerError("INVALID_TOPIC_EXCEPTION", f"Topic name is invalid: {reason}")


def check_new_name(name: str, topics: Collection[str]) -> None:
    """Check the name of a new topic.

    Raises:
        BrokerError: INVALID_TOPIC_EXCEPTION, also if another name differs only in "." and "_"; TOPIC_ALREADY_EXISTS.
    """
    check_name(name)
    if name in topics:
        raise BrokerError("TOPIC_ALREADY_EXISTS", f"Topic '{name}' already exists.")
    alike = name.replace(".", "_")
    for other in topics if alike != name or "_" in name else ():
        if other.replace(".", "_") == alike:
            raise BrokerError("INVALID_TOPIC_EXCEPTION", f"Topic '{name}' collides with existing topic: {other}")
