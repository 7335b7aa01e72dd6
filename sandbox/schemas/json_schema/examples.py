"""Random values of a JSON Schema.

Types, enums, bounds, required properties, combinations, formats and most patterns are met by construction. What can't
be, such as `not` and conditions, is left to chance: `JsonSchema.example` draws until a value passes the check.
"""

import random
import uuid
from decimal import Decimal
from typing import Any

from sandbox.schemas.json_schema.nodes import MISSING, SchemaNode
from sandbox.schemas.json_schema.pattern_text import text_matching
from sandbox.schemas.json_text import compact, parse_json
from sandbox.schemas.schema import InvalidValue
from sandbox.schemas.words import random_text

MAX_DEPTH = 6
"""The nesting from which optional properties and items are left out."""
UNIQUE_TRIES = 20
_SCALARS = ("number", "string")


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
            return _exact(node, rng)
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


def _exact(node: SchemaNode, rng: random.Random) -> Any:
    if not node.values:
        raise InvalidValue("the enum has no values")
    return parse_json(rng.choice(sorted(node.values)), decimals=True)


def _combination(node: SchemaNode, rng: random.Random, depth: int, name: str) -> Any:
    if not node.children:
        return {}
    if node.criterion != "allOf":
        # Deep inside, what nests is avoided, so that recursive schemas end.
        flat = [one for one in node.children if one.kind not in ("object", "array", "reference", "combined", "false")]
        return example(rng.choice(flat if flat and depth >= MAX_DEPTH else node.children), rng, depth + 1, name)
    value: Any = MISSING
    children = [_followed(child) for child in node.children]
    for child in sorted(children, key=_order):
        if child.kind in ("not", "conditional", "empty", "true"):
            continue
        if value is MISSING:
            merged = _merged(child, [one for one in children if one.kind == child.kind])
            value = example(merged, rng, depth + 1, name)
        elif isinstance(value, dict):
            other = example(child, rng, depth + 1, name)
            value = value | other if isinstance(other, dict) else value
    return {} if value is MISSING else value


def _followed(node: SchemaNode) -> SchemaNode:
    return node.inner if node.kind == "reference" and node.inner is not None else node


def _order(node: SchemaNode) -> int:
    """What permits the fewest values comes first: it decides the value of an allOf."""
    if node.kind in ("enum", "const"):
        return 0
    return 1 if node.kind == "combined" else 2


def _merged(node: SchemaNode, alike: list[SchemaNode]) -> SchemaNode:
    """Return a node with the limits of all scalars of its kind."""
    if node.kind not in _SCALARS or len(alike) < 2:
        return node
    limits: dict[str, Any] = {}
    for one in alike:
        for name, limit in one.limits.items():
            if limit is None:
                continue
            before = limits.get(name)
            if before is None:
                limits[name] = limit
            elif name in ("minimum", "exclusiveMinimum", "minLength", "multipleOf"):
                limits[name] = max(before, limit)
            elif name in ("maximum", "exclusiveMaximum", "maxLength"):
                limits[name] = min(before, limit)
            elif name == "integer":
                limits[name] = before or limit
    source = next((one.source for one in alike if _keywords(one).keys() & {"format", "pattern"}), node.source)
    return SchemaNode(node.kind, source, limits=limits)


