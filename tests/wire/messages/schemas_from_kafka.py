"""Writes ``sandbox/wire/messages/schemas.json``: the fields of every Kafka message that a client may send or be sent.

    python -m tests.wire.messages.schemas_from_kafka            write the file
    python -m tests.wire.messages.schemas_from_kafka --check    exit with status 1 if the file is stale

The message definitions are resources of the kafka-clients jar, which Maven fetches with Apache Kafka for the tests.
kio, whose classes are generated from the same definitions, stays the oracle of the versions that it has.

A field is an object: ``name``, ``type`` (a primitive, or "struct"; an array is "[]" and the type of its elements),
``versions``, and where they apply ``nullable`` (versions), ``tag``, ``tagged`` (versions), ``default`` (where it is not
zero, empty or false; null for null) and ``fields``. Versions are "3-7", or "3" for one alone.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clients.apache_kafka import VERSION, find_or_fetch

SCHEMAS = Path(__file__).parents[3] / "sandbox" / "wire" / "messages" / "schemas.json"

# Brokers and controllers send these to each other; no client does.
BETWEEN_BROKERS = frozenset({52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82, 83, 84, 85, 86, 87})

# Messages without an API key: what a consumer group's members tell each other, through the coordinator.
CONSUMER_PROTOCOL = ("ConsumerProtocolSubscription", "ConsumerProtocolAssignment")

API_VERSIONS = 18
COMMENT = re.compile(r"^\s*//.*$|(?<=[,{\[\]}\"\d])\s*//.*$", re.MULTILINE)

Definition = dict[str, Any]
Field = dict[str, Any]


def definitions() -> dict[str, Definition]:
    """Every message definition of Apache Kafka by its name."""
    with zipfile.ZipFile(find_or_fetch() / f"kafka-clients-{VERSION}.jar") as jar:
        names = [name for name in jar.namelist() if re.fullmatch(r"common/message/\w+\.json", name)]
        found = [json.loads(COMMENT.sub("", jar.read(name).decode())) for name in names]
    return {definition["name"]: definition for definition in found}


def snake_case(name: str) -> str:
    """Kafka's name of a field as it is spelled here: TopicID and topicId are topic_id."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", spaced).lower()


def versions(text: str, last: int) -> range:
    """The versions "3-7", "3+" or "3"; "none" is empty."""
    if text == "none":
        return range(0)
    if text.endswith("+"):
        return range(int(text[:-1]), last + 1)
    first, _, end = text.partition("-")
    return range(int(first), min(int(end or first), last) + 1)


def shared(first: range, second: range) -> range:
    """The versions in both."""
    return range(max(first.start, second.start), min(first.stop, second.stop))


def span(found: range) -> str:
    """The versions as "3-7" or "3"."""
    return str(found[0]) if len(found) == 1 else f"{found[0]}-{found[-1]}"


def default_of(definition: Definition, kind: str) -> Any:
    """A field's default as JSON; zero, empty or false if it has none."""
    text = definition.get("default", "")
    if text in ("null", None):
        return None
    if kind == "bool":
        return str(text).lower() == "true"
    if kind in ("string", "bytes", "uuid", "struct", "records") or text == "":
        return text
    return float(text) if kind == "float64" else int(str(text), 0)


def fields_of(listed: list[Definition], structs: dict[str, list[Definition]], within: range) -> list[Field]:
    """The fields of a struct.

    Args:
        structs: the fields of the message's named structs.
        within: the versions in which the struct exists.
    """
    found = []
    for definition in listed:
        present = shared(versions(definition["versions"], within[-1]), within)
        if not present:
            continue
        array, kind = re.fullmatch(r"((?:\[\])?)(\w+)", definition["type"]).groups()  # type: ignore[union-attr]
        children = definition.get("fields") or structs.get(kind)
        kind = "struct" if children else kind
        entry: Field = {"name": snake_case(definition["name"]), "type": array + kind, "versions": span(present)}
        nullable = shared(versions(definition.get("nullableVersions", "none"), within[-1]), present)
        if nullable:
            entry["nullable"] = span(nullable)
        tagged = shared(versions(definition.get("taggedVersions", "none"), within[-1]), present)
        if tagged:
            entry["tag"], entry["tagged"] = definition["tag"], span(tagged)
        default = default_of(definition, kind)
        if default not in ("", 0, False):
            entry["default"] = default
        if children:
            entry["fields"] = fields_of(children, structs, present)
        found.append(entry)
    return found


def message(definition: Definition, flexible: int | None, header: tuple[int, int] | None) -> dict[str, Any]:
    """The header versions and the fields of one message; `header` is the version before and since `flexible`."""
    valid = versions(definition["validVersions"], 32_767)
    structs = {one["name"]: one["fields"] for one in definition.get("commonStructs", ())}
    entry: dict[str, Any] = {}
    if header is not None:
        since = valid.stop if flexible is None or header[0] == header[1] else max(flexible, valid.start)
        parts = ((range(valid.start, since), header[0]), (range(since, valid.stop), header[1]))
        entry["header"] = {span(part): number for part, number in parts if part}
    return entry | {"fields": fields_of(definition["fields"], structs, valid)}


def flexible_from(definition: Definition) -> int | None:
    """The first flexible version (KIP-482), or None."""
    valid = versions(definition["validVersions"], 32_767)
    found = shared(versions(definition["flexibleVersions"], valid[-1]), valid)
    return found[0] if found else None


def entries() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each entry of the file: an API by its key, then the messages of the consumer protocol by name."""
    found = definitions()
    requests = {one["apiKey"]: one for one in found.values() if one["type"] == "request"}
    for key, request in sorted(requests.items()):
        if key in BETWEEN_BROKERS or request["validVersions"] == "none":
            continue
        name, flexible = request["name"].removesuffix("Request"), flexible_from(request)
        response = found[f"{name}Response"]
        if (response["validVersions"], flexible_from(response)) != (request["validVersions"], flexible):
            raise ValueError(f"{name}: request and response differ in their versions")
        yield (
            str(key),
            {
                "name": name,
                "versions": span(versions(request["validVersions"], 32_767)),
                "flexible": flexible,
                "request": message(request, flexible, (1, 2)),
                "response": message(response, flexible, (0, 0) if key == API_VERSIONS else (0, 1)),
            },
        )
    for name in CONSUMER_PROTOCOL:
        definition = found[name]
        flexible = flexible_from(definition)
        yield (
            snake_case(name),
            {
                "name": name,
                "versions": span(versions(definition["validVersions"], 32_767)),
                "flexible": flexible,
                "data": message(definition, flexible, None),
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
