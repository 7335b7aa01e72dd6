"""JSON Schema as the registry compares it: one node for each kind of assertion.

Confluent's registry does not compare keywords but the objects into which its validator loads them: a schema with a type
and an enum is a node of each, joined by a node `allOf`. The rules of compatibility depend on these nodes.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "empty", "true", "false", "string", "number", "boolean", "null", "object", "array", "enum", "const", "not",
    "combined", "conditional", "reference",
]  # fmt: skip


class _MissingNode:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _MissingNode()
"""A schema has no default; null is a default."""


@dataclass(eq=False, slots=True)
class SchemaNode:
    """One node.

    Attributes:
        kind: What it asserts.
        source: The JSON that it was parsed from.
        limits: The keywords with one value, such as `maxLength`, by name.
        inner: The schema of `not`, or that a reference refers to; None while references are being resolved.
        criterion: allOf, anyOf or oneOf of a combined node.
        generated: The combined node was not written as such: it joins the nodes of one object.
        children: The schemas of a combined node, or of an array's tuple.
        properties: The schemas of an object's properties.
        required: The names of required properties.
        permits_additional: Other properties, or items after a tuple, are permitted.
        additional: The schema of those; None if anything is permitted.
        items: The schema of all items of an array.
        unevaluated: The schema of `unevaluatedProperties` or `unevaluatedItems`.
        patterns: The schemas of `patternProperties`.
        dependencies: Names of properties that a property requires.
        schema_dependencies: Schemas that a property requires.
        values: The texts of an enum's or const's values.
        connect_type: The attribute `connect.type`, by which Connect marks bytes.
    """

    kind: Kind
    source: Any = None
    id: str | None = None
    title: str | None = None
    description: str | None = None
    default: Any = MISSING
    limits: dict[str, Any] = field(default_factory=dict)
    inner: "SchemaNode | None" = None
    criterion: str = ""
    generated: bool = False
    children: list["SchemaNode"] = field(default_factory=list)
    properties: dict[str, "SchemaNode"] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    permits_additional: bool = True
    additional: "SchemaNode | None" = None
    items: "SchemaNode | None" = None
    unevaluated: "SchemaNode | None" = None
    patterns: dict[str, "SchemaNode"] = field(default_factory=dict)
    dependencies: dict[str, set[str]] = field(default_factory=dict)
    schema_dependencies: dict[str, "SchemaNode"] = field(default_factory=dict)
    values: frozenset[str] = frozenset()
    connect_type: Any = None

    @property
    def accepts_anything(self) -> bool:
        return self.kind in ("empty", "true")


def combined(criterion: str, children: list[SchemaNode], source: Any = None, *, generated: bool = False) -> SchemaNode:
    """Return a combined node; combined children come first, as in the registry's validator."""
    ordered = sorted(children, key=lambda child: child.kind != "combined")
    return SchemaNode("combined", source, criterion=criterion, children=ordered, generated=generated)
