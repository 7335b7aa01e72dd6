"""Bounds the memory that clients make the sandbox hold: answers that they do not read, requests that they do not end.

Problem: a client that asks for 50 MB and reads none of it costs 50 MB; 200 of them cost more than the machine has.
Trade: each connection has at most one answer that was not taken by its socket (see `sandbox.wire.server`), and what all
connections hold together has two limits. Above `PLENTY_BYTES` answers to Fetch are short. Above `HELD_BYTES_MAX` the
connection that made no progress for the longest time is closed. Consequence: a client that reads nothing for a long
time may lose its connection, but only while others hold that much as well.
"""

import logging
from typing import Protocol

PLENTY_BYTES = 8 * 1024 * 1024
"""Above this, answers to Fetch are short."""
HELD_BYTES_MAX = 48 * 1024 * 1024
"""Above this, connections are closed. One alone, such as with a request of 100 MB, is not."""
ANSWER_BYTES_MAX = 2 * 1024 * 1024
"""The longest answer to a Fetch. Kafka allows less than was asked for, as long as there is one batch (KIP-74)."""
SHORT_ANSWER_BYTES_MAX = 64 * 1024
"""The longest one while much is held."""

logger = logging.getLogger("sandbox.wire")


class AnswerSize:
    """The size of one answer that is being read from rows.

    Args:
        held: what is held already.
    """

    def __init__(self, held: "HeldBytes") -> None:
        self._held = held
        self.size_bytes = 0

    def add(self, size_bytes: int) -> None:
        """Count what was read."""
        self.size_bytes += size_bytes
        self._held.reading_bytes += size_bytes

    @property
    def is_full(self) -> bool:
        """Whether the answer may not grow any more."""
        return self.size_bytes >= self._held.answer_bytes_max

    def forget(self) -> None:
        """Count it no more: the answer was given, or will not be."""
        self._held.reading_bytes -= self.size_bytes
        self.size_bytes = 0


class Holder(Protocol):
    """A connection."""

    def drop(self, reason: str) -> None:
        """Close it at once, without sending what waits."""


class HeldBytes:
    """What all connections hold, those with the oldest progress first.

    Args:
        bytes_max: above this, connections are closed.
        plenty: above this, answers to Fetch are short.
    """

    def __init__(self, bytes_max: int = HELD_BYTES_MAX, plenty: int = PLENTY_BYTES) -> None:
        self._bytes_max = bytes_max
        self._plenty = plenty
        self._held: dict[Holder, int] = {}
        self.size_bytes = 0
        self.reading_bytes = 0

    @property
    def answer_bytes_max(self) -> int:
        """How long an answer to a Fetch may be now, its first batch aside."""
        much = self.size_bytes + self.reading_bytes >= self._plenty
        return SHORT_ANSWER_BYTES_MAX if much else ANSWER_BYTES_MAX

    def hold(self, holder: Holder, size_bytes: int) -> None:
        """Note how much a connection holds now, after it made progress. 0 forgets it."""
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
