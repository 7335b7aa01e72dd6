"""Parses the text of a schema of any of the three formats."""

from collections.abc import Mapping, Sequence

from sandbox.schemas.schema import (
    AVRO,
    JSON,
    MAX_SCHEMA_CHARS,
    PROTOBUF,
    SCHEMA_TYPES,
    InvalidSchema,
    ParsedSchema,
    Reference,
)


def parse_schema(
    schema_type: str,
    text: str,
    references: Sequence[Reference] = (),
    resolved: Mapping[str, ParsedSchema | str] | None = None,
    *,
    new: bool = True,
) -> ParsedSchema:
    """Parse a schema. The format's library is imported at the first use.

    Args:
        schema_type: AVRO, JSON or PROTOBUF.
        text: The schema as it was sent.
        references: The schema's own references, as they were sent.
        resolved: All referenced schemas by the names in `references`, with the references of those, dependencies
            first. A value is a text or a parsed schema, whose own references are added.
        new: Apply the checks of a new registration. Schemas that are already registered are parsed with False, as
            older versions of the registry accepted more.

    Raises:
        InvalidSchema: The text is not a valid schema, or is too large or too deeply nested.
        MissingLibrary: The format's library is not installed.
    """
    if len(text) > MAX_SCHEMA_CHARS:
        raise InvalidSchema(f"the schema has {len(text):,} characters; at most {MAX_SCHEMA_CHARS:,} are accepted")
    texts = _texts(resolved or {})
    try:
        return _parse(schema_type, text, tuple(references), texts, new)
    except RecursionError:
        raise InvalidSchema("the schema is nested too deeply") from None


def _parse(
    schema_type: str, text: str, references: tuple[Reference, ...], texts: dict[str, str], new: bool
) -> ParsedSchema:
    match schema_type:
        case "AVRO":
            from sandbox.schemas.avro.schema import AvroSchema

            return AvroSchema(text, references, texts, new)
        case "JSON":
            from sandbox.schemas.json_schema.schema import JsonSchema

            return JsonSchema(text, references, texts, new)
        case "PROTOBUF":
            from sandbox.schemas.protobuf.schema import ProtobufSchema

            return ProtobufSchema(text, references, texts, new)
    raise InvalidSchema(f"unknown schema type {schema_type!r}: expected one of {', '.join(SCHEMA_TYPES)}")


def _texts(resolved: Mapping[str, ParsedSchema | str]) -> dict[str, str]:
    """Dependencies first: each schema after those that it refers to."""
    texts: dict[str, str] = {}
    for name, schema in resolved.items():
        if isinstance(schema, ParsedSchema):
            for inner, inner_text in schema.resolved.items():
                texts.setdefault(inner, inner_text)
            schema = schema.text
        texts.setdefault(name, schema)
    return texts


__all__ = ["AVRO", "JSON", "PROTOBUF", "parse_schema"]
