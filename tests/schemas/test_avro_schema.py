"""Avro schemas are read, printed and compared as Confluent's registry does."""

import json
from typing import Any

import pytest

from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.schema import InvalidSchema, ParsedSchema, Reference


def avro(schema: Any) -> ParsedSchema:
    return parse_schema("AVRO", json.dumps(schema))


def record(*fields: Any, **attributes: Any) -> dict[str, Any]:
    return {"type": "record", "name": "Order", **attributes, "fields": list(fields)}


def field(name: str, type_: Any, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, **attributes}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (' "string" ', '"string"'),
        ('{"type": "string"}', '"string"'),
        ('{"type": "string", "avro.java.string": "String"}', '{"type":"string","avro.java.string":"String"}'),
        ('["null", {"type": "array", "items": "int"}]', '["null",{"type":"array","items":"int"}]'),
        (
            '{"fields": [{"type": "a.Order", "name": "next"}], "name": "Order", "namespace": "a", "type": "record"}',
            '{"type":"record","name":"Order","namespace":"a","fields":[{"name":"next","type":"Order"}]}',
        ),
        (
            '{"type": "enum", "name": "a.E", "x": 1, "symbols": ["A"], "default": "A", "doc": "d", "aliases": ["F"]}',
            '{"type":"enum","name":"E","namespace":"a","doc":"d","symbols":["A"],"default":"A","x":1,"aliases":["F"]}',
        ),
        (
            '{"type":"record","name":"R","fields":[{"order":"ignore","default":1e10,"type":"double","name":"é_"}]}',
            None,
        ),
        (
            '{"type":"record","name":"R","fields":[{"order":"ignore","default":1e10,"type":"double","name":"e"}]}',
            '{"type":"record","name":"R","fields":[{"name":"e","type":"double","default":1.0E10,"order":"ignore"}]}',
        ),
    ],
)
def test_the_canonical_text_is_the_one_that_java_prints(written: str, stored: str | None) -> None:
    if stored is None:
        with pytest.raises(InvalidSchema, match="Illegal name"):
            parse_schema("AVRO", written)
    else:
        parsed = parse_schema("AVRO", written)
        assert parsed.text == stored
        assert parse_schema("AVRO", stored) == parsed


def test_normal_form_drops_order_of_attributes_and_empty_documentation() -> None:
    first = avro(record(field("x", "int", zeta=1, alpha={"b": 1, "a": 2}), doc="", zz=1, aa=2))
    second = avro({"aa": 2, **record(field("x", "int", alpha={"a": 2, "b": 1}, zeta=1)), "zz": 1})
    assert first.text != second.text
    assert first.normalized().text == second.normalized().text
    assert first.normalized().text == (
        '{"type":"record","name":"Order","fields":[{"name":"x","type":"int","alpha":{"a":2,"b":1},"zeta":1}],'
        '"aa":2,"zz":1}'
    )


def test_look_up_ignores_the_order_of_attributes_but_not_of_fields_or_documentation() -> None:
    schema = avro(record(field("x", "int"), field("y", "int", a=1, b=2)))
    assert schema == avro(record(field("x", {"type": "int"}), {"b": 2, "a": 1, "type": "int", "name": "y"}))
    assert schema != avro(record(field("y", "int", a=1, b=2), field("x", "int")))
    assert schema != avro(record(field("x", "int", doc="new"), field("y", "int", a=1, b=2)))


def test_referenced_types_are_names_in_the_text_and_in_full_when_resolved() -> None:
    customer = parse_schema("AVRO", '{"type":"record","name":"shop.Customer","fields":[]}')
    reference = Reference("shop.Customer", "customer-value", 1)
    order = parse_schema(
        "AVRO",
        '{"type":"record","name":"shop.Order","fields":[{"name":"customer","type":"Customer"}]}',
        [reference],
        {"shop.Customer": customer},
    )
    assert order.references == (reference,)
    assert order.text == (
        '{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"customer","type":"Customer"}]}'
    )
    assert order.formatted("resolved") == (
        '{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"customer",'
        '"type":{"type":"record","name":"Customer","fields":[]}}]}'
    )
    # A client that sends the whole schema without references finds it.
    assert parse_schema("AVRO", order.formatted("resolved")).is_equivalent(order)


