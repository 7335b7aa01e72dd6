"""Descriptions of what clients do: produce to topics, and commit for groups."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProducerFlow:
    """The events that a client produced to a topic since the sandbox started.

    Attributes:
        client_id: its `client.id`, "" if it has none.
        transactional_id: its `transactional.id`, "" if it produces without transactions.
        events: number of events.
        per_s: events per second over the last 10 s.
        last_ms: the time of the latest one, in ms since 1970.
    """

    client_id: str
    transactional_id: str
    topic: str
    events: int
    per_s: float
    last_ms: int


@dataclass(frozen=True, slots=True)
class GroupClient:
    """A client that committed offsets of a group.

    Attributes:
        transactional_id: of the transaction in which it did so, together with events that it produced; "" for none.
    """

    client_id: str
    transactional_id: str
    group: str
