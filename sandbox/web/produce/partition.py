"""Chooses the partition of the Produce form's event and explains why, identically for the preview and for sending."""

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.partitioner import PARTITIONERS as KAFKAS
from sandbox.model.messages import MessageQuery
from sandbox.model.topics import TopicDescription
from sandbox.web.payload import describe
from sandbox.web.responses import backend, capabilities

PARTITIONERS = (
    ("murmur2", "murmur2, as the Java clients do"),
    ("consistent_random", "consistent_random (CRC-32), librdkafka's default"),
)
CLIENTS = {"murmur2": "Java", "consistent_random": "librdkafka: Python, Go, .NET, kcat"}
"""The clients that use each partitioner by default."""
LOOK_BUDGET_MS = 50
MODES = (("key", "the key decides"), ("fixed", "this one"), ("round", "round robin"))


@dataclass(slots=True)
class Turns:
    """The next round-robin partition of each topic."""

    _next: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def peek(self, topic: str, partitions: int) -> int:
        """Return the next partition."""
        return self._next.get(topic, 0) % partitions

    def take(self, topic: str, partitions: int) -> int:
        """Return the next partition, and advance."""
        with self._lock:
            turn = self._next.get(topic, 0) % partitions
            self._next[topic] = turn + 1
            return turn


turns = Turns()


@dataclass(frozen=True, slots=True)
class Choice:
    """An event's partition, and why it was chosen.

    Attributes:
        partition: None if it is only known after sending.
        steps: what determines it, in order: the key, the partitioner.
        why: a sentence.
        lies_in: the partition of the newest event with this key, None if it is the same or unknown.
        sum: the calculation from the key to the partition, "" if there is none.
        others: (clients, partition) for each partitioner, including the chosen one, if the key determines the
            partition.
    """

    partition: int | None
    partitions: int
    steps: tuple[str, ...]
    why: str
    lies_in: int | None = None
    sum: str = ""
    others: tuple[tuple[str, int], ...] = ()


def choose(form: Mapping[str, str], topic: TopicDescription, key: bytes | None, *, take: bool = False) -> Choice:
    """Return the partition of the form's event.

    Args:
        form: the Produce form.
        topic: the target topic.
        key: the event's key.
        take: True to advance round robin.

    Raises:
        BrokerError: the partition or the partitioner doesn't exist, or the key isn't of the chosen kind.
    """
    count, mode = len(topic.partitions), form.get("mode", "key")
    if mode == "fixed":
        text = form.get("partition", "").strip()
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) >= count:
            raise BrokerError(
                "UNKNOWN_TOPIC_OR_PARTITION",
                f"{topic.topic} has partitions 0 to {count - 1}; {text!r} is none of them.",
            )
        return Choice(int(text), count, ("fixed",), "you chose it")
    if mode == "round":
        turn = (turns.take if take else turns.peek)(topic.topic, count)
        return Choice(turn, count, ("round robin",), "one partition after the other, whatever the key")
    partitioner = form.get("partitioner", "murmur2")
    if partitioner not in dict(PARTITIONERS):
        raise BrokerError("INVALID_REQUEST", f"There is no partitioner called {partitioner!r}.")
    partition = backend().partition_for(topic.topic, key, partitioner)
    shown = _shown(key)
    if partition is None:
        if key is not None:
            return Choice(None, count, (shown, partitioner, "random"), "librdkafka spreads empty keys at random")
        return Choice(None, count, (shown, "sticky"), "no key: a while in one partition, then another")
    there = None if take else lies_in(topic.topic, key)
    steps = (shown, partitioner)
    why = f"the same key goes there, as long as the topic has {count} partition{'s' if count != 1 else ''}"
    if there not in (None, partition):
        return Choice(partition, count, steps, "", there, _sum(partitioner, key, count), _others(key, count))
    return Choice(partition, count, steps, why, None, _sum(partitioner, key, count), _others(key, count))


def _sum(partitioner: str, key: bytes | None, count: int) -> str:
    """Return the calculation: the key's hash modulo the number of partitions."""
    name = "murmur2" if partitioner == "murmur2" else "CRC-32"
    hashed = KAFKAS[partitioner].hash_of(key or b"")
    return f"{name} of the key is {hashed:,}, and {hashed:,} mod {count} = {hashed % count}"


def _others(key: bytes | None, count: int) -> tuple[tuple[str, int], ...]:
    """Return the partition that each client family would choose: they can differ."""
    found = [(clients, KAFKAS[name].partition_for(key, count)) for name, clients in CLIENTS.items()]
    return tuple((clients, partition) for clients, partition in found if partition is not None)


def lies_in(topic: str, key: bytes | None) -> int | None:
    """Return the partition of the newest event with a key, None if there is none or it can't be found quickly."""
    if not key or not capabilities().find_key_fast:
        return None
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    query = MessageQuery(topic, key=text, key_exact=True, limit=1, budget_ms=LOOK_BUDGET_MS)
    return next((event.partition for event in backend().messages(query).events), None)


def _shown(key: bytes | None) -> str:
    payload = describe(key, 40)
    if payload.kind in ("null", "empty"):
        return "no key" if key is None else "empty key"
    return payload.preview if payload.kind == "bytes" else json.dumps(payload.preview, ensure_ascii=False)
