"""Clients that use more than their share: `python -m tests.torture.attackers NAME TARGET`, until killed.

Each attack is a separate program, so that its work isn't done in the measuring process. TARGET is JSON.
"""

import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from sandbox.wire.messages import messages
from tests.wire.raw_client import FETCH, METADATA, OFFSET_COMMIT, RawClient, fetch_body, framed, request_header

JOIN_GROUP, SASL_HANDSHAKE, SASL_AUTHENTICATE = 11, 17, 36
FETCH_VERSION = 11
"""The last version that names topics and is not flexible: cheap to send."""
ANSWER_BYTES = 50_000_000
PAUSE_S = 0.05
FOREVER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Target:
    """The attacked sandbox.

    Attributes:
        kafka: its Kafka port, host:port.
        sasl: its port with SASL_PLAINTEXT.
        topic: a topic whose events are stored as rows only.
        partitions: the topic's number of partitions.
    """

    kafka: str
    sasl: str
    topic: str
    partitions: int

    def as_json(self) -> str:
        """Return the program's argument."""
        return json.dumps(asdict(self))


def _rest() -> None:
    time.sleep(FOREVER_S)


def _in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    _rest()


def consumers(target: Target, count: int) -> None:
    """Consumers with default settings that read everything repeatedly."""

    def read(number: int) -> None:
        consumer = Consumer({"bootstrap.servers": target.kafka, "group.id": f"reader-{number}", "log_level": 0})
        places = [TopicPartition(target.topic, one, OFFSET_BEGINNING) for one in range(target.partitions)]
        while True:
            consumer.assign(places)
            quiet_at = time.monotonic() + 2
            while time.monotonic() < quiet_at:
                if consumer.consume(10_000, 0.2):
                    quiet_at = time.monotonic() + 2

    _in_threads(count, read)


def unread_fetches(target: Target, count: int) -> None:
    """Connections that request 50 MB each, and read nothing."""
    offsets = dict.fromkeys(range(target.partitions), 0)
    body = fetch_body(target.topic, offsets, max_bytes=ANSWER_BYTES, partition_max_bytes=1 << 20)
    clients = [RawClient(target.kafka) for _ in range(count)]
    for client in clients:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.send(FETCH, FETCH_VERSION, body)
    _rest()


def _open_idle(address: str, count: int) -> list[socket.socket]:
    host, _, port = address.rpartition(":")
    held = []
    for _ in range(count):
        with suppress(OSError):
            held.append(socket.create_connection((host, int(port)), 0.5))
    return held


def idle_connections(target: Target, count: int) -> None:
    """Connections that send nothing. They are closed and opened again every 5 s."""
    while True:
        held = _open_idle(target.kafka, count)
        time.sleep(5)
        for one in held:
            one.close()


def pipelined_metadata(target: Target, count: int) -> None:
    """Connections that repeatedly send 10,000 Metadata requests without waiting, and read the answers."""
    request = messages.encode_request(METADATA, 5, {"topics": None, "allow_auto_topic_creation": False})
    flood = framed(request_header(METADATA, 5, 1) + request) * 10_000

    def read(number: int) -> None:
        client = RawClient(target.kafka)
        client.socket.settimeout(None)

        def swallow() -> None:
            while client.socket.recv(1 << 20):
                pass

        threading.Thread(target=swallow, daemon=True).start()
        while True:
            client.send_bytes(flood)

    _in_threads(count, read)


def guessers(target: Target, count: int) -> None:
    """Clients that try one password after the other, with PLAIN."""

    def guess(number: int) -> None:
        for attempt in range(1_000_000):
            with suppress(OSError):
                client = RawClient(target.sasl)
                client.ask(SASL_HANDSHAKE, 1, {"mechanism": "PLAIN"})
                client.ask(SASL_AUTHENTICATE, 1, {"auth_bytes": b"\0guessed\0no-%d-%d" % (number, attempt)})
                client.close()

    _in_threads(count, guess)


def members(target: Target, count: int) -> None:
    """Members that join one group, each on a separate connection."""
    protocols = [{"name": "range", "metadata": b"\0" * 20}]
    body = {"session_timeout_ms": 10_000, "rebalance_timeout_ms": 10_000, "member_id": "", "protocol_type": "consumer"}
    frames = framed(
        request_header(JOIN_GROUP, 2, 1)
        + messages.encode_request(JOIN_GROUP, 2, {**body, "group_id": "crowd", "protocols": protocols})
    )
    held = []
    for _ in range(count):
        client = RawClient(target.kafka)
        client.send_bytes(frames)
        held.append(client)
        if len(held) % 100 == 0:
            time.sleep(PAUSE_S)
    _rest()


def large_commits(target: Target, count: int) -> None:
    """Repeated commits of `count` offsets per request."""
    partitions = [{"partition_index": one % target.partitions, "committed_offset": one} for one in range(count)]
    body: dict[str, Any] = {"group_id": "simple", "generation_id_or_member_epoch": -1, "member_id": ""}
    body["topics"] = [{"name": target.topic, "partitions": partitions}]
    client = RawClient(target.kafka)
    while True:
        client.ask(OFFSET_COMMIT, 7, body)


def oversized_requests(target: Target, count: int) -> None:
    """Connections that announce a request of 100 MB, send 40 MB of it, and stop."""

    def send(number: int) -> None:
        client = RawClient(target.kafka)
        client.socket.settimeout(None)
        with suppress(OSError):
            client.send_bytes(struct.pack(">i", 100_000_000))
            for _ in range(40):
                client.send_bytes(bytes(1 << 20))

    _in_threads(count, send)


ATTACKS: dict[str, tuple[Callable[[Target, int], None], int]] = {
    "1 consumer of 60 partitions": (consumers, 1),
    "20 consumers of 60 partitions": (consumers, 20),
    "20 fetches of 50 MB, unread": (unread_fetches, 20),
    "200 fetches of 50 MB, unread": (unread_fetches, 200),
    "300 idle connections, 256 descriptors": (idle_connections, 300),
    "20 connections with 10,000 Metadata each": (pipelined_metadata, 20),
    "8 password guessers": (guessers, 8),
    "2,000 members join a group": (members, 2_000),
    "commits of 10,000 offsets": (large_commits, 10_000),
    "20 unfinished requests of 40 MB": (oversized_requests, 20),
}
"""Attack name to its function and that function's number. A new attack is one more row."""


if __name__ == "__main__":
    attack, size = ATTACKS[sys.argv[1]]
    attack(Target(**json.loads(sys.argv[2])), size)
