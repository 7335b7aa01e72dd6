"""Reads the fields of a request's JSON body, with the types that Confluent's registry takes.

A text may be sent as any scalar, a boolean as a text or a whole number. Another type raises RegistryError 400.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.model.registry import EntityTags, SchemaReference
from sandbox.registry.errors import RegistryError
from sandbox.registry.lookups import INT_MAX
from sandbox.registry.metadata import RULES
from sandbox.registry.settings import LEVEL, OTHERS
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
