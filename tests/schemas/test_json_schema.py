"""JSON Schemas are read, printed and compared as Confluent's registry does."""

import json
from typing import Any

import pytest

from sandbox.schemas.compatibility import compatibility_errors
from sandbox.schemas.json_schema.compatibility import differences
from sandbox.schemas.json_schema.schema import JsonSchema
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.schema import InvalidSchema, ParsedSchema, Reference

MODERN = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def schema(content: Any) -> ParsedSchema:
    return parse_schema("JSON", json.dumps(content))


def changes(original: Any, update: Any) -> set[str]:
    before, after = schema(original), schema(update)
    assert isinstance(before, JsonSchema)
    assert isinstance(after, JsonSchema)
    return {f"{one.kind} #/{'/'.join(one.path)}" for one in differences(before.node, after.node)}


def closed(properties: Any, **rest: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False, **rest}


def opened(properties: Any, **rest: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **rest}


STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}

COMPATIBLE = [
    (STRING, {}, set()),
    (False, STRING, set()),
    ({"type": "string", "title": "a"}, {"type": "string", "title": "b"}, {"TITLE_CHANGED #/"}),
    ({"type": "string", "maxLength": 3}, {"type": "string", "maxLength": 4}, {"MAX_LENGTH_INCREASED #/maxLength"}),
    ({"type": "string", "minLength": 3}, {"type": "string", "minLength": 2}, {"MIN_LENGTH_DECREASED #/minLength"}),
    ({"type": "string", "pattern": "a"}, STRING, {"PATTERN_REMOVED #/pattern"}),
    (INTEGER, NUMBER, {"TYPE_EXTENDED #/"}),
    ({"type": "number", "maximum": 1}, {"type": "number", "maximum": 1.5}, {"MAXIMUM_INCREASED #/maximum"}),
    ({"type": "number", "multipleOf": 0.5}, {"type": "number", "multipleOf": 0.25},
     {"MULTIPLE_OF_REDUCED #/multipleOf"}),
    ({"enum": [1, "a"]}, {"enum": ["a", 1, None]}, {"ENUM_ARRAY_EXTENDED #/enum"}),
    (opened({"a": STRING}), opened({}), {"PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL #/properties/a"}),
    (opened({}), opened({"a": True}), {"PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a"}),
    (closed({}), closed({"a": STRING}), {"OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"}),
    (closed({}), closed({"a": {"type": "string", "default": "x"}}, required=["a"]),
     {"REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"}),
    (closed({}), opened({}), {"ADDITIONAL_PROPERTIES_ADDED #/additionalProperties"}),
    (opened({"a": STRING}, required=["a"]), opened({"a": STRING}), {"REQUIRED_ATTRIBUTE_REMOVED #/required/a"}),
    (STRING, {"oneOf": [STRING, INTEGER]}, {"SUM_TYPE_EXTENDED #/"}),
    ({"oneOf": [STRING]}, {"oneOf": [STRING, INTEGER]}, {"SUM_TYPE_EXTENDED #/"}),
    ({"oneOf": [STRING, INTEGER]}, {"anyOf": [INTEGER, STRING]}, {"COMBINED_TYPE_EXTENDED #/"}),
    ({"allOf": [{"maxLength": 2}, {"minLength": 1}]}, {"allOf": [{"minLength": 1}]}, {"PRODUCT_TYPE_NARROWED #/"}),
    ({"type": ["string", "null"]}, {"type": ["null", "string", "integer"]}, {"SUM_TYPE_EXTENDED #/"}),
    ({"not": NUMBER}, {"not": INTEGER}, {"NOT_TYPE_NARROWED #/not"}),
    ({"type": "array", "items": INTEGER}, {"type": "array", "items": NUMBER}, {"TYPE_EXTENDED #/items"}),
    ({"type": "array", "items": [STRING], "additionalItems": False},
     {"type": "array", "items": [STRING, STRING], "additionalItems": False},
     {"ITEM_ADDED_TO_CLOSED_CONTENT_MODEL #/items/1"}),
    (opened({}, dependencies={"a": ["b", "c"]}), opened({}, dependencies={"a": ["b"]}),
     {"DEPENDENCY_ARRAY_NARROWED #/dependencies/a"}),
    ({"type": "string", "connect.type": "bytes"}, {"type": "number", "connect.type": "bytes"}, set()),
    ({**MODERN, **opened({"a": INTEGER})}, {**MODERN, **opened({"a": NUMBER})}, {"TYPE_EXTENDED #/properties/a"}),
    ({**MODERN, "type": "array", "contains": STRING, "minContains": 3},
     {**MODERN, "type": "array", "contains": STRING, "minContains": 2}, {"MIN_CONTAINS_DECREASED #/minContains"}),
]  # fmt: skip

