"""Answers of Confluent's Schema Registry to metadata, rules and tags, which data contracts use; see `scenarios`."""

import json
from typing import Any

from tests.web.registry.scenarios import AB, JSON_A, LOOK_UP, PROTO_A, REGISTER, A, Step, has, record

METADATA_2 = {"properties": {"confluent:version": "2"}}
RULE = {"name": "r", "type": "CEL"}
BAD_RULES: list[dict[str, Any]] = [
    {"domainRules": [{"type": "CEL"}]},
    {"domainRules": [{**RULE, "name": ""}]},
    {"domainRules": [{**RULE, "name": "1r"}]},
    {"domainRules": [{**RULE, "name": "a b"}]},
    {"domainRules": [{**RULE, "name": "r" * 65}]},
    {"domainRules": [{"name": "r"}]},
    {"domainRules": [RULE, RULE]},
    {"migrationRules": [{**RULE, "mode": "UPGRADE"}], "domainRules": [RULE]},
    {"migrationRules": [RULE]},
    {"domainRules": [{**RULE, "mode": "UPGRADE"}]},
    {"encodingRules": [{**RULE, "mode": "DOWNGRADE"}]},
    {"domainRules": [{**RULE, "mode": "READ", "onSuccess": "NONE,ERROR"}]},
]


def version_property(version: object) -> dict[str, Any]:
    """Return metadata with a version."""
    return {"metadata": {"properties": {"confluent:version": str(version)}}}


def entity(path: str, *tags: str, kind: str = "sr_record") -> dict[str, Any]:
    """Return the tags of a record or field."""
    return {"schemaEntity": {"entityPath": path, "entityType": kind}, "tags": list(tags)}


def tagged(*tags: str, **more: Any) -> str:
    """Return the text of A with tags on its record."""
    return json.dumps({**json.loads(A["schema"]), "confluent:tags": list(tags)}, separators=(",", ":"))


MISTYPED_FIELDS: list[dict[str, Any]] = [
    {"metadata": {"properties": ["x"]}},
    {"metadata": {"properties": {"a": {}}}},
    {"metadata": {"tags": {"a": 5}}},
    {"metadata": {"tags": {"a": [["x"]]}}},
    {"metadata": {"sensitive": {"a": 1}}},
    {"ruleSet": {"domainRules": 5}},
    {"ruleSet": {"domainRules": [5]}},
    {"ruleSet": {"domainRules": [{"name": "r", "params": {"a": []}}]}},
]

