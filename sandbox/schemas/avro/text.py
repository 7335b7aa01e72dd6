"""Prints Avro types: the canonical text that the registry stores, and the normal form."""

from collections.abc import Iterable
from typing import Any

from sandbox.schemas.avro.types import NO_DEFAULT, TYPE_NAMES, AvroType, RecordField


def to_json(type_: AvroType, known: Iterable[str] = ()) -> Any:
    """Return the JSON of a type in the order in which Java prints it.

    Args:
        type_: The type.
        known: Full names of types that are defined elsewhere, in references: they are printed as names.
    """
    return _Printer(set(known)).type_json(type_, "")


class _Printer:
    def __init__(self, known: set[str]) -> None:
        self._known = known

    def type_json(self, type_: AvroType, namespace: str) -> Any:
        if type_.kind == "union":
            return [self.type_json(branch, namespace) for branch in type_.branches]
        if type_.name:
            if type_.name in self._known:
                return qualified(type_.name, namespace)
            self._known.add(type_.name)
            return self._named_json(type_, namespace)
        if type_.items is not None:
            attribute = "items" if type_.kind == "array" else "values"
            return {"type": type_.kind, attribute: self.type_json(type_.items, namespace), **type_.properties}
        return {"type": type_.kind, **type_.properties} if type_.properties else type_.kind

    def _named_json(self, type_: AvroType, namespace: str) -> dict[str, Any]:
        json: dict[str, Any] = {"type": "error" if type_.is_error else type_.kind, "name": type_.simple_name}
        if type_.namespace != namespace:
            json["namespace"] = type_.namespace
        if type_.doc is not None:
            json["doc"] = type_.doc
        if type_.kind == "record":
            json["fields"] = [self._field_json(one, type_.namespace) for one in type_.fields]
        elif type_.kind == "enum":
            json["symbols"] = list(type_.symbols)
            if type_.default_symbol is not None:
                json["default"] = type_.default_symbol
        else:
            json["size"] = type_.size
        json |= type_.properties
        if type_.aliases:
            json["aliases"] = [qualified(alias, type_.namespace) for alias in type_.aliases]
        return json

    def _field_json(self, one: RecordField, namespace: str) -> dict[str, Any]:
        json: dict[str, Any] = {"name": one.name, "type": self.type_json(one.type, namespace)}
        if one.doc is not None:
            json["doc"] = one.doc
        if one.default is not NO_DEFAULT:
            json["default"] = one.default
        if one.order != "ascending":
            json["order"] = one.order
        if one.aliases:
            json["aliases"] = list(one.aliases)
        return json | one.properties


def qualified(name: str, namespace: str) -> str:
    """Return a full name without its namespace if that is the enclosing one, and the simple name is no type's."""
    space, _, simple = name.rpartition(".")
    return simple if space and space == namespace and simple not in TYPE_NAMES else name


def normal_json(type_: AvroType, known: Iterable[str] = ()) -> Any:
    """Return the JSON of a type's normal form: full names, sorted properties and aliases, no empty `doc` of types."""
    return _normal(type_, set(known))


def _normal(type_: AvroType, known: set[str]) -> Any:
    if type_.kind == "union":
        return [_normal(branch, known) for branch in type_.branches]
    if type_.name:
        if type_.name in known:
            return type_.name
        known.add(type_.name)
        return _normal_named(type_, known)
    json: dict[str, Any] = {"type": type_.kind}
    if type_.items is not None:
        json["items" if type_.kind == "array" else "values"] = _normal(type_.items, known)
    json |= _logical_properties(type_) | _sorted_properties(type_.properties)
    return json if len(json) > 1 else type_.kind


def _normal_named(type_: AvroType, known: set[str]) -> dict[str, Any]:
    json: dict[str, Any] = {"name": type_.name, "type": type_.kind}
    if type_.kind == "enum":
        json["symbols"] = list(type_.symbols)
    elif type_.kind == "fixed":
        json["size"] = type_.size
    else:
        json["fields"] = [_normal_field(one, known) for one in type_.fields]
    json |= _logical_properties(type_)
    if type_.doc:
        json["doc"] = type_.doc
    if type_.aliases:
        json["aliases"] = sorted(type_.aliases)
    if type_.default_symbol is not None:
        json["default"] = type_.default_symbol
    return json | _sorted_properties(type_.properties)


def _normal_field(one: RecordField, known: set[str]) -> dict[str, Any]:
    json: dict[str, Any] = {"name": one.name, "type": _normal(one.type, known), "order": one.order}
    if one.doc is not None:
        json["doc"] = one.doc
    if one.aliases:
        json["aliases"] = sorted(one.aliases)
    if one.default is not NO_DEFAULT:
        json["default"] = sorted_keys(one.default)
    return json | _sorted_properties(one.properties)


def _logical_properties(type_: AvroType) -> dict[str, Any]:
    logical = type_.logical_type()
    if logical is None:
        return {}
    json: dict[str, Any] = {"logicalType": logical}
    if logical == "decimal":
        json["precision"] = type_.properties["precision"]
        if type_.properties.get("scale", 0):
            json["scale"] = type_.properties["scale"]
    return json


def _sorted_properties(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: sorted_keys(properties[name]) for name in sorted(properties)}


def sorted_keys(value: Any) -> Any:
    """Return JSON values with the names of all objects sorted."""
    if isinstance(value, dict):
        return {name: sorted_keys(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [sorted_keys(one) for one in value]
    return value
