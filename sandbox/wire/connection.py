"""One connection without its socket: receives requests, and sends answers in the order of the requests.

A request is a four-byte length and that many bytes. Clients pipeline: they send more requests before the first is
answered, and expect the answers in the same order, so an early answer waits for those before it.
"""

import re
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from sandbox.wire.fetch_sessions import LookedUp

_VALID = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def is_software(name: str, version: str) -> bool:
    """Return True if both consist of letters, digits, hyphens and dots, and begin and end with a letter or digit."""
    return _VALID.fullmatch(name) is not None and _VALID.fullmatch(version) is not None


@dataclass(slots=True)
class ApiCount:
    """The usage of one API.

    Attributes:
        requests: number of requests.
        answers: number of requests that were answered, or needed no answer (acks=0).
        total_s: total time from request to answer, in seconds.
        longest_s: the longest time from request to answer, in seconds.
    """

    requests: int = 0
    answers: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0

    def answered(self, elapsed_s: float) -> None:
        """Count an answer."""
        self.answers += 1
        self.total_s += elapsed_s
        if elapsed_s > self.longest_s:
            self.longest_s = elapsed_s

    @property
    def mean_ms(self) -> float | None:
        """The mean time to an answer in ms, None before the first."""
        return 1000 * self.total_s / self.answers if self.answers else None

    @property
    def max_ms(self) -> float | None:
        """The longest time to an answer in ms, None before the first."""
        return 1000 * self.longest_s if self.answers else None


@dataclass(slots=True)
class Usage:
    """The usage of one connection.

    Attributes:
        client_id: the client id of its latest request.
        software: name and version that the client sent in ApiVersions (KIP-511), or "".
        apis: API key to its count.
    """

    client_id: str | None = None
    software: str = ""
    apis: dict[int, ApiCount] = field(default_factory=dict)

    def asked(self, key: int, client_id: str | None) -> ApiCount:
        """Count a request. Returns the count in which to record its answer."""
        self.client_id = client_id
        count = self.apis.get(key)
        if count is None:
            count = self.apis[key] = ApiCount()
        count.requests += 1
        return count


_LENGTH = struct.Struct(">i")
TLS_HANDSHAKE = b"\x16\x03"
"""The first bytes that a TLS client sends."""
TLS_HINT = "; it sent TLS: is security.protocol of the client with SSL, and this listener without?"


class ProtocolViolation(Exception):
    """The peer sent something that no Kafka client sends. The connection is closed, and the text logged."""


class Slot:
    """A request's place in the order of answers.

    Attributes:
        holds: True while later requests of the connection must wait for this answer.
        dropped: called if the connection ends before the answer is set; None if nothing needs to be done.
    """

    __slots__ = ("_begun_s", "_connection", "_count", "done", "dropped", "holds", "pieces")

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self.done = False
        self.holds = False
        self.dropped: Callable[[], None] | None = None
        self.pieces: list[bytes] = []
        self._count: ApiCount | None = None
        self._begun_s = 0.0

    def asked(self, key: int, client_id: str | None) -> Usage:
        """Count the request, and start measuring the time to its answer."""
        usage = self._connection.usage
        self._count = usage.asked(key, client_id)
        self._begun_s = perf_counter()
        return usage

    @property
    def gone(self) -> bool:
        """True if the connection has ended, so that the answer isn't needed."""
        return self._connection.closed

    @property
    def at_end(self) -> dict[object, Callable[[], None]]:
        """What the connection calls when it ends."""
        return self._connection.at_end

    @property
    def looked_up(self) -> LookedUp:
        """The partitions that the connection will probably fetch."""
        return self._connection.looked_up

    def abort(self) -> None:
        """Close the connection instead of answering; the client retries on another one."""
        self._connection.abort()

    def set(self, answer: bytes | None, header: bytes = b"") -> None:
        """Set the answer and its header; None for no answer (acks=0)."""
        self.done = True
        self.dropped = None
        if self._count is not None:
            self._count.answered(perf_counter() - self._begun_s)
        if answer is not None:
            self.pieces = [_LENGTH.pack(len(header) + len(answer)), header, answer]
        self._connection.flush()


