"""The fields of Kafka's messages, read from ``schemas.json`` when they are first asked for.

``tests/wire/messages/schemas_from_kio.py`` writes the file and describes its form. :func:`fields_at` returns the
fields of one version.

Source: https://kafka.apache.org/protocol and the message definitions that it is generated from; KIP-482 for flexible
versions and tagged fields.
"""

import json
import os.path
from functools import cache
from typing import Any, NamedTuple


class Field(NamedTuple):
    """One field of a message, as one version has it.

    ``type`` is a primitive's name or "struct"; of an array it is that of the elements. ``present``: this version has
    the field. ``tag`` is None where the field is not tagged in this version. ``default`` is None for null, and means
    nothing for a struct that may not be null (its fields have their own) and for an array that may not be null (empty).
    ``default_is_null`` tells null from "no default given". ``fields`` are those of a struct.
    """

    name: str
    type: str
    is_array: bool
    present: bool
    nullable: bool
    tag: int | None
    default: Any
    default_is_null: bool
    fields: tuple["Field", ...]


ZERO_OF = {"bool": False, "string": "", "bytes": b"", "records": b"", "float64": 0.0}


def span(versions: str) -> range:
    """The versions that "3-7" or "3" stand for."""
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


def _field_at(entry: dict[str, Any], version: int) -> Field:
    is_array = entry["type"].startswith("[]")
    kind = entry["type"].removeprefix("[]")
    default_is_null = "default" in entry and entry["default"] is None
    default = entry.get("default", ZERO_OF.get(kind, 0))
    return Field(
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


def fields_at(message: str, direction: str, version: int) -> tuple[tuple[Field, ...], bool]:
    """The fields of one message as one version has them, those of other versions too, in the order of the wire.

    Args:
        message: an API key as text, or the name of a message of the consumer protocol.
        direction: "request", "response", or "data" for the consumer protocol.
        version: the message's version.

    Returns:
        The fields, and whether the version is flexible.

    Raises:
        KeyError: no such message, or it has no such version.
    """
    entry = schemas()[message]
    if version not in span(entry["versions"]):
        raise KeyError(version)
    flexible = entry["flexible"] is not None and version >= entry["flexible"]
    return tuple(_field_at(child, version) for child in entry[direction]["fields"]), flexible
