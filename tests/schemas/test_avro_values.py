"""Avro payloads become JSON values and JSON values become payloads, checked against fastavro."""

import io
import json
import random
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.schemas.json_text import value_text
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.schema import InvalidValue, ParsedSchema


def avro(schema: Any) -> ParsedSchema:
    return parse_schema("AVRO", json.dumps(schema))


def written(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def logical(kind: str, name: str, **attributes: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **attributes}


ONE_FIELD = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}
EMPTY = {"type": "record", "name": "R", "fields": []}
FIXED = {"type": "fixed", "name": "F", "size": 4}


@pytest.mark.parametrize(
    ("schema", "stored", "value"),
    [
        ("null", None, None),
        ("boolean", True, True),
        ("int", -3, -3),
        ("long", 2**60, 2**60),
        ("float", 0.1, 0.1),
        ("double", 1e300, 1e300),
        ("double", float("nan"), "NaN"),
        ("float", float("-inf"), "-Infinity"),
        ("string", "é\n", "é\n"),
        ("bytes", b"\x00\xff", "\x00ÿ"),
        (FIXED, b"abc\xff", "abcÿ"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B"),
        ({"type": "array", "items": "int"}, [1, 2], [1, 2]),
        ({"type": "map", "values": "int"}, {"a": 1}, {"a": 1}),
        (["null", "string"], "x", "x"),
        (["null", "string"], None, None),
        (logical("int", "date"), 19_000, "2022-01-08"),
        (logical("int", "time-millis"), 49_530_123, "13:45:30.123"),
        (logical("long", "time-micros"), 1, "00:00:00.000001"),
        (logical("long", "timestamp-millis"), -1, "1969-12-31T23:59:59.999Z"),
        (logical("long", "timestamp-micros"), 1_700_000_000_000_001, "2023-11-14T22:13:20.000001Z"),
        (logical("long", "timestamp-nanos"), 1, "1970-01-01T00:00:00.000000001Z"),
        (logical("long", "local-timestamp-millis"), 0, "1970-01-01T00:00:00.000"),
        (logical("long", "timestamp-millis"), 2**60, 2**60),
        (logical("bytes", "decimal", precision=9, scale=2), b"\x04\xd2", Decimal("12.34")),
        (logical("bytes", "decimal", precision=9, scale=2), b"\xff", Decimal("-0.01")),
        ({**FIXED, "logicalType": "decimal", "precision": 9, "scale": 3}, b"\xff\xff\xff\x85", Decimal("-0.123")),
        (logical("string", "uuid"), "89791762-2336-4186-9674-299b90a802e2", "89791762-2336-4186-9674-299b90a802e2"),
        ({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}, bytes(range(16)),
         "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ({"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"},
         b"\1\0\0\0\2\0\0\0\xbc\x0b\0\0", "P1M2DT3.004S"),
        (logical("int", "unknown"), 5, 5),
        (logical("bytes", "decimal", precision=2, scale=9), b"\1", "\x01"),
    ],
)  # fmt: skip
def test_values_are_read_as_json_and_written_back(schema: Any, stored: Any, value: Any) -> None:
    plain = _without_logical_types(schema)
    payload = written(plain, stored)
    parsed = avro(schema)
    assert parsed.decode(payload) == value
    assert parsed.encode(value) == payload


def _without_logical_types(schema: Any) -> Any:
    return {key: one for key, one in schema.items() if key != "logicalType"} if isinstance(schema, dict) else schema


def test_defaults_fill_missing_fields_and_unions_choose_the_exact_branch() -> None:
    schema = avro(
        {"type": "record", "name": "R", "fields": [
            {"name": "a", "type": "int"},
            {"name": "b", "type": "string", "default": "x"},
            {"name": "c", "type": ["null", "double", "long"], "default": None},
            {"name": "d", "type": ["string", {"type": "enum", "name": "E", "symbols": ["Y"]}], "default": "d"}]}
    )  # fmt: skip
    assert schema.decode(schema.encode({"a": 1})) == {"a": 1, "b": "x", "c": None, "d": "d"}
    assert schema.encode({"a": 1, "c": 5}).hex() == "020278040a000264"
    assert schema.encode({"a": 1, "d": {"E": "Y"}}).hex() == "02027800" + "0200"


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ("int", "1", r'^\$: expected an integer \(int\), got "1"'),
        ("int", 2**31, r"\$: expected an integer"),
        ("int", True, r"\$: expected an integer"),
        ("float", 1e300, r"\$: 1e\+300 does not fit in a float"),
        ({"type": "array", "items": "string"}, ["a", 1], r"^\$\[1\]: expected a string, got 1"),
        ({"type": "map", "values": "string"}, {"k": None}, r"^\$\.k: expected a string, got null"),
        (
            {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]},
            {"y": 1},
            r"^\$\.y: .*no such field",
        ),
        ({"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}, {}, r"^\$\.x: missing"),
        (["null", "int"], "x", r"^\$: expected one of null, int"),
        (FIXED, "abc", r"expected 4 bytes"),
        ("bytes", "€", "is no byte"),
        (logical("int", "date"), "yesterday", "yesterday"),
        (logical("long", "timestamp-millis"), "2024-01-01T00:00:00.1234Z", "more than 3 digits"),
        (logical("bytes", "decimal", precision=3, scale=1), Decimal("1.23"), "more than 1 digits after the point"),
        (logical("bytes", "decimal", precision=3, scale=1), 1000, "more than 3 digits"),
        (logical("string", "uuid"), "x", "not a UUID"),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(schema: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        avro(schema).encode(value)


NODE = {"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}


@pytest.mark.parametrize(
    ("schema", "payload", "message"),
    [
        ("int", b"", "end in the middle"),
        ("int", b"\x80" * 11, "more than 10 bytes"),
        ("int", b"\xff\xff\xff\xff\xff\x01", "does not fit in an int"),
        ("string", b"\xfe\xff\xff\xff\x0fab", "a length of"),
        ("string", b"\x03ab", "a length of -2"),
        ("string", b"\x02\xff", "not UTF-8"),
        ("boolean", b"\x07", "0x07 is not a boolean"),
        (["null", "int"], b"\x08", "branch 4 of a union with 2"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x02", "symbol 1 of an enum with 1"),
        ({"type": "array", "items": "int"}, b"\xfe\xff\xff\xff\x0f\x02", "items, but"),
        ({"type": "array", "items": "null"}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f", "items of no bytes"),
        ({"type": "array", "items": EMPTY}, b"\xfe\xff\xff\xff\x0f", "no bytes"),
        (NODE, b"\x02" * 100_000 + b"\x00", "nested too deeply"),
        ("int", b"\x02\x00", "1 of 2 bytes are left"),
        ({"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "array", "items": "boolean"}}]},
         b"\x04\x01\x02\x00", r"\$\.a\[1\]"),
    ],
)  # fmt: skip
def test_bytes_that_lie_are_refused(schema: Any, payload: bytes, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        avro(schema).decode(payload)


def schemas() -> st.SearchStrategy[Any]:
    scalars: st.SearchStrategy[Any] = st.sampled_from(
        ["null", "boolean", "int", "long", "float", "double", "string", "bytes", logical("int", "date"),
         logical("long", "timestamp-micros"), logical("bytes", "decimal", precision=8, scale=3)]
    )  # fmt: skip
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            inner.map(lambda one: {"type": "array", "items": one}),
            inner.map(lambda one: {"type": "map", "values": one}),
            st.lists(inner, min_size=1, max_size=4).map(lambda ones: {"record": ones}),
        ),
        max_leaves=8,
    ).map(_named)


def _named(schema: Any, path: str = "R") -> Any:
    if isinstance(schema, dict) and "record" in schema:
        fields = [{"name": f"f{at}", "type": _named(one, f"{path}{at}")} for at, one in enumerate(schema["record"])]
        return {"type": "record", "name": path, "fields": fields}
    if isinstance(schema, dict):
        return {key: _named(one, path) if key in ("items", "values") else one for key, one in schema.items()}
    return schema


@settings(max_examples=150, deadline=None)
@given(schemas(), st.integers(0, 2**32))
def test_random_events_are_written_as_fastavro_writes_them(schema: Any, seed: int) -> None:
    parsed = avro(schema)
    value = parsed.example(random.Random(seed))
    assert value_text(value) == value_text(parsed.example(random.Random(seed)))
    payload = parsed.encode(value)
    assert parsed.decode(payload) == value
    theirs = fastavro.schemaless_reader(io.BytesIO(payload), fastavro.parse_schema(schema), None)
    assert written(schema, theirs) == payload


@settings(max_examples=100, deadline=None)
@given(schemas(), schemas(), st.integers(0, 2**32))
def test_a_compatible_reader_reads_and_an_incompatible_one_may_fail(writer: Any, reader: Any, seed: int) -> None:
    ours, theirs = avro(writer), avro(reader)
    payload = ours.encode(ours.example(random.Random(seed)))
    compatible = not theirs.backward_errors(ours)
    try:
        fastavro.schemaless_reader(io.BytesIO(payload), fastavro.parse_schema(writer), fastavro.parse_schema(reader))
    except (fastavro.read.SchemaResolutionError, ValueError, TypeError):
        # bytes as string: readable by the rules, unless the bytes are no text.
        assert not compatible or "bytes" in json.dumps(writer)


@settings(max_examples=200, deadline=None)
@given(schemas(), st.binary(max_size=40))
def test_any_bytes_give_a_value_or_a_clear_error(schema: Any, payload: bytes) -> None:
    parsed = avro(schema)
    try:
        value = parsed.decode(payload)
    except InvalidValue:
        return
    json.loads(value_text(value))
