"""Random values of a Protobuf message."""

import base64
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sandbox.schemas.schema import InvalidValue
from sandbox.schemas.words import random_text

MAX_DEPTH = 5
"""The nesting from which messages inside are left out."""


def example(descriptor: Any, rng: random.Random, depth: int = 0) -> Any:
    """Return a random value of a message, as `decode` would return it. Of each oneof, one field is set.

    Raises:
        InvalidValue: A message requires itself, so it has no finite value.
    """
    if depth > 50:
        raise InvalidValue(f"the recursive message {descriptor.full_name} has no finite value")
    known = _WELL_KNOWN.get(descriptor.full_name)
    if known is not None:
        return known(rng)
    json: dict[str, Any] = {}
    chosen = {oneof.name: rng.choice(list(oneof.fields)).name for oneof in descriptor.oneofs}
    for field in descriptor.fields:
        oneof = field.containing_oneof
        if oneof is not None and chosen[oneof.name] != field.name:
            continue
        if field.message_type is not None and depth >= MAX_DEPTH and not field.is_required:
            if field.is_repeated:
                json[field.name] = {} if field.message_type.GetOptions().map_entry else []
            continue
        json[field.name] = _field(field, rng, depth)
    return json


def _field(field: Any, rng: random.Random, depth: int) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return {_key(key, rng): _value(value, rng, depth) for _ in range(_count(rng, depth))}
    if field.is_repeated:
        return [_value(field, rng, depth) for _ in range(_count(rng, depth))]
    return _value(field, rng, depth)


def _count(rng: random.Random, depth: int) -> int:
    """Return the number of items: fewer the deeper they are, so that recursive values stay small."""
    return rng.randint(0, 3 if depth < 2 else 1)


def _key(field: Any, rng: random.Random) -> str:
    value = _value(field, rng, 0)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(field: Any, rng: random.Random, depth: int) -> Any:
    if field.message_type is not None:
        return example(field.message_type, rng, depth + 1)
    if field.enum_type is not None:
        return rng.choice(list(field.enum_type.values)).name
    match field.cpp_type:
        case 1 | 3:
            return rng.randint(0, 10_000)
        case 2 | 4:
            return rng.randint(0, 1_000_000_000)
        case 5 | 6:
            return round(rng.uniform(0, 1000), 2)
        case 7:
            return rng.random() < 0.5
    if field.type == 12:
        return base64.b64encode(rng.randbytes(rng.randint(0, 16))).decode()
    return random_text(rng, field.name)


def _timestamp(rng: random.Random) -> str:
    return f"2024-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randrange(24):02}:{rng.randrange(60):02}:00Z"


_WELL_KNOWN: dict[str, Callable[[random.Random], Any]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": lambda rng: f"{rng.randrange(100_000)}s",
    "google.protobuf.FieldMask": lambda rng: "",
    "google.protobuf.Any": lambda rng: {},
    "google.protobuf.Struct": lambda rng: {"name": random_text(rng, "name")},
    "google.protobuf.Value": lambda rng: random_text(rng, "value"),
    "google.protobuf.ListValue": lambda rng: [random_text(rng, "value")],
    "google.protobuf.StringValue": lambda rng: random_text(rng, "value"),
    "google.protobuf.BytesValue": lambda rng: base64.b64encode(rng.randbytes(4)).decode(),
    "google.protobuf.BoolValue": lambda rng: rng.random() < 0.5,
    "google.protobuf.Int32Value": lambda rng: rng.randint(0, 10_000),
    "google.protobuf.Int64Value": lambda rng: rng.randint(0, 10_000),
    "google.protobuf.UInt32Value": lambda rng: rng.randint(0, 10_000),
    "google.protobuf.UInt64Value": lambda rng: rng.randint(0, 10_000),
    "google.protobuf.FloatValue": lambda rng: rng.randint(0, 400) / 4,
    "google.protobuf.DoubleValue": lambda rng: round(rng.uniform(0, 1000), 2),
    "confluent.type.Decimal": lambda rng: Decimal(rng.randrange(1, 1_000_000)).scaleb(-2),
}
