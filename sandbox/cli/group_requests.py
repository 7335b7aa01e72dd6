"""Requests about groups that Kafka's Python clients lack: share groups (KIP-932), and deleting offsets in a topic.

They go over plain connections to the group's coordinator, so they work with a sandbox file, and with a cluster whose
listener has neither TLS nor authentication.
"""

import socket
import struct
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sandbox.cli.status import Failed
from sandbox.cli.target import TIMEOUT_S, Target
from sandbox.kafka.errors import BY_CODE


@dataclass(frozen=True, slots=True)
class GroupState:
    """The state of one group.

    Attributes:
        state: Kafka's name for it.
        members: one mapping each: member_id, client_id, host, partitions.
        partitions: one mapping each: topic, partition, committed, start, end, lag, out_of_range, deleted_unread,
            member_id, client_id. These are all partitions of each topic that it reads or has committed in.
            Of a share group: topic, partition, start_offset, lag, uncommitted_lag, out_of_range.
        lag: the sum over partitions with a commit; None if no partition has one.
        type: "consumer" for any consumer group, or "share".
    """

    state: str
    members: list[dict[str, Any]]
    partitions: list[dict[str, Any]]
    lag: int | None
    type: str = "consumer"

    @property
    def uncommitted_lag(self) -> int:
        """The sum over partitions without a commit; the group may read all of their offsets or none."""
        return sum(row["uncommitted_lag"] for row in self.partitions)

    @property
    def uncommitted_partitions(self) -> int:
        """How many partitions without a commit are not empty."""
        return sum(row["uncommitted_lag"] > 0 for row in self.partitions)

    @property
    def lag_text(self) -> str:
        """Both figures: "lag 233 + up to 1773 (2 partitions without a commit)"."""
        lag = "nothing committed" if self.lag is None else f"lag {self.lag}"
        if not self.uncommitted_lag:
            return lag
        count = self.uncommitted_partitions
        partitions = "1 partition" if count == 1 else f"{count} partitions"
        more = f"up to {self.uncommitted_lag} ({partitions} without a commit)"
        return f"{lag}, {more}" if self.lag is None else f"{lag} + {more}"

    @property
    def exists(self) -> bool:
        """True if the group exists. Kafka returns the state Dead for an unknown group."""
        return self.state != "Dead" or bool(self.partitions)


FIND_COORDINATOR, LIST_GROUPS, DELETE_GROUPS, OFFSET_DELETE, DESCRIBE_CLUSTER = (
    (10, 3),
    (16, 5),
    (42, 2),
    (47, 0),
    (60, 0),
)
SHARE_DESCRIBE, SHARE_OFFSETS, ALTER_SHARE_OFFSETS, DELETE_SHARE_OFFSETS = (77, 1), (90, 1), (91, 0), (92, 0)
_LENGTH = struct.Struct(">i")
SHARE = "share"
CLIENT_ID = b"sandbox-command-line"


