"""A coordinator with its file, topics, a clock that the test sets, and members of the consumer protocol."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from sandbox.broker.groups.assignors import NO_PARTITIONS, Partitions
from sandbox.broker.groups.calls import ConsumerHeartbeat, HeartbeatAnswer, OffsetCommit
from sandbox.broker.groups.consumer_group import ConsumerGroup, ConsumerMember, TopicLookup
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.logs.topic import Partition, Topic
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.database import Database
from sandbox.storage.groups.groups import GroupStore
from sandbox.web.activity import rebalance_text
from sandbox.wire.group_bytes import MEMBER_BYTES, assigned_partitions

GROUP = "app"
SESSION_MS = 45_000
REBALANCE_MS = 30_000


@dataclass
class ConsumerRoom:
    """One sandbox file and its coordinator.

    Attributes:
        changes: what watchers heard: (group id, kind).
    """

    path: Path
    settings: dict[str, str] = field(default_factory=dict)
    now_ms: int = 1_000_000
    changes: list[tuple[str, str]] = field(default_factory=list)
    topics: TopicLookup = field(default_factory=lambda: TopicLookup({}, {}))
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self._by_name: dict[str, Topic] = {}
        self._by_id: dict[UUID, Topic] = {}
        self.topics = TopicLookup(self._by_name, self._by_id)
        self.open()

    def open(self) -> None:
        """Open the file, as the sandbox does when it starts."""
        self.database = Database(self.path)
        self.coordinator = GroupCoordinator(
            GroupStore(self.database),
            BrokerConfig(self.settings),
            decode_assignment=assigned_partitions,
            member_bytes=MEMBER_BYTES,
            topics=self.topics,
            on_change=lambda group_id, kind: self.changes.append((group_id, kind)),
            new_id=lambda: f"{next(self.ids):08d}-uuid",
        )
        self.coordinator.load(self.now_ms)

    def restart(self, *, after_ms: int = 0) -> None:
        """Stop the sandbox and start it again."""
        self.database.close()
        self.now_ms += after_ms
        self.open()

    def pass_ms(self, duration_ms: int) -> None:
        """Let time pass, and tick at every deadline on the way, as the sandbox's loop does."""
        until_ms = self.now_ms + duration_ms
        while (due_ms := self.coordinator.next_deadline_ms()) is not None and due_ms <= until_ms:
            self.now_ms = max(due_ms, self.now_ms)
            self.coordinator.tick(self.now_ms)
        self.now_ms = until_ms

    def topic(self, name: str, partitions: int) -> None:
        """Create a topic, or give one more partitions."""
        topic = self._by_name.get(name)
        if topic is None:
            number = next(self.ids)
            topic = self._by_name[name] = Topic(number, name, UUID(int=number), self.now_ms, {})
            self._by_id[topic.topic_id] = topic
        topic.partitions += [Partition(one, topic, one) for one in range(len(topic.partitions), partitions)]

    def delete_topic(self, name: str) -> None:
        """Delete a topic."""
        del self._by_id[self._by_name.pop(name).topic_id]

    def partitions(self, written: str) -> Partitions:
        """ "orders:0,1 payments:2" and the like as the protocol has them."""
        found = set()
        for part in written.split():
            name, _, numbers = part.partition(":")
            found |= {(self._by_name[name].topic_id, int(number)) for number in numbers.split(",")}
        return frozenset(found)

    def written(self, partitions: Partitions | None) -> str | None:
        """The other way round."""
        if partitions is None:
            return None
        by_name: dict[str, list[int]] = {}
        for topic_id, partition in sorted(partitions):
            by_name.setdefault(self._by_id[topic_id].name, []).append(partition)
        return " ".join(f"{name}:{','.join(map(str, by_name[name]))}" for name in sorted(by_name))

    def heartbeat(
        self, member_id: str, epoch: int, owned: str | Partitions | None = None, **more: Any
    ) -> HeartbeatAnswer:
        """Send a ConsumerGroupHeartbeat."""
        given = self.partitions(owned) if isinstance(owned, str) else owned
        request = ConsumerHeartbeat(
            more.pop("group", GROUP),
            member_id,
            epoch,
            client_id=more.pop("client", member_id),
            client_host="/127.0.0.1",
            owned=given,
            **more,
        )
        return self.coordinator.consumer_heartbeat(request, self.now_ms)

    def join(self, member_id: str, *topics: str, **more: Any) -> HeartbeatAnswer:
        """Join, or join again."""
        names = topics or (None if "pattern" in more else ("orders",))
        more.setdefault("rebalance_timeout_ms", REBALANCE_MS)
        return self.heartbeat(member_id, 0, NO_PARTITIONS, topics=names, **more)

    def leave(self, member_id: str, epoch: int = -1, **more: Any) -> HeartbeatAnswer:
        """Leave; epoch -2 for a while."""
        return self.heartbeat(member_id, epoch, **more)

    def settle(self, *, rounds: int = 6) -> None:
        """Let every member heartbeat, with what it may have, until nothing changes any more."""
        for _ in range(rounds):
            for member in list(self.group().members.values()):
                if member.member_epoch >= 0:
                    instance = {"instance_id": member.instance_id} if member.instance_id else {}
                    self.heartbeat(member.member_id, member.member_epoch, member.assigned, **instance)

    def refused(self, member_id: str, epoch: int, owned: str | None = None, **more: Any) -> str:
        """The error of a heartbeat that must be refused."""
        try:
            self.heartbeat(member_id, epoch, owned, **more)
        except BrokerError as error:
            return error.error.name
        raise AssertionError("the heartbeat was not refused")

    def group(self, group_id: str = GROUP) -> ConsumerGroup:
        """The group as the coordinator has it."""
        return self.coordinator._table.consumer(group_id)

    def member(self, member_id: str) -> ConsumerMember:
        """A member as the coordinator has it."""
        return self.group().members[member_id]

    def shares(self) -> dict[str, str | None]:
        """What each member may have."""
        return {one.member_id: self.written(one.assigned) for one in self.group().members.values()}

    def state(self) -> str:
        """The group's state."""
        return self.group().state.value

    def commit(self, offset: int, member_id: str = "", epoch: int = -1, *, knows_epochs: bool = True) -> str:
        """Commit one offset of orders-0; the error."""
        offsets = [OffsetCommit("orders", 0, offset)]
        outcome = self.coordinator.commit(
            GROUP, epoch, member_id, None, offsets, self.now_ms, knows_epochs=knows_epochs
        )
        return outcome[0].error

    def committed(self) -> int:
        """The committed offset of orders-0, -1 for none."""
        return self.coordinator.fetch_offsets(GROUP, {"orders": [0]})[0].offset

    def rebalances(self) -> list[tuple[int, str, int]]:
        """The history: generation, details in words, members."""
        return [
            (generation, rebalance_text(json.loads(details)), members)
            for generation, details, members in self.database.query(
                "SELECT generation, details, members FROM rebalances ORDER BY id"
            )
        ]
