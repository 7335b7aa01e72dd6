"""Encodes a reader's next Fetch answer while it processes the current one.

A client requests the next events only after it has processed the last answer, so reader and broker would wait for each
other in turn. So if a reader was answered from rows and there are more, its next answer is encoded in advance, in steps
(see `sandbox.wire.time_slices`). Some of this work is lost if a reader disconnects, and up to `BYTES_MAX` bytes are
cached. As in the cache of the tail, only batches below the high watermark are cached.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from sandbox.wire.time_slices import Steps

BYTES_MAX = 8 * 1024 * 1024
"""The size limit for all readers together."""
PIECE_BYTES_MAX = 1024 * 1024
"""The size limit for one reader of a partition."""
FORGOTTEN_MS = 2_000
"""A piece that no reader has requested may be dropped after this time."""


class ReadPosition(NamedTuple):
    """A reader's next position: partition id, offset, and True if it reads only stable events."""

    partition_id: int
    offset: int
    stable: bool


@dataclass(slots=True)
class PreparedBatches:
    """The batches that are encoded for one reader.

    Attributes:
        reserved_bytes: the maximum size; 0 once the piece is complete.
        begun_ms: when encoding began.
        steps: encodes the rest.
        batches: each with the offset after it.
        dropped: True once the piece was taken or dropped; nothing more is encoded for it.
    """

    reserved_bytes: int
    begun_ms: int
    steps: Steps | None = None
    batches: list[tuple[bytes, int]] = field(default_factory=list)
    size_bytes: int = 0
    dropped: bool = False

    @property
    def taken_bytes(self) -> int:
        """How much of the total limit the piece uses."""
        return max(self.reserved_bytes, self.size_bytes)


class ReadAhead:
    """The batches that were encoded in advance, for all readers.

    Args:
        bytes_max: maximum size, including the reserved bytes of incomplete pieces.
    """

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self.size_bytes = 0
        self._pieces: dict[ReadPosition, PreparedBatches] = {}

    @property
    def unfinished(self) -> int:
        """The number of pieces that are being encoded."""
        return sum(piece.reserved_bytes > 0 for piece in self._pieces.values())

    def begin(self, place: ReadPosition, size_bytes_max: int, now_ms: int) -> PreparedBatches | None:
        """Start a piece for a reader that will continue at `place`. Returns None if one exists, or there is no room."""
        wanted = min(size_bytes_max, PIECE_BYTES_MAX)
        if self.size_bytes + wanted > self.bytes_max:
            for old in [one for one, piece in self._pieces.items() if now_ms - piece.begun_ms > FORGOTTEN_MS]:
                self._drop(old)
        if self.size_bytes + wanted > self.bytes_max or place in self._pieces or wanted <= 0:
            return None
        piece = self._pieces[place] = PreparedBatches(wanted, now_ms)
        self.size_bytes += wanted
        return piece

    def rest_of(self, place: ReadPosition) -> Steps | None:
        """Return the steps that encode the rest of the piece at `place`, or None if nothing is left."""
        piece = self._pieces.get(place)
        return None if piece is None else piece.steps

    def add(self, piece: PreparedBatches, batch: bytes, next_offset: int) -> None:
        """Add a batch to a piece that was not dropped."""
        before = piece.taken_bytes
        piece.batches.append((batch, next_offset))
        piece.size_bytes += len(batch)
        self.size_bytes += piece.taken_bytes - before

    def complete(self, place: ReadPosition, piece: PreparedBatches) -> None:
        """Mark a piece as complete. It is dropped if it is empty."""
        if piece.dropped:
            return
        self.size_bytes -= piece.taken_bytes - piece.size_bytes
        piece.reserved_bytes = 0
        piece.steps = None
        if not piece.batches:
            self._drop(place)

    def take(self, place: ReadPosition, end: int, size_bytes_max: int, *, first: bool) -> list[tuple[bytes, int]]:
        """Return the batches encoded so far for a reader at `place`, each with the offset after it.

        They are returned only once. Batches that don't fit stay for the reader's next request.

        Args:
            end: the offset that the reader may read up to.
            size_bytes_max: how many bytes the reader accepts.
            first: return the first batch even if it is larger.
        """
        piece = self._pieces.get(place)
        if piece is None:
            return []
        found: list[tuple[bytes, int]] = []
        for batch, next_offset in piece.batches:
            size_bytes_max -= len(batch)
            if next_offset > end or (size_bytes_max < 0 and not (first and not found)):
                break
            found.append((batch, next_offset))
        if found:
            self._drop(place)
            rest = piece.batches[len(found) :]
            next_place = place._replace(offset=found[-1][1])
            # Another reader may be there already, with its own piece.
            if rest and next_place not in self._pieces:
                kept = PreparedBatches(0, piece.begun_ms, None, rest, sum(len(batch) for batch, _ in rest))
                self._pieces[next_place] = kept
                self.size_bytes += kept.size_bytes
        return found

    def skip(self, partition_id: int) -> None:
        """Drop a partition's pieces."""
        for place in [one for one in self._pieces if one.partition_id == partition_id]:
            self._drop(place)

    def clear(self) -> None:
        """Drop everything."""
        for place in tuple(self._pieces):
            self._drop(place)

    def _drop(self, place: ReadPosition) -> PreparedBatches | None:
        piece = self._pieces.pop(place, None)
        if piece is not None:
            self.size_bytes -= piece.taken_bytes
            piece.dropped = True
        return piece
