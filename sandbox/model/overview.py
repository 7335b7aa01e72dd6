"""A summary of the sandbox, and the notification of a change."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Overview:
    """The sandbox as a whole.

    Attributes:
        kafka: "host:port" of the Kafka port, None if none is open.
        web: address of the page, None if none is open.
    """

    file: str
    size_bytes: int
    kafka: str | None
    web: str | None
    cluster_id: str
    version: str
    pid: int
    started_ms: int
    topics: int
    events: int
    groups: int
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class Change:
    """The changes of one commit, for watchers.

    Attributes:
        kind: "events" (appended or removed), "commit" (offsets), "group" (members, state), "topics" (created,
            deleted, altered), "schemas" (the schema registry) or "cluster" (brokers, leaders, in-sync sets, faults).
        topics: names of the changed topics.
        groups: ids of the changed groups.
    """

    kind: str
    topics: frozenset[str]
    groups: frozenset[str]
    at_ms: int