def test_references_of_references_are_found() -> None:
    city = parse_schema("AVRO", '{"type":"enum","name":"City","symbols":["A"]}')
    references = [Reference("City", "city", 1)]
    customer = parse_schema(
        "AVRO", '{"type":"record","name":"Customer","fields":[{"name":"c","type":"City"}]}', references, {"City": city}
    )
    order = parse_schema(
        "AVRO",
        '{"type":"record","name":"Order","fields":[{"name":"c","type":"Customer"}]}',
        [Reference("Customer", "customer", 1)],
        {"Customer": customer},
    )
    assert order.decode(b"\0") == {"c": {"c": "A"}}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{", "not JSON: .* line 1, column 2"),
        ("string", "not JSON"),
        ('{"type": "record"}', "No name in schema"),
        ('{"type": "record", "name": "R"}', "Record has no fields"),
        ('{"type": "record", "name": "1R", "fields": []}', "Illegal name"),
        ('{"type": "record", "name": "R", "fields": [{"name": "x"}]}', r"No field type.*at /fields/0"),
        ('{"type": "record", "name": "R", "fields": [{"name": "x", "type": "Nope"}]}', r"Nope.*at /fields/0/type"),
        ('{"type": "fixed", "name": "F", "size": "3"}', "Invalid or no size"),
        ('{"type": "enum", "name": "E", "symbols": ["A", "A"]}', "Duplicate enum symbol: A"),
        ('{"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}', "not one of the symbols"),
        ('{"type": "array"}', "Array has no items type"),
        ('["null", "null"]', "Duplicate in union: null"),
        ('["null", ["int"]]', "Nested union"),
        ("17", "a type is a name"),
        ('{"type": "nope"}', "nope"),
        (
            '{"type":"record","name":"R","fields":[{"name":"x","type":"int","default":"1"}]}',
            'Invalid default for field x: "1" not a "int"',
        ),
        ('{"type":"record","name":"R","fields":[{"name":"x","type":"int"},{"name":"x","type":"int"}]}', "Duplicate"),
        (
            '[{"type":"fixed","name":"F","size":1},{"type":"record","name":"R","fields":[{"name":"x",'
            '"type":{"type":"fixed","name":"F","size":2}}]}]',
            "Can't redefine: F",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_path(schema: str, message: str) -> None:
    with pytest.raises(InvalidSchema, match=message):
        parse_schema("AVRO", schema)


def test_registered_schemas_are_read_with_less_strict_rules() -> None:
    text = '{"type":"record","name":"R","fields":[{"name":"größe","type":"int","default":"x"}]}'
    with pytest.raises(InvalidSchema):
        parse_schema("AVRO", text)
    assert parse_schema("AVRO", text, new=False).text == text


def test_a_type_may_be_used_before_it_is_defined() -> None:
    schema = avro(record(field("b", ["null", "B"]), field("c", record(name="B"))))
    assert schema.decode(b"\2") == {"b": {}, "c": {}}


def test_a_name_may_be_defined_twice_if_both_definitions_are_equal() -> None:
    inner = record(field("n", "int"), name="Inner")
    twice = avro(record(field("a", inner), field("b", {**inner, "doc": "other"})))
    assert twice.text.endswith('{"name":"b","type":"Inner"}]}')
    with pytest.raises(InvalidSchema, match="Can't redefine: Inner"):
        avro(record(field("a", inner), field("b", record(field("n", "long"), name="Inner"))))


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidSchema, match="unknown schema type 'XML'"):
        parse_schema("XML", "<a/>")


def test_hostile_schemas_are_refused_or_read_in_bounded_time() -> None:
    for text in ("[" * 100_000, '{"type":"array","items":' * 5_000 + '"int"' + "}" * 5_000, "[" * 160 + "]" * 160):
        with pytest.raises(InvalidSchema, match="deep"):
            parse_schema("AVRO", text)
    with pytest.raises(InvalidSchema, match="at most 4,000,000"):
        parse_schema("AVRO", " " * 4_000_001)
    wide = avro(record(*(field(f"f{place}", ["null", "string"]) for place in range(10_000))))
    assert not wide.backward_errors(wide)
    assert wide.decode(b"\0" * 10_000)["f9999"] is None
