"""Compares objects and arrays. What may be added or removed depends on the content model.

Open: anything else is permitted. Closed: nothing else. Partially open: properties that match a pattern or
a separate schema.
"""

from collections.abc import Callable, Iterable

from sandbox.schemas.json_schema.differences import JsonSchemaDifference, are_compatible
from sandbox.schemas.json_schema.nodes import MISSING, SchemaNode
from sandbox.schemas.regular_expressions import found_in


def largest_matching(left: int, right: int, pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return as many of the pairs as possible so that no member is in two of them.

    Args:
        left: The number of members on the left, which are 0 to left - 1.
        right: The number of members on the right.
        pairs: The pairs that may be chosen.
    """
    partners: list[list[int]] = [[] for _ in range(left)]
    for one, other in pairs:
        partners[one].append(other)
    matched: list[int | None] = [None] * right
    for start in range(left):
        _match(start, partners, matched)
    return sorted((one, other) for other, one in enumerate(matched) if one is not None)


def _match(start: int, partners: list[list[int]], matched: list[int | None]) -> None:
    """Find a path from an unmatched member that alternates between free and chosen pairs, and switch them."""
    came_from: dict[int, int] = {}
    waiting = [start]
    while waiting:
        one = waiting.pop()
        for other in partners[one]:
            if other in came_from:
                continue
            came_from[other] = one
            holder = matched[other]
            if holder is not None:
                waiting.append(holder)
                continue
            # A free partner: everybody on the path takes the partner that it was reached by.
            current: int | None = other
            while current is not None:
                taker = came_from[current]
                previous = matched.index(taker) if taker in matched else None
                matched[current] = taker
                current = previous
            return


Differences = list[JsonSchemaDifference]
Compare = Callable[[SchemaNode | None, SchemaNode | None], Differences]


def object_differences(original: SchemaNode, update: SchemaNode, compare: Compare) -> Differences:
    """Return the differences of two objects."""
    found = _required_differences(original, update)
    found += _property_differences(original, update, compare)
    found += _dependency_differences(original, update, compare)
    found += _additional_differences(original, update, compare, "additionalProperties", "ADDITIONAL_PROPERTIES")
    found += _unevaluated_differences(original, update, compare, "unevaluatedProperties", "UNEVALUATED_PROPERTIES")
    found += limit_difference(original, update, "maxProperties", "MAX_PROPERTIES")
    return found + limit_difference(original, update, "minProperties", "MIN_PROPERTIES")


def array_differences(original: SchemaNode, update: SchemaNode, compare: Compare) -> Differences:
    """Return the differences of two arrays."""
    found = [one.below("items") for one in compare(original.items, update.items)]
    found += _tuple_differences(original, update, compare)
    found += _additional_differences(original, update, compare, "additionalItems", "ADDITIONAL_ITEMS")
    found += _unevaluated_differences(original, update, compare, "unevaluatedItems", "UNEVALUATED_ITEMS")
    found += limit_difference(original, update, "maxItems", "MAX_ITEMS")
    found += limit_difference(original, update, "minItems", "MIN_ITEMS")
    before, after = bool(original.limits.get("uniqueItems")), bool(update.limits.get("uniqueItems"))
    if before != after:
        found.append(JsonSchemaDifference(f"UNIQUE_ITEMS_{'REMOVED' if before else 'ADDED'}", ("uniqueItems",)))
    found += limit_difference(original, update, "maxContains", "MAX_CONTAINS")
    return found + limit_difference(original, update, "minContains", "MIN_CONTAINS")


def limit_difference(original: SchemaNode, update: SchemaNode, keyword: str, name: str) -> Differences:
    """Compare a keyword with a number: it is added, removed, increased or decreased."""
    before, after = original.limits.get(keyword), update.limits.get(keyword)
    if before == after:
        return []
    if before is None:
        return [JsonSchemaDifference(f"{name}_ADDED", (keyword,))]
    if after is None:
        return [JsonSchemaDifference(f"{name}_REMOVED", (keyword,))]
    return [JsonSchemaDifference(f"{name}_{'INCREASED' if before < after else 'DECREASED'}", (keyword,))]


def _is_open(node: SchemaNode) -> bool:
    if not node.permits_additional or node.additional is not None or node.patterns:
        return False
    return node.unevaluated is None or node.unevaluated.accepts_anything


def _partial(node: SchemaNode, name: str | None) -> SchemaNode | None:
    """Return the schema that a partially open content model has for a property that it does not list."""
    if name is not None:
        for pattern, schema in node.patterns.items():
            if found_in(pattern, name):
                return schema
    if node.additional is not None:
        return node.additional
    rest = node.unevaluated
    if node.permits_additional and rest is not None and rest.kind != "false" and not rest.accepts_anything:
        return rest
    return None


def _required_differences(original: SchemaNode, update: SchemaNode) -> Differences:
    found = []
    for name in original.properties:
        if name not in update.properties:
            continue
        path = ("required", name)
        if name in original.required and name not in update.required:
            found.append(JsonSchemaDifference("REQUIRED_ATTRIBUTE_REMOVED", path))
        elif name in update.required and name not in original.required:
            with_default = update.properties[name].default is not MISSING
            found.append(
                JsonSchemaDifference(f"REQUIRED_ATTRIBUTE_{'WITH_DEFAULT_' if with_default else ''}ADDED", path)
            )
    return found


def _property_differences(original: SchemaNode, update: SchemaNode, compare: Compare) -> Differences:
    found = []
    for name in dict.fromkeys([*original.properties, *update.properties]):
        before, after = original.properties.get(name), update.properties.get(name)
        if before is None and after is not None:
            inner = _added_property(original, update, name, after, compare)
        elif before is not None and after is None:
            inner = _removed(update, name, before, compare, "PROPERTY")
        else:
            inner = compare(before, after)
        found += [one.below("properties", name) for one in inner]
    return found


def _removed(update: SchemaNode, name: str | None, before: SchemaNode, compare: Compare, noun: str) -> Differences:
    if _is_open(update):
        return [JsonSchemaDifference(f"{noun}_REMOVED_FROM_OPEN_CONTENT_MODEL")]
    partial = _partial(update, name)
    if partial is not None:
        inner = compare(before, partial)
        word = "IS" if are_compatible(inner) else "NOT"
        return [*inner, JsonSchemaDifference(f"{noun}_REMOVED_{word}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL")]
    if before.kind == "false":
        return [JsonSchemaDifference(f"{noun}_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL")]
    return [JsonSchemaDifference(f"{noun}_REMOVED_FROM_CLOSED_CONTENT_MODEL")]


def _added_property(
    original: SchemaNode, update: SchemaNode, name: str, after: SchemaNode, compare: Compare
) -> Differences:
    is_required, with_default = name in update.required, after.default is not MISSING
    if _is_open(original):
        if after.accepts_anything:
            return [JsonSchemaDifference("PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL")]
        return [JsonSchemaDifference(f"{_property_noun(is_required, with_default)}_ADDED_TO_OPEN_CONTENT_MODEL")]
    found: Differences = []
    partial = _partial(original, name)
    if partial is not None:
        found += compare(partial, after)
        word = "IS" if are_compatible(found) else "NOT"
        found.append(JsonSchemaDifference(f"PROPERTY_ADDED_{word}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"))
    return [*found, JsonSchemaDifference(f"{_property_noun(is_required, with_default)}_ADDED_TO_UNOPEN_CONTENT_MODEL")]


def _property_noun(is_required: bool, with_default: bool) -> str:
    if not is_required:
        return "OPTIONAL_PROPERTY"
    return "REQUIRED_PROPERTY_WITH_DEFAULT" if with_default else "REQUIRED_PROPERTY"


def _tuple_differences(original: SchemaNode, update: SchemaNode, compare: Compare) -> Differences:
    found = []
    for place in range(max(len(original.children), len(update.children))):
        if place >= len(update.children):
            inner = _removed(update, None, original.children[place], compare, "ITEM")
        elif place >= len(original.children):
            inner = _added_item(original, update.children[place], compare)
        else:
            inner = compare(original.children[place], update.children[place])
        found += [one.below("items", str(place)) for one in inner]
    return found


def _added_item(original: SchemaNode, after: SchemaNode, compare: Compare) -> Differences:
    if _is_open(original):
        word = "_WITH_EMPTY_SCHEMA" if after.accepts_anything else ""
        return [JsonSchemaDifference(f"ITEM{word}_ADDED_TO_OPEN_CONTENT_MODEL")]
    partial = _partial(original, None)
    if partial is None:
        return [JsonSchemaDifference("ITEM_ADDED_TO_CLOSED_CONTENT_MODEL")]
    inner = compare(partial, after)
    word = "IS" if are_compatible(inner) else "NOT"
    return [*inner, JsonSchemaDifference(f"ITEM_ADDED_{word}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL")]


def _additional_differences(
    original: SchemaNode, update: SchemaNode, compare: Compare, keyword: str, name: str
) -> Differences:
    if original.permits_additional != update.permits_additional:
        return [JsonSchemaDifference(f"{name}_{'ADDED' if update.permits_additional else 'REMOVED'}", (keyword,))]
    if (original.additional is None) != (update.additional is None):
        return [JsonSchemaDifference(f"{name}_{'NARROWED' if original.additional is None else 'EXTENDED'}", (keyword,))]
    return [one.below(keyword) for one in compare(original.additional, update.additional)]


def _unevaluated_differences(
    original: SchemaNode, update: SchemaNode, compare: Compare, keyword: str, name: str
) -> Differences:
    before, after = _strictness(original.unevaluated), _strictness(update.unevaluated)
    if original.unevaluated is None and update.unevaluated is None:
        return []
    if (before == "false") != (after == "false"):
        return [JsonSchemaDifference(f"{name}_{'ADDED' if before == 'false' else 'REMOVED'}", (keyword,))]
    if original.unevaluated is None or (update.unevaluated is not None and before == "anything" != after):
        return [JsonSchemaDifference(f"{name}_NARROWED", (keyword,))]
    if update.unevaluated is None or after == "anything" != before:
        return [JsonSchemaDifference(f"{name}_EXTENDED", (keyword,))]
    return [one.below(keyword) for one in compare(original.unevaluated, update.unevaluated)]


def _strictness(node: SchemaNode | None) -> str:
    if node is None:
        return "missing"
    return "false" if node.kind == "false" else "anything" if node.accepts_anything else "schema"


def _dependency_differences(original: SchemaNode, update: SchemaNode, compare: Compare) -> Differences:
    found = []
    for name in dict.fromkeys([*original.dependencies, *update.dependencies]):
        change = _names_change(original.dependencies.get(name), update.dependencies.get(name))
        if change:
            found.append(JsonSchemaDifference(f"DEPENDENCY_ARRAY_{change}", ("dependencies", name)))
    for name in dict.fromkeys([*original.schema_dependencies, *update.schema_dependencies]):
        before, after = original.schema_dependencies.get(name), update.schema_dependencies.get(name)
        if before is None or after is None:
            inner = [JsonSchemaDifference(f"DEPENDENCY_SCHEMA_{'ADDED' if before is None else 'REMOVED'}")]
        else:
            inner = compare(before, after)
        found += [one.below("dependencies", name) for one in inner]
    return found


def _names_change(before: set[str] | None, after: set[str] | None) -> str:
    if before == after:
        return ""
    if before is None or after is None:
        return "ADDED" if before is None else "REMOVED"
    return "EXTENDED" if before < after else "NARROWED" if after < before else "CHANGED"
