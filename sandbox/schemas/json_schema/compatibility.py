"""Compares two versions of a JSON Schema by the rules of Confluent's registry."""

from decimal import Decimal

from sandbox.schemas.json_schema.content_models import (
    array_differences,
    largest_matching,
    limit_difference,
    object_differences,
)
from sandbox.schemas.json_schema.differences import JsonSchemaDifference, are_compatible
from sandbox.schemas.json_schema.nodes import SchemaNode
from sandbox.schemas.json_text import compact
from sandbox.schemas.schema import TooManyComparisons

COMPARISONS_MAX = 100_000
"""The number of pairs of schemas that are compared before the check gives up."""

Differences = list[JsonSchemaDifference]


def differences(original: SchemaNode, update: SchemaNode) -> Differences:
    """Return the differences of an update of a schema; those that are not compatible break its readers.

    Raises:
        TooManyComparisons: More than `COMPARISONS_MAX` pairs would have to be compared.
    """
    # A recursive pair counts as compatible while it is being compared. If it turns out not to be, what was concluded
    # from that is wrong, so the comparison is repeated with the pairs that are known to be incompatible.
    known: dict[tuple[int, int], Differences] = {}
    while True:
        comparison = _JsonSchemaComparison(known)
        found = comparison.compare(original, update)
        incompatible = comparison.incompatible_pairs()
        if not comparison.assumed or incompatible.keys() == known.keys():
            return found
        known = incompatible


class _JsonSchemaComparison:
    def __init__(self, known: dict[tuple[int, int], Differences]) -> None:
        self._known = known
        self._compared: dict[tuple[int, int], Differences] = {}
        self._running: set[tuple[int, int]] = set()
        self.assumed = False

    def incompatible_pairs(self) -> dict[tuple[int, int], Differences]:
        return {pair: found for pair, found in self._compared.items() if not are_compatible(found)}

    def compare(self, original: SchemaNode | None, update: SchemaNode | None) -> Differences:
        if original is None or update is None:
            if original is update:
                return []
            return [JsonSchemaDifference("SCHEMA_ADDED" if original is None else "SCHEMA_REMOVED")]
        original, update = _target(original), _target(update)
        pair = (id(original), id(update))
        if pair in self._compared:
            return self._compared[pair]
        if pair in self._running:
            if pair in self._known:
                return self._known[pair]
            self.assumed = True
            return []
        if len(self._compared) >= COMPARISONS_MAX:
            raise TooManyComparisons(f"more than {COMPARISONS_MAX:,} pairs of schemas would have to be compared")
        self._running.add(pair)
        try:
            self._compared[pair] = self._differences(original, update)
        finally:
            self._running.discard(pair)
        return self._compared[pair]

    def _differences(self, original: SchemaNode, update: SchemaNode) -> Differences:
        covered = self._covered_by_combination(original, update)
        if covered is not None:
            return covered
        if original.kind != update.kind:
            if original.kind == "false" or update.accepts_anything:
                return []
            if original.connect_type == "bytes" == update.connect_type:
                return []
            return [JsonSchemaDifference("TYPE_CHANGED")]
        described = [
            JsonSchemaDifference(f"{attribute.upper()}_CHANGED")
            for attribute in ("id", "title", "description", "default")
            if getattr(original, attribute) != getattr(update, attribute)
        ]
        return described + self._by_kind(original, update)

    def _covered_by_combination(self, original: SchemaNode, update: SchemaNode) -> Differences | None:
        """A schema against a combination: one branch may be enough."""
        if (original.kind == "combined") == (update.kind == "combined"):
            return None
        several = original if original.kind == "combined" else update
        is_update = several is update
        criteria = ("anyOf", "oneOf") if is_update else ("allOf",)
        if len(several.children) != 1 and several.criterion not in criteria:
            return None
        for child in several.children:
            found = self.compare(original, child) if is_update else self.compare(child, update)
            if are_compatible(found):
                if len(several.children) == 1:
                    return found
                return [*found, JsonSchemaDifference("SUM_TYPE_EXTENDED" if is_update else "PRODUCT_TYPE_NARROWED")]
        return None

    def _by_kind(self, original: SchemaNode, update: SchemaNode) -> Differences:
        match original.kind:
            case "string":
                return _string_differences(original, update)
            case "number":
                return _number_differences(original, update)
            case "const":
                return (
                    [] if original.values == update.values else [JsonSchemaDifference("ENUM_ARRAY_CHANGED", ("const",))]
                )
            case "enum":
                return _enum_differences(original, update)
            case "combined":
                return self._combined_differences(original, update)
            case "not":
                # The other way around: what must not match may match less.
                compatible = are_compatible(self.compare(update.inner, original.inner))
                return [JsonSchemaDifference("NOT_TYPE_NARROWED" if compatible else "NOT_TYPE_EXTENDED", ("not",))]
            case "object":
                return object_differences(original, update, self.compare)
            case "array":
                return array_differences(original, update, self.compare)
        return []

    def _combined_differences(self, original: SchemaNode, update: SchemaNode) -> Differences:
        found = _criterion_difference(original, update)
        if found == [JsonSchemaDifference("COMBINED_TYPE_CHANGED")]:
            return found
        # Equal branches count once.
        originals = list({compact(child.source, sort_keys=True): child for child in original.children}.values())
        updates = list({compact(child.source, sort_keys=True): child for child in update.children}.values())
        if len(originals) < len(updates):
            found.append(
                JsonSchemaDifference("PRODUCT_TYPE_EXTENDED" if update.criterion == "allOf" else "SUM_TYPE_EXTENDED")
            )
        elif len(originals) > len(updates):
            found.append(
                JsonSchemaDifference("PRODUCT_TYPE_NARROWED" if original.criterion == "allOf" else "SUM_TYPE_NARROWED")
            )
        pairs: dict[tuple[int, int], Differences] = {}
        for place, one in enumerate(originals):
            for at, other in enumerate(updates):
                inner = self.compare(one, other)
                if are_compatible(inner):
                    pairs[place, at] = [each.below(original.criterion, str(place)) for each in inner]
        matching = largest_matching(len(originals), len(updates), pairs.keys())
        for pair in matching:
            found += pairs[pair]
        if len(matching) < min(len(originals), len(updates)):
            found.append(JsonSchemaDifference("COMBINED_TYPE_SUBSCHEMAS_CHANGED"))
        return found


