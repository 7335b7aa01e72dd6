"""The events that the tests produce: every shape of key, value and header that Kafka keeps."""

from __future__ import annotations

import json
import random
import time
from base64 import b64decode, b64encode
from typing import Any

from tests.clients.programs.lines import Event, Headers, Read

# An hour ago, so that no broker takes a timestamp for one of the future.
BASE_MS = (int(time.time()) - 3600) * 1000
PLAIN_HEADERS: Headers = [("source", b"test"), ("trace", b"a"), ("trace", b"b")]


def every_shape(count: int, *, null_headers: bool = True) -> list[Event]:
    """Make events with null, empty, binary and repeated parts, the sequence number in their first header.

    Args:
        count: how many.
        null_headers: whether some headers have no value.

    Returns:
        The same events for the same arguments. Timestamps of neighbours are out of order.
    """
    chance = random.Random(count)
    return [
        Event(
            BASE_MS + number * 7 - 40 * (number % 3),
            _key(number),
            _value(number, chance),
            _headers(number, chance, null_headers),
        )
        for number in range(count)
    ]


def plain(count: int) -> list[Event]:
    """Make text events that kcat can write: no empty part, the sequence number at the head of the value.

    Args:
        count: how many.

    Returns:
        The same events for the same count; every tenth has no key.
    """
    return [
        Event(
            BASE_MS + number,
            None if number % 10 == 9 else f"key-{number % 37}".encode(),
            f"{number} {'ab' * (number % 50)} \N{SNOWMAN}".encode(),
            PLAIN_HEADERS,
        )
        for number in range(count)
    ]


def sequence(event: Event | Read) -> int:
    """The sequence number of an event of this module."""
    name, text = event.headers[0]
    if name != "sequence":
        text = (event.value or b"").split(b" ")[0]
    return int(text or b"-1")


def encode(events: list[Event]) -> list[list[Any]]:
    """Events as a produce command carries them."""
    return [
        [
            event.timestamp_ms,
            _text(event.key),
            _text(event.value),
            [[name, _text(each)] for name, each in event.headers],
        ]
        for event in events
    ]


def decode(events: list[list[Any]]) -> list[Read]:
    """Events as the answer to a read command carries them."""
    return [
        Read(partition, offset, ms, _bytes(key), _bytes(value), [(name, _bytes(each)) for name, each in headers])
        for partition, offset, ms, key, value, headers in events
    ]


def _key(number: int) -> bytes | None:
    if number % 25 == 3:
        return None
    if number % 50 == 4:
        return b""
    if number % 50 == 5:
        return bytes([0, 255, 254, number % 256])
    return f"key-{number % 37}".encode()


def _value(number: int, chance: random.Random) -> bytes | None:
    if number % 40 == 6:
        return None
    if number % 40 == 7:
        return b""
    if number % 3 == 0:
        return chance.randbytes(number % 300)
    return json.dumps({"id": 9007199254740993 + number, "text": "\N{GRINNING FACE}<script>"}).encode()


def _headers(number: int, chance: random.Random, null_headers: bool) -> Headers:
    headers: Headers = [("sequence", str(number).encode())]
    if number % 4 == 1:
        headers += [("trace", b"a"), ("kind", b"x"), ("trace", b"b")]
    if number % 4 == 2:
        headers += [("nothing", None if null_headers else b"-"), ("empty", b"")]
    if number % 4 == 3:
        headers += [("\N{SNOWMAN}", chance.randbytes(20))]
    return headers


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
