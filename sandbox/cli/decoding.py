"""Decodes the keys and values that commands print, with the schemas of a registry."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandbox.cli.status import Failed
from sandbox.cli.target import Target
from sandbox.kafka.event import Event
from sandbox.schemas.decoding import EventDecoder, FoundSchema, SchemaId
from sandbox.schemas.schema import InvalidSchema, InvalidValue, ParsedSchema, Reference

if TYPE_CHECKING:
    from sandbox.cli.registry_access import Registry

NOT_FOUND = "404"


@contextmanager
def event_decoder(target: Target, url: str | None) -> Iterator[EventDecoder]:
    """Return a decoder with the schemas of a registry, which is asked at the first event with a frame.

    Args:
        target: the sandbox file or cluster of the command.
        url: the registry's URL; None for the one of the sandbox file.
    """
    if target.file is None:
        with ExitStack() as stack:
            yield EventDecoder(_AskedSchemas(stack, target, url).find)
        return
    from sandbox.registry.decoding import file_decoder

    local = file_decoder(target.file)
    if url is None:
        yield local
        return
    with ExitStack() as stack:
        yield EventDecoder(_AskedSchemas(stack, target, url).find, local.choose)


def decoded_parts(decoder: EventDecoder, event: Event) -> tuple[dict[str, str], list[str]]:
    """Return the JSON texts of the key and value that can be decoded, and why those that can't be are not."""
    parts: dict[str, str] = {}
    problems = []
    for part, data in (("key", event.key), ("value", event.value)):
        decoded = decoder.decode(event.topic, data, event.headers, is_key=part == "key")
        if decoded is not None and decoded.text is not None:
            parts[part] = decoded.text
        elif decoded is not None:
            problems.append(f"{part}: {decoded.problem}")
    return parts, problems


def decoded_event(event: Event, parts: Mapping[str, str]) -> Event:
    """Return an event with the JSON texts of its key and value as their bytes."""
    shown: dict[str, Any] = {part: text.encode("utf-8", "surrogatepass") for part, text in parts.items()}
    return event._replace(**shown) if shown else event


class _AskedSchemas:
    def __init__(self, stack: ExitStack, target: Target, url: str | None) -> None:
        self._stack = stack
        self._target = target
        self._url = url
        self._registry: Registry | None = None

    def find(self, schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | str | None:
        """Return a schema, None if the registry does not have it, or why it can't be asked."""
        if self._url is None and self._target.file is None:
            return "no schema registry is named: --schema-registry URL"
        from sandbox.cli.registry_access import opened

        try:
            if self._registry is None:
                file = None if self._target.file is None or self._url is not None else str(self._target.file)
                self._registry = self._stack.enter_context(opened(file, self._url))
            return self._found(self._registry, schema, topic, is_key)
        except Failed as error:
            return None if str(error).startswith(NOT_FOUND) else str(error)

    def _found(self, registry: "Registry", schema: SchemaId, topic: str, is_key: bool) -> FoundSchema:
        by_guid = isinstance(schema, uuid.UUID)
        content = registry.ask("GET", f"/schemas/guids/{schema}" if by_guid else f"/schemas/ids/{schema}")
        schema_id = schema
        if by_guid:
            schema_id = registry.ask("GET", f"/schemas/guids/{schema}/ids")[0]["id"]
        versions = registry.ask("GET", f"/schemas/ids/{schema_id}/versions")
        own = f"{topic}-{'key' if is_key else 'value'}"
        place: dict[str, Any] = min(
            versions, key=lambda one: one["subject"] != own, default={"subject": "a deleted subject", "version": 0}
        )
        return FoundSchema(
            lambda: parsed_schema(registry, content),
            content.get("schemaType", "AVRO"),
            place["subject"],
            place["version"],
            int(str(schema_id)),
        )


def parsed_schema(registry: "Registry", content: dict[str, Any]) -> ParsedSchema:
    """Return the parsed schema of a registry's answer, with all that it refers to. Raises `InvalidValue`."""
    from sandbox.schemas.parsing import parse_schema

    resolved: dict[str, str] = {}
    try:
        _resolve(registry, content, resolved, set())
        references = [Reference(one["name"], one["subject"], one["version"]) for one in content.get("references", [])]
        return parse_schema(content.get("schemaType", "AVRO"), content["schema"], references, resolved, new=False)
    except (InvalidSchema, Failed) as error:
        raise InvalidValue(str(error)) from error


def _resolve(registry: "Registry", content: dict[str, Any], resolved: dict[str, str], seen: set[str]) -> None:
    """Add the texts of what a schema refers to, dependencies first."""
    for reference in content.get("references", []):
        if reference["name"] in seen:
            continue
        seen.add(reference["name"])
        path = f"/subjects/{quote(reference['subject'], safe='')}/versions/{reference['version']}?deleted=true"
        found = registry.ask("GET", path)
        _resolve(registry, found, resolved, seen)
        resolved[reference["name"]] = found["schema"]
