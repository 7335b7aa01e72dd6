"""A parsed JSON Schema."""

import random
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from sandbox.schemas.json_schema.compatibility import differences
from sandbox.schemas.json_schema.examples import example
from sandbox.schemas.json_schema.loading import Loader, ModernLoader
from sandbox.schemas.json_schema.nodes import SchemaNode
from sandbox.schemas.json_schema.shape import shape
from sandbox.schemas.json_schema.values import decode, encode, validator
from sandbox.schemas.json_text import compact, parse_json
from sandbox.schemas.schema import (
    JSON,
    InvalidSchema,
    InvalidValue,
    MissingLibrary,
    ParsedSchema,
    Reference,
    TooManyComparisons,
    other_format,
)
from sandbox.schemas.shape import Shape

_OLDER_DRAFTS = {
    "json-schema.org/schema": 4,
    "json-schema.org/draft-04/schema": 4,
    "json-schema.org/draft-06/schema": 6,
    "json-schema.org/draft-07/schema": 7,
}
_MODERN_DRAFTS = {"json-schema.org/draft/2019-09/schema", "json-schema.org/draft/2020-12/schema"}


EXAMPLE_TRIES = 200
"""Random values that are drawn until one passes the check."""


class JsonSchema(ParsedSchema):
    """See `ParsedSchema`; `sandbox.schemas.parsing.parse_schema` makes it.

    The draft is named by `$schema`, draft 7 if there is none.
    """

    schema_type = JSON

    def __init__(self, text: str, references: tuple[Reference, ...], resolved: Mapping[str, str], new: bool) -> None:
        self.json = parse_json(text, decimals=True)
        if not isinstance(self.json, dict | bool):
            raise InvalidSchema("expected an object, true or false at the root")
        self._new = new
        self.text = compact(self.json)
        self.references = references
        self.resolved = resolved
        self.node = self._load()

    def _load(self) -> SchemaNode:
        address = self.json.get("$schema") if isinstance(self.json, dict) else None
        draft = address.partition("://")[2].removesuffix("#") if isinstance(address, str) else ""
        if draft in _MODERN_DRAFTS:
            return ModernLoader(self.json, self.resolved).load()
        return Loader(self.json, self.resolved, _OLDER_DRAFTS.get(draft, 7)).load()

    @property
    def name(self) -> str | None:
        title = self.json.get("title") if isinstance(self.json, dict) else None
        return title if isinstance(title, str) else None

    def normalized(self) -> Self:
        references = sorted(set(self.references), key=lambda one: (one.name, one.subject, one.version))
        text = compact(self.json, sort_keys=True)
        return type(self)(text, tuple(references), self.resolved, self._new)

    def top_level_fields(self) -> frozenset[str]:
        """Return the names of an object's properties."""
        properties = self.json.get("properties") if isinstance(self.json, dict) else None
        return frozenset(properties) if isinstance(properties, dict) else frozenset()

    def identity(self) -> object:
        return self.text

    def backward_errors(self, previous: ParsedSchema) -> list[str]:
        assert isinstance(previous, JsonSchema)
        try:
            found = differences(previous.node, self.node)
        except TooManyComparisons as error:
            return [f"Unexpected exception during compatibility check: {error}"]
        return [one.message() for one in found if not one.is_compatible]

    @cached_property
    def _validator(self) -> Any:
        return validator(self.json, self.resolved)

    def decode(self, payload: bytes, message_indexes: tuple[int, ...] = (0,)) -> Any:
        return decode(payload)

    def read(self, writer: ParsedSchema, payload: bytes, message_indexes: tuple[int, ...] = (0,)) -> Any:
        if not isinstance(writer, JsonSchema):
            raise other_format(self, writer)
        value = decode(payload)
        encode(self._validator, value)
        return value

    def encode(self, value: Any, message_indexes: tuple[int, ...] = (0,)) -> bytes:
        return encode(self._validator, value)

    def example(self, rng: random.Random, message_indexes: tuple[int, ...] = (0,)) -> Any:
        error = None
        for _ in range(EXAMPLE_TRIES):
            value = example(self.node, rng)
            try:
                encode(self._validator, value)
                return value
            except MissingLibrary:
                return value
            except InvalidValue as refused:
                error = refused
        raise InvalidValue(f"no valid value was found in {EXAMPLE_TRIES} tries; the last one: {error}")

    def shape(self, message_indexes: tuple[int, ...] = (0,)) -> Shape:
        return shape(self.node)
