"""Protobuf schemas are compiled, printed and compared as Confluent's registry does."""

import base64
from collections.abc import Mapping

import pytest

from sandbox.schemas.compatibility import compatibility_errors
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.protobuf.compatibility import differences
from sandbox.schemas.protobuf.compiler import GOOGLE_TYPES
from sandbox.schemas.protobuf.schema import ProtobufSchema
from sandbox.schemas.schema import InvalidSchema, Reference


def proto(text: str, dependencies: Mapping[str, str] | None = None, version: int = 1) -> ProtobufSchema:
    if not text.lstrip().startswith(("syntax", "edition", "message X2")):
        text = f'syntax = "proto3"; {text}'
    references = [Reference(name, name, version) for name in dependencies or {}]
    parsed = parse_schema("PROTOBUF", text, references, dependencies)
    assert isinstance(parsed, ProtobufSchema)
    return parsed


def message(fields: str) -> ProtobufSchema:
    return proto(f"message M {{ {fields} }}")


def test_the_text_has_the_layout_of_the_registry() -> None:
    parsed = proto(
        """syntax = "proto3"; package shop;
        import "google/protobuf/timestamp.proto"; // a comment
        option java_package = "shop";
        enum State { NEW = 0; PAID = 1 [deprecated = true]; }
        message Order { reserved 9, 11 to 13; reserved "old";
          oneof payment { string card = 4; bool cash = 5; }
          string id = 1 [json_name = "ID"]; map<string, Line> lines = 2; optional State state = 3;
          repeated Line more = 6; google.protobuf.Timestamp at = 7;
          message Line { int32 count = 1; } }
        service Orders { rpc Get (Order) returns (stream Order); }"""
    )
    assert parsed.text == (
        'syntax = "proto3";\npackage shop;\n\nimport "google/protobuf/timestamp.proto";\n\n'
        'option java_package = "shop";\n\nmessage Order {\n  reserved 9, 11 to 13;\n  reserved "old";\n\n'
        '  string id = 1 [json_name = "ID"];\n  map<string, Line> lines = 2;\n  optional State state = 3;\n'
        "  repeated Line more = 6;\n  google.protobuf.Timestamp at = 7;\n\n  oneof payment {\n    string card = 4;\n"
        "    bool cash = 5;\n  }\n\n  message Line {\n    int32 count = 1;\n  }\n}\nenum State {\n  NEW = 0;\n"
        "  PAID = 1 [deprecated = true];\n}\n\nservice Orders {\n  rpc Get (Order) returns (stream Order);\n}\n"
    )
    assert proto(parsed.text) == parsed
    assert parsed.name == "shop.Order"
    assert ".shop.Order.Line more = 6;" in parsed.normalized().text


def test_reserved_statements_stay_as_they_were_written() -> None:
    reserved = '  reserved 20, 100 to max;\n  reserved "B", "A";\n  reserved 10;\n  reserved 1 to 3;\n'
    text = f'syntax = "proto3";\n\nmessage M {{\n{reserved}}}\nenum E {{\n{reserved}  Z = 0;\n}}\n'
    parsed = proto(text)
    assert parsed.text == text
    assert (
        '  reserved 1 to 3;\n  reserved 10;\n  reserved 20;\n  reserved 100 to max;\n  reserved "A";\n  reserved "B";\n'
    ) in parsed.normalized().text


def test_proto2_and_editions_keep_what_they_declare() -> None:
    two = proto('syntax = "proto2"; message M { required int32 a = 1; optional string b = 2 [default = "x\\"y"]; }')
    assert two.text == (
        'syntax = "proto2";\n\nmessage M {\n  required int32 a = 1;\n  optional string b = 2 [default = "x\\"y"];\n}\n'
    )
    edition = proto('edition = "2023"; message M { int32 a = 1 [features.field_presence = IMPLICIT]; }')
    assert edition.text.startswith('edition = "2023";\n')
    assert proto(edition.text) == edition


def test_a_descriptor_in_base64_is_the_same_schema() -> None:
    parsed = proto("package a; message M { N n = 1; message N { bytes b = 1; } } enum E { Z = 0; }")
    serialized = parsed.formatted("serialized")
    again = parse_schema("PROTOBUF", serialized)
    assert again.normalized().text == parsed.normalized().text
    with pytest.raises(InvalidSchema, match="neither"):
        parse_schema("PROTOBUF", base64.b64encode(b"\xff" * 40).decode())


