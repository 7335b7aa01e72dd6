"""Finds what a `$ref` refers to: a place in the document, an id or anchor, a referenced schema. Nothing is fetched."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from sandbox.schemas.json_text import parse_json
from sandbox.schemas.schema import InvalidSchema

_VALUES = {"enum", "const", "default", "examples"}
"""Keywords whose content is no schema, so that ids in them mean nothing."""

_NESTED_NAMES = {"properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies"}
"""Keywords whose objects have names of the user's choice."""


@dataclass(frozen=True, slots=True)
class SchemaLocation:
    """Where a schema is: its document, and the address against which its references are resolved."""

    document: Any
    base: str


class References:
    """The documents of one schema and of those that it refers to.

    Args:
        document: The schema's JSON.
        resolved: The texts of the referenced schemas by name.
        id_keyword: `$id`, or `id` in draft 4.
    """

    def __init__(self, document: Any, resolved: Mapping[str, str], id_keyword: str) -> None:
        self._id_keyword = id_keyword
        own_id = document.get(id_keyword) if isinstance(document, dict) else None
        base = own_id if isinstance(own_id, str) else ""
        self.root = SchemaLocation(document, base)
        self._by_address: dict[str, tuple[Any, SchemaLocation]] = {}
        for name, text in resolved.items():
            referenced = parse_json(text, decimals=True)
            address = _joined(base, name)
            place = SchemaLocation(referenced, address)
            for known in dict.fromkeys((name, name.removeprefix("./"), address)):
                self._by_address.setdefault(known.removesuffix("#"), (referenced, place))
            self._index(referenced, address, place)
        self._index(document, "", self.root)

    def _index(self, document: Any, base: str, place: SchemaLocation) -> None:
        """Note the ids and anchors of a document."""
        waiting = [(document, base, False)]
        while waiting:
            json, base, are_names = waiting.pop()
            if isinstance(json, list):
                waiting += [(inner, base, False) for inner in json]
            if not isinstance(json, dict):
                continue
            if not are_names:
                base = self._noted(json, base, place)
            waiting += [
                (inner, base, not are_names and name in _NESTED_NAMES)
                for name, inner in json.items()
                if are_names or name not in _VALUES
            ]

    def _noted(self, json: dict[str, Any], base: str, place: SchemaLocation) -> str:
        own_id = json.get(self._id_keyword)
        if isinstance(own_id, str):
            base = _joined(base, own_id)
            self._by_address.setdefault(
                base.removesuffix("#"), (json, SchemaLocation(place.document, urldefrag(base)[0]))
            )
        for keyword in ("$anchor", "$dynamicAnchor"):
            anchor = json.get(keyword)
            if isinstance(anchor, str):
                self._by_address.setdefault(
                    f"{urldefrag(base)[0]}#{anchor}", (json, SchemaLocation(place.document, base))
                )
        return base

    def find(self, reference: str, place: SchemaLocation, path: str) -> tuple[Any, SchemaLocation]:
        """Return the JSON that a `$ref` refers to, and where that is.

        Raises:
            InvalidSchema: Nothing is there, or it would have to be fetched.
        """
        address, fragment = urldefrag(reference)
        joined = _joined(place.base, reference)
        known = self._by_address.get(reference.removesuffix("#")) or self._by_address.get(joined.removesuffix("#"))
        if known is not None:
            return known
        document, found = place.document, place
        if address:
            container = self._by_address.get(address) or self._by_address.get(urldefrag(joined)[0])
            if container is None:
                if joined.partition("://")[2].startswith("json-schema.org/draft"):
                    return True, place
                raise InvalidSchema(_missing(reference, joined, path))
            document, found = container
        return _by_pointer(document, fragment, reference, path), found

    def base_of(self, json: dict[str, Any], place: SchemaLocation) -> SchemaLocation:
        """Return the place for what is inside a schema: an id in it changes the base."""
        own_id = json.get(self._id_keyword)
        return SchemaLocation(place.document, _joined(place.base, own_id)) if isinstance(own_id, str) else place


def _by_pointer(document: Any, fragment: str, reference: str, path: str) -> Any:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in unquote(fragment).split("/")[1:]]
    if fragment and not fragment.startswith("/"):
        raise InvalidSchema(f"the $ref {reference!r} names an anchor that is not in the schema (at {path})")
    json = document
    for depth, part in enumerate(parts):
        if depth == 0 and part == "$defs" and isinstance(json, dict):
            # Definitions are found under either of their two names, as in Confluent's registry.
            json = {**_object(json.get("definitions")), **_object(json.get("$defs"))}
        elif isinstance(json, dict) and part in json:
            json = json[part]
        elif isinstance(json, list) and part.isdigit() and int(part) < len(json):
            json = json[int(part)]
        else:
            raise InvalidSchema(f"the $ref {reference!r} refers to nothing: no {part!r} (at {path})")
    return json


def _object(json: Any) -> dict[str, Any]:
    return json if isinstance(json, dict) else {}


def _missing(reference: str, joined: str, path: str) -> str:
    if joined.lower().startswith(("http://", "https://")):
        return f"Remote schema reference fetching over HTTP(S) is disabled: {joined} (at {path})"
    return f"the $ref {reference!r} is not in the schema and not one of its references (at {path})"


def _joined(base: str, reference: str) -> str:
    if base.startswith("urn:"):
        return base + reference if reference.startswith("#") else reference
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference
