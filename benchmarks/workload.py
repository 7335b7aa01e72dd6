"""The events that the benchmarks send: realistic JSON of many lengths, or equal values.

Equal keys and values favor decoders that find records at a fixed distance, so figures of the varied workload are the
ones to quote. Both are generated from a seed: every peer gets the same events.
"""

import json
import random
from typing import Literal, NamedTuple

Kind = Literal["varied", "equal"]

POOL = 10_000
"""How many different events there are; a longer run sends them again from the first."""
SEED = 4
EQUAL_VALUE_BYTES = 100
HEADER_SHARE = 0.1
"""The share of varied events that have headers."""

_CITIES = ("Ulm", "Rome", "Kyoto", "Nairobi", "São Paulo", "Reykjavík", "Christchurch", "Thiruvananthapuram")
_STATES = ("new", "paid", "packed", "shipped", "delivered", "returned")
_NOTES = ("", "gift", "leave it at the door", "call before delivery, the bell doesn't work, second floor on the left")


class Sample(NamedTuple):
    """One event to send."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def samples(kind: Kind, value_bytes: int = EQUAL_VALUE_BYTES) -> list[Sample]:
    """Return the pool of events.

    Args:
        kind: "varied" for JSON values of 60 to 260 bytes, keys of 3 to 14 bytes and headers on a tenth of the events;
            "equal" for one value and keys of 12 bytes.
        value_bytes: the length of an equal value.
    """
    if kind == "equal":
        value = b"v" * value_bytes
        return [Sample(b"user-%07d" % (number % 1000), value, ()) for number in range(POOL)]
    draw = random.Random(SEED)
    return [_order(draw, number) for number in range(POOL)]


def _order(draw: random.Random, number: int) -> Sample:
    lines = [
        {"sku": f"{draw.choice('ABCDEF')}-{draw.randrange(10 ** draw.randint(1, 6))}", "count": draw.randint(1, 12)}
        for _ in range(draw.choice((0, 0, 0, 1, 1, 2)))
    ]
    order: dict[str, object] = {
        "id": draw.randrange(10 ** draw.randint(3, 9)),
        "state": draw.choice(_STATES),
        "total": round(draw.lognormvariate(3, 1.2), 2),
        "paid": draw.random() < 0.8,
        "city": draw.choice(_CITIES),
    }
    if note := draw.choice(_NOTES):
        order["note"] = note
    if lines:
        order["lines"] = lines
    key = draw.choice(
        (f"u{draw.randrange(10, 100)}", f"user-{draw.randrange(10_000)}", f"customer{draw.randrange(10**6)}")
    )
    headers = (("trace", b"%016x" % draw.getrandbits(64)), ("n", b"%d" % number))
    has_headers = draw.random() < HEADER_SHARE
    value = json.dumps(order, ensure_ascii=False, separators=(",", ":")).encode()
    return Sample(key.encode(), value, headers if has_headers else ())
