"""A coordinator with its file, a clock that the test sets, and short words for what members send."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sandbox.broker.groups.calls import JoinAnswer, JoinGroup, LeavingMember, OffsetCommit, SyncAnswer
from sandbox.broker.groups.classic_group import Group
from sandbox.broker.groups.classic_membership import STATIC_JOIN_WAIT_MS
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.reply import Reply
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.storage.file.database import Database
from sandbox.storage.groups.groups import GroupStore, Protocols
from sandbox.web.activity import rebalance_text

GROUP = "app"
SESSION_MS = 6_000
REBALANCE_MS = 60_000
RANGE: Protocols = (("range", b"orders"),)


def decode_subscription(data: bytes) -> tuple[str, ...] | None:
    """Topics with commas between them; "?" cannot be read."""
    return None if data == b"?" else tuple(data.decode().split(","))


def decode_assignment(data: bytes) -> dict[str, tuple[int, ...]] | None:
    """ "orders:0,1" and the like; "?" cannot be read."""
    if data == b"?":
        return None
    topic, _, partitions = data.decode().partition(":")
    return {topic: tuple(int(partition) for partition in partitions.split(","))}


@dataclass
class Room:
    """One sandbox file and its coordinator.

    Attributes:
        changes: what watchers heard: (group id, kind).
        held: every reply that was ever asked for.
    """

    path: Path
    settings: dict[str, str] = field(default_factory=dict)
    now_ms: int = 1_000_000
    changes: list[tuple[str, str]] = field(default_factory=list)
    held: list[Reply[JoinAnswer] | Reply[SyncAnswer]] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Open the file, as the sandbox does when it starts."""
        self.database = Database(self.path)
        self.coordinator = GroupCoordinator(
            GroupStore(self.database),
            BrokerConfig(self.settings),
            decode_assignment=decode_assignment,
            decode_subscription=decode_subscription,
            on_change=lambda group_id, kind: self.changes.append((group_id, kind)),
            new_id=lambda: f"{next(self.ids):08d}-uuid",
        )
        self.coordinator.load(self.now_ms)

    def group(self, group_id: str = GROUP) -> Group:
        """A group of the classic protocol as the coordinator has it."""
        group = self.coordinator._table.classic(group_id)
        assert group is not None
        return group

    def restart(self, *, after_ms: int = 0) -> None:
        """Stop the sandbox and start it again."""
        self.database.close()
        self.now_ms += after_ms
        self.open()

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def pass_ms(self, duration_ms: int) -> None:
        """Let time pass, and tick at every deadline on the way, as the sandbox's loop does."""
        until_ms = self.now_ms + duration_ms
        while (due_ms := self.coordinator.next_deadline_ms()) is not None and due_ms <= until_ms:
            self.now_ms = max(due_ms, self.now_ms)
            self.coordinator.tick(self.now_ms)
        self.now_ms = until_ms

    def join(
        self,
        client: str = "one",
        member_id: str = "",
        *,
        group: str = GROUP,
        instance: str | None = None,
        protocols: Protocols = RANGE,
        protocol_type: str = "consumer",
        session_ms: int = SESSION_MS,
        rebalance_ms: int = REBALANCE_MS,
        reason: str | None = None,
        require_id: bool = False,
        skip: bool = False,
    ) -> Reply[JoinAnswer]:
        """Send a JoinGroup."""
        request = JoinGroup(
            group,
            member_id,
            instance,
            client,
            "/127.0.0.1",
            session_ms,
            rebalance_ms,
            protocol_type,
            protocols,
            reason,
            require_id,
            skip,
        )
        reply = self.coordinator.join(request, self.now_ms)
        self.held.append(reply)
        return reply

    def join_first(self, client: str = "one", **more: Any) -> JoinAnswer:
        """Send the first JoinGroup of a group; a static member's is answered after the wait for others."""
        reply = self.join(client, **more)
        if more.get("instance") is not None:
            self.pass_ms(STATIC_JOIN_WAIT_MS)
        return reply.result()

    def sync(
        self,
        joined: JoinAnswer,
        assignments: Mapping[str, bytes] | None = None,
        *,
        generation: int | None = None,
        instance: str | None = None,
        protocol_type: str | None = None,
        protocol: str | None = None,
    ) -> Reply[SyncAnswer]:
        """Send the SyncGroup of somebody who has joined."""
        reply = self.coordinator.sync(
            GROUP,
            joined.generation if generation is None else generation,
            joined.member_id,
            instance,
            protocol_type,
            protocol,
            assignments or {},
            self.now_ms,
        )
        self.held.append(reply)
        return reply

    def heartbeat(self, joined: JoinAnswer, *, generation: int | None = None, instance: str | None = None) -> str:
        """Send a Heartbeat."""
        wanted = joined.generation if generation is None else generation
        return self.coordinator.heartbeat(GROUP, wanted, joined.member_id, instance, self.now_ms)

    def leave(self, *members: JoinAnswer, reason: str | None = None) -> list[str]:
        """Send a LeaveGroup; the error of each member."""
        leaving = [LeavingMember(member.member_id, None, reason) for member in members]
        return [one.error for one in self.coordinator.leave(GROUP, leaving, self.now_ms).members]

    def commit(
        self,
        offset: int,
        joined: JoinAnswer | None = None,
        *,
        topic: str = "orders",
        partition: int = 0,
        metadata: str | None = "",
        generation: int | None = None,
        instance: str | None = None,
    ) -> str:
        """Commit one offset, as a member or (None) as a client outside the group's membership; the error."""
        own = joined.generation if joined is not None else -1
        offsets = [OffsetCommit(topic, partition, offset, 5, metadata)]
        member_id = joined.member_id if joined is not None else ""
        wanted = own if generation is None else generation
        return self.coordinator.commit(GROUP, wanted, member_id, instance, offsets, self.now_ms)[0].error

    def committed(self, topic: str = "orders", partition: int = 0) -> int:
        """The committed offset, -1 for none."""
        return self.coordinator.fetch_offsets(GROUP, {topic: [partition]})[0].offset

    def state(self) -> str:
        """The group's state."""
        return self.coordinator.describe(GROUP).state

    def stable(self, *clients: str, instances: Iterable[str | None] = ()) -> list[JoinAnswer]:
        """A Stable group of these members, in this order; the first leads. Each has its own partition of orders."""
        names = dict(zip(clients, instances, strict=False))
        first = self.join_first(clients[0], instance=names.get(clients[0]))
        replies = [self.join(client, instance=names.get(client)) for client in clients[1:]]
        if replies:
            replies.insert(0, self.join(clients[0], first.member_id, instance=names.get(clients[0])))
            joined = [reply.result() for reply in replies]
        else:
            joined = [first]
        assignments = {one.member_id: f"orders:{index}".encode() for index, one in enumerate(joined)}
        for client, one in reversed(list(zip(clients, joined, strict=True))):
            self.sync(one, assignments if one is joined[0] else None, instance=names.get(client))
        assert self.state() == "Stable"
        return joined

    def rebalances(self) -> list[tuple[int, str, int]]:
        """The history: generation, details in words, members."""
        return [
            (generation, rebalance_text(json.loads(details)), members)
            for generation, details, members in self.database.query(
                "SELECT generation, details, members FROM rebalances ORDER BY id"
            )
        ]
