"""Writes ``sandbox/wire/messages/schemas.json``: the fields of every Kafka message that a client may send or be sent.

    python tests/wire/messages/schemas_from_kio.py            write the file
    python tests/wire/messages/schemas_from_kio.py --check    exit with status 1 when the file is stale

kio holds one class per API and version, generated from Kafka's own message definitions. This script merges the classes
of one message over its versions into one tree of fields, each with the versions that have it. kio is needed here and in
the tests only: it is slow to import, and refuses tagged fields that it does not know.

A field is an object: ``name``, ``type`` (a primitive, or "struct"; an array is "[]" and the type of its elements),
``versions``, and where they apply ``nullable`` (versions), ``tag``, ``tagged`` (versions), ``default`` (where it is not
zero, empty or false; null for null) and ``fields``. Versions are "3-7", or "3" for one alone.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import sys
import typing
import uuid
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from types import NoneType
from typing import Any

from kio.schema.index import LoadableEntityType, api_key_map, schema_name_map
from kio.static.constants import EntityType

SCHEMAS = Path(__file__).parents[3] / "sandbox" / "wire" / "messages" / "schemas.json"

# Brokers and controllers send these to each other; no client does.
BETWEEN_BROKERS = frozenset({52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82, 83, 84, 85, 86, 87})

# Messages without an API key: what a consumer group's members tell each other, through the coordinator.
CONSUMER_PROTOCOL = ("consumer_protocol_subscription", "consumer_protocol_assignment")

# kio gives some fields a richer Python type than the wire does. On the wire, and here, they are integers.
PRIMITIVES = {"error_code": "int16", "timedelta_i32": "int32", "timedelta_i64": "int64", "datetime_i64": "int64"}

# kio drops the unit from the name when it gives a field a type that carries its own; Kafka's name ends in Ms.
IN_MILLISECONDS = frozenset({"timedelta_i32", "timedelta_i64", "datetime_i64"})

Field = dict[str, Any]


def kafka_name(field: dataclasses.Field[Any]) -> str:
    """The field's name in Kafka's definition, in snake_case."""
    kind = field.metadata.get("kafka_type")
    return f"{field.name}_ms" if kind in IN_MILLISECONDS else field.name


def shape(annotation: Any) -> tuple[Any, bool, bool]:
    """What a kio annotation says: the type of the value or of the array's elements, is it an array, may it be null."""
    nullable = False
    if NoneType in typing.get_args(annotation):
        nullable = True
        (annotation,) = (argument for argument in typing.get_args(annotation) if argument is not NoneType)
    if typing.get_origin(annotation) is not tuple:
        return annotation, False, nullable
    element = typing.get_args(annotation)[0]
    if NoneType in typing.get_args(element):  # uuid.UUID | None, where null is the zero UUID
        (element,) = (argument for argument in typing.get_args(element) if argument is not NoneType)
    return element, True, nullable


def plain(value: object, kafka_type: str | None) -> Any:
    """A kio default as JSON: milliseconds for times, null for null, nothing for a struct of defaults."""
    if kafka_type == "uuid" or dataclasses.is_dataclass(value) or value is dataclasses.MISSING or value == ():
        return dataclasses.MISSING
    if kafka_type == "datetime_i64" and value is None:
        return -1
    if isinstance(value, datetime.timedelta):
        return round(value / datetime.timedelta(milliseconds=1))
    if isinstance(value, datetime.datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, uuid.UUID):
        raise ValueError(f"a UUID default other than zero: {value}")
    return value


def fields_of(cls: type) -> list[Field]:
    """The fields of one kio class, that is of one version, in the order they go over the wire."""
    found = []
    for field in dataclasses.fields(cls):
        kafka_type = field.metadata.get("kafka_type")
        element, is_array, nullable = shape(field.type)
        primitive = "struct" if kafka_type is None else PRIMITIVES.get(kafka_type, kafka_type)
        entry: Field = {"name": kafka_name(field), "type": "[]" * is_array + primitive}
        entry["nullable"] = nullable and primitive != "uuid" and kafka_type != "datetime_i64"
        entry["tag"] = field.metadata.get("tag")
        default = plain(field.default, kafka_type)
        if default is not dataclasses.MISSING and default not in (0, "", False):
            entry["default"] = default
        if dataclasses.is_dataclass(element):
            entry["fields"] = fields_of(typing.cast(type, element))
        found.append(entry)
    return found


