"""Random valid values of an Avro type."""

import datetime
import random
import uuid
from decimal import Decimal
from typing import Any

from sandbox.schemas.avro.types import AvroType
from sandbox.schemas.schema import InvalidValue
from sandbox.schemas.words import random_text

MAX_DEPTH = 6
"""The nesting from which unions are null and lists empty, if they can be."""

MAX_FIXED_BYTES = 1024 * 1024


def example(type_: AvroType, rng: random.Random, depth: int = 0, name: str = "") -> Any:
    """Return a random value of a type, as `decode` would return it.

    Args:
        type_: The type.
        rng: The source of randomness; the same state gives the same value.
        depth: The nesting of the value.
        name: The field's name, which chooses plausible text.

    Raises:
        InvalidValue: A recursive type has no finite value.
    """
    if depth > 50:
        raise InvalidValue(f"the recursive type {type_.label} has no finite value")
    logical = type_.logical_type()
    if logical is not None:
        return _logical(type_, logical, rng)
    match type_.kind:
        case "record":
            return {field.name: example(field.type, rng, depth + 1, field.name) for field in type_.fields}
        case "union":
            return example(_branch(type_, rng, depth), rng, depth + 1, name)
        case "array":
            count = _count(rng, depth)
            return [example(type_.element, rng, depth + 1, name) for _ in range(count)]
        case "map":
            count = _count(rng, depth)
            return {f"key-{place}": example(type_.element, rng, depth + 1, name) for place in range(count)}
        case "enum":
            if not type_.symbols:
                raise InvalidValue(f"the enum {type_.name} has no symbols")
            return rng.choice(type_.symbols)
    return _primitive(type_, rng, name)


def _count(rng: random.Random, depth: int) -> int:
    """Return the number of items of a list: fewer the deeper it is, so that recursive values stay small."""
    return 0 if depth >= MAX_DEPTH else rng.randint(0, 3 if depth < 3 else 1)


def _branch(union: AvroType, rng: random.Random, depth: int) -> AvroType:
    if not union.branches:
        raise InvalidValue("the union has no types")
    flat = [branch for branch in union.branches if branch.kind not in ("record", "array", "map")]
    return rng.choice(flat if flat and depth >= MAX_DEPTH else union.branches)


def _primitive(type_: AvroType, rng: random.Random, name: str) -> Any:
    match type_.kind:
        case "null":
            return None
        case "boolean":
            return rng.random() < 0.5
        case "int":
            return rng.randint(0, 10_000)
        case "long":
            return rng.randint(0, 1_000_000_000)
        case "float" | "double":
            return round(rng.uniform(0, 1_000), 2)
        case "string":
            return random_text(rng, name)
    size = type_.size if type_.kind == "fixed" else rng.randint(0, 16)
    if size > MAX_FIXED_BYTES:
        raise InvalidValue(f"{type_.name} has {size:,} bytes; at most {MAX_FIXED_BYTES:,} are made")
    return rng.randbytes(size).decode("latin-1")


def _logical(type_: AvroType, logical: str, rng: random.Random) -> Any:
    day = datetime.date(2024, 1, 1) + datetime.timedelta(days=rng.randrange(730))
    time = f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
    digits = {"millis": 3, "micros": 6, "nanos": 9}.get(logical.rpartition("-")[2], 0)
    fraction = f"{rng.randrange(10**digits):0{digits}}"
    match logical:
        case "date":
            return day.isoformat()
        case "decimal":
            precision, scale = type_.properties["precision"], type_.properties.get("scale", 0)
            number = rng.randrange(10 ** min(precision, scale + 4))
            return Decimal((0, tuple(map(int, str(number))), -scale))
        case "big-decimal":
            return Decimal(rng.randrange(1_000_000)).scaleb(-2)
        case "uuid":
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        case "duration":
            return f"P{rng.randrange(12)}M{rng.randrange(28)}DT{rng.randrange(86_400)}.{rng.randrange(1000):03}S"
    if logical.startswith("time-"):
        return f"{time}.{fraction}"
    return f"{day}T{time}.{fraction}{'' if logical.startswith('local-') else 'Z'}"
