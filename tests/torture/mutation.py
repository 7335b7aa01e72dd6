"""Random mutations of known inputs. The same seed produces the same mutations."""

from random import Random

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 2**15 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63)
PIECES_MAX = 4_096


def mutated(dice: Random, data: bytes, other: bytes) -> bytes:
    """Apply one to four random changes.

    Args:
        data: the input to change.
        other: another input, from which parts are copied.
    """
    content = bytearray(data)
    for _ in range(1 + int(dice.random() * 4)):
        _CHANGES[int(dice.random() * len(_CHANGES))](dice, content, other)
    return bytes(content[: 1 << 20])


def _place(dice: Random, content: bytearray) -> int:
    return int(dice.random() * (len(content) + 1))


def _flip(dice: Random, content: bytearray, _other: bytes) -> None:
    if content:
        content[int(dice.random() * len(content))] ^= 1 << int(dice.random() * 8)


def _set(dice: Random, content: bytearray, _other: bytes) -> None:
    if content:
        content[int(dice.random() * len(content))] = int(dice.random() * 256)


def _number(dice: Random, content: bytearray, _other: bytes) -> None:
    """Write a number at the limit of its type, of 2, 4 or 8 bytes."""
    width = (2, 4, 8)[int(dice.random() * 3)]
    at = _place(dice, content)
    number = NUMBERS[int(dice.random() * len(NUMBERS))] % (1 << (8 * width))
    content[at : at + width] = number.to_bytes(width, "big")


def _cut(dice: Random, content: bytearray, _other: bytes) -> None:
    del content[_place(dice, content) :]


def _remove(dice: Random, content: bytearray, _other: bytes) -> None:
    at = _place(dice, content)
    del content[at : at + 1 + int(dice.random() * 16)]


def _insert(dice: Random, content: bytearray, other: bytes) -> None:
    start, at = int(dice.random() * (len(other) + 1)), _place(dice, content)
    content[at:at] = other[start : start + 1 + int(dice.random() * 32)]


def _repeat(dice: Random, content: bytearray, _other: bytes) -> None:
    at = _place(dice, content)
    piece = content[at : at + 1 + int(dice.random() * 8)]
    content[at:at] = (piece * (1 << int(dice.random() * 10)))[:PIECES_MAX]


def _varint(dice: Random, content: bytearray, _other: bytes) -> None:
    """Write a varint that is long, or never ends."""
    at = _place(dice, content)
    content[at : at + 1] = b"\xff" * (1 + int(dice.random() * 11)) + bytes([int(dice.random() * 256)])


_CHANGES = (_flip, _flip, _set, _number, _cut, _remove, _insert, _insert, _repeat, _varint)
