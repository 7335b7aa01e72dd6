"""A Kafka client with nothing between the test and the bytes."""

import socket
import struct
from collections import deque
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sandbox.storage.log.log import Record
from sandbox.wire.messages import messages
from sandbox.wire.messages.schemas import apis
from sandbox.wire.records.batch import decode_batches, encode_batch

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS, INIT_PRODUCER_ID = 0, 1, 2, 3, 18, 19, 22
HEARTBEAT, DELETE_TOPICS, OFFSET_COMMIT, OFFSET_FETCH = 12, 20, 8, 9
PRODUCE_VERSION, FETCH_VERSION = 11, 12
TIMEOUT_S = 10.0


def request_header(key: int, version: int, correlation_id: int, client_id: bytes = b"raw") -> bytes:
    """The header of a request; of an API that does not exist, as of an old version."""
    known = apis().get(key)
    flexible = known is not None and known[3] is not None and version >= known[3]
    fixed = struct.pack(">hhih", key, version, correlation_id, len(client_id))
    return fixed + client_id + (b"\0" if flexible else b"")


def framed(data: bytes) -> bytes:
    """With its length before it."""
    return struct.pack(">i", len(data)) + data


def rows(*values: bytes | None, key: bytes | None = b"k", timestamp_ms: int = 1_700_000_000_000) -> list[Record]:
    """Records with these values, all alike but for them."""
    return [(index, timestamp_ms, key, value, ()) for index, value in enumerate(values)]


class RawClient:
    """One connection.

    Args:
        address: "host:port".
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), TIMEOUT_S)
        self._expected: deque[tuple[int, int]] = deque()
        self._sent = 0

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def send(self, key: int, version: int, body: Mapping[str, Any], *, answered: bool = True) -> int:
        """Send a request, and give its correlation id."""
        self._sent += 1
        frame = request_header(key, version, self._sent) + messages.encode_request(key, version, body)
        if answered:
            self._expected.append((key, version))
        self.socket.sendall(framed(frame))
        return self._sent

    def receive_bytes(self, count: int) -> bytes:
        """Exactly this number of bytes; ConnectionError if the connection ends before."""
        found = bytearray()
        while len(found) < count:
            piece = self.socket.recv(min(1 << 20, count - len(found)))
            if not piece:
                raise ConnectionError(f"the connection ended after {len(found)} of {count} bytes")
            found += piece
        return bytes(found)

    def receive_frame(self) -> bytes:
        """The next answer, without its length."""
        return self.receive_bytes(*struct.unpack(">i", self.receive_bytes(4)))

    def receive(self) -> SimpleNamespace:
        """The next answer, decoded, with its `correlation_id`."""
        frame = self.receive_frame()
        key, version = self._expected.popleft()
        correlation_id: int = struct.unpack_from(">i", frame)[0]
        offset = len(messages.response_header(key, version, correlation_id))
        answer, _ = messages.decode_response(key, version, frame, offset)
        answer.correlation_id = correlation_id
        return answer

    def ask(self, key: int, version: int, body: Mapping[str, Any]) -> SimpleNamespace:
        """Send a request and wait for its answer."""
        self.send(key, version, body)
        return self.receive()

    def is_ended(self) -> bool:
        """Whether the broker has closed the connection; waits for it."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True

    def produce(
        self, topic: str, records: Sequence[Record] | bytes, *, partition: int = 0, acks: int = -1, **batch: Any
    ) -> SimpleNamespace:
        """Produce one batch, and give the answer of its partition."""
        body = produce_body(topic, records, partition=partition, acks=acks, **batch)
        answer: SimpleNamespace = self.ask(PRODUCE, PRODUCE_VERSION, body).responses[0].partition_responses[0]
        return answer

    def fetch(self, topic: str, offset: int, *, partition: int = 0, **options: Any) -> SimpleNamespace:
        """Fetch from one partition without a session, and give its answer."""
        answer = self.ask(FETCH, FETCH_VERSION, fetch_body(topic, {partition: offset}, **options))
        found: SimpleNamespace = answer.responses[0].partitions[0]
        return found

    def list_offset(self, topic: str, timestamp_ms: int, *, partition: int = 0, version: int = 7) -> SimpleNamespace:
        """ListOffsets of one partition."""
        wanted = {"partition_index": partition, "current_leader_epoch": -1, "timestamp": timestamp_ms}
        body = {"replica_id": -1, "topics": [{"name": topic, "partitions": [wanted]}]}
        found: SimpleNamespace = self.ask(LIST_OFFSETS, version, body).topics[0].partitions[0]
        return found

    def api_versions(self) -> SimpleNamespace:
        """A request that is always answered."""
        return self.ask(API_VERSIONS, 0, {})


def produce_body(
    topic: str, records: Sequence[Record] | bytes, *, partition: int = 0, acks: int = -1, **batch: Any
) -> dict[str, Any]:
    """A Produce request of one batch; `batch` goes to `encode_batch`."""
    data = records if isinstance(records, bytes) else encode_batch(0, records, **batch)
    partitions = [{"index": partition, "records": data}]
    return {"acks": acks, "timeout_ms": 10_000, "topic_data": [{"name": topic, "partition_data": partitions}]}


def fetch_body(
    topic: str,
    offsets: Mapping[int, int],
    *,
    max_wait_ms: int = 0,
    min_bytes: int = 1,
    max_bytes: int = 50_000_000,
    partition_max_bytes: int = 50_000_000,
    topic_id: UUID | None = None,
    session: tuple[int, int] = (0, -1),
    leader_epoch: int = -1,
) -> dict[str, Any]:
    """A Fetch request; `offsets` are by partition, `session` is its id and epoch."""
    partitions = [
        {
            "partition": partition,
            "current_leader_epoch": leader_epoch,
            "fetch_offset": offset,
            "log_start_offset": -1,
            "partition_max_bytes": partition_max_bytes,
        }
        for partition, offset in offsets.items()
    ]
    topics = [{"topic": topic, "topic_id": topic_id, "partitions": partitions}] if partitions else []
    return {
        "replica_id": -1,
        "max_wait_ms": max_wait_ms,
        "min_bytes": min_bytes,
        "max_bytes": max_bytes,
        "session_id": session[0],
        "session_epoch": session[1],
        "topics": topics,
        "forgotten_topics_data": [],
    }


def records_of(answer: SimpleNamespace) -> list[Record]:
    """The records of a fetched partition, with their offsets."""
    return [
        (batch.base_offset + delta, timestamp_ms, key, value, headers)
        for batch in decode_batches(answer.records or b"", gaps_allowed=True)
        for delta, timestamp_ms, key, value, headers in batch.records
    ]