INCOMPATIBLE = [
    (STRING, INTEGER, {"TYPE_CHANGED #/"}),
    ({}, STRING, {"TYPE_CHANGED #/"}),
    ({"type": "string", "maxLength": 4}, {"type": "string", "maxLength": 3}, {"MAX_LENGTH_DECREASED #/maxLength"}),
    (STRING, {"type": "string", "pattern": "a"}, {"PATTERN_ADDED #/pattern"}),
    ({"type": "string", "pattern": "b"}, {"type": "string", "pattern": "a"}, {"PATTERN_CHANGED #/pattern"}),
    (NUMBER, INTEGER, {"TYPE_NARROWED #/"}),
    ({"type": "number", "exclusiveMaximum": 3}, {"type": "number", "exclusiveMaximum": 2},
     {"EXCLUSIVE_MAXIMUM_DECREASED #/exclusiveMaximum"}),
    ({"type": "number", "multipleOf": 2}, {"type": "number", "multipleOf": 4},
     {"MULTIPLE_OF_EXPANDED #/multipleOf"}),
    ({"type": "number", "multipleOf": 2}, {"type": "number", "multipleOf": 3}, {"MULTIPLE_OF_CHANGED #/multipleOf"}),
    ({"enum": [1, "a"]}, {"enum": ["a"]}, {"ENUM_ARRAY_NARROWED #/enum"}),
    ({"enum": [1]}, {"enum": ["1"]}, {"ENUM_ARRAY_CHANGED #/enum"}),
    ({"const": 1}, {"const": 2}, {"ENUM_ARRAY_CHANGED #/const"}),
    (opened({}), opened({"a": STRING}), {"OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a"}),
    (opened({}), opened({"a": STRING}, required=["a"]),
     {"REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a"}),
    (closed({"a": STRING}), closed({}), {"PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/a"}),
    (closed({}), closed({"a": STRING}, required=["a"]),
     {"REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"}),
    (opened({}, additionalProperties=STRING), opened({"a": INTEGER}, additionalProperties=STRING),
     {"TYPE_CHANGED #/properties/a", "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a",
      "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"}),
    (opened({"a": STRING}), opened({"a": STRING}, required=["a"]), {"REQUIRED_ATTRIBUTE_ADDED #/required/a"}),
    (opened({}), closed({}), {"ADDITIONAL_PROPERTIES_REMOVED #/additionalProperties"}),
    ({"oneOf": [STRING, INTEGER]}, STRING, {"TYPE_CHANGED #/"}),
    ({"oneOf": [STRING, INTEGER]}, {"oneOf": [STRING]}, {"SUM_TYPE_NARROWED #/"}),
    ({"anyOf": [STRING, INTEGER]}, {"oneOf": [STRING, INTEGER]}, {"COMBINED_TYPE_CHANGED #/"}),
    ({"oneOf": [STRING, INTEGER]}, {"oneOf": [STRING, {"type": "boolean"}]},
     {"COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"}),
    ({"not": INTEGER}, {"not": NUMBER}, {"NOT_TYPE_EXTENDED #/not"}),
    ({"type": "array"}, {"type": "array", "uniqueItems": True}, {"UNIQUE_ITEMS_ADDED #/uniqueItems"}),
    ({"type": "array"}, {"type": "array", "items": STRING}, {"SCHEMA_ADDED #/items"}),
    (opened({}), opened({}, dependencies={"a": ["b"]}), {"DEPENDENCY_ARRAY_ADDED #/dependencies/a"}),
    (opened({}), opened({}, dependencies={"a": STRING}), {"DEPENDENCY_SCHEMA_ADDED #/dependencies/a"}),
    ({**MODERN, "type": "array", "prefixItems": [STRING], "items": False},
     {**MODERN, "type": "array", "prefixItems": [INTEGER], "items": False}, {"TYPE_CHANGED #/items/0"}),
    ({**MODERN, **opened({}, dependentRequired={"a": ["b"]})},
     {**MODERN, **opened({}, dependentRequired={"a": ["b", "c"]})}, {"DEPENDENCY_ARRAY_EXTENDED #/dependencies/a"}),
    ({**MODERN, **opened({})}, {**MODERN, **opened({}, unevaluatedProperties=False)},
     {"UNEVALUATED_PROPERTIES_REMOVED #/unevaluatedProperties"}),
]  # fmt: skip


@pytest.mark.parametrize(("original", "update", "expected"), COMPATIBLE)
def test_readers_survive(original: Any, update: Any, expected: set[str]) -> None:
    assert changes(original, update) == expected
    assert compatibility_errors("BACKWARD", schema(update), [(1, schema(original))]) == []
    assert compatibility_errors("FORWARD", schema(original), [(1, schema(update))]) == []


@pytest.mark.parametrize(("original", "update", "expected"), INCOMPATIBLE)
def test_readers_break(original: Any, update: Any, expected: set[str]) -> None:
    assert changes(original, update) == expected
    assert compatibility_errors("BACKWARD", schema(update), [(1, schema(original))])


