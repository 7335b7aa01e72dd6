"""Varints in records, signed in zigzag form (0, -1, 1, -2 become 0, 1, 2, 3).

Source: https://kafka.apache.org/protocol#protocol_types (VARINT, VARLONG).
"""

ZIGZAG_END = 1 << 13


def zigzag(value: int) -> bytes:
    """Encode ``value``, a signed number of at most 64 bits, as a varint."""
    left = (value << 1) ^ (value >> 63)
    written = bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    written.append(left)
    return bytes(written)


def zigzag_value(number: int) -> int:
    """Decode an unsigned number from zigzag form."""
    return (number >> 1) ^ -(number & 1)


def read_unsigned(data: bytes, position: int, bytes_max: int) -> tuple[int, int]:
    """Return the unsigned number of the varint at ``position``, and the position after it.

    Raises:
        IndexError: the data ends within it.
        OverflowError: it has more than ``bytes_max`` bytes.
    """
    value = shift = 0
    for at in range(position, position + bytes_max):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    raise OverflowError(f"a varint at {position} has more than {bytes_max} bytes")


# The varints of 0 to ZIGZAG_END - 1, followed by the varint of -1 (the length of null), so that ZIGZAG[-1] is right
# too.
ZIGZAG = [bytes((value << 1,)) for value in range(64)]
_LOW = bytes(range(0x80, 0x100, 2))
ZIGZAG += [
    pair for high in range(1, ZIGZAG_END >> 6) for pair in map(bytes, zip(_LOW, bytes((high,)) * 64, strict=True))
]
ZIGZAG += [zigzag(-1)]

# The reverse table: the signed values of the unsigned numbers below SIGNED_END.
SIGNED_END = 2 * ZIGZAG_END
SIGNED = [0] * SIGNED_END
SIGNED[0::2] = range(ZIGZAG_END)
SIGNED[1::2] = range(-1, -ZIGZAG_END - 1, -1)

# What the second byte of a two-byte number adds to the first, whose top bit marks the second byte.
HIGH = [(byte << 7) - 0x80 for byte in range(0x80)]
