"""Loads JSON Schema of draft 2019-09 and 2020-12 into nodes.

Confluent's registry reads these drafts with another validator (json-sKema) and translates what that reads. Here the
nodes of an object's keywords are joined one after the other: keywords of one kind become one node, keywords for a type
that is one of several go to that type, everything else is joined by a generated `allOf`. A `$ref` has neighbours.
"""

from collections.abc import Mapping
from typing import Any

from sandbox.schemas.json_schema import keywords
from sandbox.schemas.json_schema.loading import COMBINATIONS, Loader, enum, string
from sandbox.schemas.json_schema.nodes import MISSING, SchemaNode, combined
from sandbox.schemas.json_schema.references import SchemaLocation
from sandbox.schemas.json_text import compact
from sandbox.schemas.schema import InvalidSchema

_MERGED = ("array", "number", "object", "string")


class ModernLoader(Loader):
    """Loads one schema of draft 2019-09 or 2020-12; see `Loader`."""

    def __init__(self, document: Any, resolved: Mapping[str, str]) -> None:
        super().__init__(document, resolved, 7)

    def schema(self, json: Any, place: SchemaLocation, path: str) -> SchemaNode:
        if not isinstance(json, dict):
            return super().schema(json, place, path)
        if path != "#":
            place = self._references.base_of(json, place)
        joined: SchemaNode | None = None
        for node in self._keyword_nodes(json, place, path):
            joined = node if joined is None else join(joined, node)
        if joined is None:
            joined = SchemaNode("empty", json)
        elif joined.generated and joined.criterion == "allOf" and len(joined.children) < 2:
            joined = joined.children[0] if joined.children else SchemaNode("empty", json)
        joined.source = json
        self.describe(joined, json, path)
        # The registry does not compare ids in these drafts.
        joined.id = None
        return joined

    def _keyword_nodes(self, json: dict[str, Any], place: SchemaLocation, path: str) -> list[SchemaNode]:
        nodes = [node for name in json if (node := self._keyword(name, json, place, path)) is not None]
        for name, inner in keywords.mapping(json, "properties", path).items():
            node = SchemaNode("object", {"properties": {name: inner}})
            node.properties[name] = self.schema(inner, place, f"{path}/properties/{name}")
            nodes.append(node)
        for name, inner in keywords.mapping(json, "patternProperties", path).items():
            inner_path = f"{path}/patternProperties/{name}"
            node = SchemaNode("object", {"patternProperties": {name: inner}})
            node.patterns[keywords.pattern(name, inner_path)] = self.schema(inner, place, inner_path)
            nodes.append(node)
        for name in ("unevaluatedItems", "unevaluatedProperties"):
            if name in json:
                node = SchemaNode("array" if name.endswith("Items") else "object", {name: json[name]})
                node.unevaluated = self.schema(json[name], place, f"{path}/{name}")
                nodes.append(node)
        return nodes

    def _keyword(self, name: str, json: dict[str, Any], place: SchemaLocation, path: str) -> SchemaNode | None:
        match name:
            case "$ref" | "$dynamicRef":
                return self.reference(json, name, place, path)
            case "type":
                return self._types(json, path)
            case "enum":
                return enum(json, path)
            case "const":
                return SchemaNode("const", json[name], values=frozenset([compact(json[name], sort_keys=True)]))
            case "not":
                return SchemaNode("not", json[name], inner=self.schema(json[name], place, f"{path}/not"))
            case "allOf" | "anyOf" | "oneOf":
                return self._combination(json, name, place, path)
            case "minLength" | "maxLength" | "pattern":
                return string({name: json[name]}, None, path)
            case "if":
                for part in {"if", "then", "else"} & json.keys():
                    self.schema(json[part], place, f"{path}/{part}")
                return SchemaNode("conditional", json)
        if name in keywords.NUMBERS:
            return self._number({name: json[name]}, place, path)
        return self._object_keyword(name, json, place, path) or self._array_keyword(name, json, place, path)

    def _types(self, json: dict[str, Any], path: str) -> SchemaNode:
        types = json["type"]
        place = self._references.root
        if isinstance(types, str):
            return self._of_type(types, {}, place, path)
        children = [self._of_type(one, {}, place, path) for one in keywords.names(json, "type", path)]
        return combined("anyOf", children, types, generated=True)

    def _combination(self, json: dict[str, Any], criterion: str, place: SchemaLocation, path: str) -> SchemaNode:
        assert criterion in COMBINATIONS
        children: list[SchemaNode] = []
        for at, inner in enumerate(keywords.array(json, criterion, path)):
            child = self.schema(inner, place, f"{path}/{criterion}/{at}")
            children += _flat(child)
        return combined(criterion, children, json[criterion])

    def _object_keyword(self, name: str, json: dict[str, Any], place: SchemaLocation, path: str) -> SchemaNode | None:
        match name:
            case "required" | "minProperties" | "maxProperties":
                return self._object({name: json[name]}, place, path)
            case "additionalProperties":
                node = SchemaNode("object", {name: json[name]})
                self._rest(node, json[name], place, f"{path}/{name}")
                return node
            case "dependentRequired":
                node = SchemaNode("object", {name: json[name]})
                for key in keywords.mapping(json, name, path):
                    required = keywords.names(json[name], key, f"{path}/{name}")
                    if required:
                        node.dependencies[key] = set(required)
                return node
            case "dependentSchemas":
                node = SchemaNode("object", {name: json[name]})
                for key, inner in keywords.mapping(json, name, path).items():
                    node.schema_dependencies[key] = self.schema(inner, place, f"{path}/{name}/{key}")
                return node
            case "propertyNames":
                self.schema(json[name], place, f"{path}/{name}")
                return SchemaNode("object", {name: json[name]})
        return None

    def _array_keyword(self, name: str, json: dict[str, Any], place: SchemaLocation, path: str) -> SchemaNode | None:
        match name:
            case "minItems" | "maxItems" | "uniqueItems":
                return self._array({name: json[name]}, place, path)
            case "items":
                if isinstance(json[name], list):
                    raise InvalidSchema(f"{path}/items: expected a schema; a tuple is prefixItems since draft 2020-12")
                node = SchemaNode("array", {name: json[name]})
                if json.get("prefixItems"):
                    self._rest(node, json[name], place, f"{path}/items")
                elif json[name] is False:
                    node.permits_additional = False
                elif json[name] is not True:
                    node.items = self.schema(json[name], place, f"{path}/items")
                return node
            case "prefixItems":
                node = SchemaNode("array", {name: json[name]})
                node.children = [
                    self.schema(inner, place, f"{path}/{name}/{at}")
                    for at, inner in enumerate(keywords.array(json, name, path))
                ]
                return node
            case "contains":
                self.schema(json[name], place, f"{path}/{name}")
                node = SchemaNode("array", {name: json[name]})
                least = keywords.integer(json, "minContains", path)
                node.limits["minContains"] = 1 if least is None else least
                node.limits["maxContains"] = keywords.integer(json, "maxContains", path)
                return node
        return None

    def _rest(self, node: SchemaNode, json: Any, place: SchemaLocation, path: str) -> None:
        if json is False:
            node.permits_additional = False
        elif json is not True:
            node.additional = self.schema(json, place, path)


