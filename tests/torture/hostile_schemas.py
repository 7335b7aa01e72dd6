"""Schemas that try to take time or memory: recursive, nested, huge, with bombs of references and of patterns."""

import json
from typing import Any

Body = dict[str, Any]
DEEP = 5_000
FIELDS = 10_000
FILL = "x" * 100


def _avro(schema: object) -> Body:
    return {"schema": schema if isinstance(schema, str) else json.dumps(schema)}


def _json(schema: object) -> Body:
    return {"schema": schema if isinstance(schema, str) else json.dumps(schema), "schemaType": "JSON"}


def _protobuf(text: str) -> Body:
    return {"schema": f'syntax = "proto3";\n{text}', "schemaType": "PROTOBUF"}


def _record(fields: list[Any], name: str = "R") -> Body:
    return {"type": "record", "name": name, "fields": fields}


def _doubled(levels: int) -> Body:
    """Return definitions of which each refers twice to the next: 2 to the power of `levels` in all."""
    definitions: Body = {
        f"d{level}": {"allOf": [{"$ref": f"#/definitions/d{level + 1}"}] * 2} for level in range(levels)
    }
    definitions[f"d{levels}"] = {"type": "integer"}
    return {"definitions": definitions, "$ref": "#/definitions/d0"}


def _diamond(levels: int) -> Body:
    """Return records of which each has two fields of the next."""
    inner: Any = "int"
    for level in range(levels):
        fields = [{"name": "a", "type": inner}, {"name": "b", "type": f"L{level - 1}" if level else "int"}]
        inner = _record(fields, f"L{level}")
    body: Body = inner
    return body


def _records(count: int) -> list[Body]:
    return [_record([{"name": "a", "type": "int"}], f"R{number}") for number in range(count)]


def _branches(count: int) -> Body:
    return {"oneOf": [{"properties": {f"p{number}": {"const": number}}} for number in range(count)]}


def _circle() -> Body:
    definitions = {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}
    return {"definitions": definitions, "$ref": "#/definitions/a"}


def _nested_messages(levels: int) -> str:
    return "".join(f"message M{level} {{ " for level in range(levels)) + "}" * levels


HOSTILE: dict[str, Body] = {
    "recursive Avro": _avro(_record([{"name": "next", "type": ["null", "R"]}])),
    "Avro that contains itself": _avro(_record([{"name": "next", "type": "R"}])),
    "deep Avro arrays": _avro('{"type":"array","items":' * DEEP + '"int"' + "}" * DEEP),
    "deep JSON": _json('{"items":' * DEEP + "true" + "}" * DEEP),
    "deep lists": _json("[" * DEEP * 10 + "]" * DEEP * 10),
    "10,000 Avro fields": _avro(_record([{"name": f"f{number}", "type": "int"} for number in range(FIELDS)])),
    "10,000 Avro symbols": _avro({"type": "enum", "name": "E", "symbols": [f"S{number}" for number in range(FIELDS)]}),
    "a union of 2,000 records": _avro(_records(2_000)),
    "an Avro diamond": _avro(_diamond(100)),
    "10,000 JSON properties": _json({"properties": {f"p{number}": {"type": "string"} for number in range(FIELDS)}}),
    "1,000 JSON branches": _json(_branches(1_000)),
    "1 MB of text": _json({"description": "y" * 1_000_000, "type": "object"}),
    "4 MB of text": _json({"description": "y" * 4_000_000}),
    "a bomb of references": _json(_doubled(60)),
    "a circle of references": _json(_circle()),
    "a reference to itself": _json({"$ref": "#"}),
    "a remote reference": _json({"$ref": "http://127.0.0.1:9/x.json"}),
    "a file reference": _json({"$ref": "file:///etc/passwd"}),
    "a catastrophic pattern": _json({"type": "string", "pattern": "^(a+)+$"}),
    "a huge pattern": _json({"type": "string", "pattern": "(a{1,1000}){1,1000}"}),
    "a huge number": _json('{"maximum": 1' + "0" * 100_000 + "}"),
    "a huge exponent": _json('{"multipleOf": 1e-999999999}'),
    "a recursive message": _protobuf("message M { M m = 1; map<string, M> more = 2; }"),
    "10,000 Protobuf fields": _protobuf("message M {" + "".join(f"int32 f{n} = {n + 1};" for n in range(FIELDS)) + "}"),
    "deep messages": _protobuf(_nested_messages(500)),
    "an import outside": _protobuf('import "../../../etc/passwd"; message M {}'),
    "an import of itself": _protobuf('import "default"; message M {}'),
    "a bomb of base64": {"schema": "Q" * 900_000, "schemaType": "PROTOBUF"},
}
"""Bodies of requests to register a schema, by what they try."""
