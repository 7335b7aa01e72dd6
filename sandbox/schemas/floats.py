"""Floating-point numbers as JSON values."""

import math
import struct


def shortest_single(data: bytes) -> float | str:
    """Return a 4-byte little-endian float as the number with the fewest digits that is stored as the same bytes."""
    (number,) = struct.unpack("<f", data)
    if number - number != 0:
        return not_finite(number)
    for digits in (7, 8):
        short = float(f"{number:.{digits}g}")
        if abs(short) < 3.4e38 and struct.pack("<f", short) == data:
            return short
    return float(f"{number:.9g}") if abs(number) < 3.4e38 else float(number)


def not_finite(number: float) -> str:
    """Return the text for numbers that JSON does not have, as Protobuf's JSON has them."""
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
