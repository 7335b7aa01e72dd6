"""Chooses the partition of an event like the two families of Kafka clients, byte for byte.

The key decides the partition, but differently in the two families: the Java clients hash it with murmur2, librdkafka
(and all clients based on it: Python, Go, .NET, kcat) by default with CRC-32. Programs that write to the same topic must
agree, or one key is in two partitions. Sources: KIP-480 (sticky partitioning), `BuiltInPartitioner` of the Java client,
and the property `partitioner` in librdkafka's CONFIGURATION.md.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

_MURMUR2_SEED = 0x9747B28C
_MURMUR2_M = 0x5BD1E995
_CACHED_KEY_MAX_BYTES = 64


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash, like the Java client's `Utils.murmur2`.

    Args:
        data: any bytes, may be empty.

    Returns:
        The hash as Java's signed int, -2**31 to 2**31 - 1.
    """
    hashed = _murmur2_unsigned(data)
    return hashed - 0x1_0000_0000 if hashed & 0x8000_0000 else hashed


def _murmur2_unsigned(data: bytes) -> int:
    size = len(data)
    whole = size & ~3
    hashed = (_MURMUR2_SEED ^ size) & 0xFFFFFFFF
    # A view of native 32-bit words would be faster, but is correct on little-endian machines only.
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
    """Return the partition that the Java clients choose (librdkafka: `murmur2_random`).

    Args:
        key: the key. None leaves the partition open; an empty key doesn't.
        partitions: the topic's number of partitions, 1 and up.

    Returns:
        0 to `partitions` - 1, or None if the producer may choose any.
    """
    if key is None:
        return None
    # Keys repeat, so hashes of short keys are cached.
    hashed = _murmur2_cached(key) if len(key) <= _CACHED_KEY_MAX_BYTES else _murmur2_unsigned(key)
    return (hashed & 0x7FFFFFFF) % partitions


def _murmur2_positive(key: bytes) -> int:
    return _murmur2_unsigned(key) & 0x7FFFFFFF


def consistent_random_partition(key: bytes | None, partitions: int) -> int | None:
    """Return the partition that librdkafka chooses by default.

    Args:
        key: the key. None and the empty key leave the partition open.
        partitions: the topic's number of partitions, 1 and up.

    Returns:
        0 to `partitions` - 1, or None if the producer may choose any.
    """
    return crc32(key) % partitions if key else None


class Partitioner(NamedTuple):
    """A function from keys to partitions.

    Attributes:
        text: a description for the page and the help.
        partition_for: (key, number of partitions) to the partition, or None if the producer may choose any.
        librdkafka: the same function's name in librdkafka's property `partitioner`.
        hash_of: the hash of a key; the partition is the hash modulo the number of partitions.
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
    """Chooses the partition of events without a key: one partition for a batch, then the next one.

    The Java client draws the next partition at random. This one goes through them in turn, which is equally even and
    predictable. Not thread-safe.

    Args:
        batch_max_bytes: bytes of keys and values that fill a batch, by default the Java client's `batch.size`.
    """

    def __init__(self, batch_max_bytes: int = 16384) -> None:
        self._batch_max_bytes = batch_max_bytes
        self._at: dict[str, tuple[int, int]] = {}

    def partition_for(self, topic: str, partitions: int, size_bytes: int) -> int:
        """Return the partition of the next event without a key.

        Args:
            topic: the event's topic; each topic has its own turn.
            partitions: the topic's number of partitions, 1 and up.
            size_bytes: size of the event's key and value, 0 and up.

        Returns:
            0 to `partitions` - 1.
        """
        turn, filled_bytes = self._at.get(topic, (0, 0))
        chosen = turn % partitions
        filled_bytes += size_bytes
        self._at[topic] = (chosen + 1, 0) if filled_bytes >= self._batch_max_bytes else (chosen, filled_bytes)
        return chosen

    def end_batch(self, topic: str) -> None:
        """Continue with the next partition if this topic's current batch isn't empty."""
        turn, filled_bytes = self._at.get(topic, (0, 0))
        if filled_bytes:
            self._at[topic] = (turn + 1, 0)
