"""The batches that a reader of rows will ask for next, encoded while it works on the last ones.

Problem: a client asks for the next events when it has taken in the last answer, so reader and broker would wait for
each other in turn. Trade: whoever was answered from rows, with more to come, has the next answer made in advance, as
soon as nothing else is to do. Consequence: a piece of work is lost where a reader goes away, and at most about
`BYTES_MAX` bytes are kept. As in the cache of the tail, nothing is kept that is not below the high watermark.
"""

from collections.abc import Callable
from typing import NamedTuple

BYTES_MAX = 8 * 1024 * 1024
"""How much is kept for all readers together."""
PIECE_BYTES_MAX = 2 * 1024 * 1024
"""Nothing is made for readers who take more than this of a partition at once."""
FORGOTTEN_MS = 2_000
"""After how long a piece that nobody asked for makes room for others."""


class Place(NamedTuple):
    """Where a reader goes on: partition id, offset, and whether it reads only what is stable."""

    partition_id: int
    offset: int
    stable: bool


class _Piece(NamedTuple):
    batches: list[bytes]
    size_bytes: int
    next_offset: int
    made_ms: int


class ReadAhead:
    """What was made in advance, and what is to be made.

    Args:
        bytes_max: how many bytes are kept before no more is made.
    """

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self.size_bytes = 0
        self._pieces: dict[Place, _Piece] = {}
        self._wanted: dict[Place, Callable[[], None]] = {}

    def take(self, place: Place, end: int, size_bytes_max: int) -> list[bytes] | None:
        """What was made for a reader at `place`, None where there is nothing that fits. It is given out once.

        Args:
            end: the offset that the reader may read up to.
            size_bytes_max: how many bytes to return; a batch that comes alone may be larger.
        """
        self._wanted.pop(place, None)
        piece = self._drop(place)
        if piece is None or piece.next_offset > end:
            return None
        return piece.batches if piece.size_bytes <= size_bytes_max or len(piece.batches) == 1 else None

    def want(self, place: Place, make: Callable[[], None], now_ms: int) -> bool:
        """Have something made for a reader, which will come to `place`, where there is room for it.

        Returns:
            True where nothing was to be made before, so that `make_next` must be called.
        """
        if self.size_bytes >= self.bytes_max:
            for old in [one for one, piece in self._pieces.items() if now_ms - piece.made_ms > FORGOTTEN_MS]:
                self._drop(old)
        if self.size_bytes >= self.bytes_max or place in self._pieces or place in self._wanted:
            return False
        self._wanted[place] = make
        return len(self._wanted) == 1

    def make_next(self) -> bool:
        """Make what was wanted first; whether there is more to be made."""
        if self._wanted:
            self._wanted.pop(next(iter(self._wanted)))()
        return bool(self._wanted)

    def keep(self, place: Place, batches: list[bytes], next_offset: int, now_ms: int) -> None:
        """Keep what was made for a place; `next_offset` is the one behind it."""
        self._drop(place)
        self._pieces[place] = piece = _Piece(batches, sum(map(len, batches)), next_offset, now_ms)
        self.size_bytes += piece.size_bytes

    def skip(self, partition_id: int) -> None:
        """Forget what was made of a partition."""
        for place in [one for one in self._pieces if one.partition_id == partition_id]:
            self._drop(place)

    def clear(self) -> None:
        """Forget everything."""
        self._pieces.clear()
        self._wanted.clear()
        self.size_bytes = 0

    def _drop(self, place: Place) -> _Piece | None:
        piece = self._pieces.pop(place, None)
        if piece is not None:
            self.size_bytes -= piece.size_bytes
        return piece
