"""The announced features (KIP-584): versions of behaviour that brokers agree on and some clients check."""

from typing import NamedTuple


class Feature(NamedTuple):
    """One feature.

    Attributes:
        first: the lowest supported version.
        last: the highest supported version.
        level: the version in effect; 0 if the feature is off.
    """

    name: str
    first: int
    last: int
    level: int


FEATURES = (
    Feature("eligible.leader.replicas.version", 0, 1, 1),
    Feature("group.version", 0, 1, 1),
    Feature("kraft.version", 0, 1, 0),
    Feature("metadata.version", 7, 33, 33),
    Feature("share.version", 0, 2, 2),
    Feature("streams.version", 0, 1, 0),
    Feature("transaction.version", 0, 2, 2),
)
"""The features of Apache Kafka 4.4. Two are off, because the quorum is fixed, and there are no streams groups."""
FEATURE = {feature.name: feature for feature in FEATURES}
