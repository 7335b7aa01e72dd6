"""A request to the schema registry, and its answer."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from sandbox.model.registry import (
    AVRO,
    EntityTags,
    RegisteredSchema,
    RegistryConfig,
    SchemaContent,
    SchemaReference,
    SchemaRequest,
    Subject,
)
from sandbox.registry.errors import RegistryError
from sandbox.registry.lookups import INT_MAX, Deleted
from sandbox.registry.scope import RULES
from sandbox.registry.settings import LEVEL, OTHERS
from sandbox.registry.subjects import parse_subject
from sandbox.registry.tags import FIELD, RECORD

Object = dict[str, Any]
Reader = Callable[[Object, str], Any]
"""Returns the value of a field, None if it is missing or null."""


def kind_of(value: object) -> str:
    """Return a JSON value's type in words."""
    names = {
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")


def _mistyped(name: str, value: object) -> RegistryError:
    return RegistryError(400, f"Cannot deserialize the field '{name}' from {kind_of(value)}")


def _of_type(body: Object, name: str, wanted: type) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, wanted):
        raise _mistyped(name, value)
    return value


def list_in(body: Object, name: str) -> list[Any] | None:
    """Return a field that is an array."""
    found: list[Any] | None = _of_type(body, name, list)
    return found


def text_in(body: Object, name: str) -> str | None:
    """Return a field that is a text."""
    return _as_text(name, body.get(name))


def _as_text(name: str, value: object) -> str | None:
    if isinstance(value, dict | list):
        raise _mistyped(name, value)
    return value if value is None or isinstance(value, str) else json.dumps(value)


def whole_in(body: Object, name: str, default: int) -> int:
    """Return a field that is a whole number of 32 bits."""
    value = body.get(name)
    if value is None or value == "":
        return default
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise _mistyped(name, value) from None
    if isinstance(value, bool) or abs(number) > INT_MAX:
        raise _mistyped(name, value)
    return number


def _boolean_in(body: Object, name: str) -> bool | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, int):
        raise _mistyped(name, value)
    return bool(value)


def _texts_in(body: Object, name: str) -> list[str] | None:
    found = list_in(body, name)
    if found is None:
        return None
    texts = [_as_text(name, value) for value in found]
    if None in texts:
        raise _mistyped(name, None)
    return [text for text in texts if text is not None]


def _map_in(body: Object, name: str, read: Reader) -> Object | None:
    found: Object | None = _of_type(body, name, dict)
    return None if found is None else {key: read(found, key) for key in found}


def _tags_in(body: Object, name: str) -> Object | None:
    return _map_in(body, name, lambda found, key: _texts_in(found, key) or [])


def _properties_in(body: Object, name: str) -> Object | None:
    return _map_in(body, name, text_in)


def _object_in(body: Object, name: str, readers: Mapping[str, Reader]) -> Object | None:
    """Return a field that is an object; fields without a reader stay as they are."""
    found: Object | None = _of_type(body, name, dict)
    return None if found is None else _read(found, readers)


def _read(found: Object, readers: Mapping[str, Reader]) -> Object:
    return {key: readers[key](found, key) if key in readers else value for key, value in found.items()}


def metadata_in(body: Object, name: str) -> Object | None:
    """Return a field that is metadata: tags, properties, sensitive."""
    return _object_in(body, name, {"tags": _tags_in, "properties": _properties_in, "sensitive": _texts_in})


def rule_set_in(body: Object, name: str) -> Object | None:
    """Return a field that is a rule set: lists of rules."""
    return _object_in(body, name, dict.fromkeys(RULES, _rules_in))


def _rules_in(body: Object, name: str) -> list[Object] | None:
    found = list_in(body, name)
    for rule in found or ():
        if not isinstance(rule, dict):
            raise _mistyped(name, rule)
    return None if found is None else [_read(rule, _RULE) for rule in found]


