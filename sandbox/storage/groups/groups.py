"""Stores consumer groups: groups, their members, committed offsets, and the history of commits and rebalances.

The coordinator decides; this module only stores. Writes go into the open write transaction (the caller commits). Reads
see what that transaction has written, and after a rollback the file's content. A commit is two rows: the current one in
`committed_offsets`, and an immutable one in `commits`. Deleting a group or its offsets deletes only current rows; the
history stays.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.storage.file.database import Database, Row

Protocols = tuple[tuple[str, bytes], ...]
Assigned = Mapping[str, tuple[int, ...]]

CLASSIC_TYPE = "classic"
CONSUMER_TYPE = "consumer"
SHARE_TYPE = "share"
"""The types of groups, as ListGroups names them: the protocol that a group's members use."""


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A member as it is stored.

    Attributes:
        instance_id: `group.instance.id`, None for a dynamic member.
        protocols: (name, metadata) in the member's order of preference.
        assignment: the leader's bytes for this member, empty before the first.
        assigned: the same decoded, topic to partitions; empty if it cannot be decoded.
        consumer: epochs, subscription, target and other fields of a member of the consumer protocol, as JSON values;
            None for a member of the classic protocol. Share groups use it too.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: Protocols
    assignment: bytes
    assigned: Assigned = field(default_factory=dict)
    consumer: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """A group as it is stored.

    Attributes:
        state: Kafka's name of the state.
        protocol_type: "" for a group that only commits offsets.
        leader: member id, None if there is none.
        generation: the group epoch in the consumer protocol.
        updated_ms: since when it is in this state.
        type: "classic", "consumer" or "share".
        assignment_epoch: the target assignment's epoch in the consumer protocol, else 0.
    """

    group_id: str
    state: str
    protocol_type: str
    protocol: str
    generation: int
    leader: str | None
    updated_ms: int
    members: tuple[StoredMember, ...] = ()
    type: str = CLASSIC_TYPE
    assignment_epoch: int = 0


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """The committed offset of a group in one partition.

    Attributes:
        leader_epoch: as sent, -1 for none.
        metadata: as sent; None if the client sent null.
    """

    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str | None
    committed_ms: int


@dataclass(frozen=True, slots=True)
class StoredRebalance:
    """One rebalance that has ended.

    Attributes:
        details: see `sandbox.model.rebalance.rebalance_details`.
        members: how many members the group has after it.
        assignment: member id to (client id, "topic-partition" names).
    """

    group_id: str
    generation: int
    started_ms: int
    ended_ms: int
    details: Mapping[str, Any]
    members: int
    assignment: Mapping[str, tuple[str, tuple[str, ...]]]


