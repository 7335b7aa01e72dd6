"""The shape of the values of a JSON Schema. A form can't show `not` and conditions: the check covers them."""

from typing import Any

from sandbox.schemas.json_schema.nodes import MISSING, SchemaNode
from sandbox.schemas.json_text import parse_json
from sandbox.schemas.shape import UNSET, Shape, ShapeField


def shape(node: SchemaNode, known: dict[int, Shape] | None = None) -> Shape:
    """Return the shape of a node.

    Args:
        known: the shapes of nodes that were met before, by their identity.
    """
    known = {} if known is None else known
    node = _referenced(node)
    if id(node) in known:
        return known[id(node)]
    found = known[id(node)] = Shape("json", "any JSON")
    return found.become(_shape(node, known))


def _referenced(node: SchemaNode) -> SchemaNode:
    """Follow references; a cycle of references alone stays a reference."""
    seen: set[int] = set()
    while node.kind == "reference" and node.inner is not None and id(node) not in seen:
        seen.add(id(node))
        node = node.inner
    return node


def _shape(node: SchemaNode, known: dict[int, Shape]) -> Shape:
    match node.kind:
        case "enum" | "const":
            values = node.source if node.kind == "enum" and isinstance(node.source, list) else sorted(node.values)
            options = values if node.kind == "enum" else [parse_json(one, decimals=True) for one in values]
            return Shape("enum", node.kind, options=tuple(options))
        case "combined":
            return _combined(node, known)
        case "object":
            return _object(node, known)
        case "array" if node.children:
            return Shape("json", "array of a fixed form")
        case "array":
            return Shape(
                "list", "array", element=Shape("json", "any JSON") if node.items is None else _items(node, known)
            )
        case "number":
            return Shape("integer", "integer") if node.limits.get("integer") else Shape("number", "number")
        case "string":
            return _string(node)
        case "boolean":
            return Shape("boolean", "boolean")
        case "null":
            return Shape("null", "null")
    return Shape("json", "any JSON")


def _items(node: SchemaNode, known: dict[int, Shape]) -> Shape:
    assert node.items is not None
    return shape(node.items, known)


def _combined(node: SchemaNode, known: dict[int, Shape]) -> Shape:
    useful = [one for one in node.children if one.kind not in ("not", "conditional", "empty", "true")]
    if node.criterion in ("oneOf", "anyOf") and node.children:
        return Shape("choice", node.criterion, choices=[shape(child, known) for child in node.children])
    exact = next((one for one in useful if one.kind in ("enum", "const")), None)
    if exact is not None:
        return shape(exact, known)
    shapes = [shape(child, known) for child in useful]
    if len(shapes) == 1:
        return shapes[0]
    if shapes and all(one.kind == "record" for one in shapes):
        by_name: dict[str, ShapeField] = {}
        for one in (field for inner in shapes for field in inner.fields):
            before = by_name.get(one.name)
            if before is None or not before.required:
                by_name[one.name] = one
        return Shape("record", "allOf", fields=list(by_name.values()))
    return Shape("json", "allOf")


def _object(node: SchemaNode, known: dict[int, Shape]) -> Shape:
    if not node.properties and not node.required:
        element = Shape("json", "any JSON") if node.additional is None else shape(node.additional, known)
        return Shape("map", "object", element=element)
    fields = []
    for name, inner in node.properties.items():
        if inner.kind == "false":
            continue
        default: Any = UNSET if inner.default is MISSING else inner.default
        doc = inner.description or inner.title or ""
        fields.append(ShapeField(name, shape(inner, known), doc, name in node.required, default))
    for name in sorted(node.required - node.properties.keys()):
        inner_shape = Shape("json", "any JSON") if node.additional is None else shape(node.additional, known)
        fields.append(ShapeField(name, inner_shape))
    return Shape("record", "object", fields=fields)


def _string(node: SchemaNode) -> Shape:
    source = node.source[1] if isinstance(node.source, list) and len(node.source) == 2 else None
    source = source if isinstance(source, dict) else {}
    pattern = source.get("pattern")
    hint = f"pattern {pattern}" if isinstance(pattern, str) and len(pattern) <= 60 else ""
    match source.get("format"):
        case "date":
            return Shape("date", "date")
        case "date-time":
            return Shape("timestamp", "date-time", digits=3)
        case "uuid":
            return Shape("uuid", "uuid")
        case str(name):
            return Shape("text", name[:40], hint)
    return Shape("text", "string", hint)
