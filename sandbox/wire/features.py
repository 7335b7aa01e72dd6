"""The features that are announced (KIP-584): versions of what brokers do together, which some clients look at."""

from typing import NamedTuple


class Feature(NamedTuple):
    """One feature.

    Attributes:
        first: the lowest version that could be chosen.
        last: the highest one.
        level: the one that is in effect.
    """

    name: str
    first: int
    last: int
    level: int


FEATURES = (Feature("group.version", 0, 1, 1), Feature("transaction.version", 0, 2, 2))
FEATURE = {feature.name: feature for feature in FEATURES}