def test_the_imports_that_ship_with_the_registry_are_there() -> None:
    parsed = proto(
        """import "confluent/meta.proto"; import "confluent/type/decimal.proto";
        import "google/protobuf/wrappers.proto";
        message M { confluent.type.Decimal price = 1 [(confluent.field_meta).doc = "the price"];
          google.protobuf.StringValue note = 2; }"""
    )
    assert '(confluent.field_meta) = {\n    doc: "the price"\n  }' in parsed.text
    assert proto(parsed.text) == parsed


@pytest.mark.parametrize("name", sorted(GOOGLE_TYPES))
def test_each_google_type_is_imported_without_a_reference(name: str) -> None:
    assert f'import "{name}";' in proto(f'import "{name}"; import "confluent/type/variant.proto";').text


def test_google_types_are_resolved_in_values_and_other_googleapis_are_not() -> None:
    parsed = proto(
        'import "google/type/datetime.proto"; import "google/type/money.proto";'
        " message M { google.type.Money price = 1; google.type.DateTime at = 2; }"
    )
    value = {"price": {"currency_code": "EUR", "units": 3, "nanos": 0}}
    assert parsed.decode(parsed.encode(value)) == value
    with pytest.raises(InvalidSchema, match="not found"):
        proto('import "google/api/annotations.proto";')
    with pytest.raises(InvalidSchema, match="not found"):
        proto('import "google/type/localized_text.proto";')


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("message M { string a = 1; int32 b = 1; }", "line 1, column .*already been used"),
        ("message M { Nope a = 1; }", '"Nope" is not defined'),
        ("message M {", "line 1"),
        ('import "absent.proto";', "absent.proto: File not found"),
        ("", "Missing field number|Expected|empty"),
    ],
)
def test_what_the_compiler_refuses_is_named_with_its_place(text: str, cause: str) -> None:
    with pytest.raises(InvalidSchema, match=cause):
        parse_schema("PROTOBUF", f'syntax = "proto3"; {text}' if text else "")


@pytest.mark.parametrize("name", ["../evil.proto", "/etc/evil.proto", "a/../../b.proto", "c:\\x.proto", "default"])
def test_a_reference_cannot_write_outside_of_its_folder(name: str) -> None:
    with pytest.raises(InvalidSchema):
        proto("message M {}", {name: 'syntax = "proto3";'})


COMPATIBLE = [
    ("int32 a = 1;", "int64 a = 1;", set()),
    ("int32 a = 1;", "bool a = 1;", set()),
    ("sint32 a = 1;", "sint64 a = 1;", set()),
    ("string a = 1;", "bytes a = 1;", set()),
    ("fixed32 a = 1;", "sfixed32 a = 1;", set()),
    ("enum E { Z = 0; } E a = 1;", "enum E { Z = 0; } int32 a = 1;", set()),
    ("int32 a = 1;", "int32 b = 1;", {"FIELD_NAME_CHANGED #/M/1"}),
    ("int32 a = 1;", "", {"FIELD_REMOVED #/M/1"}),
    ("", "int32 a = 1;", {"FIELD_ADDED #/M/1"}),
    ("", "message N {}", {"MESSAGE_ADDED #/M/N"}),
    ("enum E { Z = 0; ONE = 1; }", "enum E { Z = 0; TWO = 1; }", {"ENUM_CONST_CHANGED #/M/E/1"}),
    ("optional string a = 1;", "repeated string a = 1;", {"FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"}),
    ("int32 a = 1;", "oneof o { int32 a = 1; }", {"ONEOF_ADDED #/M/o"}),
    ("oneof o { int32 a = 1; }", "oneof o { int32 a = 1; int32 b = 2; }", {"ONEOF_FIELD_ADDED #/M/o/2"}),
    ("oneof o { int32 a = 1; }", "oneof p { int32 a = 1; }", {"ONEOF_REMOVED #/M/o", "ONEOF_ADDED #/M/p"}),
    ("oneof o { int32 a = 1; int32 b = 2; }", "", {"ONEOF_REMOVED #/M/o"}),
    ("message A {} message B {}", "message B {} message A {}", {"MESSAGE_MOVED #/M/A", "MESSAGE_MOVED #/M/B"}),
    ("map<string, int32> a = 1;", "map<string, int64> a = 1;", set()),
    ("message N {} N a = 1;", "message N {} M.N a = 1;", set()),
]

