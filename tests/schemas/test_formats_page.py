"""docs/formats.md draws the bytes that serializers write."""

import base64
from pathlib import Path

import cbor2
import msgpack
import pytest

from sandbox.model.registry import AVRO, PROTOBUF
from sandbox.schemas.framing import classic_frame
from sandbox.schemas.parsing import parse_schema

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
ORDER = (
    '{"type": "record", "name": "Order", "fields":'
    ' [{"name": "id", "type": "long"}, {"name": "note", "type": "string"}]}'
)
ITEM = 'syntax = "proto3"; message Item { string sku = 1; int64 count = 2; }'


def payload(schema_type: str, text: str, value: object) -> bytes:
    return parse_schema(schema_type, text).encode(value)


def drawn(*parts: bytes) -> str:
    return " | ".join(part.hex(" ") for part in parts)


@pytest.mark.parametrize(
    "parts",
    [
        (b"\0", b"\0\0\0\7", payload(AVRO, ORDER, {"id": 7, "note": "hi"})),
        (b"\0", b"\0\0\0\7", b'{"id":7}'),
        (b"\0", b"\0\0\0\7", classic_frame(7, (0,))[5:], payload(PROTOBUF, ITEM, {"sku": "a", "count": 5})),
        (b"\0", b"\0\0\0\7", classic_frame(7, (1, 0))[5:], payload(PROTOBUF, ITEM, {"sku": "a", "count": 5})),
        (msgpack.packb({"id": 7})[:1], msgpack.packb({"id": 7})[1:4], b"\7"),
        (cbor2.dumps({"id": 7})[:1], cbor2.dumps({"id": 7})[1:4], b"\7"),
    ],
)
def test_the_bytes_are_those_that_are_drawn(parts: tuple[bytes, ...]) -> None:
    assert f"    {drawn(*parts)}" in PAGE


def test_the_exported_line_has_the_bytes_of_its_value() -> None:
    data = classic_frame(7) + payload(AVRO, ORDER, {"id": 7, "note": "hi"})
    assert f'"base64": "{base64.b64encode(data).decode()}"' in PAGE
