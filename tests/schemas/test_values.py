"""JSON Schema and Protobuf payloads become JSON values and back."""

import contextlib
import json
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.protobuf.schema import ProtobufSchema
from sandbox.schemas.schema import InvalidValue, ParsedSchema


def schema(content: Any) -> ParsedSchema:
    return parse_schema("JSON", json.dumps(content))


def proto(text: str) -> ProtobufSchema:
    parsed = parse_schema("PROTOBUF", f'syntax = "proto3"; {text}')
    assert isinstance(parsed, ProtobufSchema)
    return parsed


ORDER = {
    "type": "object",
    "required": ["id", "amount"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^o-"},
        "amount": {"type": "number", "minimum": 0, "multipleOf": 0.01},
        "lines": {"type": "array", "items": {"$ref": "#/definitions/Line"}},
    },
    "definitions": {"Line": {"type": "object", "properties": {"count": {"type": "integer"}}}},
}


def test_json_is_read_with_all_digits_and_checked_when_written() -> None:
    order = schema(ORDER)
    value = order.decode(b'{"id":"o-1","amount":0.10,"lines":[{"count":1}]}')
    assert value["amount"] == Decimal("0.10")
    assert order.encode(value) == b'{"id":"o-1","amount":0.10,"lines":[{"count":1}]}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"id": "o-1"}, r"^\$: 'amount' is a required property"),
        ({"id": "x", "amount": 1}, r"^\$\.id: 'x' does not match"),
        ({"id": "o-1", "amount": Decimal("0.001")}, r"^\$\.amount: .*multiple"),
        (
            {"id": "o-1", "amount": 1, "lines": [{"count": "1"}]},
            r"^\$\.lines\[0\]\.count: '1' is not of type 'integer'",
        ),
        ({"id": "o-1", "amount": 1, "other": 1}, r"Additional properties"),
    ],
)
def test_a_value_that_breaks_its_json_schema_is_named_with_its_path(value: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        schema(ORDER).encode(value)


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 100_000])
def test_payloads_that_are_no_json_are_refused(payload: bytes) -> None:
    with pytest.raises(InvalidValue):
        schema(ORDER).decode(payload)


@pytest.mark.parametrize(
    "content",
    [
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 3}}, "required": ["a"]},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"oneOf": [{"type": "string", "minLength": 20}, {"type": "boolean"}]},
        {"allOf": [{"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
                   {"properties": {"b": {"enum": ["x", None]}}, "required": ["b"]}]},
        {"type": ["array", "null"], "items": {"type": "string", "format": "date"}, "minItems": 2},
        {"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "object", "properties": {
            "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}}},
    ],
)  # fmt: skip
def test_random_json_events_fit_their_schema(content: Any) -> None:
    parsed = schema(content)
    for seed in range(30):
        value = parsed.example(random.Random(seed))
        assert parsed.decode(parsed.encode(value)) == value


PROTO = """package shop; import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
import "confluent/type/decimal.proto"; import "google/protobuf/struct.proto";
message Order {
  int64 id = 1; string note_text = 2; bytes blob = 3; float f = 4; double d = 5; bool paid = 6; State state = 7;
  repeated Line lines = 8; map<int32, string> names = 9; google.protobuf.Timestamp at = 10;
  google.protobuf.Int64Value maybe = 11; confluent.type.Decimal price = 12; optional int32 count = 13;
  google.protobuf.Struct more = 14; uint64 big = 15;
  oneof payment { string card = 16; uint32 cash = 17; }
  enum State { NEW = 0; PAID = 1; }
  message Line { sint32 count = 1; Order back = 2; }
}
message Other { message Inner { string x = 1; } }"""


def test_protobuf_has_names_of_the_schema_and_plain_numbers() -> None:
    order = proto(PROTO)
    value = {
        "id": 2**60, "note_text": "é", "blob": "AP8=", "f": 0.1, "d": "NaN", "paid": True, "state": "PAID",
        "lines": [{"count": -1}], "names": {"7": "x"}, "at": "2024-05-17T13:45:30.123Z", "maybe": 2**60,
        "price": Decimal("12.340"), "count": 0, "more": {"a": [1.5, None]}, "big": 2**64 - 1, "cash": 3,
    }  # fmt: skip
    payload = order.encode(value)
    assert order.decode(payload) == value
    assert order.encode(order.decode(payload)) == payload
    assert order.decode(b"") == {
        "id": 0, "note_text": "", "blob": "", "f": 0, "d": 0, "paid": False, "state": "NEW", "lines": [], "names": {},
        "big": 0,
    }  # fmt: skip


def test_the_message_is_chosen_by_its_indexes() -> None:
    order = proto(PROTO)
    assert order.message_indexes("shop.Other.Inner") == (1, 0)
    assert order.decode(order.encode({"x": "a"}, (1, 0)), (1, 0)) == {"x": "a"}
    with pytest.raises(InvalidValue, match=r"no message with the indexes \[7\]"):
        order.decode(b"", (7,))
    with pytest.raises(InvalidValue, match="no message 'Nope'"):
        order.message_indexes("Nope")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"nope": 1}, r"^\$\.nope: message shop.Order has no such field"),
        ({"lines": [{"countt": 1}]}, r"^\$\.lines\[0\]\.countt: message shop.Order.Line has no such field"),
        ({"id": "x"}, "id"),
        ({"state": "LOST"}, "state"),
        ({"blob": "***"}, r"^\$\.blob: expected bytes as base64"),
        ({"price": "x"}, r"^\$\.price: 'x' is not a decimal number"),
        ([], r"^\$: expected an object for message shop.Order"),
    ],
)
def test_a_value_that_does_not_fit_its_message_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        proto(PROTO).encode(value)


def test_random_protobuf_events_fit_their_message() -> None:
    order = proto(PROTO)
    for seed in range(50):
        value = order.example(random.Random(seed))
        payload = order.encode(value)
        assert order.encode(order.decode(payload)) == payload


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_message_or_a_clear_error(payload: bytes) -> None:
    with contextlib.suppress(InvalidValue):
        proto(PROTO).decode(payload)


def test_deeply_nested_bytes_are_refused() -> None:
    payload = b""
    for _ in range(200):
        inner = b"\x12" + _length(payload)
        payload = b"\x42" + _length(inner)
    with pytest.raises(InvalidValue):
        proto(PROTO).decode(payload)


def _length(data: bytes) -> bytes:
    size, out = len(data), bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size]) + data
