"""A summary of the sandbox, and the notification of a change."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientSecurity:
    """What a client must set to connect, besides names, passwords and certificates.

    Attributes:
        protocol: `security.protocol`: "SSL", "SASL_PLAINTEXT" or "SASL_SSL".
        mechanism: `sasl.mechanism`, such as "PLAIN" or "SCRAM-SHA-512"; "" without SASL.
    """

    protocol: str
    mechanism: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """The sandbox as a whole.

    Attributes:
        kafka: "host:port" of the Kafka port, or of the first other listener if that port is closed; None if there is
            none.
        web: address of the page, None if none is open.
        security: what clients of `kafka` must set; None for a plain connection.
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
    security: ClientSecurity | None = None


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
