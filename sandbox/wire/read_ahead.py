"""The batches that a reader of rows will ask for next, encoded while it works on the last ones.

Problem: a client asks for the next events when it has taken in the last answer, so reader and broker would wait for
each other in turn. Trade: if a reader was answered from rows and there are more, its next answer is encoded in advance,
in steps (see `sandbox.wire.time_slices`). Consequence: some work is lost if a reader goes away, and about `BYTES_MAX`
bytes are kept. As in the cache of the tail, nothing is kept that is not below the high watermark.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from sandbox.wire.time_slices import Steps

BYTES_MAX = 8 * 1024 * 1024
"""How much is kept for all readers together."""
PIECE_BYTES_MAX = 1024 * 1024
"""How much is kept for one reader of a partition."""
FORGOTTEN_MS = 2_000
"""After how long a piece that nobody asked for makes room for others."""


class Place(NamedTuple):
    """Where a reader will continue: partition id, offset, and whether it reads only what is stable."""

    partition_id: int
    offset: int
    stable: bool


@dataclass(slots=True)
class Piece:
    """What is encoded for one reader.

    Attributes:
        reserved_bytes: how large it may become; 0 once it is complete.
        begun_ms: when it was begun.
        steps: encodes the rest of it.
        batches: each with the offset after it.
        dropped: True once it was given out or forgotten: nothing more is encoded for it.
    """

    reserved_bytes: int
    begun_ms: int
    steps: Steps | None = None
    batches: list[tuple[bytes, int]] = field(default_factory=list)
    size_bytes: int = 0
    dropped: bool = False

    @property
    def taken_bytes(self) -> int:
        """How much of the room for all pieces it takes."""
        return max(self.reserved_bytes, self.size_bytes)


class ReadAhead:
    """What was encoded in advance, for all readers.

    Args:
        bytes_max: how many bytes are kept, those of pieces that are not complete included.
    """

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self.size_bytes = 0
        self._pieces: dict[Place, Piece] = {}

    @property
    def unfinished(self) -> int:
        """How many pieces are being encoded."""
        return sum(piece.reserved_bytes > 0 for piece in self._pieces.values())

    def begin(self, place: Place, size_bytes_max: int, now_ms: int) -> Piece | None:
        """A new piece for a reader that will come to `place`; None if there is one, or no room."""
        wanted = min(size_bytes_max, PIECE_BYTES_MAX)
        if self.size_bytes + wanted > self.bytes_max:
            for old in [one for one, piece in self._pieces.items() if now_ms - piece.begun_ms > FORGOTTEN_MS]:
                self._drop(old)
        if self.size_bytes + wanted > self.bytes_max or place in self._pieces or wanted <= 0:
            return None
        piece = self._pieces[place] = Piece(wanted, now_ms)
        self.size_bytes += wanted
        return piece

    def rest_of(self, place: Place) -> Steps | None:
        """What encodes the rest of the piece of a reader that has come to `place`; None if there is nothing left."""
        piece = self._pieces.get(place)
        return None if piece is None else piece.steps

    def add(self, piece: Piece, batch: bytes, next_offset: int) -> None:
        """Add a batch to a piece that was not dropped."""
        before = piece.taken_bytes
        piece.batches.append((batch, next_offset))
        piece.size_bytes += len(batch)
        self.size_bytes += piece.taken_bytes - before

    def complete(self, place: Place, piece: Piece) -> None:
        """Nothing more is added to a piece. It is forgotten if it is empty."""
        if piece.dropped:
            return
        self.size_bytes -= piece.taken_bytes - piece.size_bytes
        piece.reserved_bytes = 0
        piece.steps = None
        if not piece.batches:
            self._drop(place)

    def take(self, place: Place, end: int, size_bytes_max: int, *, first: bool) -> list[tuple[bytes, int]]:
        """The batches that were encoded so far for a reader at `place`, each with the offset after it.

        They are given out once. What the reader does not take is kept for its next request.

        Args:
            end: the offset that the reader may read up to.
            size_bytes_max: how many bytes the reader takes.
            first: the first batch is given out even if it is larger.
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
            if rest:
                kept = Piece(0, piece.begun_ms, None, rest, sum(len(batch) for batch, _ in rest))
                self._pieces[place._replace(offset=found[-1][1])] = kept
                self.size_bytes += kept.size_bytes
        return found

    def skip(self, partition_id: int) -> None:
        """Forget what was encoded of a partition."""
        for place in [one for one in self._pieces if one.partition_id == partition_id]:
            self._drop(place)

    def clear(self) -> None:
        """Forget everything."""
        for place in tuple(self._pieces):
            self._drop(place)

    def _drop(self, place: Place) -> Piece | None:
        piece = self._pieces.pop(place, None)
        if piece is not None:
            self.size_bytes -= piece.taken_bytes
            piece.dropped = True
        return piece
