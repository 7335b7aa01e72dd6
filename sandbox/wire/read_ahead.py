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


class Piece(NamedTuple):
    """What was made for a reader, who takes at most `size_bytes_max`; the offset behind it, and when it was made."""

    batches: list[bytes]
    size_bytes_max: int
    next_offset: int
    made_ms: int

    @property
    def size_bytes(self) -> int:
        """How much it takes."""
        return sum(map(len, self.batches))


class ReadAhead:
    """What was made in advance, and what is to be made.

    Args:
        bytes_max: how many bytes are kept, those of what is to be made included.
    """

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self.size_bytes = 0
        self._pieces: dict[Place, Piece] = {}
        self._wanted: dict[Place, tuple[int, Callable[[], None]]] = {}

    @property
    def wanted(self) -> bool:
        """Whether there is something to be made."""
        return bool(self._wanted)

    def take(self, place: Place, end: int, size_bytes_max: int) -> list[bytes] | None:
        """What was made for a reader at `place`, None where there is nothing that fits. It is given out once.

        Args:
            end: the offset that the reader may read up to.
            size_bytes_max: how many bytes the reader takes: what was made for another limit does not fit.
        """
        self._unwant(place)
        piece = self._drop(place)
        if piece is None or piece.next_offset > end or piece.size_bytes_max != size_bytes_max:
            return None
        return piece.batches

    def want(self, place: Place, size_bytes: int, make: Callable[[], None], now_ms: int) -> bool:
        """Have something made for a reader, which will come to `place`, where there is room for it.

        Args:
            size_bytes: how large it may become.

        Returns:
            True where nothing was to be made before, so that `make_next` must be called.
        """
        if self.size_bytes + size_bytes > self.bytes_max:
            for old in [one for one, piece in self._pieces.items() if now_ms - piece.made_ms > FORGOTTEN_MS]:
                self._drop(old)
        if self.size_bytes + size_bytes > self.bytes_max or place in self._pieces or place in self._wanted:
            return False
        self._wanted[place] = (size_bytes, make)
        self.size_bytes += size_bytes
        return len(self._wanted) == 1

    def make_next(self) -> None:
        """Make what was wanted first, if there is something."""
        if self._wanted:
            place = next(iter(self._wanted))
            _, make = self._wanted[place]
            self._unwant(place)
            make()

    def keep(self, place: Place, piece: Piece) -> None:
        """Keep what was made for a place, unless it has become too large."""
        self._drop(place)
        if self.size_bytes + piece.size_bytes <= self.bytes_max and piece.size_bytes <= PIECE_BYTES_MAX:
            self._pieces[place] = piece
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

    def _unwant(self, place: Place) -> None:
        size_bytes, _ = self._wanted.pop(place, (0, None))
        self.size_bytes -= size_bytes

    def _drop(self, place: Place) -> Piece | None:
        piece = self._pieces.pop(place, None)
        if piece is not None:
            self.size_bytes -= piece.size_bytes
        return piece