def span(versions: list[int]) -> str:
    """The versions as "3-7" or "3"; they must have no gap."""
    if versions != list(range(versions[0], versions[-1] + 1)):
        raise ValueError(f"versions with a gap: {versions}")
    return str(versions[0]) if len(versions) == 1 else f"{versions[0]}-{versions[-1]}"


def merged_order(by_version: dict[int, list[Field]]) -> list[str]:
    """One order of all names that keeps the order of each version, the newest version first."""
    order: list[str] = []
    for version in sorted(by_version, reverse=True):
        position = 0
        for entry in by_version[version]:
            if entry["name"] in order:
                position = order.index(entry["name"]) + 1
            else:
                order.insert(position, entry["name"])
                position += 1
    for version, entries in by_version.items():
        names = [entry["name"] for entry in entries]
        if names != [name for name in order if name in names]:
            raise ValueError(f"version {version} has its fields in another order: {names}, not {order}")
    return order


def merge(by_version: dict[int, list[Field]]) -> list[Field]:
    """One list of fields for all versions, from the list of each version."""
    tree = []
    for name in merged_order(by_version):
        having = {v: next((f for f in by_version[v] if f["name"] == name), None) for v in sorted(by_version)}
        present = {version: field for version, field in having.items() if field is not None}
        newest = present[max(present)]
        if {field["type"] for field in present.values()} != {newest["type"]}:
            raise ValueError(f"{name} changes its type")
        entry: Field = {"name": name, "type": newest["type"], "versions": span(list(present))}
        if nullable := [version for version, field in present.items() if field["nullable"]]:
            entry["nullable"] = span(nullable)
        if tagged := [version for version, field in present.items() if field["tag"] is not None]:
            entry["tag"] = newest["tag"]
            entry["tagged"] = span(tagged)
        if "default" in newest:
            entry["default"] = newest["default"]
        if "fields" in newest:
            entry["fields"] = merge({version: field["fields"] for version, field in present.items()})
        tree.append(entry)
    return tree


def flexible_from(classes: dict[int, Any]) -> int | None:
    """The first flexible version (KIP-482), or None. All later ones must be flexible too."""
    flexible = [version for version, cls in classes.items() if cls.__flexible__]
    if flexible and flexible != list(range(flexible[0], max(classes) + 1)):
        raise ValueError(f"flexible versions with a gap: {flexible}")
    return flexible[0] if flexible else None


def classes_of(name: str, kind: LoadableEntityType) -> dict[int, Any]:
    """kio's classes of one message by version."""
    return {version: resolve_name(schema_name_map[name][version][kind]) for version in sorted(schema_name_map[name])}


def header_versions(classes: dict[int, Any]) -> dict[str, int]:
    """The header version of each range of message versions: {"0-2": 1, "3-4": 2}."""
    numbers = {version: int(cls.__header_schema__.__version__) for version, cls in classes.items()}
    return {span([v for v in numbers if numbers[v] == number]): number for number in sorted(set(numbers.values()))}


def message(classes: dict[int, Any]) -> dict[str, Any]:
    """Header versions and merged fields of a request or a response."""
    return {"header": header_versions(classes), "fields": merge({v: fields_of(cls) for v, cls in classes.items()})}


def entries() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each entry of the file: an API by its key, then the messages of the consumer protocol by name."""
    for key, name in sorted(api_key_map.items()):
        if key in BETWEEN_BROKERS:
            continue
        requests, responses = classes_of(name, EntityType.request), classes_of(name, EntityType.response)
        if flexible_from(requests) != flexible_from(responses):
            raise ValueError(f"{name}: request and response differ in their flexible versions")
        yield (
            str(key),
            {
                "name": "".join(word.capitalize() for word in name.split("_")),
                "versions": span(list(requests)),
                "flexible": flexible_from(requests),
                "request": message(requests),
                "response": message(responses),
            },
        )
    for name in CONSUMER_PROTOCOL:
        classes = classes_of(name, EntityType.data)
        yield (
            name,
            {
                "name": next(iter(classes.values())).__name__,
                "versions": span(list(classes)),
                "flexible": flexible_from(classes),
                "data": {"fields": merge({version: fields_of(cls) for version, cls in classes.items()})},
            },
        )


def text() -> str:
    """The whole file: one line for each entry, so that a new version of Kafka shows as a readable difference."""
    lines = [f"{json.dumps(key)}:{json.dumps(entry, separators=(',', ':'))}" for key, entry in entries()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> int:
    """Writes the file, or with ``--check`` says whether it is up to date."""
    if "--check" in sys.argv[1:]:
        return int(SCHEMAS.read_text(encoding="utf-8") != text())
    SCHEMAS.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