class Connection:
    """Framing and order of answers.

    Args:
        write: sends bytes.
        abort: closes the socket.
        request_bytes_max: the longest accepted request (`socket.request.max.bytes`).

    Attributes:
        usage: statistics of the client's requests.
        at_end: what to call when the connection ends, by a key of the caller's.
        looked_up: the partitions whose offset the client has looked up.
        kept_bytes: size of the answers that wait for an earlier one, such as a JoinGroup's.
    """

    def __init__(self, write: Callable[[bytes], None], abort: Callable[[], None], request_bytes_max: int) -> None:
        self._write = write
        self.abort = abort
        self.request_bytes_max = request_bytes_max
        self._buffer = bytearray()
        self._slots: deque[Slot] = deque()
        self.closed = False
        self.kept_bytes = 0
        self.usage = Usage()
        self.at_end: dict[object, Callable[[], None]] = {}
        self.looked_up = LookedUp()

    @property
    def in_flight(self) -> int:
        """The number of unanswered requests."""
        return len(self._slots)

    @property
    def incomplete(self) -> bool:
        """True if the peer has sent only a part of a request."""
        return bool(self._buffer)

    @property
    def incomplete_bytes(self) -> int:
        """The number of bytes received of an incomplete request."""
        return len(self._buffer)

    def receive(self, data: bytes | memoryview) -> list[bytes]:
        """Process received bytes. Returns the complete requests, without their lengths.

        Raises:
            ProtocolViolation: a length is negative or above the limit.
        """
        buffer = self._buffer
        size_bytes = len(data)
        if not buffer and _LENGTH.size <= size_bytes <= self.request_bytes_max:
            (length,) = _LENGTH.unpack_from(data)
            if length + _LENGTH.size == size_bytes:
                # The most frequent case: exactly one request.
                return [bytes(data[_LENGTH.size :])]
        buffer += data
        frames: list[bytes] = []
        position = 0
        while len(buffer) - position >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, position)
            if not 0 <= length <= self.request_bytes_max:
                raise ProtocolViolation(
                    f"a request of {length} bytes; the limit is {self.request_bytes_max} (socket.request.max.bytes)"
                    + (TLS_HINT if buffer.startswith(TLS_HANDSHAKE) else "")
                )
            start = position + _LENGTH.size
            if len(buffer) - start < length:
                break
            frames.append(bytes(memoryview(buffer)[start : start + length]))
            position = start + length
        if position:
            del buffer[:position]
        return frames

    def slot(self) -> Slot:
        """Add the place for the next answer."""
        slot = Slot(self)
        self._slots.append(slot)
        return slot

    def flush(self) -> None:
        """Send the answers that are next in order."""
        pieces: list[bytes] = []
        answered = False
        while self._slots and self._slots[0].done:
            slot = self._slots.popleft()
            # A Fetch's slot is kept until the next request, its answer is not.
            sent, slot.pieces = slot.pieces, []
            pieces += sent
            answered = True
        if self.kept_bytes or not answered:
            self.kept_bytes = sum(len(piece) for slot in self._slots for piece in slot.pieces)
        if answered and not self.closed:
            # Also if there is nothing to send (acks=0), because waiting requests may continue now.
            self._write(b"".join(pieces))

    def close(self) -> None:
        """Drop everything that waits; nothing more is sent."""
        self.closed = True
        slots, self._slots = self._slots, deque()
        for slot in slots:
            if slot.dropped is not None:
                slot.dropped()
        self._buffer.clear()
        self.kept_bytes = 0
        calls, self.at_end = self.at_end, {}
        # A call may remove itself.
        for call in tuple(calls.values()):
            call()
