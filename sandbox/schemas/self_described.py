"""Reads MessagePack and CBOR, whose bytes describe themselves.

Values are returned as JSON values: byte strings are base64, a map's key that is no text is its JSON text, times are ISO
8601. Extension types and tags without a JSON form are objects with their number. Lengths are checked against the bytes
that are left before anything is read, so no payload makes more values than it has bytes.

`recognized` finds the format of bytes if none was chosen. A text is never taken for one: the first byte of a map or a
list in either format is not the first byte of UTF-8.
"""

import base64
import struct
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.schemas.json_text import compact
from sandbox.schemas.schema import InvalidValue

DEPTH_MAX = 100
INTEGER_MAX_BYTES = 1_024
"""Longer integers of CBOR are shown as bytes."""
EXPONENT_MAX = 1_000
TEXT_LEAST = 3
"""Characters of a text that makes a list recognizable."""
SELF_DESCRIBED_CBOR = b"\xd9\xd9\xf7"
"""The tag that some writers put before CBOR (RFC 8949, 3.4.6)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BREAK = object()


def recognized(data: bytes) -> tuple[str, Any] | None:
    """Return format and value of bytes that are a map or a list of MessagePack or CBOR, with text in it; else None.

    Args:
        data: bytes that are not UTF-8 text.
    """
    first = data[0]
    if data.startswith(SELF_DESCRIBED_CBOR):
        return _attempt(_Cbor(data, True), tagged=True)
    # Only lists and maps: anything shorter may be any bytes.
    if 0x80 <= first < 0xA0 or 0xDC <= first <= 0xDF:
        found = _attempt(_MessagePack(data, True))
        if found is not None:
            return found
    return _attempt(_Cbor(data, True)) if 0x80 <= first < 0xC0 else None


def _attempt(reader: "_Reader", *, tagged: bool = False) -> tuple[str, Any] | None:
    """Return format and value if the bytes are whole and have text. Random bytes are seldom a whole list or map, and
    even more seldom one with text.
    """
    try:
        value = reader.whole()
    except InvalidValue:
        return None
    return (reader.name.upper(), value) if reader.has_text or tagged else None


def read_messagepack(data: bytes, *, text_keys: bool = False) -> Any:
    """Return the value of a MessagePack payload.

    Args:
        data: the whole payload.
        text_keys: True refuses maps with keys that are no text.

    Raises:
        InvalidValue: it is not MessagePack, or bytes are left; the message has the position.
    """
    return _MessagePack(data, text_keys).whole()


def read_cbor(data: bytes, *, text_keys: bool = False) -> Any:
    """Return the value of a CBOR payload (RFC 8949). Arguments and errors: see `read_messagepack`."""
    return _Cbor(data, text_keys).whole()


class _Reader:
    """The bytes of a payload and the position in them.

    Attributes:
        name: the format.
        has_text: True once a map with names for keys, or a readable text, was read.
    """

    name = ""

    def __init__(self, data: bytes, text_keys: bool) -> None:
        self._data = data
        self._at = 0
        self._text_keys = text_keys
        self.has_text = False

    def whole(self) -> Any:
        value = self.value(0)
        if value is _BREAK:
            raise self.error("a break outside of a list")
        if self._at != len(self._data):
            raise self.error(f"{len(self._data) - self._at:,} bytes are left after the value")
        return value

    def value(self, depth: int) -> Any:
        raise NotImplementedError

    def error(self, cause: str) -> InvalidValue:
        return InvalidValue(f"not {self.name}: {cause}, at byte {self._at}")

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise self.error(f"{size:,} bytes are expected, and {len(self._data) - self._at:,} are left")
        start = self._at
        self._at += size
        return self._data[start : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self, data: bytes) -> str:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise self.error("a text is not UTF-8") from None
        self.has_text = self.has_text or (len(text) >= TEXT_LEAST and text.isprintable())
        return text

    def items(self, count: int, depth: int) -> list[Any]:
        if depth >= DEPTH_MAX:
            raise self.error(f"it is nested more than {DEPTH_MAX} levels deep")
        if count > len(self._data) - self._at:
            raise self.error(f"{count:,} items are expected, and {len(self._data) - self._at:,} bytes are left")
        return [self._item(depth) for _ in range(count)]

    def _item(self, depth: int) -> Any:
        value = self.value(depth + 1)
        if value is _BREAK:
            raise self.error("a break in a list of known length")
        return value

    def map_of(self, items: list[Any]) -> dict[str, Any]:
        found = {self._key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
        self.has_text = self.has_text or (bool(found) and all(key and key.isprintable() for key in found))
        return found

    def _key(self, key: Any) -> str:
        if isinstance(key, str):
            return key
        if self._text_keys:
            raise self.error("a key is no text")
        return compact(key)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _time(seconds: int, nanoseconds: int = 0) -> Any:
    """Return a time in ISO 8601, or the number of seconds if it is outside of the years 1 to 9999."""
    carried, nanoseconds = divmod(nanoseconds, 1_000_000_000)
    seconds += carried
    try:
        text = (_EPOCH + timedelta(seconds=seconds)).isoformat().removesuffix("+00:00")
    except OverflowError:
        return seconds
    return f"{text}.{nanoseconds:09d}".rstrip("0") + "Z" if nanoseconds else f"{text}Z"


class _MessagePack(_Reader):
    name = "MessagePack"

    def value(self, depth: int) -> Any:
        first = self.number(1)
        if first < 0x80:
            return first
        if first < 0x90:
            return self.map_of(self.items(2 * (first & 0x0F), depth))
        if first < 0xA0:
            return self.items(first & 0x0F, depth)
        if first < 0xC0:
            return self.text(self.take(first & 0x1F))
        if first >= 0xE0:
            return first - 0x100
        return self._longer(first, depth)

    def _longer(self, first: int, depth: int) -> Any:
        match first:
            case 0xC0:
                return None
            case 0xC2 | 0xC3:
                return first == 0xC3
            case 0xC4 | 0xC5 | 0xC6:
                return _base64(self.take(self.number(1 << (first - 0xC4))))
            case 0xC7 | 0xC8 | 0xC9:
                return self._extension(self.number(1 << (first - 0xC7)))
            case 0xCA:
                return struct.unpack(">f", self.take(4))[0]
            case 0xCB:
                return struct.unpack(">d", self.take(8))[0]
            case 0xCC | 0xCD | 0xCE | 0xCF:
                return self.number(1 << (first - 0xCC))
            case 0xD0 | 0xD1 | 0xD2 | 0xD3:
                return int.from_bytes(self.take(1 << (first - 0xD0)), "big", signed=True)
            case 0xD4 | 0xD5 | 0xD6 | 0xD7 | 0xD8:
                return self._extension(1 << (first - 0xD4))
            case 0xD9 | 0xDA | 0xDB:
                return self.text(self.take(self.number(1 << (first - 0xD9))))
            case 0xDC | 0xDD:
                return self.items(self.number(2 << (first - 0xDC)), depth)
            case 0xDE | 0xDF:
                return self.map_of(self.items(2 * self.number(2 << (first - 0xDE)), depth))
        raise self.error(f"the type 0x{first:02x} does not exist")

    def _extension(self, size: int) -> Any:
        kind = int.from_bytes(self.take(1), "big", signed=True)
        data = self.take(size)
        if kind == -1 and size == 4:
            return _time(int.from_bytes(data, "big"))
        if kind == -1 and size == 8:
            both = int.from_bytes(data, "big")
            return _time(both & 0x3FFFFFFFF, both >> 34)
        if kind == -1 and size == 12:
            return _time(int.from_bytes(data[4:], "big", signed=True), int.from_bytes(data[:4], "big"))
        return {"extension": kind, "base64": _base64(data)}


_INDEFINITE = 31


class _Cbor(_Reader):
    name = "CBOR"

    def value(self, depth: int) -> Any:
        first = self.number(1)
        major, low = first >> 5, first & 0x1F
        if major == 7:
            return self._simple(low)
        argument = self._argument(low)
        if argument is None and major in (0, 1, 6):
            raise self.error(f"the type 0x{first:02x} does not exist")
        match major:
            case 0:
                return argument
            case 1:
                return -1 - (argument or 0)
            case 2:
                return _base64(self._string(2, argument))
            case 3:
                return self.text(self._string(3, argument))
            case 4:
                return self._list(depth) if argument is None else self.items(argument, depth)
            case 5:
                items = self._list(depth) if argument is None else self.items(2 * argument, depth)
                if len(items) % 2:
                    raise self.error("a key has no value")
                return self.map_of(items)
        return self._tagged(argument or 0, depth)

    def _argument(self, low: int) -> int | None:
        """Return the number in an item's head; None for an indefinite length."""
        if low < 24:
            return low
        if low < 28:
            return self.number(1 << (low - 24))
        if low == _INDEFINITE:
            return None
        raise self.error("a length has no such form")

    def _string(self, major: int, size: int | None) -> bytes:
        if size is not None:
            return self.take(size)
        parts = []
        while (first := self.number(1)) != 0xFF:
            part = self._argument(first & 0x1F)
            if first >> 5 != major or part is None:
                raise self.error("a part of a string has another type")
            parts.append(self.take(part))
        return b"".join(parts)

    def _list(self, depth: int) -> list[Any]:
        if depth >= DEPTH_MAX:
            raise self.error(f"it is nested more than {DEPTH_MAX} levels deep")
        found = []
        while (value := self.value(depth + 1)) is not _BREAK:
            found.append(value)
        return found

    def _simple(self, low: int) -> Any:
        match low:
            case 20 | 21:
                return low == 21
            case 22 | 23:
                return None
            case 25:
                return struct.unpack(">e", self.take(2))[0]
            case 26:
                return struct.unpack(">f", self.take(4))[0]
            case 27:
                return struct.unpack(">d", self.take(8))[0]
            case 31:
                return _BREAK
            case 28 | 29 | 30:
                raise self.error("a length has no such form")
        return {"simple": self.number(1) if low == 24 else low}

    def _tagged(self, tag: int, depth: int) -> Any:
        if depth >= DEPTH_MAX:
            raise self.error(f"it is nested more than {DEPTH_MAX} levels deep")
        start = self._at
        value = self._item(depth)
        match tag:
            case 0 | 32 | 33 | 34 | 35 | 36 | 55799:
                return value
            case 1 if isinstance(value, int) and not isinstance(value, bool):
                return _time(value)
            case 1 if isinstance(value, float) and abs(value) < 1e12:
                whole = int(value // 1)
                return _time(whole, round((value - whole) * 1_000_000) % 1_000_000 * 1_000)
            case 2 | 3 | 37 if self._data[start] >> 5 == 2:
                return self._number_or_uuid(tag, value)
            case 4 if isinstance(value, list) and len(value) == 2 and all(type(one) is int for one in value):
                if abs(value[0]) <= EXPONENT_MAX and abs(value[1]) < 1 << 128:
                    return Decimal(f"{value[1]}E{value[0]}")
        return {"tag": tag, "value": value}

    def _number_or_uuid(self, tag: int, value: str) -> Any:
        data = base64.b64decode(value)
        if tag == 37 and len(data) == 16:
            return str(uuid.UUID(bytes=data))
        if tag == 37 or len(data) > INTEGER_MAX_BYTES:
            return {"tag": tag, "value": value}
        number = int.from_bytes(data, "big")
        return number if tag == 2 else -1 - number