def _object(node: SchemaNode, rng: random.Random, depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    most = node.limits.get("maxProperties")
    for name, inner in node.properties.items():
        room = most is None or len(value) + len(node.required - value.keys()) < most
        if name in node.required or (room and depth < MAX_DEPTH and inner.kind != "false" and rng.random() < 0.8):
            value[name] = example(inner, rng, depth + 1, name)
    needed = set(node.required)
    for name in list(value):
        needed |= node.dependencies.get(name, set())
    for name in sorted(needed - value.keys()):
        inner_node = node.properties.get(name) or node.additional
        value[name] = example(inner_node, rng, depth + 1, name) if inner_node else random_text(rng, name)
    _fill_up(node, value, rng, depth)
    return value


def _fill_up(node: SchemaNode, value: dict[str, Any], rng: random.Random, depth: int) -> None:
    """Add properties up to `minProperties`; also to an object that is a map, or has a pattern for names."""
    least = min(node.limits.get("minProperties") or 0, 1000)
    for name in sorted(node.properties.keys() - value.keys()):
        if len(value) < least and node.properties[name].kind != "false":
            value[name] = example(node.properties[name], rng, depth + 1, name)
    is_map = not node.properties and not node.required and node.additional is not None and depth < MAX_DEPTH
    most = node.limits.get("maxProperties")
    wanted = max(least, rng.randint(0, 3) if is_map else 0)
    wanted = wanted if most is None else min(wanted, most)
    if len(value) < wanted and not node.permits_additional and node.patterns:
        pattern, inner = next(iter(node.patterns.items()))
        for _ in range(UNIQUE_TRIES):
            made = text_matching(pattern, rng)
            if len(value) < wanted and made is not None:
                value[made] = example(inner, rng, depth + 1, made)
        return
    for at in range(wanted - len(value)):
        name = f"key-{at}"
        value[name] = example(node.additional, rng, depth + 1, name) if node.additional else random_text(rng, name)


def _array(node: SchemaNode, rng: random.Random, depth: int, name: str) -> list[Any]:
    least = node.limits.get("minItems") or 0
    most = node.limits.get("maxItems")
    usual = 0 if depth >= MAX_DEPTH else rng.randint(0, 3 if depth < 3 else 1)
    count = max(least, usual, node.limits.get("minContains") or 0)
    count = min(count if most is None else min(count, most), 1000)
    rest = node.items or node.additional
    if not node.permits_additional:
        count = min(count, len(node.children)) if node.items is None else count
    schemas = [*node.children[:count], *[rest] * (count - len(node.children))]
    unique = bool(node.limits.get("uniqueItems"))
    found: list[Any] = []
    seen: set[str] = set()
    for schema in schemas:
        for _ in range(UNIQUE_TRIES if unique else 1):
            item = random_text(rng, name) if schema is None else example(schema, rng, depth + 1, name)
            text = compact(item, sort_keys=True) if unique else ""
            if not unique or text not in seen:
                seen.add(text)
                found.append(item)
                break
    return found


def _number(node: SchemaNode, rng: random.Random) -> int | Decimal:
    limits = node.limits
    least, above = limits.get("minimum"), limits.get("exclusiveMinimum")
    most, below = limits.get("maximum"), limits.get("exclusiveMaximum")
    integer = bool(limits.get("integer"))
    step = Decimal(str(limits.get("multipleOf") or (1 if integer else Decimal("0.01"))))
    if integer and step != step.to_integral_value():
        # The multiples that are integers: 0.5 has each second one, 0.75 each fourth.
        step *= step.as_integer_ratio()[1]
    low = max((Decimal(str(bound)) for bound in (least, above) if bound is not None), default=None)
    high = min((Decimal(str(bound)) for bound in (most, below) if bound is not None), default=None)
    if low is None:
        low = Decimal(0) if high is None or high > 0 else high - 1000 * step
    if high is None:
        high = max(low, Decimal(0)) + 1000 * step
    first = (low / step).to_integral_value("ROUND_CEILING")
    first += 1 if above is not None and first * step <= Decimal(str(above)) else 0
    last = (high / step).to_integral_value("ROUND_FLOOR")
    last -= 1 if below is not None and last * step >= Decimal(str(below)) else 0
    if last < first:
        if not integer and not limits.get("multipleOf") and high > low:
            # The usual step is too large for so narrow a range.
            return (low + high) / 2
        raise InvalidValue("no number is within the limits")
    number = rng.randint(int(first), int(last)) * step
    return int(number) if integer else number


def _keywords(node: SchemaNode) -> dict[str, Any]:
    source = node.source[1] if isinstance(node.source, list) and len(node.source) == 2 else None
    return source if isinstance(source, dict) else {}


def _string(node: SchemaNode, rng: random.Random, name: str) -> str:
    keywords = _keywords(node)
    pattern = keywords.get("pattern")
    least, most = min(node.limits.get("minLength") or 0, 10_000), node.limits.get("maxLength")
    if isinstance(pattern, str):
        for _ in range(UNIQUE_TRIES):
            matching = text_matching(pattern, rng)
            if matching is not None and least <= len(matching) and (most is None or len(matching) <= most):
                return matching
    formatted = _formatted(keywords.get("format"), rng)
    if formatted is not None:
        return formatted
    text = random_text(rng, name).ljust(least, "x")
    return text if most is None else text[:most]


def _formatted(form: Any, rng: random.Random) -> str | None:
    day = f"2024-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    time = f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}Z"
    word = random_text(rng, "id")
    match form:
        case "date":
            return day
        case "date-time":
            return f"{day}T{time}"
        case "time":
            return time
        case "duration":
            return f"P{rng.randrange(30)}DT{rng.randrange(24)}H"
        case "uuid":
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        case "email" | "idn-email":
            return random_text(rng, "email")
        case "hostname" | "idn-hostname":
            return f"{word}.example.com"
        case "ipv4":
            return f"192.0.2.{rng.randrange(256)}"
        case "ipv6":
            return f"2001:db8::{rng.randrange(65536):x}"
        case "uri" | "uri-reference" | "iri" | "iri-reference":
            return f"https://example.com/{word}"
        case "json-pointer":
            return f"/{word}"
    return None