INCOMPATIBLE = [
    ("int32 a = 1;", "sint32 a = 1;", {"FIELD_SCALAR_KIND_CHANGED #/M/1"}),
    ("int32 a = 1;", "string a = 1;", {"FIELD_SCALAR_KIND_CHANGED #/M/1"}),
    ("float a = 1;", "double a = 1;", {"FIELD_SCALAR_KIND_CHANGED #/M/1"}),
    ("message N {} N a = 1;", "message N {} int32 a = 1;", {"FIELD_KIND_CHANGED #/M/1"}),
    ("message N {} N a = 1;", "message N {} map<string, N> a = 1;", {"FIELD_KIND_CHANGED #/M/1"}),
    ("map<string, int32> a = 1;", "map<string, string> a = 1;", {"FIELD_SCALAR_KIND_CHANGED #/M/1"}),
    ("optional int32 a = 1;", "repeated int32 a = 1;", {"FIELD_NUMERIC_LABEL_CHANGED #/M/1"}),
    ("message N {}", "", {"MESSAGE_REMOVED #/M/N"}),
    ("message A {} message B {} A a = 1;", "message A {} message B {} B a = 1;", {"FIELD_NAMED_TYPE_CHANGED #/M/1"}),
    ("oneof o { int32 a = 1; int32 b = 2; }", "oneof o { int32 a = 1; }", {"ONEOF_FIELD_REMOVED #/M/o/2"}),
    ("int32 a = 1; int32 b = 2;", "oneof o { int32 a = 1; int32 b = 2; }",
     {"ONEOF_ADDED #/M/o", "MULTIPLE_FIELDS_MOVED_TO_ONEOF #/M/o"}),
    ("oneof o { int32 a = 1; } int32 b = 2;", "oneof o { int32 a = 1; int32 b = 2; }",
     {"FIELD_MOVED_TO_EXISTING_ONEOF #/M/o"}),
]  # fmt: skip


def changes(original: ProtobufSchema, update: ProtobufSchema) -> set[str]:
    found = differences(original.file, update.file, original.types, update.types)
    return {f"{one.kind} #/{'/'.join(one.path)}" for one in found}


@pytest.mark.parametrize(("original", "update", "expected"), COMPATIBLE)
def test_readers_survive(original: str, update: str, expected: set[str]) -> None:
    assert changes(message(original), message(update)) == expected
    assert compatibility_errors("BACKWARD", message(update), [(1, message(original))]) == []


@pytest.mark.parametrize(("original", "update", "expected"), INCOMPATIBLE)
def test_readers_break(original: str, update: str, expected: set[str]) -> None:
    assert changes(message(original), message(update)) == expected
    assert compatibility_errors("BACKWARD", message(update), [(1, message(original))])


def test_messages_have_the_form_of_the_registry() -> None:
    old, new = proto("package a; message M { int32 x = 1; }"), proto("package b; message M { int32 x = 1; }")
    assert compatibility_errors("FULL", new, [(1, old)])[0] == (
        '{errorType:"PACKAGE_CHANGED", description:"The package at \'#/\' in the old schema does not match the package '
        'in the new schema"}'
    )


def test_required_fields_may_neither_come_nor_go() -> None:
    without = proto('syntax = "proto2"; message M {}')
    required = proto('syntax = "proto2"; message M { required int32 a = 1; }')
    assert changes(without, required) == {"REQUIRED_FIELD_ADDED #/M/1"}
    assert changes(required, without) == {"REQUIRED_FIELD_REMOVED #/M/1"}


def test_messages_of_other_versions_of_a_reference_are_compared() -> None:
    text = 'syntax = "proto3"; import "n.proto"; message M { N n = 1; }'
    old = proto(text, {"n.proto": 'syntax = "proto3"; message N { int32 a = 1; }'}, 1)
    same = proto(text, {"n.proto": 'syntax = "proto3"; message N { int64 a = 1; }'}, 2)
    other = proto(text, {"n.proto": 'syntax = "proto3"; message N { string a = 1; }'}, 2)
    assert changes(old, same) == set()
    assert changes(old, other) == {"FIELD_SCALAR_KIND_CHANGED #/N/1", "FIELD_NAMED_TYPE_CHANGED #/M/1"}


def test_recursive_messages_are_compared() -> None:
    first, second = message("M next = 1; int32 a = 2;"), message("M next = 1; string a = 2;")
    assert changes(first, first) == set()
    assert changes(first, second) == {"FIELD_SCALAR_KIND_CHANGED #/M/2"}


def test_hostile_schemas_are_refused_or_read_in_bounded_time() -> None:
    with pytest.raises(InvalidSchema):
        proto("message M { " * 5_000 + "}" * 5_000)
    wide = message(" ".join(f"int32 f{place} = {place + 1};" for place in range(10_000)))
    assert changes(wide, wide) == set()
    with pytest.raises(InvalidSchema, match="recursively"):
        proto('import "a.proto";', {"a.proto": 'syntax = "proto3"; import "a.proto";'})