CONTRACT_SCENARIOS: dict[str, list[Step]] = {
    "rules": [
        *(Step(REGISTER, 42210, {**A, "ruleSet": rules}) for rules in BAD_RULES),
        *(Step("PUT /config", 42210, {"defaultRuleSet": rules}) for rules in BAD_RULES),
        *(Step("PUT /config/s", 42210, {"overrideRuleSet": rules}) for rules in BAD_RULES),
        Step(REGISTER, 400, {**A, "ruleSet": {"domainRules": [{**RULE, "mode": "SOMETIMES"}]}}),
        Step(REGISTER, has(id=1, ruleSet={"domainRules": [RULE]}), {**A, "ruleSet": {"domainRules": [RULE]}}),
        Step("POST /subjects/t/versions", has(id=2), A),
        Step("GET /schemas?ruleType=CEL", [has(subject="s")]),
        Step("GET /schemas?ruleType=NONE", []),
    ],
    "a reserved field": [
        Step("PUT /config/s", has(validateFields=True), {"validateFields": True}),
        Step(REGISTER, 409, {**AB, "metadata": {"properties": {"confluent:reserved": "x,a"}}}),
        Step("PUT /config/s", has(validateFields=False), {"validateFields": False}),
        Step(REGISTER, has(version=1), {**AB, "metadata": {"properties": {"confluent:reserved": "x"}}}),
        Step("PUT /config/s", has(validateFields=True), {"validateFields": True}),
        Step(REGISTER, 409, {**A, "metadata": {"properties": {"team": "a"}}}),
        Step(REGISTER, has(version=2), {**A, "metadata": {"properties": {"confluent:reserved": "x,b"}}}),
        Step(
            "POST /compatibility/subjects/s/versions/latest?verbose=true",
            {
                "is_compatible": False,
                "messages": [
                    "The new schema has field that conflicts with the reserved field b.",
                    "{validateFields: 'true', compatibility: 'BACKWARD'}",
                ],
            },
            {**AB, "metadata": {"properties": {"confluent:reserved": "x,b"}}},
        ),
    ],
    "schemas that are not validated": [
        Step(REGISTER, 42201, record({"name": "a", "type": "string", "default": None})),
        Step("PUT /config/s", has(validateNewSchemas=False), {"validateNewSchemas": False}),
        Step(REGISTER, has(id=1), record({"name": "a", "type": "string", "default": None})),
        Step("POST /subjects/t/versions", 42201, record({"name": "a", "type": "string", "default": None})),
    ],
    "tags": [
        Step(REGISTER, has(id=1), A),
        Step(
            REGISTER,
            has(id=2, version=2, schema=tagged("X", "Y"), **version_property(2)),
            {**A, "schemaTagsToAdd": [entity("R", "X", "Y")], "version": 2},
        ),
        Step("GET /subjects/s/versions/2?findTags=*", has(schemaTags=[entity("R", "X", "Y")])),
        Step("GET /schemas/ids/2?findTags=X&findTags=Z", has(schemaTags=[entity("R", "X", "Y")])),
        Step("GET /schemas/ids/2?findTags=Z", has(schemaTags=None)),
        Step(
            REGISTER,
            has(version=3, schema=tagged("X"), **version_property(3)),
            {"schema": tagged("X", "Y"), "schemaTagsToRemove": [entity("R", "Y")]},
        ),
        Step(
            REGISTER,
            has(version=4, schema=AB["schema"][:-1] + ',"confluent:tags":["X"]}'),
            {**AB, "propagateSchemaTags": True},
        ),
        Step(REGISTER, 42201, {**A, "schemaTagsToAdd": [entity("R.none", "X", kind="sr_field")]}),
        Step(REGISTER, 400, {**A, "schemaTagsToAdd": [entity("R", "X", kind="other")]}),
    ],
    "tags of a version": [
        Step("POST /subjects/none/versions/1/tags", 40401, {"newVersion": 2}),
        Step(REGISTER, has(id=1), A),
        Step("POST /subjects/s/versions/2/tags", 40402, {"newVersion": 2}),
        Step("POST /subjects/s/versions/x/tags", 42202, {"newVersion": 2}),
        Step("POST /subjects/s/versions/1/tags", 42201, {"newVersion": 1, "tagsToAdd": [entity("R", "X")]}),
        Step("POST /subjects/s/versions/1/tags", 42201, {"newVersion": 2, "tagsToAdd": [entity("no.R", "X")]}),
        Step(
            "POST /subjects/s/versions/latest/tags",
            has(id=2, version=2, schema=tagged("X", "Y"), **version_property(2)),
            {"newVersion": 2, "tagsToAdd": [entity("R", "X", "Y")]},
        ),
        Step(
            "POST /subjects/s/versions/latest/tags",
            has(id=3, version=3, schema=tagged("X"), **version_property(3)),
            {"tagsToRemove": [entity("R", "Y")]},
        ),
        Step(
            "POST /subjects/s/versions/latest/tags",
            has(version=4, ruleSet={"domainRules": [RULE, {**RULE, "name": "q"}]}),
            {"newVersion": 4, "rulesToMerge": {"domainRules": [RULE, {**RULE, "name": "q"}]}},
        ),
        Step(
            "POST /subjects/s/versions/latest/tags",
            has(version=5, ruleSet={"domainRules": [{**RULE, "name": "q"}]}),
            {"newVersion": 5, "rulesToRemove": ["r"]},
        ),
        Step("POST /subjects/s/versions/latest/tags", 42210, {"ruleSet": {}, "rulesToRemove": ["q"]}),
    ],
    "tags of a JSON Schema": [
        Step(
            REGISTER,
            has(schema='{"type":"object","properties":{"a":{"type":"string","confluent:tags":["PII"]}}}'),
            {**JSON_A, "schemaTagsToAdd": [entity("object.a", "PII", kind="sr_field")]},
        ),
        Step("GET /subjects/s/versions/1?findTags=PII", has(schemaTags=[entity("object.a", "PII", kind="sr_field")])),
        Step(REGISTER, 42201, {**JSON_A, "schemaTagsToAdd": [entity("object.b", "PII", kind="sr_field")]}),
        Step("POST /subjects/p/versions", 42201, {**PROTO_A, "schemaTagsToAdd": [entity("M", "PII")]}),
    ],
    "aliases in the list of schemas": [
        Step(REGISTER, has(id=1), A),
        Step("PUT /config/other", has(alias="s"), {"alias": "s"}),
        Step("GET /schemas?aliases=true", [has(subject="s", aliases=["other"])]),
        Step("GET /schemas", [has(subject="s", aliases=None)]),
    ],
    "versions in metadata, one after the other": [
        Step(REGISTER, has(id=1), A),
        Step(REGISTER, has(id=2), {**A, "version": 2}),
        Step(REGISTER, has(id=3), {**A, "version": 3}),
        Step(REGISTER, 42201, {**A, "version": 3}),
        Step(REGISTER, has(id=4), {**A, "version": 4}),
        Step("DELETE /subjects/s/versions/1", 1),
        Step(LOOK_UP, has(version=4, **version_property(4)), A),
        Step(REGISTER, has(id=5, version=5, **version_property(5)), {**A, **version_property(-1)}),
        Step(REGISTER, has(id=2), {**A, **version_property(2)}),
        Step(REGISTER, has(id=3), {**A, **version_property(3)}),
        Step(REGISTER, has(id=6, version=6, **version_property(6)), {**A, **version_property(0)}),
        Step(REGISTER, has(id=6), {**A, "metadata": {"properties": {}}}),
        Step(REGISTER, has(id=7, version=7), {**A, "metadata": {"properties": {"mykey": "v"}}}),
        Step("GET /subjects/s/versions/7", has(metadata={"properties": {"mykey": "v"}})),
        Step(REGISTER, has(id=8, version=8), {**A, "version": -1}),
        Step(LOOK_UP, has(version=7), {**A, "metadata": {"properties": {"mykey": "v"}}}),
        Step("DELETE /subjects/s/versions/7", 7),
        Step(LOOK_UP, has(version=8), {**A, "metadata": {"properties": {"mykey": "v"}}}),
        Step(LOOK_UP, 40403, {**record("a", name="Other"), "version": -1}),
    ],
    "the version in the metadata": [
        Step(REGISTER, has(id=1, version=1), A),
        Step(REGISTER, has(id=1, version=1), {**A, "version": -1}),
        Step(REGISTER, has(id=2, version=2, metadata=METADATA_2), {**A, "version": 2}),
        Step(REGISTER, has(id=2, version=2), {**A, "version": -1}),
        Step(LOOK_UP, has(version=1), A),
        Step(LOOK_UP, has(version=1), {**A, "metadata": {"properties": {"confluent:version": "1"}}}),
        Step(LOOK_UP, has(version=2, metadata=METADATA_2), {**A, "metadata": METADATA_2}),
        Step("DELETE /subjects/s/versions/1", 1),
        Step(LOOK_UP, has(version=2), A),
        Step(REGISTER, has(id=2), A),
        Step(REGISTER, has(id=3, version=3), {**A, "version": 3}),
        Step(REGISTER, has(id=3), {**A, "version": -1}),
        Step(REGISTER, 42201, {**A, "version": 3}),
    ],
    "metadata and rules of other types": [
        *(Step(REGISTER, 400, {**A, **body}) for body in MISTYPED_FIELDS),
        Step("GET /subjects", []),
        Step(
            REGISTER,
            has(
                metadata={"tags": {"a": ["t"]}, "sensitive": ["a"]},
                ruleSet={"domainRules": [{"name": "r", "type": "CEL"}]},
            ),
            {
                **A,
                "metadata": {"tags": {"a": ["t"]}, "sensitive": ["a"]},
                "ruleSet": {"domainRules": [{"name": "r", "type": "CEL"}]},
            },
        ),
    ],
    "metadata": [
        Step(REGISTER, has(metadata={"properties": {"team": "a"}}), {**A, "metadata": {"properties": {"team": "a"}}}),
        Step(REGISTER, has(version=2, metadata={"properties": {"team": "a"}}), AB),
        Step(REGISTER, has(version=3), {**AB, "metadata": {"properties": {"team": "b"}}}),
        Step("GET /subjects/s/metadata?key=team&value=a", has(version=2)),
        Step("GET /subjects/s/metadata?key=team&value=b", has(version=3)),
        Step("GET /subjects/s/metadata?key=team&value=c", 40403),
        Step("GET /subjects/none/metadata?key=team&value=c", 40401),
        Step("GET /subjects/s/versions/1", has(metadata={"properties": {"team": "a"}})),
    ],
}