def _target(node: SchemaNode) -> SchemaNode:
    seen = set()
    while node.kind == "reference" and node.inner is not None and id(node) not in seen:
        seen.add(id(node))
        node = node.inner
    return node


def _criterion_difference(original: SchemaNode, update: SchemaNode) -> Differences:
    if original.criterion == update.criterion:
        return []
    one, other = len(original.children) == 1, len(update.children) == 1
    if (
        update.criterion == "anyOf"
        or (one and other)
        or (one and update.criterion == "oneOf")
        or (other and original.criterion == "allOf")
    ):
        return [JsonSchemaDifference("COMBINED_TYPE_EXTENDED")]
    return [JsonSchemaDifference("COMBINED_TYPE_CHANGED")]


def _string_differences(original: SchemaNode, update: SchemaNode) -> Differences:
    found = limit_difference(original, update, "maxLength", "MAX_LENGTH")
    found += limit_difference(original, update, "minLength", "MIN_LENGTH")
    before, after = original.limits.get("pattern"), update.limits.get("pattern")
    if before != after:
        change = "ADDED" if before is None else "REMOVED" if after is None else "CHANGED"
        found.append(JsonSchemaDifference(f"PATTERN_{change}", ("pattern",)))
    return found


def _number_differences(original: SchemaNode, update: SchemaNode) -> Differences:
    found: Differences = []
    for keyword, name in (
        ("maximum", "MAXIMUM"),
        ("minimum", "MINIMUM"),
        ("exclusiveMaximum", "EXCLUSIVE_MAXIMUM"),
        ("exclusiveMinimum", "EXCLUSIVE_MINIMUM"),
    ):
        found += limit_difference(original, update, keyword, name)
    found += _multiple_of_difference(original, update)
    before, after = bool(original.limits.get("integer")), bool(update.limits.get("integer"))
    if before != after:
        found.append(JsonSchemaDifference("TYPE_EXTENDED" if before else "TYPE_NARROWED"))
    return found


def _multiple_of_difference(original: SchemaNode, update: SchemaNode) -> Differences:
    before, after = original.limits.get("multipleOf"), update.limits.get("multipleOf")
    if before == after:
        return []
    if before is None or after is None:
        return [JsonSchemaDifference(f"MULTIPLE_OF_{'ADDED' if before is None else 'REMOVED'}", ("multipleOf",))]
    if _divides(before, after):
        return [JsonSchemaDifference("MULTIPLE_OF_EXPANDED", ("multipleOf",))]
    return [JsonSchemaDifference(f"MULTIPLE_OF_{'REDUCED' if _divides(after, before) else 'CHANGED'}", ("multipleOf",))]


def _divides(divisor: int | Decimal, number: int | Decimal) -> bool:
    numerator, denominator = Decimal(number).as_integer_ratio()
    by_numerator, by_denominator = Decimal(divisor).as_integer_ratio()
    return numerator * by_denominator % (denominator * by_numerator) == 0


def _enum_differences(original: SchemaNode, update: SchemaNode) -> Differences:
    if original.values == update.values:
        return []
    if original.values < update.values:
        return [JsonSchemaDifference("ENUM_ARRAY_EXTENDED", ("enum",))]
    narrowed = update.values < original.values
    return [JsonSchemaDifference(f"ENUM_ARRAY_{'NARROWED' if narrowed else 'CHANGED'}", ("enum",))]
