"""The targets of random inputs that are schemas, or were written with one."""

import json
import random
from contextlib import suppress
from functools import cache

from sandbox.schemas.decoding import EventDecoder, FoundSchema, SchemaId
from sandbox.schemas.framing import VALUE_HEADER, classic_frame, header_content
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.schema import InvalidSchema, InvalidValue, ParsedSchema

FORMATS = ("AVRO", "JSON", "PROTOBUF")
_NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
_AVRO = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string", "int"]},
        {"name": "kind", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
        {"name": "items", "type": {"type": "array", "items": {"type": "map", "values": "bytes"}}},
        {"name": "nulls", "type": {"type": "array", "items": "null"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "node", "type": _NODE},
    ],
}
_JSON = {"type": "object", "properties": {"id": {"type": "integer"}, "s": {"pattern": "^(a+)+$", "maxLength": 9}}}
_PROTOBUF = """syntax = "proto3"; import "google/protobuf/timestamp.proto"; import "confluent/type/decimal.proto";
message M { int64 id = 1; string name = 2; M more = 3; map<string, bytes> all = 4; repeated double d = 5; E kind = 6;
  google.protobuf.Timestamp at = 7; confluent.type.Decimal price = 8; oneof one { bool b = 9; fixed32 f = 10; } }
enum E { A = 0; B = 1; }"""
TEXTS = (json.dumps(_AVRO), json.dumps(_JSON), _PROTOBUF)
OTHERS = (
    json.dumps({**_AVRO, "fields": [*_AVRO["fields"][:2], {"name": "new", "type": "int", "default": 1}]}),
    json.dumps({"type": "object", "required": ["id"]}),
    _PROTOBUF.replace("int64 id", "string id").replace("bool b", "double b"),
)
"""Schemas of consumers, which differ from those of the writers."""


@cache
def schema_of(number: int, consumer: bool = False) -> ParsedSchema:
    """Return one of the writers' schemas, or of the consumers'."""
    return parse_schema(FORMATS[number], (OTHERS if consumer else TEXTS)[number])


def _find(schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | None:
    number = schema - 1 if isinstance(schema, int) and schema <= len(FORMATS) else 0
    return FoundSchema(lambda: schema_of(number), FORMATS[number], f"{topic}-value", 1, number + 1)


def event_corpus() -> list[bytes]:
    """Return framed values of each format."""
    found = []
    for number, schema_type in enumerate(FORMATS):
        frame = classic_frame(number + 1, (0,) if schema_type == "PROTOBUF" else None)
        examples = [schema_of(number).example(random.Random(seed)) for seed in range(5)]
        found += [frame + schema_of(number).encode(example) for example in examples]
    return [
        *found,
        classic_frame(1) + b"\xff" * 10,
        classic_frame(3, (3, 1, 2)) + b"\x08",
        b"\0\0\0\0\3" + b"\xff" * 99,
    ]


def feed_event(data: bytes) -> None:
    """Decode a value with its schema, and as a consumer with another one; each failure must be named as a problem."""
    decoder = EventDecoder(_find)
    headers = [(VALUE_HEADER, header_content(3, (0,)))] if data[:1] == b"\x01" else []
    for consumer in (False, True):
        number = data[4] - 1 if len(data) > 4 and 0 < data[4] <= len(FORMATS) else 0
        reader = schema_of(number, consumer=True) if consumer else None
        decoded = decoder.decode("t", data, headers, consumer=reader)
        if decoded is not None and decoded.problem is None:
            assert decoded.text is not None


def schema_corpus() -> list[bytes]:
    """Return schemas, with the number of their format in front."""
    found = [bytes([number]) + text.encode() for number, text in enumerate(TEXTS[:2])]
    more = {"$defs": {"a": {"$ref": "#/$defs/a"}}, "oneOf": [{"$ref": "#/$defs/a"}, {"enum": [1, "a", None]}, True]}
    return [*found, b"\1" + json.dumps(more).encode(), b"\0" + json.dumps(_NODE).encode(), b"\0" + b'["null", "int"]']


def feed_schema(data: bytes) -> None:
    """Parse an Avro or JSON Schema; a valid one is normalized, compared with another, and has examples."""
    number = data[0] % 2 if data else 0
    with suppress(InvalidSchema, InvalidValue):
        parsed = parse_schema(FORMATS[number], data[1:].decode("utf-8", "replace"))
        assert parse_schema(FORMATS[number], parsed.text).text == parsed.text
        parsed.normalized()
        schema_of(number).backward_errors(parsed)
        parsed.backward_errors(schema_of(number))
        parsed.decode(parsed.encode(parsed.example(random.Random(1))))