class GroupStore:
    """Reads and writes the rows of groups.

    Args:
        database: the write connection.
    """

    def __init__(self, database: Database) -> None:
        self.database = self._database = database
        self._saved: dict[str, dict[str, StoredMember]] = {}

    def load(self) -> tuple[StoredGroup, ...]:
        """Return every group with its members, sorted by id. Call it again after a rollback."""
        self._saved.clear()
        members: dict[str, list[StoredMember]] = {}
        for row in self._database.query(
            "SELECT group_id, member_id, instance_id, client_id, client_host, session_timeout_ms, rebalance_timeout_ms,"
            " protocols, assignment, assigned, consumer FROM group_members ORDER BY group_id, member_id"
        ):
            members.setdefault(row[0], []).append(_member(row[1:]))
        groups = self._database.query(
            "SELECT group_id, state, protocol_type, protocol, generation, leader, updated_ms, type, assignment_epoch"
            " FROM groups ORDER BY group_id"
        )
        self._saved = {row[0]: {one.member_id: one for one in members.get(row[0], ())} for row in groups}
        return tuple(
            replace(StoredGroup(*row[:7]), members=tuple(members.get(row[0], ())), type=row[7], assignment_epoch=row[8])
            for row in groups
        )

    def save(self, group: StoredGroup) -> None:
        """Write one group and its members, and delete its other members. Unchanged members are not written."""
        self._database.execute(
            "INSERT INTO groups(group_id, state, protocol_type, protocol, generation, leader, updated_ms, type,"
            " assignment_epoch) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(group_id) DO UPDATE SET"
            " state = excluded.state, protocol_type = excluded.protocol_type, protocol = excluded.protocol,"
            " generation = excluded.generation, leader = excluded.leader, updated_ms = excluded.updated_ms,"
            " type = excluded.type, assignment_epoch = excluded.assignment_epoch",
            (
                group.group_id,
                group.state,
                group.protocol_type,
                group.protocol,
                group.generation,
                group.leader,
                group.updated_ms,
                group.type,
                group.assignment_epoch,
            ),
        )
        members = {one.member_id: one for one in group.members}
        before = self._saved.pop(group.group_id, None)
        if before is None:
            # The stored members are unknown: the group is new, or its last write failed.
            self._database.execute("DELETE FROM group_members WHERE group_id = ?", (group.group_id,))
            before = {}
        gone = [(group.group_id, member_id) for member_id in before.keys() - members.keys()]
        if gone:
            self._database.executemany("DELETE FROM group_members WHERE group_id = ? AND member_id = ?", gone)
        changed = [one for one in group.members if before.get(one.member_id) != one]
        if changed:
            self._write_members(group.group_id, changed)
        self._saved[group.group_id] = members

    def _write_members(self, group_id: str, members: Iterable[StoredMember]) -> None:
        self._database.executemany(
            "INSERT OR REPLACE INTO group_members(group_id, member_id, instance_id, client_id, client_host,"
            " session_timeout_ms, rebalance_timeout_ms, protocols, assignment, assigned, consumer)"
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_member_row(group_id, member) for member in members],
        )

    def delete(self, group_id: str) -> None:
        """Delete a group, its members and its offsets. The history of commits and rebalances stays."""
        self._saved.pop(group_id, None)
        for table in ("pending_offsets", "committed_offsets", "group_members", "groups"):
            self._database.execute(f"DELETE FROM {table} WHERE group_id = ?", (group_id,))

    def commit(self, group_id: str, offsets: Iterable[CommittedOffset], generation: int, member_id: str) -> None:
        """Write committed offsets: the current rows, and one history row each."""
        rows = list(offsets)
        self._database.executemany(
            "INSERT INTO committed_offsets(group_id, topic, partition, offset, leader_epoch, metadata, committed_ms,"
            " position) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 1 + coalesce((SELECT max(position) FROM pending_offsets"
            " WHERE group_id = ?1 AND topic = ?2 AND partition = ?3), 0))"
            " ON CONFLICT(group_id, topic, partition) DO UPDATE SET"
            " offset = excluded.offset, leader_epoch = excluded.leader_epoch, metadata = excluded.metadata,"
            " committed_ms = excluded.committed_ms, position = max(position + 1, excluded.position)",
            [(group_id, o.topic, o.partition, o.offset, o.leader_epoch, o.metadata, o.committed_ms) for o in rows],
        )
        self._database.executemany(
            "INSERT INTO commits(group_id, topic, partition, offset, metadata, committed_ms, generation, member_id)"
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (group_id, o.topic, o.partition, o.offset, o.metadata, o.committed_ms, generation, member_id)
                for o in rows
            ],
        )

    def offsets(self, group_id: str) -> dict[tuple[str, int], CommittedOffset]:
        """Return the committed offsets of a group by (topic, partition), in that order."""
        rows = self._database.query(
            "SELECT topic, partition, offset, leader_epoch, metadata, committed_ms FROM committed_offsets"
            " WHERE group_id = ? ORDER BY topic, partition",
            (group_id,),
        )
        return {(row[0], row[1]): CommittedOffset(*row) for row in rows}

    def last_commit(self) -> int:
        """Return the id of the last row of the history of commits; 0 if it is empty."""
        return int(self._database.query("SELECT coalesce(max(id), 0) FROM commits")[0][0])

    def commits(self, after: int, until: int, most: int) -> list[tuple[int, str, CommittedOffset]]:
        """Return rows of the history of commits: the id, the group, and the offset.

        Args:
            after: only rows with a larger id.
            until: only rows with at most this id.
            most: the maximum number of rows.
        """
        rows = self._database.query(
            "SELECT id, group_id, topic, partition, offset, metadata, committed_ms FROM commits"
            " WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            (after, until, most),
        )
        return [
            (number, group_id, CommittedOffset(topic, partition, offset, -1, metadata, committed_ms))
            for number, group_id, topic, partition, offset, metadata, committed_ms in rows
        ]

    def commit_at(self, committed_ms: int) -> tuple[int, int] | None:
        """Return the position in the history and the time of the first commit at or after a time, or None."""
        rows = self._database.query(
            "SELECT id - 1, committed_ms FROM commits WHERE committed_ms >= ? ORDER BY id LIMIT 1", (committed_ms,)
        )
        return rows[0] if rows else None

    def has_offsets(self, group_id: str) -> bool:
        """Return whether the group has an offset that is committed or waits for the end of a transaction."""
        return any(
            self._database.query(f"SELECT 1 FROM {table} WHERE group_id = ? LIMIT 1", (group_id,))
            for table in ("committed_offsets", "pending_offsets")
        )

    def delete_offsets(self, group_id: str, partitions: Iterable[tuple[str, int]]) -> None:
        """Delete offsets of a group, both committed ones and those that wait for the end of a transaction."""
        rows = [(group_id, topic, partition) for topic, partition in partitions]
        for table in ("committed_offsets", "pending_offsets"):
            self._database.executemany(f"DELETE FROM {table} WHERE group_id = ? AND topic = ? AND partition = ?", rows)

    def remove_topic(self, topic: str) -> tuple[str, ...]:
        """Delete all offsets in a topic; return the ids of the groups that had committed one."""
        groups = self._database.query(
            "SELECT DISTINCT group_id FROM committed_offsets WHERE topic = ? ORDER BY group_id", (topic,)
        )
        for table in ("committed_offsets", "pending_offsets"):
            self._database.execute(f"DELETE FROM {table} WHERE topic = ?", (topic,))
        return tuple(row[0] for row in groups)

    def record_rebalance(self, rebalance: StoredRebalance) -> None:
        """Append one rebalance to the history."""
        assignment = {
            member_id: {"client_id": client_id, "partitions": list(partitions)}
            for member_id, (client_id, partitions) in rebalance.assignment.items()
        }
        self._database.execute(
            "INSERT INTO rebalances(group_id, generation, started_ms, ended_ms, details, members, assignment)"
            " VALUES(?, ?, ?, ?, ?, ?, ?)",
            (
                rebalance.group_id,
                rebalance.generation,
                rebalance.started_ms,
                rebalance.ended_ms,
                json.dumps(rebalance.details, ensure_ascii=False),
                rebalance.members,
                json.dumps(assignment, ensure_ascii=False),
            ),
        )


def _member(row: Row) -> StoredMember:
    member_id, instance_id, client_id, client_host, session_ms, rebalance_ms, protocols, assignment, assigned = row[:9]
    return StoredMember(
        member_id,
        instance_id,
        client_id,
        client_host,
        session_ms,
        rebalance_ms,
        tuple((name, b64decode(metadata)) for name, metadata in json.loads(protocols)),
        bytes(assignment),
        {topic: tuple(partitions) for topic, partitions in json.loads(assigned).items()},
        None if row[9] is None else json.loads(row[9]),
    )


def _member_row(group_id: str, member: StoredMember) -> tuple[object, ...]:
    protocols = [[name, b64encode(metadata).decode()] for name, metadata in member.protocols]
    return (
        group_id,
        member.member_id,
        member.instance_id,
        member.client_id,
        member.client_host,
        member.session_timeout_ms,
        member.rebalance_timeout_ms,
        json.dumps(protocols, ensure_ascii=False),
        member.assignment,
        json.dumps({topic: list(partitions) for topic, partitions in member.assigned.items()}, ensure_ascii=False),
        None if member.consumer is None else json.dumps(member.consumer, ensure_ascii=False),
    )
