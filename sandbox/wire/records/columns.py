"""The records inside a batch from columns of events: the same bytes as `records.encode_records` makes of rows.

Eight pieces make a record, of which the key and the value are there already. What all records have in common, such as
the length of their keys, is found once, and neighbours that are alike in all become one piece.
"""

from collections.abc import Sequence
from itertools import pairwise
from operator import add, itemgetter

from sandbox.storage.log.event_columns import Column, EventColumns
from sandbox.wire.records.varint import ZIGZAG, ZIGZAG_END, zigzag

ONE_BYTE_END = 64
"""The varints of 0 and up, before this, have one byte; those after it in the table have two."""
RECORDS_AT_ONCE = 1000
"""More of them no longer fit the processor's caches; and of fewer, more have lengths and times in common."""
ENDS = (ONE_BYTE_END, ZIGZAG_END, 64 << 14, 64 << 21)
"""Where the varints of offset deltas get longer."""

Piece = bytes | Sequence[bytes]
"""A piece of every record: the same in all of them, or one for each."""


def encode_columns(columns: EventColumns, base_offset: int, base_timestamp: int) -> bytes:
    """The records of a batch, not compressed.

    Args:
        columns: its events, of which there is one at least.
        base_offset: of the batch, not above that of its first event.
        base_timestamp: of the batch, in ms.
    """
    first = columns.offset - base_offset
    count = len(columns)
    ends = sorted({*range(0, count, RECORDS_AT_ONCE), *(end - first for end in ENDS if 0 < end - first < count), count})
    parts = [_encode(columns[start:end], first + start, base_timestamp) for start, end in pairwise(ends)]
    return b"".join(parts)


def _encode(columns: EventColumns, delta: int, base_timestamp: int) -> bytes:
    """Records whose offset deltas, from `delta` on, all take the same number of bytes."""
    count = len(columns)
    shift = columns.base_ms - base_timestamp
    sizes = _Sizes()
    attributes = sizes.add_same(b"\0")
    times = sizes.add_numbers([one + shift for one in columns.after_ms] if shift else columns.after_ms)
    offsets = _offsets(delta, count)
    sizes.add_same(offsets[0])
    key_lengths, keys = sizes.add_content(columns.keys)
    value_lengths, values = sizes.add_content(columns.values)
    no_headers = sizes.add_same(ZIGZAG[0])
    pieces: list[Piece] = []
    for piece in (sizes.lengths(), attributes, times, offsets, key_lengths, keys, value_lengths, values, no_headers):
        if pieces and isinstance(piece, bytes) and isinstance(before := pieces[-1], bytes):
            pieces[-1] = before + piece
        else:
            pieces.append(piece)
    width = len(pieces)
    flat = [b""] * (width * count)
    for place, piece in enumerate(pieces):
        flat[place::width] = [piece] * count if isinstance(piece, bytes) else piece
    return b"".join(flat)


def _offsets(delta: int, count: int) -> list[bytes]:
    if delta + count <= ZIGZAG_END:
        return ZIGZAG[delta : delta + count]
    return [zigzag(one) for one in range(delta, delta + count)]


class _Sizes:
    """How long the records are: what they have in common, and columns of what each has beside that."""

    def __init__(self) -> None:
        self._common = 0
        self._columns: list[list[int]] = []

    def add_same(self, piece: bytes) -> bytes:
        """Add a piece that all records have, or one of the same length."""
        self._common += len(piece)
        return piece

    def add_numbers(self, numbers: Sequence[int]) -> Piece:
        """Add numbers, as the varints that are returned."""
        different = set(numbers)
        low, high = min(different), max(different)
        if low == high:
            return self.add_same(zigzag(low))
        if low < 0 or high >= ZIGZAG_END:
            column = [zigzag(number) for number in numbers]
        else:
            column = list(itemgetter(*numbers)(ZIGZAG))
            if high < ONE_BYTE_END or low >= ONE_BYTE_END:
                self.add_same(column[0])
                return column
        self._columns.append(list(map(len, column)))
        return column

    def add_content(self, column: Column | None) -> tuple[Piece, Piece]:
        """Add keys or values: their lengths, as varints, and they themselves are returned."""
        if column is None:
            return self.add_same(ZIGZAG[-1]), b""
        try:
            lengths = list(map(len, column))  # type: ignore[arg-type]
        except TypeError:
            return self._add_with_null(column)
        before = self.add_numbers(lengths)
        if isinstance(before, bytes):
            self._common += lengths[0]
        else:
            self._columns.append(lengths)
        return before, column  # type: ignore[return-value]

    def _add_with_null(self, column: Column) -> tuple[Piece, Piece]:
        before = self.add_numbers([-1 if one is None else len(one) for one in column])
        written = [one or b"" for one in column]
        self._columns.append(list(map(len, written)))
        return before, written

    def lengths(self) -> Piece:
        """How long each record is, as varints."""
        if not self._columns:
            return zigzag(self._common)
        sizes, *more = self._columns
        for column in more:
            sizes = list(map(add, sizes, column))
        common = self._common
        if common + max(sizes) < ZIGZAG_END:
            return [ZIGZAG[common + size] for size in sizes]
        return [zigzag(common + size) for size in sizes]