_RULE: dict[str, Reader] = {
    **dict.fromkeys(("name", "doc", "kind", "mode", "type", "expr", "onSuccess", "onFailure"), text_in),
    "tags": _texts_in,
    "params": _properties_in,
    "disabled": _boolean_in,
}
_SETTINGS: dict[str, Reader] = {
    **dict.fromkeys(OTHERS, text_in),
    **dict.fromkeys(("normalize", "validateFields", "validateNewSchemas", "validateRules"), _boolean_in),
    **dict.fromkeys(("defaultMetadata", "overrideMetadata"), metadata_in),
    **dict.fromkeys(("defaultRuleSet", "overrideRuleSet"), rule_set_in),
    LEVEL: text_in,
}


def tags_in_body(body: Object, name: str) -> tuple[EntityTags, ...]:
    """Return a field that is a list of entities with their tags."""
    found = []
    for one in list_in(body, name) or ():
        if not isinstance(one, dict):
            raise _mistyped(name, one)
        entity: Object = _of_type(one, "schemaEntity", dict) or {}
        path, kind = text_in(entity, "entityPath"), text_in(entity, "entityType")
        if path is None or kind not in (RECORD, FIELD):
            raise RegistryError(400, f"Cannot deserialize the field 'schemaEntity' of '{name}'")
        found.append(EntityTags(path, str(kind), tuple(_texts_in(one, "tags") or ())))
    return tuple(found)


def flag_in(body: Object, name: str) -> bool:
    """Return a field that is a boolean, False if it is missing."""
    return bool(_boolean_in(body, name))


def texts_in(body: Object, name: str) -> list[str] | None:
    """Return a field that is a list of texts."""
    return _texts_in(body, name)


def settings_in(body: Object) -> Object:
    """Return the settings in the body of a change, None for those to delete."""
    return _read(body, _SETTINGS)


def reference(value: object) -> SchemaReference:
    """Return an element of a schema's references. Raises RegistryError 42201 if a field is missing."""
    if not isinstance(value, dict):
        raise _mistyped("references", value)
    name, subject, version = text_in(value, "name"), text_in(value, "subject"), value.get("version")
    if name is None or subject is None or version is None:
        raise RegistryError(42201, f"Invalid reference: {{name='{name}', subject='{subject}', version={version}}}")
    return SchemaReference(name, subject, whole_in(value, "version", 0))


NOT_FOUND = (404, "HTTP 404 Not Found")
SCHEMAS_MAX = 1_000
"""The largest page of schemas."""
LIMITLESS = INT_MAX


@dataclass(slots=True)
class Answer:
    """What an endpoint returns.

    Attributes:
        value: a JSON value.
        text: a body that is not JSON, such as a schema's text; None for the JSON value.
    """

    value: Any = None
    text: str | None = None
    status: int = 200


