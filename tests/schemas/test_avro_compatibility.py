"""Which changes of an Avro schema a reader survives, by the rules of Apache Avro 1.12."""

import json
from typing import Any

import pytest

from sandbox.schemas.compatibility import LEVELS, compatibility_errors
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.schema import ParsedSchema


def avro(schema: Any) -> ParsedSchema:
    return parse_schema("AVRO", json.dumps(schema))


def record(*fields: Any, **attributes: Any) -> dict[str, Any]:
    return {"type": "record", "name": "Order", **attributes, "fields": list(fields)}


def field(name: str, type_: Any, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, **attributes}


def enum(*symbols: str, **attributes: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "Suit", "symbols": list(symbols), **attributes}


def fixed(size: int, name: str = "Hash") -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size}


NODE = {"type": "record", "name": "Node", "fields": [field("value", "int"), field("next", ["null", "Node"])]}
LONG_NODE = {"type": "record", "name": "Node", "fields": [field("value", "long"), field("next", ["null", "Node"])]}


@pytest.mark.parametrize(
    ("reader", "writer"),
    [
        ("long", "int"),
        ("float", "int"),
        ("float", "long"),
        ("double", "int"),
        ("double", "long"),
        ("double", "float"),
        ("string", "bytes"),
        ("bytes", "string"),
        ({"type": "int", "logicalType": "date"}, "int"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4}, "bytes"),
        ({"type": "array", "items": "long"}, {"type": "array", "items": "int"}),
        ({"type": "map", "values": "double"}, {"type": "map", "values": "float"}),
        (["null", "long"], "int"),
        (["null", "int", "string"], ["int", "null"]),
        ("int", ["int"]),
        (record(field("x", "int")), record(field("x", "int"), field("y", "int"))),
        (record(field("x", "int"), field("y", "int", default=0)), record(field("x", "int"))),
        (record(field("x", "int"), field("y", ["null", "int"], default=None)), record(field("x", "int"))),
        (record(field("new", "int", aliases=["old"])), record(field("old", "int"))),
        (record(name="New", aliases=["Order"]), record()),
        (record(namespace="other"), record(namespace="shop")),
        (enum("A", "B", "C"), enum("A", "B")),
        (enum("A", default="A"), enum("A", "B")),
        (fixed(4), fixed(4)),
        (LONG_NODE, NODE),
    ],
)
def test_the_reader_can_read(reader: Any, writer: Any) -> None:
    assert compatibility_errors("BACKWARD", avro(reader), [(1, avro(writer))]) == []
    assert compatibility_errors("FORWARD", avro(writer), [(1, avro(reader))]) == []


@pytest.mark.parametrize(
    ("reader", "writer", "kind", "path"),
    [
        ("int", "long", "TYPE_MISMATCH", "/"),
        ("int", "string", "TYPE_MISMATCH", "/"),
        ("boolean", "int", "TYPE_MISMATCH", "/"),
        ("float", "double", "TYPE_MISMATCH", "/"),
        ({"type": "array", "items": "int"}, {"type": "array", "items": "string"}, "TYPE_MISMATCH", "/items"),
        ({"type": "map", "values": "int"}, {"type": "map", "values": "string"}, "TYPE_MISMATCH", "/values"),
        ({"type": "map", "values": "int"}, {"type": "array", "items": "int"}, "TYPE_MISMATCH", "/"),
        (["null", "int"], "string", "MISSING_UNION_BRANCH", "/"),
        (["null", "int"], ["null", "string"], "MISSING_UNION_BRANCH", "/1"),
        ("int", ["null", "int"], "TYPE_MISMATCH", "/0"),
        (record(field("x", "int"), field("y", "int")), record(field("x", "int")), "READER_FIELD_MISSING_DEFAULT_VALUE",
         "/fields/1"),
        (record(field("x", "int")), record(field("x", "string")), "TYPE_MISMATCH", "/fields/0/type"),
        (record(name="New"), record(), "NAME_MISMATCH", "/name"),
        (enum("A"), enum("A", "B"), "MISSING_ENUM_SYMBOLS", "/symbols"),
        (fixed(8), fixed(4), "FIXED_SIZE_MISMATCH", "/size"),
        (fixed(4, "Other"), fixed(4), "NAME_MISMATCH", "/name"),
        (NODE, LONG_NODE, "TYPE_MISMATCH", "/fields/0/type"),
    ],
)  # fmt: skip
def test_the_reader_fails_with_the_rule_and_the_path(reader: Any, writer: Any, kind: str, path: str) -> None:
    errors = compatibility_errors("BACKWARD", avro(reader), [(1, avro(writer))])
    assert errors[0].startswith(f"{{errorType:'{kind}', description:'")
    assert f"path '{path}'" in errors[0]
    assert compatibility_errors("FORWARD", avro(writer), [(1, avro(reader))])[0].startswith(f"{{errorType:'{kind}'")


def test_messages_have_the_form_of_the_registry() -> None:
    old, new = avro(record()), avro(record(field("y", "int")))
    assert compatibility_errors("BACKWARD", new, [(3, old)]) == [
        "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'y' at path '/fields/0' in the new "
        "schema has no default value and is missing in the old schema', additionalInfo:'y'}",
        "{oldSchemaVersion: 3}",
        '{oldSchema: \'{"type":"record","name":"Order","fields":[]}\'}',
        "{validateFields: 'false', compatibility: 'BACKWARD'}",
    ]
    forward = compatibility_errors("FORWARD", old, [(None, new)])
    assert "in the old schema has no default value and is missing in the new schema" in forward[0]
    assert not any("oldSchemaVersion" in line for line in forward)


def test_a_reader_field_with_two_sources_is_an_error_not_a_crash() -> None:
    reader = avro(record(field("a", "int", aliases=["b"])))
    writer = avro(record(field("a", "int"), field("b", "int")))
    assert "matches multiple fields" in compatibility_errors("BACKWARD", reader, [(1, writer)])[0]


def test_levels_choose_direction_and_versions() -> None:
    first = avro(record(field("x", "int")))
    second = avro(record(field("x", "int"), field("y", "int", default=1)))
    third = avro(record(field("x", "int"), field("y", "int")))
    history = [(1, first), (2, second)]
    accepted = {level for level in LEVELS if not compatibility_errors(level, third, history)}
    # Version 1 lacks y, which version 3 has without a default: only the transitive checks backward see it.
    assert accepted == {"NONE", "BACKWARD", "FORWARD", "FORWARD_TRANSITIVE", "FULL"}
    with pytest.raises(ValueError, match="unknown compatibility level 'SIDEWAYS'"):
        compatibility_errors("SIDEWAYS", third, history)


def test_another_type_is_never_compatible() -> None:
    other = parse_schema("JSON", "{}")
    assert compatibility_errors("FULL", other, [(1, avro("int"))])[0] == (
        "Incompatible because of different schema type"
    )
    assert compatibility_errors("NONE", other, [(1, avro("int"))]) == []


def test_a_long_old_schema_is_cut() -> None:
    old = avro(record(*(field(f"field{place}", "string") for place in range(1000))))
    shown = compatibility_errors("BACKWARD", avro("int"), [(1, old)])[2]
    assert shown.startswith("{oldSchema: <truncated> '")
    assert len(shown) < 11_000
