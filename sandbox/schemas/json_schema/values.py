"""Values of JSON Schema: payloads are JSON text. Produced payloads are checked with the library jsonschema."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sandbox.schemas.json_text import compact, parse_json
from sandbox.schemas.regular_expressions import found_in
from sandbox.schemas.schema import JSON, InvalidValue, missing_library


def decode(payload: bytes) -> Any:
    """Return the JSON value of a payload; numbers with a fraction are exact. Raises `InvalidValue`."""
    try:
        return json.loads(payload.decode(), parse_float=Decimal)
    except RecursionError:
        raise InvalidValue("the value is nested too deeply") from None
    except UnicodeDecodeError:
        raise InvalidValue("not UTF-8 text") from None
    except ValueError as error:
        raise InvalidValue(f"not JSON: {error}") from None


def encode(checker: Any, value: Any) -> bytes:
    """Return a value as compact JSON text, after a check with a `validator`.

    Raises:
        InvalidValue: The value breaks the schema; the message has the path and the rule.
    """
    try:
        text = compact(value)
        error = next(checker.iter_errors(json.loads(text, parse_float=Decimal)), None)
    except RecursionError:
        raise InvalidValue("the value is nested too deeply") from None
    if error is not None:
        message = error.message if len(error.message) <= 300 else error.message[:300] + "..."
        raise InvalidValue(f"{error.json_path}: {message}")
    return text.encode()


def validator(schema: Any, resolved: Mapping[str, str]) -> Any:
    """Return a validator of the library jsonschema that never fetches anything and runs patterns in linear time."""
    try:
        import jsonschema
        import referencing
        import referencing.jsonschema
    except ImportError as error:
        missing_library(JSON, "json", error)
    known = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
    checker: Any = jsonschema.validators.extend(
        known, {"pattern": _pattern, "patternProperties": _pattern_properties}, type_checker=_types(known.TYPE_CHECKER)
    )
    default = referencing.jsonschema.specification_with(known.META_SCHEMA.get("$schema", ""))
    registry: Any = referencing.Registry().with_resources(
        (name, referencing.Resource.from_contents(parse_json(text, decimals=True), default_specification=default))
        for name, text in resolved.items()
    )
    return checker(schema, registry=registry)


def _types(checker: Any) -> Any:
    def is_integer(_: Any, instance: Any) -> bool:
        if isinstance(instance, Decimal):
            return instance == instance.to_integral_value()
        return isinstance(instance, int) and not isinstance(instance, bool)

    return checker.redefine("integer", is_integer)


def _pattern(checker: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not found_in(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(checker: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, inner in patterns.items():
            for name, value in instance.items():
                if found_in(pattern, name):
                    yield from checker.descend(value, inner, path=name, schema_path=pattern)
