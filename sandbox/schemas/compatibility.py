"""Compatibility of a new schema with earlier versions, at each of the registry's levels.

Confluent's registry is the source of the rules and of the form of the messages (ParsedSchema.isBackwardCompatible,
SchemaValidatorBuilder and the classes `Difference` of the three formats).
"""

from collections.abc import Sequence

from sandbox.model.registry import LEVELS as LEVELS
from sandbox.schemas.schema import READER, WRITER, ParsedSchema

_LONGEST_SCHEMA_SHOWN = 10 * 1024


def compatibility_errors(
    level: str, schema: ParsedSchema, previous: Sequence[tuple[int | None, ParsedSchema]]
) -> list[str]:
    """Return the messages of the first earlier version with which a schema is not compatible; empty if it is.

    Args:
        level: One of `LEVELS`. BACKWARD: the new schema can read what the old ones wrote. FORWARD: the old ones can
            read what the new one writes. FULL: both. The transitive levels compare with all versions, the others with
            the last.
        schema: The new schema.
        previous: The earlier versions with their numbers, oldest first. A number of None is not shown.

    Raises:
        ValueError: The level is not one of `LEVELS`.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown compatibility level {level!r}: expected one of {', '.join(LEVELS)}")
    if level == "NONE":
        return []
    compared = previous if level.endswith("_TRANSITIVE") else previous[-1:]
    for version, earlier in reversed(compared):
        errors = _errors(level.removesuffix("_TRANSITIVE"), schema, version, earlier)
        if errors:
            return [*errors, f"{{validateFields: 'false', compatibility: '{level}'}}"]
    return []


def _errors(direction: str, schema: ParsedSchema, version: int | None, earlier: ParsedSchema) -> list[str]:
    if schema.schema_type != earlier.schema_type:
        return ["Incompatible because of different schema type"]
    forward = backward = []
    if direction != "BACKWARD":
        forward = [_worded(message, "old", "new") for message in _checked(earlier, schema)]
    if direction != "FORWARD":
        backward = [_worded(message, "new", "old") for message in _checked(schema, earlier)]
    errors = [*forward, *backward]
    # Confluent's registry adds the old schema to the messages of the last direction that it checks.
    last = forward if direction == "FORWARD" else backward
    if last:
        if version is not None:
            errors.append(f"{{oldSchemaVersion: {version}}}")
        errors.append(_old_schema(earlier.text))
    return errors


def _checked(reader: ParsedSchema, writer: ParsedSchema) -> list[str]:
    try:
        return reader.backward_errors(writer)
    except RecursionError:
        return ["Unexpected exception during compatibility check: the schemas are nested too deeply"]


def _worded(message: str, reader: str, writer: str) -> str:
    return message.replace(READER, reader).replace(WRITER, writer)


def _old_schema(text: str) -> str:
    if len(text) <= _LONGEST_SCHEMA_SHOWN:
        return f"{{oldSchema: '{text}'}}"
    return f"{{oldSchema: <truncated> '{text[:_LONGEST_SCHEMA_SHOWN]}...'}}"
