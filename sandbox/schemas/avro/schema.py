"""A parsed Avro schema."""

import random
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from sandbox.schemas.avro.binary import Decoder, encode
from sandbox.schemas.avro.compatibility import AmbiguousAlias, incompatibilities
from sandbox.schemas.avro.examples import example
from sandbox.schemas.avro.resolution import ResolvingDecoder
from sandbox.schemas.avro.shape import shape
from sandbox.schemas.avro.text import normal_json, to_json
from sandbox.schemas.avro.types import Parser
from sandbox.schemas.json_text import compact, parse_json
from sandbox.schemas.schema import AVRO, ParsedSchema, Reference, TooManyComparisons, other_format
from sandbox.schemas.shape import Shape


class AvroSchema(ParsedSchema):
    """See `ParsedSchema`; `sandbox.schemas.parsing.parse_schema` makes it."""

    schema_type = AVRO

    def __init__(self, text: str, references: tuple[Reference, ...], resolved: Mapping[str, str], new: bool) -> None:
        parser = Parser(strict=new)
        # Confluent's registry prints the top types of references as names, and types inside them in full.
        self._referenced = [parser.parse(parse_json(referenced)).name for referenced in resolved.values()]
        self._new = new
        self.type = parser.parse(parse_json(text))
        self.text = compact(to_json(self.type, self._referenced))
        self.references = references
        self._last_writer: tuple[ParsedSchema, ResolvingDecoder] | None = None
        self.resolved = resolved

    @property
    def name(self) -> str | None:
        return self.type.name if self.type.kind == "record" else None

    def formatted(self, output_format: str) -> str:
        """Return the canonical text; with `resolved`, all referenced types are printed in full."""
        return compact(to_json(self.type)) if output_format.lower() == "resolved" else self.text

    def normalized(self) -> Self:
        text = compact(normal_json(self.type, self._referenced))
        return type(self)(text, tuple(sorted(set(self.references), key=_sort_key)), self.resolved, self._new)

    def top_level_fields(self) -> frozenset[str]:
        """Return the names of a record's fields."""
        return frozenset(field.name for field in self.type.fields)

    def identity(self) -> object:
        return self._identity

    @cached_property
    def _identity(self) -> str:
        return compact(to_json(self.type), sort_keys=True)

    def backward_errors(self, previous: ParsedSchema) -> list[str]:
        assert isinstance(previous, AvroSchema)
        try:
            return [found.message() for found in incompatibilities(self.type, previous.type)]
        except (AmbiguousAlias, TooManyComparisons) as error:
            return [f"Unexpected exception during compatibility check: {error}"]

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.type)

    def decode(self, payload: bytes, message_indexes: tuple[int, ...] = (0,)) -> Any:
        return self._decoder.decode(payload)

    def read(self, writer: ParsedSchema, payload: bytes, message_indexes: tuple[int, ...] = (0,)) -> Any:
        if not isinstance(writer, AvroSchema):
            raise other_format(self, writer)
        last = self._last_writer
        if last is None or last[0] is not writer:
            last = self._last_writer = writer, ResolvingDecoder(self.type, writer.type)
        return last[1].decode(payload)

    def encode(self, value: Any, message_indexes: tuple[int, ...] = (0,)) -> bytes:
        return encode(self.type, value)

    def example(self, rng: random.Random, message_indexes: tuple[int, ...] = (0,)) -> Any:
        return example(self.type, rng)

    def shape(self, message_indexes: tuple[int, ...] = (0,)) -> Shape:
        return shape(self.type)


def _sort_key(reference: Reference) -> tuple[str, str, int]:
    return reference.name, reference.subject, reference.version
