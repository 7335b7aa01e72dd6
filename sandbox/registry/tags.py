"""Tags inside schemas: the property `confluent:tags` of records and fields.

A path names an entity: `n.Order` or `n.Order.id` in Avro; in JSON Schema the way to it, such as `object.id`,
`object.lines.array.object.sku` or `object.definitions.Line.object`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sandbox.model.registry import JSON, PROTOBUF, EntityTags
from sandbox.registry.errors import invalid_schema
from sandbox.schemas.json_text import compact, parse_json
from sandbox.schemas.schema import InvalidSchema

TAGS = "confluent:tags"
RECORD, FIELD = "sr_record", "sr_field"
_BRANCHES = {"anyof": "anyOf", "oneof": "oneOf", "allof": "allOf"}
_DEFINITIONS = ("definitions", "$defs")

Object = dict[str, Any]


class Entity(NamedTuple):
    """A record or field of a schema.

    Attributes:
        kind: `RECORD` or `FIELD`.
        node: its JSON object in the schema.
    """

    path: str
    kind: str
    node: Object

    @property
    def tags(self) -> list[str]:
        """Its tags."""
        found = self.node.get(TAGS)
        return [str(tag) for tag in found] if isinstance(found, list) else []


def with_tags(schema_type: str, text: str, add: Sequence[EntityTags], remove: Sequence[EntityTags]) -> str:
    """Return a schema's text with tags added and removed.

    Raises:
        RegistryError: 42201 if a path names nothing in the schema, or if the schema is a Protobuf one.
    """
    if schema_type == PROTOBUF:
        raise invalid_schema("Tags of Protobuf schemas are options in their text: register the text with them")
    schema = _parsed(text)
    for path, kind in dict.fromkeys((one.path, one.kind) for one in (*add, *remove)):
        entity = _find(schema_type, schema, path.removeprefix("."), kind)
        if entity is None:
            raise invalid_schema(f"No matching path '{path}' found in the schema")
        added = [tag for one in add if (one.path, one.kind) == (path, kind) for tag in one.tags]
        removed = {tag for one in remove if (one.path, one.kind) == (path, kind) for tag in one.tags}
        tags = [tag for tag in dict.fromkeys((*entity.tags, *added)) if tag not in removed]
        entity.node.pop(TAGS, None)
        if tags:
            entity.node[TAGS] = tags
    return compact(schema)


def tags_in(schema_type: str, text: str, wanted: Iterable[str] = ("*",)) -> list[EntityTags]:
    """Return the tagged entities of a schema that have one of the wanted tags; "*" is any tag."""
    if schema_type == PROTOBUF:
        return []
    asked = set(wanted)
    found = [EntityTags(one.path, one.kind, tuple(one.tags)) for one in _entities(schema_type, _parsed(text))]
    return [one for one in found if one.tags and ("*" in asked or asked.intersection(one.tags))]


def _parsed(text: str) -> Any:
    try:
        return parse_json(text, decimals=True)
    except InvalidSchema as error:
        raise invalid_schema(str(error)) from error


def _find(schema_type: str, schema: Any, path: str, kind: str) -> Entity | None:
    if schema_type == JSON:
        node = _json_node(schema, path.split("."), kind)
        return None if node is None else Entity(path, kind, node)
    for entity in _entities(schema_type, schema):
        # A path without a namespace fits a record in any namespace.
        short = entity.path.split(".")[-path.count(".") - 1 :]
        if entity.kind == kind and path in (entity.path, ".".join(short)):
            return entity
    return None


def _entities(schema_type: str, schema: Any) -> Iterator[Entity]:
    return _json_entities(schema, "", False) if schema_type == JSON else _avro_entities(schema, "")


def _avro_entities(node: Any, namespace: str) -> Iterator[Entity]:
    if isinstance(node, list):
        for branch in node:
            yield from _avro_entities(branch, namespace)
    elif isinstance(node, dict):
        kind = node.get("type")
        if kind in ("record", "error"):
            yield from _avro_record(node, namespace)
        elif kind in ("array", "map"):
            yield from _avro_entities(node.get("items" if kind == "array" else "values"), namespace)
        else:
            yield from _avro_entities(kind, namespace)


def _avro_record(node: Object, namespace: str) -> Iterator[Entity]:
    name = str(node.get("name"))
    given = node.get("namespace", namespace)
    full = name if "." in name or not given else f"{given}.{name}"
    yield Entity(full, RECORD, node)
    for field in node.get("fields") or ():
        if isinstance(field, dict):
            yield Entity(f"{full}.{field.get('name')}", FIELD, field)
            yield from _avro_entities(field.get("type"), full.rpartition(".")[0])


def _json_entities(node: Any, scope: str, in_field: bool) -> Iterator[Entity]:
    if not isinstance(node, dict):
        return
    for word, keyword in _BRANCHES.items():
        branches = node.get(keyword)
        for place, branch in enumerate(branches if isinstance(branches, list) else ()):
            yield from _json_entities(branch, f"{scope}{word}.{place}.", False)
    items = node.get("items")
    if isinstance(items, dict):
        yield from _json_entities(items, f"{scope}array.", False)
    properties = node.get("properties")
    if node.get("type") == "object" or isinstance(properties, dict):
        if not in_field:
            yield Entity(f"{scope}object", RECORD, node)
        for name, inner in _members(properties):
            if isinstance(inner, dict):
                yield Entity(f"{scope}object.{name}", FIELD, inner)
                yield from _json_entities(inner, f"{scope}object.{name}.", True)
        for keyword in _DEFINITIONS:
            for name, inner in _members(node.get(keyword)):
                yield from _json_entities(inner, f"{scope}object.{keyword}.{name}.", False)


def _members(node: Any) -> Iterable[tuple[str, Any]]:
    return node.items() if isinstance(node, dict) else ()


def _json_node(node: Any, path: Sequence[str], kind: str) -> Object | None:
    if not isinstance(node, dict) or not path:
        return None
    word, rest = path[0], path[1:]
    if word == "object":
        return node if not rest and kind == RECORD else _json_member(node, rest, kind)
    if word == "array":
        return _json_node(node.get("items"), rest, kind)
    if word == "not":
        return _json_node(node.get("not"), rest, kind)
    branches = node.get(_BRANCHES.get(word, ""))
    if isinstance(branches, list) and rest and rest[0].isdecimal() and int(rest[0]) < len(branches):
        return _json_node(branches[int(rest[0])], rest[1:], kind)
    return None


def _json_member(node: Object, path: Sequence[str], kind: str) -> Object | None:
    keyword = path[0] if path and path[0] in _DEFINITIONS else "properties"
    names = path[1:] if keyword != "properties" else path
    members = node.get(keyword)
    if not isinstance(members, dict):
        return None
    # A name may have dots.
    for end in range(1, len(names) + 1):
        member = members.get(".".join(names[:end]))
        if isinstance(member, dict):
            return member if end == len(names) else _json_node(member, names[end:], kind)
    return None


def entity_json(tags: EntityTags) -> Object:
    """Return tags as the registry's JSON."""
    return {"schemaEntity": {"entityPath": tags.path, "entityType": tags.kind}, "tags": list(tags.tags)}
