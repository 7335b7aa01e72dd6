"""Caches the newest record batches as bytes, so that reading the tail of a log needs no encoding.

A produced batch is cached as received, with its base offset and leader epoch set, which its checksum doesn't cover. The
rows remain the source of truth. The cache is limited in bytes and drops the oldest batches first. It is only read below
the high watermark, so uncommitted batches are never served.
"""

from bisect import bisect_right
from collections import deque

from sandbox.wire.read_ahead import ReadAhead

BYTES_MAX = 24 * 1024 * 1024
STALE_MAX = 2_000
OVERHEAD_BYTES = 200
"""The memory that a cached batch needs in addition to its bytes."""


class _Tail:
    """One partition's cached batches, in offset order and without gaps."""

    __slots__ = ("bases", "batches", "first", "next")

    def __init__(self) -> None:
        self.bases: list[int] = []
        self.batches: list[bytes] = []
        self.first = 0
        self.next = -1


class BatchCache:
    """A bounded cache of encoded batches.

    Args:
        bytes_max: maximum size, over all partitions.

    Attributes:
        ahead: batches that were encoded in advance for readers of rows.
    """

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self.size_bytes = 0
        self._tails: dict[int, _Tail] = {}
        self._order: deque[int] = deque()
        self._stale = 0
        self.ahead = ReadAhead()

    def put(self, partition_id: int, base_offset: int, last_offset: int, batch: bytes) -> None:
        """Cache the batch that was just appended to a partition."""
        tail = self._tails.get(partition_id)
        if tail is None:
            tail = self._tails[partition_id] = _Tail()
        if tail.next != base_offset:
            self._drop_all(tail)
        tail.bases.append(base_offset)
        tail.batches.append(batch)
        tail.next = last_offset + 1
        self._order.append(partition_id)
        self.size_bytes += len(batch) + OVERHEAD_BYTES
        while self.size_bytes > self.bytes_max:
            self._drop_oldest(self._order.popleft())

    def skip(self, partition_id: int) -> None:
        """Drop a partition's batches, because something was appended or changed that isn't cached."""
        self.ahead.skip(partition_id)
        tail = self._tails.pop(partition_id, None)
        if tail is not None:
            self._drop_all(tail)

    def clear(self) -> None:
        """Drop everything."""
        self.ahead.clear()
        self._tails.clear()
        self._order.clear()
        self.size_bytes = self._stale = 0

    def holds(self, partition_id: int, offset: int) -> bool:
        """Return True if the batch that contains an offset is cached."""
        tail = self._tails.get(partition_id)
        return tail is not None and tail.first < len(tail.bases) and tail.bases[tail.first] <= offset < tail.next

    def read(self, partition_id: int, offset: int, end: int, size_bytes_max: int) -> list[bytes] | None:
        """Return batches from the one that contains `offset`, below `end`, up to a size but at least one.

        Returns:
            The batches, or None if the batch with `offset` isn't cached.
        """
        if not self.holds(partition_id, offset):
            return None
        tail = self._tails[partition_id]
        index = bisect_right(tail.bases, offset, tail.first) - 1
        found: list[bytes] = []
        total = 0
        while index < len(tail.bases) and tail.bases[index] < end:
            batch = tail.batches[index]
            total += len(batch)
            if found and total > size_bytes_max:
                break
            found.append(batch)
            index += 1
        return found or None

    def _drop_oldest(self, partition_id: int) -> None:
        tail = self._tails.get(partition_id)
        if tail is None or tail.first >= len(tail.bases):
            return
        self.size_bytes -= len(tail.batches[tail.first]) + OVERHEAD_BYTES
        tail.batches[tail.first] = b""
        tail.first += 1
        if tail.first == len(tail.bases):
            # The partition is idle, or its topic was deleted.
            del self._tails[partition_id]
        elif tail.first > 64 and tail.first * 2 > len(tail.bases):
            del tail.bases[: tail.first], tail.batches[: tail.first]
            tail.first = 0

    def _drop_all(self, tail: _Tail) -> None:
        self.size_bytes -= sum(len(batch) + OVERHEAD_BYTES for batch in tail.batches[tail.first :])
        self._stale += len(tail.batches) - tail.first
        tail.bases.clear()
        tail.batches.clear()
        tail.first = 0
        tail.next = -1
        if self._stale > STALE_MAX:
            # The order still contains dropped batches. The relative age of the others doesn't matter here.
            self._order = deque(one for one, kept in self._tails.items() for _ in kept.bases[kept.first :])
            self._stale = 0