@dataclass(slots=True)
class Exchange:
    """A request.

    Attributes:
        path: the values of the endpoint's placeholders.
        query: the values of each query parameter.
        body: the request's body.
    """

    query: dict[str, list[str]]
    body: bytes = b""
    path: dict[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> Subject:
        """The subject in the path."""
        return parse_subject(self.path["subject"])

    def text(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        return self.query.get(name, [default])[0]

    def flag(self, name: str) -> bool:
        """Return a query parameter that is true or false; anything else is false."""
        return self.text(name).lower() == "true"

    def number(self, name: str, default: int) -> int:
        """Return a query parameter that is a whole number. Raises RegistryError 404 like Confluent's registry."""
        return self._number(self.text(name)) if name in self.query else default

    def id(self) -> int:
        """Return the id in the path. Raises RegistryError 404."""
        return self._number(self.path["id"])

    @staticmethod
    def _number(text: str) -> int:
        if re.fullmatch(r"[+-]?\d{1,11}", text, re.ASCII) is None or abs(int(text)) > INT_MAX:
            raise RegistryError(*NOT_FOUND)
        return int(text)

    def deleted(self) -> Deleted:
        """Return which versions the parameters `deleted` and `deletedOnly` ask for."""
        if self.flag("deletedOnly"):
            return "only"
        return "include" if self.flag("deleted") else "exclude"

    def page(self, found: list[Any], most: int = LIMITLESS) -> list[Any]:
        """Return the part of a list that the parameters `offset` and `limit` ask for.

        Args:
            most: the largest page; also the default, which a limit outside 1 to `most` gets.
        """
        offset, limit = self.number("offset", 0), self.number("limit", -1)
        if offset < 0:
            raise RegistryError(400, f"offset must be 0 or more, not {offset}")
        return found[offset : offset + (limit if 0 < limit <= most else most)]

    def json(self) -> dict[str, Any]:
        """Return the body, a JSON object.

        Raises:
            RegistryError: 400 if it isn't one, 422 if it is missing.
        """
        if not self.body.strip():
            raise RegistryError(422, "The request body must not be null")
        try:
            found = json.loads(self.body)
            # Half of a surrogate pair is no text.
            json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise RegistryError(400, f"The request body is not JSON: {error}") from None
        if found is None:
            raise RegistryError(422, "The request body must not be null")
        if not isinstance(found, dict):
            raise RegistryError(400, f"The request body must be a JSON object, not {kind_of(found)}")
        return found

    def schema_request(self) -> SchemaRequest:
        """Return the schema in the body. Raises RegistryError 400, 422."""
        body = self.json()
        schema_type = text_in(body, "schemaType")
        return SchemaRequest(
            text=text_in(body, "schema"),
            schema_type=AVRO if schema_type is None else schema_type,
            references=tuple(reference(one) for one in list_in(body, "references") or ()),
            metadata=metadata_in(body, "metadata"),
            rule_set=rule_set_in(body, "ruleSet"),
            version=whole_in(body, "version", 0),
            schema_id=whole_in(body, "id", -1),
            tags_to_add=tags_in_body(body, "schemaTagsToAdd"),
            tags_to_remove=tags_in_body(body, "schemaTagsToRemove"),
            propagate_tags=flag_in(body, "propagateSchemaTags"),
        )


def parse_query(text: str) -> dict[str, list[str]]:
    """Return the values of each query parameter."""
    return parse_qs(text, keep_blank_values=True, errors="replace")


def without_empty(fields: Object) -> Object:
    """Return an object without the fields that are None or empty."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [], {})}


def _content(content: SchemaContent, text: str) -> Object:
    return {
        "schemaType": content.schema_type,
        "references": [one._asdict() for one in content.references],
        "metadata": content.metadata,
        "ruleSet": content.rule_set,
        "schema": text,
    }


def version_entity(schema: RegisteredSchema, text: str | None = None) -> Object:
    """Return a version of a subject.

    Args:
        text: its schema in another format; None as it is stored.
    """
    return without_empty(
        {
            "subject": str(schema.subject),
            "version": schema.version,
            "id": schema.schema_id,
            "guid": schema.guid,
            **_content(schema.content, schema.content.text if text is None else text),
            "ts": schema.registered_ms,
            "deleted": schema.deleted or None,
        }
    )


def registered_entity(schema: RegisteredSchema, text: str | None = None) -> Object:
    """Return the answer to a registration."""
    entity = version_entity(schema, text)
    return {name: value for name, value in entity.items() if name not in ("subject", "ts", "deleted")}


def schema_entity(schema: RegisteredSchema, text: str, *, with_version: bool, max_id: int | None = None) -> Object:
    """Return a schema that was asked for by its id or GUID.

    Args:
        with_version: True adds subject and version.
        max_id: the largest id of the context, None if it was not asked for.
    """
    return without_empty(
        {
            "subject": str(schema.subject) if with_version else None,
            "version": schema.version if with_version else None,
            "guid": schema.guid,
            **_content(schema.content, text),
            "maxId": max_id,
            "ts": schema.registered_ms,
            "deleted": schema.deleted or None,
        }
    )


def config_entity(config: RegistryConfig, level_name: str = "compatibilityLevel") -> Object:
    """Return settings; the level has another name in the answer to a change."""
    others = {name: config.others.get(name) for name in OTHERS}
    return without_empty({level_name: config.level, **others})
