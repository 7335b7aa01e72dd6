"""The brokers of a cluster, read-only: they can't be stopped or moved from here."""

from collections import Counter

from confluent_kafka import ElectionType
from confluent_kafka.admin import ConfigResource, ConfigSource

from sandbox.kafka.broker_config import BROKER_SETTING
from sandbox.kafka.errors import BrokerError
from sandbox.model.brokers import BrokerDescription, BrokerSetting, ClientDescription, LeaderMove
from sandbox.model.capabilities import missing
from sandbox.model.faults import Fault, Hit
from sandbox.model.traffic import GroupClient, ProducerFlow
from sandbox.remote.connection import ClusterConnection
from sandbox.remote.logs import Logs

CLUSTER_WIDE_SOURCE = "DYNAMIC_DEFAULT_BROKER_CONFIG"
SOURCES = ("STATIC_BROKER_CONFIG", CLUSTER_WIDE_SOURCE, "DYNAMIC_BROKER_CONFIG")
"""Where a broker's setting is from that has not its default."""


class RemoteBrokers:
    """The brokers of a cluster.

    Args:
        connection: the cluster.
        logs: the cluster's topics.
    """

    def __init__(self, connection: ClusterConnection, logs: Logs) -> None:
        self._connection = connection
        self._logs = logs

    def list(self) -> tuple[BrokerDescription, ...]:
        """Return all brokers: those that the cluster lists, and others that hold replicas."""
        told = self._logs.metadata.get()
        leads: Counter[int] = Counter()
        replicas: Counter[int] = Counter()
        out: Counter[int] = Counter()
        for topic in told.topics.values():
            for partition in topic.partitions.values():
                leads[partition.leader] += 1
                replicas.update(partition.replicas)
                out.update(set(partition.replicas) - set(partition.isrs))
        return tuple(
            BrokerDescription(
                broker=broker,
                up=broker in told.brokers,
                address=f"{told.brokers[broker].host}:{told.brokers[broker].port}" if broker in told.brokers else None,
                controller=broker == told.controller_id,
                leader_count=leads[broker],
                replica_count=replicas[broker],
                out_of_sync_count=out[broker],
            )
            for broker in sorted({*told.brokers, *replicas})
        )

    def settings(self) -> tuple[BrokerSetting, ...]:
        """The settings of one broker that have not their default; none if this user may not read them."""
        broker = next(iter(self._logs.metadata.get().brokers), None)
        if broker is None:
            return ()
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
        try:
            futures = self._connection.ask(
                lambda timeout_s: self._connection.admin.describe_configs([resource], request_timeout=timeout_s)
            )
            found = self._connection.result(futures[resource])
        except BrokerError:
            return ()
        known = {name: BROKER_SETTING[name].default if name in BROKER_SETTING else None for name in found}
        return tuple(
            BrokerSetting(name, entry.value, known[name], source)
            for name, entry in sorted(found.items())
            if (source := ConfigSource(entry.source).name) in SOURCES
            # Since Kafka 4.1, min.insync.replicas always has a cluster-wide value.
            and (source, entry.value) != (CLUSTER_WIDE_SOURCE, known[name])
        )

    def clients(self) -> tuple[ClientDescription, ...]:
        """Empty: a cluster doesn't report its clients."""
        return ()

    def producer_flows(self) -> tuple[ProducerFlow, ...]:
        """Empty: a cluster doesn't report who produces."""
        return ()

    def group_clients(self) -> tuple[GroupClient, ...]:
        """Empty: a cluster doesn't report which client commits."""
        return ()

    def coordinator(self, key: str) -> int:
        """Always -1: unknown."""
        return -1

    def preview(self, broker: int) -> tuple[LeaderMove, ...]:
        """Refused on a cluster."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("stop_brokers"))

    def stop(self, broker: int) -> None:
        """Refused on a cluster."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("stop_brokers"))

    def start(self, broker: int) -> None:
        """Refused on a cluster."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("stop_brokers"))

    def move_leader(self, topic: str, partition: int, broker: int) -> None:
        """Refused on a cluster."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("move_leaders"))

    def elect_preferred_leaders(self) -> int:
        """Elect the preferred leader of each partition. Returns the number of moved partitions."""
        self._connection.require_writes()
        future = self._connection.ask(
            lambda timeout_s: self._connection.admin.elect_leaders(
                ElectionType.PREFERRED, None, operation_timeout=timeout_s, request_timeout=timeout_s
            )
        )
        moved = self._connection.result(future)
        self._logs.forget()
        return sum(error is None for error in moved.values())


class NoFaults:
    """Faults are injected into a sandbox only: a cluster has none."""

    apis: tuple[str, ...] = ()

    def inject(
        self,
        api: str | None = None,
        *,
        topic: str | None = None,
        client_id: str | None = None,
        broker: int | None = None,
        latency_ms: int = 0,
        error: str | None = None,
        drop: bool = False,
        throttle_ms: int = 0,
        transaction_end_ms: int = 0,
        probability: float = 1.0,
        times: int | None = None,
    ) -> "_Never":
        """Refused on a cluster."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("faults"))

    def remove(self, id: int) -> None:
        """Refused on a cluster."""
        raise BrokerError("UNSUPPORTED_VERSION", missing("faults"))

    def clear(self) -> None:
        """Do nothing: there are no faults."""

    def list(self) -> tuple[Fault, ...]:
        """Empty: there are no faults."""
        return ()

    def hits(self) -> tuple[Hit, ...]:
        """Empty: there are no faults."""
        return ()


class _Never:
    """The type that `inject` would return."""

    fault: Fault
