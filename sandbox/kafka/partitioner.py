"""Where an event goes: the partitioners of the two families of Kafka clients, byte for byte.

A key decides the partition, and the two families decide differently: the Java clients hash with murmur2, librdkafka
(and all clients built on it: Python, Go, .NET, kcat) by default with CRC-32. Programs that write one topic must agree,
or one key ends up in two partitions. Sources: KIP-480 (sticky partitioning), `BuiltInPartitioner` of the Java client,
and the property `partitioner` in the CONFIGURATION.md of librdkafka.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

_MURMUR2_SEED = 0x9747B28C
_MURMUR2_M = 0x5BD1E995
_CACHED_KEY_MAX_BYTES = 64


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash of the Java client's `Utils.murmur2`.

    Args:
        data: any bytes, empty too.

    Returns:
        The hash as Java's signed int, -2**31 to 2**31 - 1.
    """
    hashed = _murmur2_unsigned(data)
    return hashed - 0x1_0000_0000 if hashed & 0x8000_0000 else hashed


def _murmur2_unsigned(data: bytes) -> int:
    size = len(data)
    whole = size & ~3
    hashed = (_MURMUR2_SEED ^ size) & 0xFFFFFFFF
    # A view of native 32-bit words would be faster, but is right on little-endian machines only.
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _MURMUR2_M & 0xFFFFFFFF
        hashed = (hashed * _MURMUR2_M ^ (word ^ word >> 24) * _MURMUR2_M) & 0xFFFFFFFF
    if whole < size:
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * _MURMUR2_M & 0xFFFFFFFF
    hashed = (hashed ^ hashed >> 13) * _MURMUR2_M & 0xFFFFFFFF
    return hashed ^ hashed >> 15


@lru_cache(maxsize=8192)
def _murmur2_cached(key: bytes) -> int:
    return _murmur2_unsigned(key)


def murmur2_partition(key: bytes | None, partitions: int) -> int | None:
    """The partition that the Java clients choose (librdkafka: `murmur2_random`).

    Args:
        key: the key; None has no partition of its own, an empty key has.
        partitions: how many the topic has, 1 and up.

    Returns:
        0 to `partitions` - 1, or None where the producer is free to choose.
    """
    if key is None:
        return None
    # Keys repeat (that is what they are for); long ones are not kept.
    hashed = _murmur2_cached(key) if len(key) <= _CACHED_KEY_MAX_BYTES else _murmur2_unsigned(key)
    return (hashed & 0x7FFFFFFF) % partitions


def _murmur2_positive(key: bytes) -> int:
    return _murmur2_unsigned(key) & 0x7FFFFFFF


def consistent_random_partition(key: bytes | None, partitions: int) -> int | None:
    """The partition that librdkafka chooses by default.

    Args:
        key: the key; None and the empty key have no partition of their own.
        partitions: how many the topic has, 1 and up.

    Returns:
        0 to `partitions` - 1, or None where the producer is free to choose.
    """
    return crc32(key) % partitions if key else None


class Partitioner(NamedTuple):
    """One way from a key to a partition.

    Attributes:
        text: what it is, for the page and the help.
        partition_for: (key, number of partitions) to the partition, or None where the producer is free to choose.
        librdkafka: the value of librdkafka's property `partitioner` that does the same.
        hash_of: the number that is divided by the number of partitions; the rest is the partition.
    """

    text: str
    partition_for: Callable[[bytes | None, int], int | None]
    librdkafka: str
    hash_of: Callable[[bytes], int]


DEFAULT_PARTITIONER = "murmur2"
PARTITIONERS = {
    "murmur2": Partitioner("murmur2, as the Java clients do", murmur2_partition, "murmur2_random", _murmur2_positive),
    "consistent_random": Partitioner(
        "CRC-32, the default of librdkafka (Python, Go, .NET, kcat)",
        consistent_random_partition,
        "consistent_random",
        crc32,
    ),
}


class StickyPartitioner:
    """Chooses the partition of events whose key does not: one partition for a batch, then the next one.

    The Java client moves on to a partition drawn at random; this moves on in a circle, which spreads as evenly and can
    be foretold. Not thread safe.

    Args:
        batch_max_bytes: keys and values after which a batch counts as full; the Java client's `batch.size` by default.
    """

    def __init__(self, batch_max_bytes: int = 16384) -> None:
        self._batch_max_bytes = batch_max_bytes
        self._at: dict[str, tuple[int, int]] = {}

    def partition_for(self, topic: str, partitions: int, size_bytes: int) -> int:
        """The partition of the next event without a key.

        Args:
            topic: its topic; every topic has a circle of its own.
            partitions: how many the topic has, 1 and up.
            size_bytes: key and value of the event, 0 and up.

        Returns:
            0 to `partitions` - 1.
        """
        turn, filled_bytes = self._at.get(topic, (0, 0))
        chosen = turn % partitions
        filled_bytes += size_bytes
        self._at[topic] = (chosen + 1, 0) if filled_bytes >= self._batch_max_bytes else (chosen, filled_bytes)
        return chosen

    def end_batch(self, topic: str) -> None:
        """Move on to the next partition, where the batch of this topic has anything in it."""
        turn, filled_bytes = self._at.get(topic, (0, 0))
        if filled_bytes:
            self._at[topic] = (turn + 1, 0)