class GroupRequests:
    """Sends requests to the coordinator of one group.

    Raises:
        Failed: the target needs TLS or authentication, or can't be reached.
    """

    def __init__(self, target: Target, group: str) -> None:
        self.group = group
        if not _is_plain(target):
            raise Failed("This works over a plain connection only: name a listener without TLS and authentication.")
        found = _ask(_first_address(_servers(target)), FIND_COORDINATOR, key=group, key_type=0)
        _refuse(found.error_code, group)
        self._coordinator = found.host, found.port

    def ask(self, api: tuple[int, int], **fields: Any) -> SimpleNamespace:
        """Send one request, and return its answer."""
        return _ask(self._coordinator, api, **fields)

    def share_state(self) -> GroupState | None:
        """Return the state of a share group; None if the group is none."""
        (found,) = self.ask(SHARE_DESCRIBE, group_ids=[self.group]).groups
        if found.error_code:
            return None
        wanted = [{"group_id": self.group, "topics": None}]
        (offsets,) = self.ask(SHARE_OFFSETS, groups=wanted).groups
        members = [
            {
                "member_id": member.member_id,
                "client_id": member.client_id,
                "host": member.client_host,
                "partitions": [
                    {"topic": topic.topic_name, "partition": number}
                    for topic in member.assignment.topic_partitions
                    for number in topic.partitions
                ],
            }
            for member in found.members
        ]
        partitions: list[dict[str, Any]] = [
            {
                "topic": topic.topic_name,
                "partition": one.partition_index,
                "start_offset": None if one.start_offset < 0 else one.start_offset,
                "lag": None if one.lag < 0 else one.lag,
                "uncommitted_lag": 0,
                "out_of_range": None,
            }
            for topic in offsets.topics
            for one in topic.partitions
        ]
        partitions.sort(key=lambda row: (row["topic"], row["partition"]))
        lags = [row["lag"] for row in partitions if row["lag"] is not None]
        return GroupState(found.group_state, members, partitions, sum(lags) if lags else None, type=SHARE)

    def alter_start_offsets(self, rows: list[dict[str, Any]]) -> None:
        """Set the start offset of each row's partition to its `after`. Raises Failed."""
        topics: dict[str, list[dict[str, int]]] = {}
        for row in rows:
            topics.setdefault(row["topic"], []).append(
                {"partition_index": row["partition"], "start_offset": row["after"]}
            )
        wanted = [{"topic_name": name, "partitions": partitions} for name, partitions in topics.items()]
        answer = self.ask(ALTER_SHARE_OFFSETS, group_id=self.group, topics=wanted)
        _refuse(answer.error_code, self.group, answer.error_message)
        for topic in answer.responses:
            for one in topic.partitions:
                _refuse(one.error_code, f"{topic.topic_name} {one.partition_index}", one.error_message)

    def delete(self) -> None:
        """Delete the group with its offsets. Raises Failed."""
        (found,) = self.ask(DELETE_GROUPS, groups_names=[self.group]).results
        _refuse(found.error_code, self.group)

    def delete_offsets(self, topic: str, partitions: list[int], kind: str) -> None:
        """Delete the group's offsets in a topic. Raises Failed."""
        if kind == SHARE:
            answer = self.ask(DELETE_SHARE_OFFSETS, group_id=self.group, topics=[{"topic_name": topic}])
            _refuse(answer.error_code, self.group, answer.error_message)
            _refuse(answer.responses[0].error_code, topic, answer.responses[0].error_message)
            return
        wanted = [{"name": topic, "partitions": [{"partition_index": one} for one in partitions]}]
        answer = self.ask(OFFSET_DELETE, group_id=self.group, topics=wanted)
        _refuse(answer.error_code, self.group)
        for one in answer.topics[0].partitions:
            _refuse(one.error_code, f"{topic} {one.partition_index}")


def _refuse(code: int, what: str, message: str | None = None) -> None:
    if code:
        error = BY_CODE.get(code)
        name = error.name if error is not None else f"error {code}"
        raise Failed(f"{name}: {what}: {message or (error.text if error is not None else '')}")


def share_group_names(target: Target) -> list[str]:
    """Return the share groups of every broker; none if the target needs TLS or authentication."""
    if not _is_plain(target):
        return []
    brokers = _ask(_first_address(_servers(target)), DESCRIBE_CLUSTER).brokers
    answers = [_ask((one.host, one.port), LIST_GROUPS, types_filter=[SHARE]) for one in brokers]
    return sorted({group.group_id for answer in answers for group in answer.groups})


def _is_plain(target: Target) -> bool:
    return target.properties.get("security.protocol", "PLAINTEXT").upper() == "PLAINTEXT"


def _servers(target: Target) -> str:
    """Return the bootstrap servers. The client that attaches to a file here stays until the command ends."""
    if target.file is None:
        return str(target.servers)
    from sandbox.client import embedded

    return embedded.attach(target.file).address


def _first_address(servers: str) -> tuple[str, int]:
    host, _, port = servers.split(",")[0].strip().rpartition("://")[2].rpartition(":")
    return host.strip("[]"), int(port)


def _ask(address: tuple[str, int], api: tuple[int, int], **fields: Any) -> SimpleNamespace:
    # Imported here, because most commands send no such request.
    from sandbox.wire.messages import messages
    from sandbox.wire.messages.schemas import apis

    key, version = api
    flexible_since = apis()[key][3]
    flexible = flexible_since is not None and version >= flexible_since
    header = struct.pack(">hhih", key, version, 1, len(CLIENT_ID)) + CLIENT_ID + (b"\0" if flexible else b"")
    frame = header + messages.encode_request(key, version, fields)
    try:
        with socket.create_connection(address, TIMEOUT_S) as connection:
            connection.sendall(_LENGTH.pack(len(frame)) + frame)
            (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size))
            answer = _receive(connection, length)
    except OSError as error:
        raise Failed(f"{address[0]}:{address[1]} can't be reached: {error}") from error
    found, _ = messages.decode_response(key, version, answer, len(messages.response_header(key, version, 1)))
    return found


def _receive(connection: socket.socket, size_bytes: int) -> bytes:
    data = b""
    while len(data) < size_bytes:
        piece = connection.recv(size_bytes - len(data))
        if not piece:
            raise OSError("the connection was closed")
        data += piece
    return data
