"""Answers of Confluent's Schema Registry, as a table: one row per rule, each a sequence of requests.

An answer is compared with a number from 400 on as the error code, with `Has` as the fields that it has at least, and
otherwise as it is.
"""

import json
from typing import Any, NamedTuple


class Has(NamedTuple):
    """An answer with at least these fields."""

    fields: dict[str, Any]


class Step(NamedTuple):
    """A request and what is expected of its answer."""

    line: str
    expected: Any
    body: object = None


def has(**fields: Any) -> Has:
    """Return what an object has at least."""
    return Has(fields)


def record(*fields: Any, name: str = "R") -> dict[str, Any]:
    """Return the body with an Avro record; a field is a name of an int, or a whole field."""
    full = [one if isinstance(one, dict) else {"name": one, "type": "int"} for one in fields]
    return {"schema": json.dumps({"type": "record", "name": name, "fields": full}, separators=(",", ":"))}


def imported(schema_id: int, version: int, body: dict[str, Any]) -> dict[str, Any]:
    """Return a body with id and version."""
    return {**body, "id": schema_id, "version": version}


A = record("a")
AB = record("a", {"name": "b", "type": "int", "default": 0})
AC = record("a", "c")
"""Not compatible with A: the new field has no default."""
SPACED = {"schema": json.dumps(json.loads(A["schema"]), indent=2)}
USER = record("id", name="User")
REFERS = {
    "schema": json.dumps(
        {"type": "record", "name": "Order", "fields": [{"name": "user", "type": "User"}]}, separators=(",", ":")
    ),
    "references": [{"name": "User", "subject": "user", "version": 1}],
}
REGISTER, LOOK_UP = "POST /subjects/s/versions", "POST /subjects/s"