def join(first: SchemaNode, second: SchemaNode) -> SchemaNode:
    """Return the node that asserts what two nodes of one object assert."""
    if first.kind == second.kind and first.kind in _MERGED:
        return _merged(first, second)
    for several, one in ((first, second), (second, first)):
        if (
            several.generated
            and several.criterion == "anyOf"
            and one.kind in {child.kind for child in several.children}
        ):
            return combined("anyOf", _collected(several.children, one), several.source, generated=True)
    children: list[SchemaNode] = []
    for node in (*_flat(first), *_flat(second)):
        children = _collected(children, node)
    return combined("allOf", children, generated=True)


def _flat(node: SchemaNode) -> list[SchemaNode]:
    return list(node.children) if node.generated and node.criterion == "allOf" else [node]


def _collected(nodes: list[SchemaNode], node: SchemaNode) -> list[SchemaNode]:
    for at, known in enumerate(nodes):
        if known.kind == node.kind and node.kind in _MERGED:
            return [*nodes[:at], _merged(known, node), *nodes[at + 1 :]]
    return [*nodes, node]


def _merged(first: SchemaNode, second: SchemaNode) -> SchemaNode:
    node = SchemaNode(first.kind, [first.source, second.source])
    node.limits = first.limits | {
        name: value for name, value in second.limits.items() if value is not None and value is not False
    }
    node.children = first.children + second.children
    node.properties = first.properties | second.properties
    node.patterns = first.patterns | second.patterns
    node.required = first.required | second.required
    node.permits_additional = first.permits_additional and second.permits_additional
    node.additional = second.additional or first.additional
    node.items = second.items or first.items
    node.unevaluated = second.unevaluated or first.unevaluated
    node.dependencies = first.dependencies | second.dependencies
    node.schema_dependencies = first.schema_dependencies | second.schema_dependencies
    for attribute in ("id", "title", "description", "connect_type"):
        setattr(node, attribute, getattr(second, attribute) or getattr(first, attribute))
    node.default = first.default if second.default is MISSING else second.default
    return node