def test_messages_have_the_form_of_the_registry() -> None:
    errors = compatibility_errors("BACKWARD", schema({"type": "string", "maxLength": 3}), [(2, schema(STRING))])
    assert errors == [
        '{errorType:"MAX_LENGTH_ADDED", description:"The keyword at path \'#/maxLength\' in the new schema is not '
        "present in the old schema'}",
        "{oldSchemaVersion: 2}",
        '{oldSchema: \'{"type":"string"}\'}',
        "{validateFields: 'false', compatibility: 'BACKWARD'}",
    ]


def test_text_keeps_order_and_digits_and_the_normal_form_sorts() -> None:
    parsed = parse_schema("JSON", '{ "type": "number", "maximum": 1.50, "description": "\\u00e9\\n" }')
    assert parsed.text == '{"type":"number","maximum":1.50,"description":"é\\n"}'
    assert parsed.normalized().text == '{"description":"é\\n","maximum":1.50,"type":"number"}'
    assert parsed != parsed.normalized()
    assert parsed.name is None
    assert schema({"title": "Order"}).name == "Order"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (3, "expected an object, true or false"),
        ({"type": "strin"}, r"#/type: unknown type: \[strin\]"),
        ({"properties": {"a": 3}}, "#/properties/a: expected a schema"),
        ({"minLength": "3"}, "#/minLength: expected an integer"),
        ({"required": "a"}, "#/required: expected an array"),
        ({"pattern": "("}, "not a regular expression"),
        ({"$ref": "#/definitions/a"}, "refers to nothing"),
        ({"$ref": "other.json"}, "not one of its references"),
        ({"$ref": "https://example.com/a.json"}, r"fetching over HTTP\(S\) is disabled: https://example.com/a.json"),
        ({"multipleOf": 0}, "should not be 0"),
        ({**MODERN, "items": [STRING]}, "prefixItems"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(content: Any, message: str) -> None:
    with pytest.raises(InvalidSchema, match=message):
        schema(content)


@pytest.mark.parametrize("keyword", ["definitions", "$defs"])
@pytest.mark.parametrize("draft", [{}, MODERN])
def test_references_are_followed_before_the_comparison(keyword: str, draft: dict[str, str]) -> None:
    before = {**draft, **opened({"a": {"$ref": "#/$defs/Name"}}), keyword: {"Name": STRING}}
    after = {**draft, **opened({"a": {"$ref": "#/$defs/Name"}}), keyword: {"Name": INTEGER}}
    assert changes(before, after) == {"TYPE_CHANGED #/properties/a"}
    assert changes(before, {**draft, **opened({"a": STRING})}) == set()


def test_references_to_other_subjects_are_followed() -> None:
    def order(customer: str) -> ParsedSchema:
        text = '{"type":"object","properties":{"customer":{"$ref":"customer.json#/definitions/C"}}}'
        return parse_schema("JSON", text, [Reference("customer.json", "customer", 1)], {"customer.json": customer})

    old = order('{"definitions":{"C":{"type":"string"}}}')
    new = order('{"definitions":{"C":{"type":"integer"}}}')
    assert "#/properties/customer" in compatibility_errors("BACKWARD", new, [(1, old)])[0]
    assert compatibility_errors("BACKWARD", old, [(1, old)]) == []


def test_recursive_schemas_are_compared() -> None:
    def tree(value: Any) -> Any:
        return {"$ref": "#/definitions/Tree", "definitions": {"Tree": closed({
            "value": value, "children": {"type": "array", "items": {"$ref": "#/definitions/Tree"}}})}}  # fmt: skip

    assert changes(tree(INTEGER), tree(INTEGER)) == set()
    assert "TYPE_CHANGED #/properties/value" in changes(tree(INTEGER), tree(STRING))


def test_hostile_schemas_are_handled_in_bounded_time() -> None:
    with pytest.raises(InvalidSchema, match="deep"):
        parse_schema("JSON", '{"not":' * 5_000 + "{}" + "}" * 5_000)
    # Each definition refers to the one before twice: 2**60 paths through 60 definitions.
    bomb: Any = {"d0": STRING}
    for depth in range(1, 60):
        inner = {"$ref": f"#/definitions/d{depth - 1}"}
        bomb[f"d{depth}"] = {"anyOf": [{"properties": {"a": inner}}, {"properties": {"b": inner}}]}
    bombed = schema({"$ref": "#/definitions/d59", "definitions": bomb})
    assert bombed.backward_errors(bombed) == []
    circle = schema({"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "#/definitions/a"}}})
    assert circle.backward_errors(circle) == []
    wide = schema(closed({f"p{place}": STRING for place in range(3_000)}))
    assert wide.backward_errors(wide) == []


def test_the_comparison_of_very_many_branches_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.schemas.json_schema.compatibility.COMPARISONS_MAX", 1_000)
    many = schema({"oneOf": [{"const": place} for place in range(100)]})
    assert "more than 1,000 pairs" in many.backward_errors(many)[0]