JSON_A = {"schemaType": "JSON", "schema": '{"type":"object","properties":{"a":{"type":"string"}}}'}
JSON_B = {"schemaType": "JSON", "schema": '{"type":"object","properties":{"a":{"type":"integer"}}}'}
PROTO_A = {"schemaType": "PROTOBUF", "schema": 'syntax = "proto3";\n\nmessage M {\n  string a = 1;\n}\n'}
PROTO_B = {"schemaType": "PROTOBUF", "schema": PROTO_A["schema"].replace("string a", "int32 a")}
PROTO_USES = {
    "schemaType": "PROTOBUF",
    "schema": 'syntax = "proto3";\nimport "m.proto";\nmessage N { M m = 1; }',
    "references": [{"name": "m.proto", "subject": "m", "version": 1}],
}
SERIALIZED = "CgdkZWZhdWx0IhEKAU0SDAoBYRgBIAEoCVIBYWIGcHJvdG8z"
"""The descriptor of PROTO_A as base64."""
JSON_USES = {
    "schemaType": "JSON",
    "schema": '{"type":"object","properties":{"x":{"$ref":"a.json"}}}',
    "references": [{"name": "a.json", "subject": "a", "version": 1}],
}
UNSORTED = {"schemaType": "JSON", "schema": '{"type":"object","additionalProperties":true}'}
SORTED = {"schemaType": "JSON", "schema": '{"additionalProperties":true,"type":"object"}'}
MISTYPED_SETTINGS: list[dict[str, Any]] = [
    {"compatibility": ["FULL"]},
    {"alias": {}},
    {"compatibilityGroup": ["x"]},
    {"normalize": "yes"},
    {"normalize": 1.5},
    {"validateRules": []},
    {"defaultMetadata": "x"},
    {"overrideMetadata": {"properties": ["x"]}},
    {"overrideMetadata": {"sensitive": [None]}},
    {"defaultRuleSet": {"domainRules": ["x"]}},
    {"overrideRuleSet": {"migrationRules": [{"name": ["x"]}]}},
    {"defaultRuleSet": {"encodingRules": [{"disabled": "x"}]}},
]
SCENARIOS: dict[str, list[Step]] = {
    "registering": [
        Step(REGISTER, has(id=1, version=1, schemaType="AVRO", schema=A["schema"]), A),
        Step(REGISTER, has(id=1, version=1), A),
        Step(REGISTER, has(id=1), SPACED),
        Step(REGISTER, has(id=2, version=2), AB),
        Step("POST /subjects/t/versions", has(id=2, version=1), AB),
        Step("GET /subjects", ["s", "t"]),
        Step("GET /subjects/s/versions", [1, 2]),
    ],
    "an incompatible schema": [
        Step(REGISTER, has(id=1), A),
        Step(REGISTER, 409, AC),
        Step(REGISTER + "?force=true", has(id=2, version=2), AC),
    ],
    "invalid schemas": [
        Step(REGISTER, 42201, {"schema": "{"}),
        Step(REGISTER, 42201, {"schema": ""}),
        Step(REGISTER, 42201, {}),
        Step(REGISTER, 42201, {**A, "schemaType": "XML"}),
        Step(REGISTER, 42201, {**A, "references": [{"name": "X", "subject": "none", "version": 1}]}),
        Step(REGISTER, 42201, {**A, "references": [{"name": "X"}]}),
        Step("GET /subjects", []),
    ],
    "bodies": [
        Step(REGISTER, 400, b"{"),
        Step(REGISTER, 400, b"[]"),
        Step(REGISTER, 422, b""),
        Step(REGISTER, 422, b"null"),
        Step(REGISTER, 400, {"schema": {"type": "string"}}),
        Step(REGISTER, 400, {**A, "references": {}}),
        Step(REGISTER, 400, {**A, "version": "x"}),
        Step(REGISTER, has(id=1), {**A, "unknown": {"x": 1}, "metadata": None, "references": []}),
    ],
    "an empty schema takes the latest one": [
        Step(REGISTER, 42201, {"schema": ""}),
        Step(REGISTER, has(id=1), A),
        Step(REGISTER, has(id=1, schema=A["schema"]), {"schema": ""}),
    ],
    "version in a request": [
        Step(REGISTER, 42201, {**A, "version": 7}),
        Step(REGISTER, has(id=1, version=1), {**A, "version": 1}),
        Step(REGISTER, has(version=2), {**AB, "version": 2}),
        Step(REGISTER, has(version=2), {**AB, "version": -1}),
    ],
    "look-up": [
        Step(LOOK_UP, 40401, A),
        Step(REGISTER, has(id=1), A),
        Step(LOOK_UP, has(subject="s", version=1, id=1, schema=A["schema"]), SPACED),
        Step(LOOK_UP, 40403, AB),
        Step(LOOK_UP, 42201, {"schema": "{"}),
        Step("DELETE /subjects/s", [1]),
        Step(LOOK_UP, 40401, A),
        Step(LOOK_UP + "?deleted=true", has(version=1), A),
    ],
    "versions": [
        Step("GET /subjects/s/versions", 40401),
        Step("GET /subjects/s/versions/1", 40401),
        Step(REGISTER, has(id=1), A),
        Step(REGISTER, has(id=2), AB),
        Step("GET /subjects/s/versions/1", has(subject="s", version=1, id=1, schema=A["schema"])),
        Step("GET /subjects/s/versions/latest", has(version=2)),
        Step("GET /subjects/s/versions/-1", has(version=2)),
        Step("GET /subjects/s/versions/3", 40402),
        Step("GET /subjects/s/versions/0", 42202),
        Step("GET /subjects/s/versions/-2", 42202),
        Step("GET /subjects/s/versions/x", 42202),
        Step("GET /subjects/s/versions/99999999999", 42202),
        Step("GET /subjects/s/versions/1/schema", json.loads(A["schema"])),
        Step("GET /subjects/s/versions/9/schema", 40402),
        Step("GET /subjects/none/versions/latest", 40401),
    ],
    "soft delete of a version": [
        Step(REGISTER, has(id=1), A),
        Step(REGISTER, has(id=2), AB),
        Step("DELETE /subjects/s/versions/1", 1),
        Step("DELETE /subjects/s/versions/1", 40406),
        Step("GET /subjects/s/versions", [2]),
        Step("GET /subjects/s/versions?deleted=true", [1, 2]),
        Step("GET /subjects/s/versions?deletedOnly=true", [1]),
        Step("GET /subjects/s/versions?deletedAsNegative=true", [-1, 2]),
        Step("GET /subjects/s/versions/1", 40402),
        Step("GET /subjects/s/versions/1?deleted=true", has(version=1, deleted=True)),
        Step("GET /schemas/ids/1", has(schema=A["schema"])),
        Step("GET /schemas/ids/1/subjects", []),
        Step("GET /schemas/ids/1/subjects?deleted=true", ["s"]),
        Step("GET /schemas/ids/1/versions", []),
        Step("GET /schemas/ids/1/versions?deleted=true", [{"subject": "s", "version": 1}]),
        Step("DELETE /subjects/s/versions/latest", 2),
        Step("GET /subjects/s/versions/latest", 40401),
        Step("DELETE /subjects/s/versions/latest", 40402),
    ],
    "permanent delete of a version": [
        Step(REGISTER, has(id=1), A),
        Step("DELETE /subjects/s/versions/1?permanent=true", 40407),
        Step("DELETE /subjects/s/versions/1", 1),
        Step("DELETE /subjects/s/versions/1?permanent=true", 1),
        Step("DELETE /subjects/s/versions/1?permanent=true", 40401),
        Step("GET /subjects/s/versions?deleted=true", 40401),
        Step("GET /schemas/ids/1", 40403),
    ],
    "delete of a version that does not exist": [
        Step("DELETE /subjects/s/versions/1", 40401),
        Step(REGISTER, has(id=1), A),
        Step("DELETE /subjects/s/versions/2", 40402),
        Step("DELETE /subjects/s/versions/x", 42202),
    ],
    "deletes of a subject": [
        Step("DELETE /subjects/s", 40401),
        Step(REGISTER, has(id=1), A),
        Step(REGISTER, has(id=2), AB),
        Step("DELETE /subjects/s?permanent=true", 40405),
        Step("DELETE /subjects/s", [1, 2]),
        Step("DELETE /subjects/s", 40404),
        Step("GET /subjects", []),
        Step("GET /subjects?deleted=true", ["s"]),
        Step("GET /subjects?deletedOnly=true", ["s"]),
        Step("DELETE /subjects/s?permanent=true", [1, 2]),
        Step("DELETE /subjects/s?permanent=true", 40401),
        Step("GET /subjects?deleted=true", []),
    ],
    "ids are never reused": [
        Step(REGISTER, has(id=1), A),
        Step("DELETE /subjects/s", [1]),
        Step("DELETE /subjects/s?permanent=true", [1]),
        Step(REGISTER, has(id=2, version=1), A),
        Step("GET /schemas/ids/1", 40403),
    ],
    "a schema that was soft-deleted is registered again": [
        Step(REGISTER, has(id=1), A),
        Step("DELETE /subjects/s", [1]),
        Step(REGISTER, has(id=1, version=2), A),
        Step("GET /subjects/s/versions?deleted=true", [2]),
    ],
    "a soft-deleted version is not compared with": [
        Step(REGISTER, has(id=1), A),
        Step("DELETE /subjects/s", [1]),
        Step(REGISTER, has(id=2, version=2), record("x", "y")),
    ],
    "ids": [
        Step("GET /schemas/ids/1", 40403),
        Step("GET /schemas/ids/x", 404),
        Step("GET /schemas/ids/1/subjects", 40403),
        Step("GET /schemas/ids/1/versions", 40403),
        Step("GET /schemas/ids/1/schema", 40403),
        Step(REGISTER, has(id=1), A),
        Step("POST /subjects/t/versions", has(id=1), A),
        Step(REGISTER, has(id=2), AB),
        Step("GET /schemas/ids/1?fetchMaxId=true", has(maxId=2, schema=A["schema"])),
        Step("GET /schemas/ids/1?subject=t", has(subject="t", version=1)),
        Step("GET /schemas/ids/1?subject=none", has(schema=A["schema"])),
        Step("GET /schemas/ids/1/schema", json.loads(A["schema"])),
        Step("GET /schemas/ids/1/subjects", ["s", "t"]),
        Step("GET /schemas/ids/1/versions", [{"subject": "s", "version": 1}, {"subject": "t", "version": 1}]),
        Step("GET /schemas/ids/1/versions?offset=1&limit=1", [{"subject": "t", "version": 1}]),
    ],
    "guids": [
        Step(REGISTER, has(guid="e4d94c3f-c345-bad6-d759-ac6f42ea94f7"), A),
        Step("POST /subjects/:.c:s/versions", has(id=1), A),
        Step("GET /schemas/guids/e4d94c3f-c345-bad6-d759-ac6f42ea94f7", has(schema=A["schema"])),
        Step(
            "GET /schemas/guids/e4d94c3f-c345-bad6-d759-ac6f42ea94f7/ids",
            [{"context": ".", "id": 1}, {"context": ".c", "id": 1}],
        ),
        Step("GET /schemas/guids/00000000-0000-0000-0000-000000000000", 40403),
        Step("GET /schemas/guids/00000000-0000-0000-0000-000000000000/ids", []),
    ],
    "lists are cut": [
        *(Step(f"POST /subjects/{name}/versions", has(version=1), A) for name in ("p-1", "p-2", "q")),
        Step("GET /subjects?subjectPrefix=p-", ["p-1", "p-2"]),
        Step("GET /subjects?offset=1", ["p-2", "q"]),
        Step("GET /subjects?limit=2", ["p-1", "p-2"]),
        Step("GET /subjects?offset=1&limit=1", ["p-2"]),
        Step("GET /subjects?limit=0", ["p-1", "p-2", "q"]),
        Step("GET /subjects?limit=-1", ["p-1", "p-2", "q"]),
        Step("GET /subjects?limit=x", 404),
        Step("GET /subjects?unknown=1", ["p-1", "p-2", "q"]),
    ],
    "all schemas": [
        Step("GET /schemas", []),
        Step(REGISTER, has(id=1), A),
        Step(REGISTER, has(id=2), AB),
        Step("GET /schemas", [has(subject="s", version=1, id=1), has(subject="s", version=2, id=2)]),
        Step("GET /schemas?latestOnly=true", [has(version=2)]),
        Step("GET /schemas?subjectPrefix=x", []),
        Step("DELETE /subjects/s/versions/2", 2),
        Step("GET /schemas", [has(version=1)]),
        Step("GET /schemas?deleted=true", [has(version=1), has(version=2, deleted=True)]),
        Step("GET /schemas?limit=1&deleted=true", [has(version=1)]),
        Step("GET /schemas/types", ["JSON", "PROTOBUF", "AVRO"]),
    ],
    "references": [
        Step("POST /subjects/user/versions", has(id=1), USER),
        Step("POST /subjects/order/versions", has(id=2, references=REFERS["references"]), REFERS),
        Step("POST /subjects/order", has(version=1), REFERS),
        Step("GET /subjects/order/versions/1", has(references=REFERS["references"])),
        Step("GET /subjects/user/versions/1/referencedby", [2]),
        Step("GET /subjects/order/versions/1/referencedby", []),
        Step("GET /subjects/none/versions/1/referencedby", 40401),
        Step("DELETE /subjects/user", 42206),
        Step("DELETE /subjects/user/versions/1", 42206),
        Step("DELETE /subjects/order", [1]),
        Step("GET /subjects/user/versions/1/referencedby", []),
        Step("GET /subjects/user/versions/1/referencedby?deleted=true", [2]),
        Step("DELETE /subjects/user", [1]),
        Step("DELETE /subjects/user?permanent=true", 42206),
        Step("DELETE /subjects/order?permanent=true", [1]),
        Step("DELETE /subjects/user?permanent=true", [1]),
    ],
    "a reference to the latest version is fixed": [
        Step("POST /subjects/user/versions", has(id=1), USER),
        Step(
            "POST /subjects/order/versions",
            has(references=REFERS["references"]),
            {**REFERS, "references": [{"name": "User", "subject": "user", "version": -1}]},
        ),
    ],
    "levels": [
        Step("GET /config", {"compatibilityLevel": "BACKWARD"}),
        Step("GET /config/s", 40408),
        Step("GET /config/s?defaultToGlobal=true", {"compatibilityLevel": "BACKWARD"}),
        Step("PUT /config/s", {"compatibility": "FULL"}, {"compatibility": "FULL"}),
        Step("PUT /config/s", {"compatibility": "NONE"}, {"compatibility": "none"}),
        Step("PUT /config/s", 42203, {"compatibility": "SOMETIMES"}),
        Step("GET /config/s", {"compatibilityLevel": "NONE"}),
        Step("DELETE /config/s", {"compatibilityLevel": "NONE"}),
        Step("DELETE /config/s", 40401),
        Step("GET /config/s", 40408),
        Step("PUT /config", {"compatibility": "FORWARD_TRANSITIVE"}, {"compatibility": "FORWARD_TRANSITIVE"}),
        Step("GET /config", {"compatibilityLevel": "FORWARD_TRANSITIVE"}),
        Step("GET /config/s?defaultToGlobal=true", {"compatibilityLevel": "FORWARD_TRANSITIVE"}),
        Step("DELETE /config", {"compatibilityLevel": "FORWARD_TRANSITIVE"}),
        Step("GET /config", {"compatibilityLevel": "BACKWARD"}),
        Step("PUT /config", 42203, {"compatibility": ""}),
        Step("PUT /config", 422, b""),
    ],
    "other settings": [
        Step(
            "PUT /config/s",
            {"compatibility": "FULL", "normalize": True, "compatibilityGroup": "app"},
            {"compatibility": "FULL", "normalize": True, "compatibilityGroup": "app", "unknown": 1},
        ),
        Step("GET /config/s", {"compatibilityLevel": "FULL", "normalize": True, "compatibilityGroup": "app"}),
        Step("PUT /config/s", {"compatibility": "FULL", "normalize": True}, {"compatibilityGroup": None}),
    ],
    "settings of other types": [
        *(Step("PUT /config", 400, body) for body in MISTYPED_SETTINGS),
        Step("GET /config", {"compatibilityLevel": "BACKWARD"}),
        Step(REGISTER, has(id=1), A),
        Step("PUT /config", {"normalize": False}, {"normalize": "false"}),
        Step("PUT /config", {"normalize": True}, {"normalize": "true"}),
        Step("PUT /config", {"normalize": True, "compatibilityGroup": "5"}, {"compatibilityGroup": 5}),
        Step(
            "PUT /config",
            has(defaultMetadata={"properties": {"a": "1"}}),
            {"defaultMetadata": {"properties": {"a": 1}}},
        ),
        Step("POST /subjects/t/versions", has(metadata={"properties": {"a": "1"}}), A),
    ],
    "ids and versions with two signs": [
        Step(REGISTER, has(id=1), A),
        Step("GET /schemas/ids/-+1", 404),
        Step("GET /subjects/s/versions/-+1", 42202),
        Step("GET /subjects/s/versions/+1", has(version=1)),
    ],
    "the level NONE": [
        Step("PUT /config/s", has(compatibility="NONE"), {"compatibility": "NONE"}),
        Step(REGISTER, has(version=1), A),
        Step(REGISTER, has(version=2), record("x")),
    ],
    "FORWARD": [
        Step("PUT /config/s", has(compatibility="FORWARD"), {"compatibility": "FORWARD"}),
        Step(REGISTER, has(version=1), A),
        Step(REGISTER, has(version=2), AC),
        Step(REGISTER, 409, record("c")),
    ],
    "FULL": [
        Step("PUT /config", has(compatibility="FULL"), {"compatibility": "FULL"}),
        Step(REGISTER, has(version=1), A),
        Step(REGISTER, 409, AC),
        Step(REGISTER, has(version=2), AB),
    ],
    "a transitive level compares with all versions": [
        Step(REGISTER, has(version=1), A),
        Step(REGISTER, has(version=2), AB),
        Step("PUT /config/s", has(compatibility="BACKWARD"), {"compatibility": "BACKWARD"}),
        Step("POST /compatibility/subjects/s/versions", {"is_compatible": True}, record("a", "b")),
        Step("PUT /config/s", has(), {"compatibility": "BACKWARD_TRANSITIVE"}),
        Step("POST /compatibility/subjects/s/versions", {"is_compatible": False}, record("a", "b")),
        Step(REGISTER, 409, record("a", "b")),
    ],
    "a compatibility group": [
        Step("PUT /config/s", has(), {"compatibility": "BACKWARD", "compatibilityGroup": "major"}),
        Step(REGISTER, has(version=1), {**A, "metadata": {"properties": {"major": "1"}}}),
        Step(REGISTER, 409, {**AC, "metadata": {"properties": {"major": "1"}}}),
        Step(REGISTER, has(version=2), {**AC, "metadata": {"properties": {"major": "2"}}}),
    ],
    "compatibility checks": [
        Step("POST /compatibility/subjects/s/versions/latest", {"is_compatible": True}, A),
        Step("POST /compatibility/subjects/s/versions", {"is_compatible": True}, A),
        Step("POST /compatibility/subjects/s/versions/1", 40402, A),
        Step(REGISTER, has(version=1), A),
        Step("POST /compatibility/subjects/s/versions/1", {"is_compatible": True}, AB),
        Step("POST /compatibility/subjects/s/versions/latest", {"is_compatible": False}, AC),
        Step("POST /compatibility/subjects/s/versions/latest?verbose=true", has(is_compatible=False), AC),
        Step(
            "POST /compatibility/subjects/s/versions/latest?verbose=true", {"is_compatible": True, "messages": []}, AB
        ),
        Step("POST /compatibility/subjects/s/versions/x", 42202, A),
        Step("POST /compatibility/subjects/s/versions/2", 40402, A),
        Step("POST /compatibility/subjects/s/versions/latest", 42201, {"schema": "{"}),
        Step("POST /compatibility/subjects/s/versions/latest", 42201, {"schema": ""}),
        Step("POST /compatibility/subjects/s/versions?verbose=true", has(is_compatible=False), {"schema": "{"}),
        Step("PUT /config/s", has(), {"compatibility": "NONE"}),
        Step("POST /compatibility/subjects/s/versions/latest", {"is_compatible": True}, AC),
        Step("GET /subjects/s/versions", [1]),
    ],
    "modes": [
        Step("GET /mode", {"mode": "READWRITE"}),
        Step("GET /mode/s", 40409),
        Step("GET /mode/s?defaultToGlobal=true", {"mode": "READWRITE"}),
        Step("PUT /mode/s", {"mode": "READONLY"}, {"mode": "READONLY"}),
        Step("GET /mode/s", {"mode": "READONLY"}),
        Step("PUT /mode/s", 42204, {"mode": "SOMETIMES"}),
        Step("PUT /mode/s", 42204, {}),
        Step("PUT /mode/s", 42204, {"mode": "FORWARD"}),
        Step("DELETE /mode/s", {"mode": "READONLY"}),
        Step("DELETE /mode/s", 40401),
        Step("PUT /mode", {"mode": "READONLY"}, {"mode": "READONLY"}),
        Step("GET /mode", {"mode": "READONLY"}),
        Step("DELETE /mode", {"mode": "READONLY"}),
        Step("GET /mode", {"mode": "READWRITE"}),
    ],
    "a read-only subject": [
        Step(REGISTER, has(id=1), A),
        Step("PUT /mode/s", has(mode="READONLY"), {"mode": "READONLY"}),
        Step(REGISTER, has(id=1), A),
        Step(REGISTER, 42205, AB),
        Step("DELETE /subjects/s", 42205),
        Step("DELETE /subjects/s/versions/1", 42205),
        Step("PUT /config/s", 42205, {"compatibility": "NONE"}),
        Step("POST /subjects/t/versions", has(id=1), A),
        Step("PUT /mode/s", has(mode="READWRITE"), {"mode": "READWRITE"}),
        Step(REGISTER, has(version=2), AB),
    ],
    "a read-only registry": [
        Step("PUT /mode", has(), {"mode": "READONLY"}),
        Step(REGISTER, 42205, A),
        Step("PUT /mode/s", has(), {"mode": "READWRITE"}),
        Step(REGISTER, has(id=1), A),
    ],
    "imports": [
        Step(REGISTER, 42205, imported(10, 1, A)),
        Step("PUT /mode/s", has(mode="IMPORT"), {"mode": "IMPORT"}),
        Step(REGISTER, has(id=10, version=3), imported(10, 3, A)),
        Step(REGISTER, has(id=10, version=3), imported(10, 3, A)),
        Step(REGISTER, 42205, imported(10, 4, AB)),
        Step(REGISTER, 42205, AB),
        Step(REGISTER, has(id=11, version=5), imported(11, 5, AC)),
        Step("GET /subjects/s/versions", [3, 5]),
        Step("PUT /mode/s", has(), {"mode": "READWRITE"}),
        Step("POST /subjects/t/versions", has(id=12, version=1), record("new")),
    ],
    "the mode IMPORT wants an empty subject": [
        Step(REGISTER, has(id=1), A),
        Step("PUT /mode/s", 42205, {"mode": "IMPORT"}),
        Step("PUT /mode", 42205, {"mode": "IMPORT"}),
        Step("PUT /mode/s?force=true", has(mode="IMPORT"), {"mode": "IMPORT"}),
        Step("PUT /mode/s", has(mode="READWRITE"), {"mode": "READWRITE"}),
        Step("DELETE /subjects/s", [1]),
        Step("PUT /mode/s", has(mode="IMPORT"), {"mode": "IMPORT"}),
        Step("GET /subjects?deleted=true", []),
    ],
    "imports over soft-deleted versions": [
        Step(REGISTER, has(id=1), A),
        Step("DELETE /subjects/s", [1]),
        Step("PUT /mode", {"mode": "IMPORT"}, {"mode": "IMPORT"}),
        Step(REGISTER, has(id=1, version=1), imported(1, 1, A)),
        Step(REGISTER, has(id=1), A),
        Step("DELETE /subjects/s", [1]),
        Step(REGISTER, has(id=1, version=1), imported(1, 1, A)),
        Step("GET /subjects/s/versions/1", has(schema=A["schema"])),
        Step(REGISTER, has(id=200, version=2), imported(200, 2, A)),
        Step("GET /subjects/s/versions", [1, 2]),
        Step("GET /schemas/ids/200/versions", [{"subject": "s", "version": 2}]),
        Step("PUT /mode", {}, {"mode": None}),
        Step("GET /mode", {"mode": "READWRITE"}),
    ],
    "a permanent delete forgets level and mode": [
        Step(REGISTER, has(id=1), A),
        Step("PUT /config/s", has(), {"compatibility": "FULL"}),
        Step("PUT /mode/s", has(), {"mode": "READWRITE"}),
        Step("DELETE /subjects/s", [1]),
        Step("GET /config/s", {"compatibilityLevel": "FULL"}),
        Step("DELETE /subjects/s?permanent=true", [1]),
        Step("GET /config/s", 40408),
        Step("GET /mode/s", 40409),
    ],
    "contexts": [
        Step("GET /contexts", ["."]),
        Step("POST /subjects/:.c:s/versions", has(id=1), A),
        Step(REGISTER, has(id=1), AB),
        Step("GET /contexts", [".", ".c"]),
        Step("GET /subjects", [":.c:s", "s"]),
        Step("GET /subjects?subjectPrefix=:.c:", [":.c:s"]),
        Step("GET /subjects?subjectPrefix=", ["s"]),
        Step("GET /subjects?subjectPrefix=:*:s", [":.c:s", "s"]),
        Step("GET /subjects/:.c:s/versions/1", has(subject=":.c:s", schema=A["schema"])),
        Step("GET /contexts/.c/subjects", [":.c:s"]),
        Step("GET /contexts/c/subjects", [":.c:s"]),
        Step("GET /contexts/:.c:/subjects/s/versions", [1]),
        Step("GET /contexts/.c/schemas/ids/1", has(subject=":.c:s", schema=A["schema"])),
        Step("GET /schemas/ids/1?subject=:.c:", has(schema=A["schema"])),
        Step("GET /schemas/ids/1", has(schema=AB["schema"])),
        Step("GET /contexts/.c/schemas", [has(subject=":.c:s")]),
        Step("PUT /contexts/.c/config", has(compatibility="NONE"), {"compatibility": "NONE"}),
        Step("GET /config/:.c:", {"compatibilityLevel": "NONE"}),
        Step("GET /config/:.c:s?defaultToGlobal=true", {"compatibilityLevel": "NONE"}),
        Step("GET /config", {"compatibilityLevel": "BACKWARD"}),
        Step("POST /contexts/.c/subjects/s/versions", has(id=2, version=2), AC),
        Step("GET /contexts/a:b/subjects", 400),
        Step("DELETE /contexts/.c", 42211),
        Step("DELETE /subjects/:.c:s", [1, 2]),
        Step("DELETE /subjects/:.c:s?permanent=true", [1, 2]),
        Step("DELETE /contexts/.c", None),
        Step("GET /contexts", ["."]),
    ],
    "a subject without a context is found in all": [
        Step("POST /subjects/:.c:only/versions", has(id=1), A),
        Step("GET /subjects/only/versions/1", has(subject=":.c:only")),
        Step("POST /subjects/only", has(subject=":.c:only"), A),
        Step("GET /subjects/only/versions", 40401),
    ],
    "references stay in their context": [
        Step("POST /subjects/:.c:user/versions", has(id=1), USER),
        Step("POST /subjects/order/versions", 42201, REFERS),
        Step("POST /subjects/:.c:order/versions", has(id=2), REFERS),
        Step("GET /subjects/:.c:user/versions/1/referencedby", [2]),
        Step(
            "GET /subjects/:.c:order/versions/1?referenceFormat=qualified",
            has(references=[{"name": "User", "subject": ":.c:user", "version": 1}]),
        ),
    ],
    "settings for all contexts": [
        Step("PUT /config/:.__GLOBAL:", has(), {"compatibility": "NONE"}),
        Step("GET /config/x?defaultToGlobal=true", {"compatibilityLevel": "NONE"}),
        Step("GET /config/:.c:x?defaultToGlobal=true", {"compatibilityLevel": "NONE"}),
        Step("PUT /mode/:.__GLOBAL:", has(mode="FORWARD"), {"mode": "FORWARD"}),
        Step("GET /mode/x?defaultToGlobal=true", {"mode": "FORWARD"}),
        Step("POST /subjects/:.__GLOBAL:x/versions", 42208, A),
    ],
    "names of subjects": [
        Step("POST /subjects/a%2Fb%20%C3%A9/versions", has(id=1), A),
        Step("GET /subjects", ["a/b é"]),
        Step("GET /subjects/a%2Fb%20%C3%A9/versions/1", has(subject="a/b é")),
        Step("POST /subjects/a%00b/versions", 42208, A),
        Step("POST /subjects/__EMPTY/versions", 42208, A),
        Step("POST /subjects/__GLOBAL/versions", 42208, A),
        Step("PUT /config/a%0Ab", 42208, {"compatibility": "NONE"}),
        Step("PUT /mode/a%0Ab", 42208, {"mode": "READONLY"}),
    ],
    "an alias": [
        Step(REGISTER, has(id=1), A),
        Step("PUT /config/alias", has(alias="s"), {"alias": "s"}),
        Step("GET /subjects/alias/versions", [1]),
        Step("POST /subjects/alias/versions", has(id=2, version=2), AB),
        Step("GET /subjects", ["s"]),
    ],
    "JSON Schema": [
        Step(REGISTER, has(id=1, schemaType="JSON", schema=JSON_A["schema"]), JSON_A),
        Step(REGISTER, 409, JSON_B),
        Step(REGISTER, 409, A),
        Step(REGISTER, 42201, {"schemaType": "JSON", "schema": '{"type":"nothing"}'}),
        Step("GET /subjects/s/versions/1", has(schemaType="JSON")),
        Step("GET /schemas/ids/1", has(schemaType="JSON")),
        Step("POST /subjects/a/versions", has(id=1), JSON_A),
        Step("POST /subjects/uses/versions", has(id=2), JSON_USES),
        Step("POST /subjects/uses/versions", has(id=2), JSON_USES),
        Step("GET /subjects/a/versions/1/referencedby", [2]),
    ],
    "Protobuf": [
        Step(REGISTER, has(id=1, schemaType="PROTOBUF", schema=PROTO_A["schema"]), PROTO_A),
        Step(REGISTER, has(id=1), {**PROTO_A, "schema": PROTO_A["schema"].replace("\n", " ")}),
        Step(REGISTER, 409, PROTO_B),
        Step(REGISTER, 42201, {"schemaType": "PROTOBUF", "schema": "message"}),
        Step("POST /subjects/m/versions", has(id=1), PROTO_A),
        Step("POST /subjects/n/versions", has(id=2), PROTO_USES),
        Step("POST /subjects/n", has(version=1, references=PROTO_USES["references"]), PROTO_USES),
        Step(
            "GET /schemas/ids/1?format=serialized",
            has(schema=SERIALIZED),
        ),
        Step("DELETE /subjects/m", 42206),
    ],
    "normalize": [
        Step(REGISTER, has(id=1), UNSORTED),
        Step(LOOK_UP + "?normalize=true", 40403, SORTED),
        Step("POST /subjects/t/versions?normalize=true", has(id=2, schema=SORTED["schema"]), UNSORTED),
        Step("POST /subjects/t/versions?normalize=true", has(id=2), SORTED),
        Step("POST /subjects/t?normalize=true", has(version=1), UNSORTED),
        Step("PUT /config/u", has(normalize=True), {"normalize": True}),
        Step("POST /subjects/u/versions", has(id=2, schema=SORTED["schema"]), UNSORTED),
    ],
    "the rest": [
        Step("GET /v1/metadata/deployment", {"attributes": []}),
        Step("GET /", {}),
        Step("POST /", {}, {}),
        Step("GET /v1/metadata/version", has(commitId="kafka-sandbox")),
        Step("GET /v1/metadata/id", has(id="")),
        Step("GET /associations/resources/x", 404),
        Step("GET /nothing", 404),
        Step("GET /subjects/", []),
        Step("PATCH /subjects", 405),
        Step("PUT /subjects/s", 405, {}),
    ],
}
