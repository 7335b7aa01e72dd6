"""Random values of a JSON Schema. Types, enums, bounds, required properties and combinations are followed.

What cannot be met by construction, such as `not`, patterns and uniqueness, is left to chance.
"""

import random
import uuid
from decimal import Decimal
from typing import Any

from sandbox.schemas.json_schema.nodes import MISSING, SchemaNode
from sandbox.schemas.json_text import parse_json
from sandbox.schemas.schema import InvalidValue
from sandbox.schemas.words import random_text

MAX_DEPTH = 6
"""The nesting from which optional properties and items are left out."""


def example(node: SchemaNode, rng: random.Random, depth: int = 0, name: str = "") -> Any:
    """Return a random value; the same state of `rng` gives the same value.

    Raises:
        InvalidValue: A recursive schema has no finite value, or the schema permits nothing.
    """
    if depth > 50:
        raise InvalidValue("the recursive schema has no finite value")
    match node.kind:
        case "reference" if node.inner is not None:
            return example(node.inner, rng, depth + 1, name)
        case "enum" | "const":
            return parse_json(rng.choice(sorted(node.values)), decimals=True)
        case "combined":
            return _combination(node, rng, depth, name)
        case "object":
            return _object(node, rng, depth)
        case "array":
            return _array(node, rng, depth, name)
        case "number":
            return _number(node, rng)
        case "string":
            return _string(node, rng, name)
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
        case "false":
            raise InvalidValue("the schema permits nothing")
    return random_text(rng, name)


def _combination(node: SchemaNode, rng: random.Random, depth: int, name: str) -> Any:
    if not node.children:
        return {}
    if node.criterion != "allOf":
        return example(rng.choice(node.children), rng, depth + 1, name)
    value: Any = MISSING
    for child in sorted(node.children, key=lambda one: one.kind not in ("enum", "const")):
        if child.kind in ("not", "conditional"):
            continue
        if value is MISSING:
            value = example(child, rng, depth + 1, name)
        elif isinstance(value, dict):
            other = example(child, rng, depth + 1, name)
            value = value | other if isinstance(other, dict) else value
    return {} if value is MISSING else value


def _object(node: SchemaNode, rng: random.Random, depth: int) -> dict[str, Any]:
    value = {}
    for name, inner in node.properties.items():
        if name in node.required or (depth < MAX_DEPTH and inner.kind != "false" and rng.random() < 0.8):
            value[name] = example(inner, rng, depth + 1, name)
    for name in sorted(node.required - value.keys()):
        value[name] = example(node.additional, rng, depth + 1, name) if node.additional else random_text(rng, name)
    return value


def _array(node: SchemaNode, rng: random.Random, depth: int, name: str) -> list[Any]:
    least = node.limits.get("minItems") or 0
    most = node.limits.get("maxItems")
    count = max(least, 0 if depth >= MAX_DEPTH else rng.randint(0, 3), node.limits.get("minContains") or 0)
    count = min(count if most is None else min(count, most), 1000)
    schemas = [*node.children[:count], *[node.items or node.additional] * (count - len(node.children))]
    return [random_text(rng, name) if schema is None else example(schema, rng, depth + 1, name) for schema in schemas]


def _number(node: SchemaNode, rng: random.Random) -> int | Decimal:
    limits = node.limits
    least, above = limits.get("minimum"), limits.get("exclusiveMinimum")
    most, below = limits.get("maximum"), limits.get("exclusiveMaximum")
    step = limits.get("multipleOf") or (1 if limits.get("integer") else Decimal("0.01"))
    low = max((bound for bound in (least, above) if bound is not None), default=None)
    high = min((bound for bound in (most, below) if bound is not None), default=None)
    if low is None:
        low = 0 if high is None else high - 1000 * step
    if high is None:
        high = low + 1000 * step
    first = -(-Decimal(low) // Decimal(step)) if low > 0 else Decimal(low) // Decimal(step)
    first += 0 if first * step >= low else 1
    first += 1 if above is not None and first * step <= above else 0
    last = Decimal(high) // Decimal(step)
    last -= 1 if last * step > high or (below is not None and last * step >= below) else 0
    number = rng.randint(int(first), max(int(first), int(last))) * step
    return int(number) if limits.get("integer") else number


def _string(node: SchemaNode, rng: random.Random, name: str) -> str:
    source = node.source[1] if isinstance(node.source, list) and len(node.source) == 2 else None
    match source.get("format") if isinstance(source, dict) else None:
        case "date":
            return f"2024-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        case "date-time":
            return f"2024-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randrange(24):02}:00:00Z"
        case "time":
            return f"{rng.randrange(24):02}:{rng.randrange(60):02}:00Z"
        case "uuid":
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        case "email":
            return random_text(rng, "email")
    text = random_text(rng, name)
    least, most = node.limits.get("minLength") or 0, node.limits.get("maxLength")
    text = text.ljust(min(least, 10_000), "x")
    return text if most is None else text[:most]
