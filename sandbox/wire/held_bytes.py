"""Limits the memory that clients occupy with unread answers and incomplete requests.

A client that requests 50 MB and doesn't read it occupies 50 MB; 200 such clients exceed the machine's memory. So each
connection has at most one answer that its socket hasn't accepted (see `sandbox.wire.server`), and the total of all
connections has two limits. Above `PLENTY_BYTES`, answers to Fetch are short. Above `HELD_BYTES_MAX`, the connection
that made no progress for the longest time is closed. A client that doesn't read may therefore lose its connection, but
only while other connections occupy that much memory.
"""

import logging
from typing import Protocol

PLENTY_BYTES = 8 * 1024 * 1024
"""Above this total, answers to Fetch are short."""
HELD_BYTES_MAX = 48 * 1024 * 1024
"""Above this total, connections are closed, unless there is only one, such as with a request of 100 MB."""
ANSWER_BYTES_MAX = 2 * 1024 * 1024
"""The longest answer to a Fetch. Kafka allows less than requested, but at least one batch (KIP-74)."""
SHORT_ANSWER_BYTES_MAX = 64 * 1024
"""The longest answer to a Fetch above `PLENTY_BYTES`."""

logger = logging.getLogger("sandbox.wire")


class AnswerSize:
    """The size of one answer while it is read from rows.

    Args:
        held: the memory of all connections.
    """

    def __init__(self, held: "HeldBytes") -> None:
        self._held = held
        self.size_bytes = 0

    def add(self, size_bytes: int) -> None:
        """Add the size of a batch that was read."""
        self.size_bytes += size_bytes
        self._held.reading_bytes += size_bytes

    @property
    def is_full(self) -> bool:
        """True if the answer must not grow further."""
        return self.size_bytes >= self._held.answer_bytes_max

    def forget(self) -> None:
        """Stop counting the answer, because it was sent or dropped."""
        self._held.reading_bytes -= self.size_bytes
        self.size_bytes = 0


class BytesHolder(Protocol):
    """A connection."""

    def drop(self, reason: str) -> None:
        """Close the connection immediately, without sending waiting answers."""


class HeldBytes:
    """The memory of all connections, least recent progress first.

    Args:
        bytes_max: above this total, connections are closed.
        plenty: above this total, answers to Fetch are short.
    """

    def __init__(self, bytes_max: int = HELD_BYTES_MAX, plenty: int = PLENTY_BYTES) -> None:
        self._bytes_max = bytes_max
        self._plenty = plenty
        self._held: dict[BytesHolder, int] = {}
        self.size_bytes = 0
        self.reading_bytes = 0

    @property
    def answer_bytes_max(self) -> int:
        """The current limit for an answer to a Fetch, except for its first batch."""
        much = self.size_bytes + self.reading_bytes >= self._plenty
        return SHORT_ANSWER_BYTES_MAX if much else ANSWER_BYTES_MAX

    def hold(self, holder: BytesHolder, size_bytes: int) -> None:
        """Set a connection's memory after it made progress. 0 removes the connection."""
        self.size_bytes += size_bytes - self._held.pop(holder, 0)
        if size_bytes:
            self._held[holder] = size_bytes
        while self.size_bytes > self._bytes_max and len(self._held) > 1:
            oldest = next(iter(self._held))
            own = self._held.pop(oldest)
            held, self.size_bytes = self.size_bytes, self.size_bytes - own
            oldest.drop(
                f"all connections hold {held >> 20} MiB that their clients do not read, or requests that they did not "
                f"end; this one holds {own >> 20} MiB and made no progress for the longest time"
            )
