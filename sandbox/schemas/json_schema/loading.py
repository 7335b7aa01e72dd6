"""Loads JSON Schema of draft 4, 6 and 7 into nodes, as everit-json-schema does, the validator of Confluent's registry.

The nodes of an object are: its enum, its combinations, not, const, its type, and each other group of keywords
(array, object, number, string). More than one are joined by `allOf`. A `$ref` hides its neighbours.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.schemas.json_schema import keywords
from sandbox.schemas.json_schema.nodes import MISSING, Kind, SchemaNode, combined
from sandbox.schemas.json_schema.references import References, SchemaLocation
from sandbox.schemas.json_text import compact
from sandbox.schemas.schema import InvalidSchema

_ARRAY = {"items", "additionalItems", "minItems", "maxItems", "uniqueItems"}
_OBJECT = {
    "properties", "required", "minProperties", "maxProperties", "dependencies", "patternProperties",
    "additionalProperties",
}  # fmt: skip
COMBINATIONS = ("allOf", "anyOf", "oneOf")


class Loader:
    """Loads one schema.

    Args:
        document: The schema's JSON.
        resolved: The texts of the referenced schemas by name.
        draft: 4, 6 or 7.
    """

    def __init__(self, document: Any, resolved: Mapping[str, str], draft: int) -> None:
        self._draft = draft
        self._id_keyword = "id" if draft == 4 else "$id"
        self._references = References(document, resolved, self._id_keyword)
        self._referred: dict[int, SchemaNode] = {}
        self._waiting: list[tuple[SchemaNode, Any, SchemaLocation, str]] = []
        self._array_keywords = _ARRAY | ({"contains"} if draft > 4 else set())
        self._object_keywords = _OBJECT | ({"propertyNames"} if draft > 4 else set())

    def load(self) -> SchemaNode:
        """Return the node of the whole schema. Raises `InvalidSchema`."""
        root = self._references.root
        node = self.schema(root.document, root, "#")
        self._referred[id(root.document)] = node
        # References are resolved one after the other, so that a long chain of them needs no deep stack.
        while self._waiting:
            reference, json, place, path = self._waiting.pop()
            known = self._referred.get(id(json)) if isinstance(json, dict) else None
            if known is None:
                known = self.schema(json, place, path)
                self._referred[id(json)] = known
            reference.inner = known
        return node

    def schema(self, json: Any, place: SchemaLocation, path: str) -> SchemaNode:
        """Return the node of one schema inside the document."""
        if isinstance(json, bool):
            return SchemaNode("true" if json else "false", json)
        if not isinstance(json, dict):
            raise InvalidSchema(f"{path}: expected a schema (an object, true or false), found {compact(json)[:100]}")
        if "$ref" in json:
            node = self.reference(json, "$ref", place, path)
        else:
            if path != "#":
                place = self._references.base_of(json, place)
            nodes = self._nodes(json, place, path)
            node = (
                nodes[0] if len(nodes) == 1 else combined("allOf", nodes, json) if nodes else SchemaNode("empty", json)
            )
        self.describe(node, json, path)
        return node

    def reference(self, json: dict[str, Any], keyword: str, place: SchemaLocation, path: str) -> SchemaNode:
        """Return a node that will refer to what a `$ref` names."""
        name = keywords.text(json, keyword, path) or "#"
        node = SchemaNode("reference", json)
        self._waiting.append((node, *self._references.find(name, place, path), path))
        return node

    def describe(self, node: SchemaNode, json: dict[str, Any], path: str) -> None:
        """Take over the keywords that describe a schema."""
        node.id = keywords.text(json, self._id_keyword, path)
        node.title = keywords.text(json, "title", path)
        node.description = keywords.text(json, "description", path)
        node.default = json.get("default", MISSING)
        node.connect_type = json.get("connect.type")

    def _nodes(self, json: dict[str, Any], place: SchemaLocation, path: str) -> list[SchemaNode]:
        nodes = []
        if "enum" in json:
            nodes.append(enum(json, path))
        for criterion in COMBINATIONS:
            if criterion in json:
                children = [
                    self.schema(inner, place, f"{path}/{criterion}/{at}")
                    for at, inner in enumerate(keywords.array(json, criterion, path))
                ]
                nodes.append(combined(criterion, children, json[criterion]))
        if "not" in json:
            nodes.append(SchemaNode("not", json["not"], inner=self.schema(json["not"], place, f"{path}/not")))
        if "const" in json and self._draft > 4:
            nodes.append(SchemaNode("const", json["const"], values=frozenset([compact(json["const"], sort_keys=True)])))
        if "type" in json:
            nodes.append(self._typed(json, place, path))
        types = json.get("type")
        seen = {types} if isinstance(types, str) else set(types or ())
        for kind, build, names in self._groups():
            if not seen & ({"integer", "number"} if kind == "number" else {kind}) and not names.isdisjoint(json):
                nodes.append(build(json, place, path))
        if self._draft == 7 and not {"if", "then", "else"}.isdisjoint(json):
            for name in {"if", "then", "else"} & json.keys():
                self.schema(json[name], place, f"{path}/{name}")
            nodes.append(SchemaNode("conditional", json))
        return nodes

    def _groups(self) -> list[tuple[Kind, Callable[[dict[str, Any], SchemaLocation, str], SchemaNode], set[str]]]:
        return [
            ("array", self._array, self._array_keywords),
            ("object", self._object, self._object_keywords),
            ("number", self._number, set(keywords.NUMBERS)),
            ("string", string, set(keywords.STRINGS)),
        ]

    def _typed(self, json: dict[str, Any], place: SchemaLocation, path: str) -> SchemaNode:
        types = json["type"]
        if isinstance(types, str):
            return self._of_type(types, json, place, path)
        children = [self._of_type(one, json, place, path) for one in keywords.names(json, "type", path)]
        return combined("anyOf", children, types)

    def _of_type(self, type_: str, json: dict[str, Any], place: SchemaLocation, path: str) -> SchemaNode:
        match type_:
            case "string":
                return string(json, place, path)
            case "integer" | "number":
                node = self._number(json, place, path)
                node.limits["integer"] = type_ == "integer"
                node.source = [type_, json]
                return node
            case "array":
                return self._array(json, place, path)
            case "object":
                return self._object(json, place, path)
            case "boolean" | "null":
                return SchemaNode("boolean" if type_ == "boolean" else "null", {"type": type_})
        raise InvalidSchema(f"{path}/type: unknown type: [{type_}]")

    def _number(self, json: dict[str, Any], place: SchemaLocation, path: str) -> SchemaNode:
        node = SchemaNode("number", ["number", json])
        for name in keywords.NUMBERS:
            if self._draft == 4 and name.startswith("exclusive"):
                keywords.boolean(json, name, path)
            else:
                node.limits[name] = keywords.number(json, name, path)
        if node.limits["multipleOf"] == 0:
            raise InvalidSchema(f"{path}/multipleOf: should not be 0")
        return node

    def _object(self, json: dict[str, Any], place: SchemaLocation, path: str) -> SchemaNode:
        node = SchemaNode("object", ["object", json])
        for name in keywords.INTEGERS["object"]:
            node.limits[name] = keywords.integer(json, name, path)
        for name, inner in keywords.mapping(json, "properties", path).items():
            if name != self._id_keyword or isinstance(inner, dict):
                node.properties[name] = self.schema(inner, place, f"{path}/properties/{name}")
        node.required = set(keywords.names(json, "required", path))
        for name, inner in keywords.mapping(json, "patternProperties", path).items():
            inner_path = f"{path}/patternProperties/{name}"
            node.patterns[keywords.pattern(name, inner_path)] = self.schema(inner, place, inner_path)
        for name, inner in keywords.mapping(json, "dependencies", path).items():
            if isinstance(inner, list):
                required = keywords.names(json["dependencies"], name, f"{path}/dependencies")
                if required:
                    node.dependencies[name] = set(required)
            else:
                node.schema_dependencies[name] = self.schema(inner, place, f"{path}/dependencies/{name}")
        if "propertyNames" in json and self._draft > 4:
            self.schema(json["propertyNames"], place, f"{path}/propertyNames")
        self._additional(node, json, "additionalProperties", place, path)
        return node

    def _array(self, json: dict[str, Any], place: SchemaLocation, path: str) -> SchemaNode:
        node = SchemaNode("array", ["array", json])
        for name in keywords.INTEGERS["array"]:
            node.limits[name] = keywords.integer(json, name, path)
        node.limits["uniqueItems"] = keywords.boolean(json, "uniqueItems", path)
        for name in ("maxContains", "minContains"):
            value = json.get(name)
            node.limits[name] = value if isinstance(value, int) and not isinstance(value, bool) else None
        items = json.get("items")
        if isinstance(items, list):
            node.children = [self.schema(inner, place, f"{path}/items/{at}") for at, inner in enumerate(items)]
        elif items is not None:
            node.items = self.schema(items, place, f"{path}/items")
        if "contains" in json and self._draft > 4:
            self.schema(json["contains"], place, f"{path}/contains")
        self._additional(node, json, "additionalItems", place, path)
        return node

    def _additional(self, node: SchemaNode, json: dict[str, Any], name: str, place: SchemaLocation, path: str) -> None:
        additional = json.get(name, True)
        if isinstance(additional, bool):
            node.permits_additional = additional
        else:
            node.additional = self.schema(additional, place, f"{path}/{name}")


def string(json: dict[str, Any], place: SchemaLocation | None, path: str) -> SchemaNode:
    """Return the node of the keywords for strings. `format` is an annotation."""
    del place
    node = SchemaNode("string", ["string", json])
    for name in keywords.INTEGERS["string"]:
        node.limits[name] = keywords.integer(json, name, path)
    expression = keywords.text(json, "pattern", path)
    node.limits["pattern"] = None if expression is None else keywords.pattern(expression, f"{path}/pattern")
    keywords.text(json, "format", path)
    return node


def enum(json: dict[str, Any], path: str) -> SchemaNode:
    """Return the node of an enum."""
    values = keywords.array(json, "enum", path)
    return SchemaNode("enum", values, values=frozenset(compact(value, sort_keys=True) for value in values))
