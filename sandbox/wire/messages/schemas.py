"""The fields of Kafka's messages, loaded from ``schemas.json`` at first use.

``tests/wire/messages/schemas_from_kafka.py`` writes the file and describes its form. :func:`fields_at` returns the
fields of one version.

Source: https://kafka.apache.org/protocol and the message definitions that it is generated from; KIP-482 for flexible
versions and tagged fields.
"""

import json
import os.path
from functools import cache
from typing import Any, NamedTuple


class MessageField(NamedTuple):
    """One field of a message, in one version.

    ``type`` is a primitive's name or "struct"; for an array, the type of its elements. ``present``: this version has
    the field. ``tag`` is None if the field is not tagged in this version. ``default`` is None for null; it has no
    meaning for a non-nullable struct (its fields have their own defaults) or a non-nullable array (empty).
    ``default_is_null`` distinguishes null from an absent default. ``fields`` are a struct's fields.
    """

    name: str
    type: str
    is_array: bool
    present: bool
    nullable: bool
    tag: int | None
    default: Any
    default_is_null: bool
    fields: tuple["MessageField", ...]


ZERO_OF = {"bool": False, "string": "", "bytes": b"", "records": b"", "float64": 0.0}


def span(versions: str) -> range:
    """Parse a range of versions such as "3-7" or "3"."""
    first, _, last = versions.partition("-")
    return range(int(first), int(last or first) + 1)


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """The whole file: an API's entry by its key as text, and the consumer protocol's messages by name."""
    with open(os.path.join(os.path.dirname(__file__), "schemas.json"), encoding="utf-8") as file:
        loaded: dict[str, dict[str, Any]] = json.load(file)
    return loaded


@cache
def apis() -> dict[int, tuple[str, int, int, int | None]]:
    """By API key: its name, its first and last version, and its first flexible version or None."""
    table = {}
    for key, entry in schemas().items():
        if key.isdigit():
            versions = span(entry["versions"])
            table[int(key)] = (entry["name"], versions[0], versions[-1], entry["flexible"])
    return table


def _field_at(entry: dict[str, Any], version: int) -> MessageField:
    is_array = entry["type"].startswith("[]")
    kind = entry["type"].removeprefix("[]")
    default_is_null = "default" in entry and entry["default"] is None
    default = entry.get("default", ZERO_OF.get(kind, 0))
    return MessageField(
        name=entry["name"],
        type=kind,
        is_array=is_array,
        present=version in span(entry["versions"]),
        nullable="nullable" in entry and version in span(entry["nullable"]),
        tag=entry["tag"] if "tagged" in entry and version in span(entry["tagged"]) else None,
        default=default,
        default_is_null=default_is_null,
        fields=tuple(_field_at(child, version) for child in entry.get("fields", ())),
    )


def fields_at(message: str, direction: str, version: int) -> tuple[tuple[MessageField, ...], bool]:
    """Return the fields of one version of a message, and also other versions' fields, in wire order.

    Args:
        message: an API key as text, or the name of a message of the consumer protocol.
        direction: "request", "response", or "data" for the consumer protocol.
        version: the message's version.

    Returns:
        The fields, and True if the version is flexible.

    Raises:
        KeyError: there is no such message or version.
    """
    entry = schemas()[message]
    if version not in span(entry["versions"]):
        raise KeyError(version)
    flexible = entry["flexible"] is not None and version >= entry["flexible"]
    return tuple(_field_at(child, version) for child in entry[direction]["fields"]), flexible
