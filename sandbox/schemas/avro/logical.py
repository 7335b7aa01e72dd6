"""Avro's logical types as JSON values, in both directions. Text is ISO 8601; decimals are exact numbers."""

import datetime
import re
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.schemas.avro.types import AvroType

MAX_DECIMAL_BYTES = 1024

_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_UNITS = {"millis": 1_000, "micros": 1_000_000, "nanos": 1_000_000_000}


def bytes_text(data: bytes) -> str:
    """Return bytes as text with one character per byte, as in Avro's JSON encoding."""
    return data.decode("latin-1")


def text_bytes(text: str) -> bytes:
    """The reverse of `bytes_text`. Raises ValueError for characters above U+00FF."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"character {text[error.start]!r} is no byte: bytes are characters up to U+00FF") from None


def reader(type_: AvroType) -> Callable[[Any], Any] | None:
    """Return the conversion of a stored value into a JSON value; None without a logical type."""
    name = type_.logical_type()
    match name:
        case None:
            return None
        case "date":
            return _date_text
        case "decimal":
            scale = type_.properties.get("scale", 0)
            return lambda data: decimal_of_bytes(data, scale)
        case "big-decimal":
            return _big_decimal
        case "uuid":
            return (lambda data: str(uuid.UUID(bytes=data))) if type_.kind == "fixed" else (lambda text: text)
        case "duration":
            return _duration_text
    unit = _UNITS[name.rpartition("-")[2]]
    if name.startswith("time-"):
        return lambda value: _time_text(value, unit)
    zone = "" if name.startswith("local-") else "Z"
    return lambda value: _timestamp_text(value, unit, zone)


def writer(type_: AvroType) -> Callable[[Any], Any] | None:
    """Return the conversion of a JSON value into the value to store; None without a logical type.

    The conversion raises ValueError. Numbers of dates and times are accepted as they are.
    """
    name = type_.logical_type()
    match name:
        case None:
            return None
        case "date":
            return _date_number
        case "decimal":
            return lambda value: _decimal_bytes(value, type_)
        case "big-decimal":
            return _big_decimal_bytes
        case "uuid":
            return (lambda text: _uuid(text).bytes) if type_.kind == "fixed" else (lambda text: _checked_uuid(text))
        case "duration":
            return _duration_bytes
    unit = _UNITS[name.rpartition("-")[2]]
    if name.startswith("time-"):
        return lambda value: _time_number(value, unit)
    return lambda value: _timestamp_number(value, unit)


def _date_text(days: int) -> str | int:
    ordinal = days + _EPOCH_DAY
    return datetime.date.fromordinal(ordinal).isoformat() if 1 <= ordinal <= 3_652_059 else days


def _date_number(value: Any) -> Any:
    return datetime.date.fromisoformat(value).toordinal() - _EPOCH_DAY if isinstance(value, str) else value


def _digits(unit: int) -> int:
    return len(str(unit)) - 1


def _time_text(value: int, unit: int) -> str | int:
    seconds, fraction = divmod(value, unit)
    if not 0 <= seconds < 86_400:
        return value
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:0{_digits(unit)}}"


_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?")


def _time_number(value: Any, unit: int) -> Any:
    if not isinstance(value, str):
        return value
    found = _TIME.fullmatch(value)
    if not found:
        raise ValueError(f"{value!r} is not a time such as 13:45:30.123")
    hours, minutes, seconds, fraction = found.groups(default="0")
    total = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    if total >= 86_400 or int(minutes) > 59 or int(seconds) > 59:
        raise ValueError(f"{value!r} is not a time of a day")
    return total * unit + _fraction(fraction, unit)


def _fraction(digits: str, unit: int) -> int:
    wanted = _digits(unit)
    if digits[wanted:].strip("0"):
        raise ValueError(f"the fraction .{digits} has more than {wanted} digits")
    return int(digits[:wanted].ljust(wanted, "0") or "0")


def _timestamp_text(value: int, unit: int, zone: str) -> str | int:
    seconds, fraction = divmod(value, unit)
    days, second = divmod(seconds, 86_400)
    day = _date_text(days)
    if isinstance(day, int):
        return value
    return f"{day}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{fraction:0{_digits(unit)}}{zone}"


_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ]([\d:]+)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?")


def _timestamp_number(value: Any, unit: int) -> Any:
    if not isinstance(value, str):
        return value
    found = _TIMESTAMP.fullmatch(value)
    if not found:
        raise ValueError(f"{value!r} is not a timestamp such as 2024-05-17T13:45:30.123Z")
    day, time, fraction, zone = found.groups()
    seconds = (datetime.date.fromisoformat(day).toordinal() - _EPOCH_DAY) * 86_400 + _time_number(time, 1)
    if zone and zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds -= offset if zone[0] == "+" else -offset
    return seconds * unit + _fraction(fraction or "0", unit)


def decimal_of_bytes(data: bytes, scale: int) -> Decimal:
    """Return the decimal of an unscaled big-endian integer. Raises ValueError if it has too many bytes."""
    if len(data) > MAX_DECIMAL_BYTES:
        raise ValueError(f"a decimal of {len(data)} bytes; at most {MAX_DECIMAL_BYTES} are read")
    number = int.from_bytes(data, "big", signed=True)
    return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale))


def as_decimal(value: Any) -> Decimal:
    """Return the exact decimal of a number or its text. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"expected a decimal number, got {type(value).__name__}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a decimal number") from None
    if not number.is_finite() or abs(number.adjusted()) > 2 * MAX_DECIMAL_BYTES:
        raise ValueError(f"{value!r} is not a decimal number in range")
    return number


