"""The frame in front of a payload, and the headers that replace it.

Classic frame: 0x00, the schema's id as 4 bytes big-endian, for Protobuf the path to the message type as zig-zag
varints (their number first; `[0]` is a single 0), then the payload.

Header form of newer serializers: the header `__key_schema_id` or `__value_schema_id` holds 0x01 and the 16 bytes of
the schema's GUID, or 0x00 and the id. For Protobuf the message path follows in the header. The payload has no frame.
"""

import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.schemas.schema import InvalidValue

KEY_HEADER = "__key_schema_id"
VALUE_HEADER = "__value_schema_id"

MAX_MESSAGE_INDEXES = 100


@dataclass(frozen=True, slots=True)
class Frame:
    """Which schema a payload was written with.

    Attributes:
        schema: The schema's id, or its GUID.
        rest: The bytes that follow: the payload, for Protobuf after the message indexes, see `split_indexes`.
        header_indexes: The bytes of the message indexes in the header; None for the classic frame.
    """

    schema: int | uuid.UUID
    rest: bytes
    header_indexes: bytes | None = None


def may_have_frame(
    data: bytes | None, headers: Iterable[tuple[str, bytes | None]] = (), *, is_key: bool = False
) -> bool:
    """Report, quickly, whether `read_frame` is worth a call: a first byte of 0x00 or the header."""
    if not data:
        return False
    wanted = KEY_HEADER if is_key else VALUE_HEADER
    return data[0] == 0 or any(name == wanted for name, _ in headers)


def read_frame(data: bytes, headers: Iterable[tuple[str, bytes | None]] = (), *, is_key: bool = False) -> Frame | None:
    """Return the frame of a key or value; None if there is none. Bytes that begin with 0x00 may be a frame by accident.

    Args:
        data: The whole key or value.
        headers: The event's headers.
        is_key: It is a key: its header is `__key_schema_id`.
    """
    wanted = KEY_HEADER if is_key else VALUE_HEADER
    for name, content in headers:
        if name == wanted and content:
            if content[0] == 1 and len(content) >= 17:
                return Frame(uuid.UUID(bytes=content[1:17]), data, content[17:])
            if content[0] == 0 and len(content) >= 5:
                return Frame(int.from_bytes(content[1:5], "big"), data, content[5:])
    if len(data) >= 5 and data[0] == 0:
        schema_id = int.from_bytes(data[1:5], "big")
        return Frame(schema_id, data[5:]) if 0 < schema_id < 2**31 else None
    return None


def split_indexes(frame: Frame) -> tuple[tuple[int, ...], bytes]:
    """Return a Protobuf frame's message indexes and payload.

    Raises:
        InvalidValue: The indexes are cut, too many or negative.
    """
    if frame.header_indexes is not None:
        indexes, end = read_indexes(frame.header_indexes)
        if end != len(frame.header_indexes):
            raise InvalidValue("bytes are left after the message indexes in the header")
        return indexes, frame.rest
    indexes, end = read_indexes(frame.rest)
    return indexes, frame.rest[end:]


def classic_frame(schema_id: int, message_indexes: tuple[int, ...] | None = None) -> bytes:
    """Return the bytes in front of a payload; with message indexes for Protobuf."""
    return struct.pack(">bI", 0, schema_id) + (b"" if message_indexes is None else indexes_bytes(message_indexes))


def header_content(schema: int | uuid.UUID, message_indexes: tuple[int, ...] | None = None) -> bytes:
    """Return the content of the header that names the schema; with message indexes for Protobuf."""
    head = b"\x01" + schema.bytes if isinstance(schema, uuid.UUID) else struct.pack(">bI", 0, schema)
    return head + (b"" if message_indexes is None else indexes_bytes(message_indexes))


def indexes_bytes(indexes: tuple[int, ...]) -> bytes:
    """Return message indexes as zig-zag varints, their number first; `(0,)` is a single 0."""
    if indexes == (0,):
        return b"\0"
    return b"".join(_varint(number) for number in (len(indexes), *indexes))


def read_indexes(data: bytes) -> tuple[tuple[int, ...], int]:
    """Return the message indexes at the start of bytes, and the position after them. Raises `InvalidValue`."""
    try:
        count, at = _read_varint(data, 0)
        if count == 0:
            return (0,), at
        if not 0 < count <= MAX_MESSAGE_INDEXES:
            raise InvalidValue(f"{count} message indexes: expected 1 to {MAX_MESSAGE_INDEXES}")
        indexes = []
        for _ in range(count):
            index, at = _read_varint(data, at)
            if index < 0:
                raise InvalidValue(f"the message index {index} is negative")
            indexes.append(index)
    except IndexError:
        raise InvalidValue("the message indexes of the Protobuf frame are cut off") from None
    return tuple(indexes), at


def _varint(number: int) -> bytes:
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    return bytes([*out, number])


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 35, 7):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
    raise InvalidValue("a message index has more than 5 bytes")
