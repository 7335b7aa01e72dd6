"""The announced features (KIP-584): versions of behaviour that brokers agree on and some clients check."""

from typing import NamedTuple


class Feature(NamedTuple):
    """One feature.

    Attributes:
        first: the lowest supported version.
        last: the highest supported version.
        level: the version in effect.
    """

    name: str
    first: int
    last: int
    level: int


FEATURES = (
    Feature("group.version", 0, 1, 1),
    Feature("share.version", 0, 2, 2),
    Feature("transaction.version", 0, 2, 2),
)
FEATURE = {feature.name: feature for feature in FEATURES}
