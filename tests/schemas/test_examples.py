"""Every random value of a schema is valid, and is read back as it was written."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.schemas.json_schema.pattern_text import text_matching
from sandbox.schemas.json_text import value_text
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.regular_expressions import found_in
from sandbox.schemas.schema import InvalidValue, ParsedSchema

SEEDS = st.integers(0, 2**32)
PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
LOGICAL: list[Any] = [
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "time-micros"},
    *({"type": "long", "logicalType": f"{local}timestamp-{unit}"}
      for local in ("", "local-") for unit in ("millis", "micros", "nanos")),
    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 2},
    {"type": "bytes", "logicalType": "big-decimal"},
    {"type": "string", "logicalType": "uuid"},
]  # fmt: skip


def avro_types(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda one: {"type": "array", "items": one}, inner),
        st.builds(lambda one: {"type": "map", "values": one}, inner),
        st.builds(lambda one: one if isinstance(one, list) else ["null", one] if one != "null" else one, inner),
    )


AVRO_TYPES = st.recursive(st.sampled_from([*PRIMITIVES, *LOGICAL, "R"]), avro_types, max_leaves=4)


def avro_record(types: list[Any]) -> ParsedSchema:
    # A field of the record's own type must be able to be absent.
    fields: list[dict[str, Any]] = [
        {"name": f"f{at}", "type": ["null", "R"] if one == "R" else one} for at, one in enumerate(types)
    ]
    fields += [
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
        {"name": "x", "type": {"type": "fixed", "name": "X", "size": 3}},
        {"name": "d", "type": {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}},
    ]
    return parse_schema("AVRO", json.dumps({"type": "record", "name": "R", "fields": fields}))


def assert_round_trip(schema: ParsedSchema, seed: int) -> None:
    value = schema.example(random.Random(seed))
    assert value_text(value) == value_text(schema.example(random.Random(seed)))
    payload = schema.encode(value)
    assert schema.encode(schema.decode(payload)) == payload


@settings(max_examples=150, deadline=None)
@given(st.lists(AVRO_TYPES, max_size=4), SEEDS)
def test_a_random_avro_value_is_valid(types: list[Any], seed: int) -> None:
    schema = avro_record(types)
    assert_round_trip(schema, seed)
    value = schema.example(random.Random(seed))
    assert value_text(schema.decode(schema.encode(value))) == value_text(value)


FIELD_TYPES = (
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64", "bool",
    "float", "double", "string", "bytes", "M", "N", "E", "google.protobuf.Timestamp", "google.protobuf.Duration",
    "google.protobuf.StringValue", "google.protobuf.Struct", "map<string, N>", "map<bool, int32>", "map<int64, M>",
)  # fmt: skip
FIELDS = st.lists(st.tuples(st.sampled_from(FIELD_TYPES), st.sampled_from(["", "repeated ", "optional "])), max_size=5)


@settings(max_examples=60, deadline=None)
@given(FIELDS, SEEDS)
def test_a_random_protobuf_value_is_valid(fields: list[tuple[str, str]], seed: int) -> None:
    lines = " ".join(
        f"{'' if kind.startswith('map') else label}{kind} f{at} = {at};" for at, (kind, label) in enumerate(fields, 1)
    )
    imports = "".join(
        f'import "google/protobuf/{one}.proto"; ' for one in ("timestamp", "duration", "wrappers", "struct")
    )
    text = (
        f'syntax = "proto3"; {imports} message M {{ {lines} oneof o {{ int32 a = 91; N b = 92; }} }} '
        "message N { int32 n = 1; } enum E { Z = 0; Y = 1; }"
    )
    assert_round_trip(parse_schema("PROTOBUF", text), seed)


JSON_LEAVES: list[Any] = [
    {"type": "string", "minLength": 3, "maxLength": 4},
    {"type": "string", "pattern": "^[A-Z]{2}-\\d{4}(-x|-y)?$"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "ipv4"},
    {"type": "integer", "minimum": -5, "exclusiveMaximum": -3},
    {"type": "integer", "multipleOf": 7, "minimum": 8, "maximum": 20},
    {"type": "integer", "multipleOf": 0.5, "minimum": 0.3},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    {"type": "number", "maximum": -12.5},
    {"type": ["integer", "null"], "minimum": 3},
    {"enum": ["a", 1, None]},
    {"const": {"x": [1.50]}},
    {"type": "integer", "not": {"maximum": 500}},
    {"allOf": [{"type": "integer"}, {"minimum": 5}, {"maximum": 6}]},
    {"oneOf": [{"type": "integer", "maximum": 10}, {"type": "integer", "minimum": 5}]},
    {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 2},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    {"type": "object", "patternProperties": {"^x[0-9]$": {"type": "boolean"}}, "additionalProperties": False},
    {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "maxProperties": 1},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "null"}}, "dependencies": {"a": ["b"]}},
    {"if": {"type": "integer"}, "then": {"minimum": 3}, "type": ["integer", "string"]},
    True,
    {"$ref": "#"},
]


def json_types(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda one: {"type": "array", "items": one, "maxItems": 2}, inner),
        st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner),
        st.builds(lambda one: {"type": "object", "properties": {"a": one}, "required": ["a", "z"]}, inner),
    )


JSON_TYPES = st.recursive(st.sampled_from(JSON_LEAVES), json_types, max_leaves=4)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from("pqrs"), JSON_TYPES, max_size=3), SEEDS)
def test_a_random_value_of_a_json_schema_is_valid(properties: dict[str, Any], seed: int) -> None:
    schema = {"type": "object", "properties": properties, "required": sorted(properties)[1:]}
    parsed = parse_schema("JSON", json.dumps(schema))
    try:
        assert_round_trip(parsed, seed)
    except InvalidValue as error:
        # A value that requires itself.
        assert "no finite value" in str(error)  # noqa: PT017


@pytest.mark.parametrize("leaf", JSON_LEAVES[:-1], ids=lambda leaf: json.dumps(leaf)[:60])
def test_each_rule_of_json_schema_is_met(leaf: Any) -> None:
    schema = parse_schema("JSON", json.dumps(leaf))
    for seed in range(30):
        assert_round_trip(schema, seed)


def test_a_schema_without_values_is_named() -> None:
    schema = parse_schema("JSON", json.dumps({"type": "integer", "not": {"type": "integer"}}))
    with pytest.raises(InvalidValue, match="no valid value was found in 200 tries"):
        schema.example(random.Random(1))


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]{3}$", "a+b*c?d{2,3}", "(?:x|yz)+", r"^\+?\d{1,3}[- ]\w+$", r"\bfoo\.bar\b", "[^a-z]", r"[\d.]{2}", "^$",
        r"^(?P<year>\d{4})-(0[1-9]|1[0-2])$", "[]x]", r"\u00e9\x41", "a{0}b", "[a-c-]", "x|", "(a(b(c)?)?)",
    ],
)  # fmt: skip
def test_text_of_a_pattern_matches_it(pattern: str) -> None:
    checked = r"\x{e9}\x41" if pattern == r"\u00e9\x41" else pattern
    for seed in range(50):
        text = text_matching(pattern, random.Random(seed))
        assert text is not None
        assert found_in(checked, text), text


@pytest.mark.parametrize("pattern", ["(?=a)b", "a**", "(a", "a)", "[z", "\\", "a{5", r"\p{L}", "(?<!a)b"])
def test_a_pattern_that_is_not_understood_gives_no_text(pattern: str) -> None:
    assert text_matching(pattern, random.Random(1)) is None
