"""Loads JSON Schema of all drafts into nodes."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sandbox.schemas.json_schema.nodes import MISSING, Kind, SchemaNode, combined
from sandbox.schemas.json_schema.references import References, SchemaLocation
from sandbox.schemas.json_text import compact
from sandbox.schemas.schema import InvalidSchema

INTEGERS = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
STRINGS = ("minLength", "maxLength", "pattern", "format")


def number(json: dict[str, Any], name: str, path: str) -> int | Decimal | None:
    """Return a number; None if the keyword is missing."""
    value: int | Decimal | None = _typed(json, name, path, (int, Decimal), "a number")
    return value


def integer(json: dict[str, Any], name: str, path: str) -> int | None:
    """Return an integer; None if the keyword is missing."""
    value = _typed(json, name, path, (int, Decimal), "an integer")
    if value is not None and value != int(value):
        raise _wrong(json, name, path, "an integer")
    return None if value is None else int(value)


def text(json: dict[str, Any], name: str, path: str) -> str | None:
    """Return a string; None if the keyword is missing."""
    value: str | None = _typed(json, name, path, (str,), "a string")
    return value


def array(json: dict[str, Any], name: str, path: str) -> list[Any]:
    """Return a list; an empty one if the keyword is missing."""
    return _typed(json, name, path, (list,), "an array") or []


def mapping(json: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    """Return an object; an empty one if the keyword is missing."""
    return _typed(json, name, path, (dict,), "an object") or {}


def boolean(json: dict[str, Any], name: str, path: str) -> bool:
    """Return a boolean; False if the keyword is missing."""
    if name in json and not isinstance(json[name], bool):
        raise _wrong(json, name, path, "true or false")
    return bool(json.get(name))


def names(json: dict[str, Any], name: str, path: str) -> list[str]:
    """Return a list of strings; an empty one if the keyword is missing."""
    found = array(json, name, path)
    if not all(isinstance(one, str) for one in found):
        raise _wrong(json, name, path, "an array of strings")
    return found


def pattern(expression: str, path: str) -> str:
    """Return a regular expression that can be compiled, at least once Java's own syntax is set aside."""
    try:
        re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        if expression.count("(") != expression.count(")") or expression.count("[") > expression.count("]"):
            raise InvalidSchema(f"{expression!r} is not a regular expression: {error} (at {path})") from None
    return expression


def _typed(json: dict[str, Any], name: str, path: str, types: tuple[type, ...], expected: str) -> Any:
    if name not in json:
        return None
    value = json[name]
    if not isinstance(value, types) or isinstance(value, bool):
        raise _wrong(json, name, path, expected)
    return value


def _wrong(json: dict[str, Any], name: str, path: str, expected: str) -> InvalidSchema:
    shown = compact(json[name])
    return InvalidSchema(f"{path}/{name}: expected {expected}, found {shown[:100]}{'...' if len(shown) > 100 else ''}")


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
        name = text(json, keyword, path) or "#"
        node = SchemaNode("reference", json)
        self._waiting.append((node, *self._references.find(name, place, path), path))
        return node

    def describe(self, node: SchemaNode, json: dict[str, Any], path: str) -> None:
        """Take over the keywords that describe a schema."""
        node.id = text(json, self._id_keyword, path)
        node.title = text(json, "title", path)
        node.description = text(json, "description", path)
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
                    for at, inner in enumerate(array(json, criterion, path))
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
            ("number", self._number, set(NUMBERS)),
            ("string", string, set(STRINGS)),
        ]

    def _typed(self, json: dict[str, Any], place: SchemaLocation, path: str) -> SchemaNode:
        types = json["type"]
        if isinstance(types, str):
            return self._of_type(types, json, place, path)
        children = [self._of_type(one, json, place, path) for one in names(json, "type", path)]
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
        for name in NUMBERS:
            if self._draft == 4 and name.startswith("exclusive"):
                boolean(json, name, path)
            else:
                node.limits[name] = number(json, name, path)
        if node.limits["multipleOf"] == 0:
            raise InvalidSchema(f"{path}/multipleOf: should not be 0")
        return node

    def _object(self, json: dict[str, Any], place: SchemaLocation, path: str) -> SchemaNode:
        node = SchemaNode("object", ["object", json])
        for name in INTEGERS["object"]:
            node.limits[name] = integer(json, name, path)
        for name, inner in mapping(json, "properties", path).items():
            if name != self._id_keyword or isinstance(inner, dict):
                node.properties[name] = self.schema(inner, place, f"{path}/properties/{name}")
        node.required = set(names(json, "required", path))
        for name, inner in mapping(json, "patternProperties", path).items():
            inner_path = f"{path}/patternProperties/{name}"
            node.patterns[pattern(name, inner_path)] = self.schema(inner, place, inner_path)
        for name, inner in mapping(json, "dependencies", path).items():
            if isinstance(inner, list):
                required = names(json["dependencies"], name, f"{path}/dependencies")
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
        for name in INTEGERS["array"]:
            node.limits[name] = integer(json, name, path)
        node.limits["uniqueItems"] = boolean(json, "uniqueItems", path)
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
    for name in INTEGERS["string"]:
        node.limits[name] = integer(json, name, path)
    expression = text(json, "pattern", path)
    node.limits["pattern"] = None if expression is None else pattern(expression, f"{path}/pattern")
    text(json, "format", path)
    return node


def enum(json: dict[str, Any], path: str) -> SchemaNode:
    """Return the node of an enum."""
    values = array(json, "enum", path)
    return SchemaNode("enum", values, values=frozenset(compact(value, sort_keys=True) for value in values))


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
        for name, inner in mapping(json, "properties", path).items():
            node = SchemaNode("object", {"properties": {name: inner}})
            node.properties[name] = self.schema(inner, place, f"{path}/properties/{name}")
            nodes.append(node)
        for name, inner in mapping(json, "patternProperties", path).items():
            inner_path = f"{path}/patternProperties/{name}"
            node = SchemaNode("object", {"patternProperties": {name: inner}})
            node.patterns[pattern(name, inner_path)] = self.schema(inner, place, inner_path)
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
        if name in NUMBERS:
            return self._number({name: json[name]}, place, path)
        return self._object_keyword(name, json, place, path) or self._array_keyword(name, json, place, path)

    def _types(self, json: dict[str, Any], path: str) -> SchemaNode:
        types = json["type"]
        place = self._references.root
        if isinstance(types, str):
            return self._of_type(types, {}, place, path)
        children = [self._of_type(one, {}, place, path) for one in names(json, "type", path)]
        return combined("anyOf", children, types, generated=True)

    def _combination(self, json: dict[str, Any], criterion: str, place: SchemaLocation, path: str) -> SchemaNode:
        assert criterion in COMBINATIONS
        children: list[SchemaNode] = []
        for at, inner in enumerate(array(json, criterion, path)):
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
                for key in mapping(json, name, path):
                    required = names(json[name], key, f"{path}/{name}")
                    if required:
                        node.dependencies[key] = set(required)
                return node
            case "dependentSchemas":
                node = SchemaNode("object", {name: json[name]})
                for key, inner in mapping(json, name, path).items():
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
                    self.schema(inner, place, f"{path}/{name}/{at}") for at, inner in enumerate(array(json, name, path))
                ]
                return node
            case "contains":
                self.schema(json[name], place, f"{path}/{name}")
                node = SchemaNode("array", {name: json[name]})
                least = integer(json, "minContains", path)
                node.limits["minContains"] = 1 if least is None else least
                node.limits["maxContains"] = integer(json, "maxContains", path)
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
