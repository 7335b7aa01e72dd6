"""Fictitious card payments, the same for the same seed.

The first one is the event that opens many Kafka lessons: key "Credit Card Payment", value "Paid $12.50 for a ham
sandwich", 1 May 2022. The others follow its pattern.

Every draw uses `Random.random()`, the one method whose sequence for a seed Python guarantees across versions. So the
same seed generates the same payments on every Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from sandbox.kafka.event import NewEvent

DEFAULT_SEED = 20220501
LESSON_TIMESTAMP_MS = 1_651_363_200_000  # 2022-05-01T00:00:00Z

# Uneven on purpose: one hot key makes one partition longer than the others.
_KINDS: Sequence[tuple[str, int]] = (
    ("Credit Card Payment", 45),
    ("Mobile Payment", 17),
    ("Bank Transfer Payment", 14),
    ("Debit Card Payment", 12),
    ("Gift Card Payment", 5),
    ("Voucher Payment", 4),
    ("Refund", 3),
)
_ITEMS: Sequence[tuple[str, int, int]] = (
    ("a ham sandwich", 950, 1450),
    ("a cheese toastie", 600, 980),
    ("a flat white", 320, 480),
    ("an oat milk latte", 380, 560),
    ("two croissants", 440, 700),
    ("a bowl of ramen", 1150, 1700),
    ("a slice of carrot cake", 390, 620),
    ("a café crème", 280, 420),
    ("a jalapeño burrito", 890, 1390),
    ("a week's train pass", 2800, 4600),
    ("a paperback", 799, 1599),
    ("a bunch of tulips", 700, 1800),
    ("a pair of running shoes", 6900, 15900),
    ("a bicycle repair", 2500, 12000),
    ("a concert ticket", 3500, 18000),
    ("a month of internet", 2999, 5999),
)
_CUSTOMERS: Sequence[str] = (
    "Amara", "Bjørn", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hiro", "Inés", "Jonas", "Kwame", "Léa", "Mei",
    "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Søren", "Tomás", "Uma", "Viktor", "Wanjiru", "Yusuf", "Zoë",
)  # fmt: skip
_GAP_MEAN_MS = 45_000

LESSON_PAYMENT = NewEvent(
    value=b"Paid $12.50 for a ham sandwich", key=b"Credit Card Payment", timestamp_ms=LESSON_TIMESTAMP_MS
)


def payments(seed: int = DEFAULT_SEED, count: int | None = None) -> Iterator[NewEvent]:
    """Yield payments in time order; the lesson's payment is first.

    seed: any int; the same seed gives the same payments. count: 0 or more; None for an endless iterator.
    Raises ValueError for a negative count when the first payment is requested.
    """
    if count is not None and count < 0:
        raise ValueError(f"count is {count}; it must be 0 or more")
    random = Random(seed)
    at_ms = LESSON_TIMESTAMP_MS
    made = 0
    while count is None or made < count:
        yield LESSON_PAYMENT if made == 0 else _payment(random, at_ms)
        made += 1
        at_ms += 1 + _below(random, 2 * _GAP_MEAN_MS)


def _payment(random: Random, at_ms: int) -> NewEvent:
    kind = _weighted(random)
    item, cents_min, cents_max = _ITEMS[_below(random, len(_ITEMS))]
    cents = cents_min + _below(random, cents_max - cents_min + 1)
    verb = "Got back" if kind == "Refund" else "Paid"
    # Squared: a few customers pay often, most rarely.
    customer = _CUSTOMERS[int(random.random() ** 2 * len(_CUSTOMERS))]
    return NewEvent(
        timestamp_ms=at_ms,
        key=kind.encode(),
        value=f"{verb} ${cents // 100}.{cents % 100:02d} for {item}".encode(),
        headers=(("customer", customer.encode()),),
    )


def _weighted(random: Random) -> str:
    at = _below(random, sum(weight for _, weight in _KINDS))
    for kind, weight in _KINDS:
        if at < weight:
            return kind
        at -= weight
    raise AssertionError("the weights add up to less than their sum")


def _below(random: Random, limit: int) -> int:
    return int(random.random() * limit)