def unscaled(number: Decimal, scale: int) -> int:
    """Return a decimal as an integer of its last digit at a scale. Raises ValueError if it has more digits."""
    sign, digits, exponent = number.as_tuple()
    shift = int(exponent) + scale
    whole = int("".join(map(str, digits)))
    if shift < 0:
        whole, rest = divmod(whole, int(10**-shift))
        if rest:
            raise ValueError(f"{number} has more than {scale} digits after the point")
    else:
        whole *= int(10**shift)
    return -whole if sign else whole


def signed_bytes(number: int) -> bytes:
    """Return an integer in the fewest bytes, two's complement, big-endian."""
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)


def _decimal_bytes(value: Any, type_: AvroType) -> bytes:
    number = unscaled(as_decimal(value), type_.properties.get("scale", 0))
    precision = type_.properties["precision"]
    if abs(number) >= 10**precision:
        raise ValueError(f"{value} has more than {precision} digits")
    data = signed_bytes(number)
    return data.rjust(type_.size, b"\xff" if number < 0 else b"\0") if type_.kind == "fixed" else data


def _big_decimal(data: bytes) -> Decimal:
    from sandbox.schemas.avro.binary import read_long

    try:
        size, at = read_long(data, 0)
        if not 0 <= size <= len(data) - at:
            raise ValueError("a big-decimal's length is wrong")
        scale, _ = read_long(data, at + size)
    except IndexError:
        raise ValueError("a big-decimal ends too early") from None
    if abs(scale) > 2 * MAX_DECIMAL_BYTES:
        raise ValueError(f"a big-decimal's scale of {scale} is too large")
    return decimal_of_bytes(data[at : at + size], scale)


def _big_decimal_bytes(value: Any) -> bytes:
    from sandbox.schemas.avro.binary import long_bytes

    number = as_decimal(value)
    scale = -int(number.as_tuple().exponent)
    data = signed_bytes(unscaled(number, scale))
    return long_bytes(len(data)) + data + long_bytes(scale)


def _uuid(text: Any) -> uuid.UUID:
    if not isinstance(text, str):
        raise ValueError(f"expected a UUID as text, got {type(text).__name__}")
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a UUID") from None


def _checked_uuid(text: Any) -> str:
    _uuid(text)
    return str(text)


_DURATION = re.compile(r"P(\d+)M(\d+)DT(\d+)\.(\d{3})S")


def _duration_text(data: bytes) -> str:
    months, days, millis = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4, 8))
    return f"P{months}M{days}DT{millis // 1000}.{millis % 1000:03}S"


def _duration_bytes(value: Any) -> bytes:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f"{value!r} is not a duration such as P1M2DT3.004S")
    months, days, seconds, millis = map(int, found.groups())
    parts = (months, days, seconds * 1000 + millis)
    if max(parts) >= 2**32:
        raise ValueError(f"{value!r} is out of range")
    return b"".join(part.to_bytes(4, "little") for part in parts)
