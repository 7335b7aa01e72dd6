"""Descriptions of brokers, their settings, leaders and clients."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrokerDescription:
    """One simulated broker.

    Attributes:
        address: "host:port", None if its port is closed.
        leader_count: how many partitions it leads.
        replica_count: how many partitions it has.
        out_of_sync_count: for how many of these it is not in the in-sync set.
    """

    broker: int
    up: bool
    address: str | None
    controller: bool
    leader_count: int
    replica_count: int
    out_of_sync_count: int


@dataclass(frozen=True, slots=True)
class BrokerSetting:
    """A broker setting that differs from its default.

    Attributes:
        value: None for a secret.
        default: None if Kafka has none.
        source: Kafka's name for the source of the value: STATIC_BROKER_CONFIG for one that the broker was started with,
            DYNAMIC_DEFAULT_BROKER_CONFIG or DYNAMIC_BROKER_CONFIG for one that was altered since.
        in_effect: False if the setting is shown but has no effect here.
    """

    name: str
    value: str | None
    default: str | None
    source: str
    in_effect: bool = True


@dataclass(frozen=True, slots=True)
class LeaderMove:
    """A partition whose leader changes.

    Attributes:
        before: broker id, -1 for none.
        after: broker id, -1 for none.
    """

    topic: str
    partition: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ApiUse:
    """How often a client used an API.

    Attributes:
        requests: the number of requests.
        mean_ms: mean time from request to response, including waits (for events, for members); None before the first
            response.
        max_ms: the longest such time.
    """

    api: str
    requests: int
    mean_ms: float | None
    max_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ClientDescription:
    """One connection of a Kafka client.

    Attributes:
        client_id: the client's `client.id`, None before its first request or if it has none.
        address: "host:port" of the client.
        broker: id of the broker that it is connected to.
        software: name and version that the client sends in ApiVersions 3 and up (KIP-511), "" if it sends none.
        apis: the APIs that it used, most frequent first.
    """

    client_id: str | None
    address: str
    broker: int
    software: str
    connected_ms: int
    apis: tuple[ApiUse, ...]
