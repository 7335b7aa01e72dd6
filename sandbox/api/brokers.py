"""The simulated brokers: list, stop and start them, move leaders.

    with Sandbox("dev.db", brokers=3) as sandbox:
        sandbox.serve()
        sandbox.brokers.stop(2)     # closes its port; other brokers lead its partitions
        sandbox.brokers.start(2)

Replication is simulated: all brokers share one file.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import replace
from typing import Any, TypeVar

from sandbox.broker.logs.topic import Partition
from sandbox.kafka.broker_config import BROKER, BROKER_SETTING, CLUSTER_WIDE
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.setting import PASSWORD
from sandbox.model.brokers import BrokerDescription, BrokerSetting, ClientDescription, LeaderMove
from sandbox.model.topics import TopicDescription
from sandbox.model.traffic import GroupClient, ProducerFlow
from sandbox.runtime.runtime import Runtime

T = TypeVar("T")


class SandboxBrokers:
    """Operations on the brokers of a sandbox.

    Args:
        runtime: the owner of the brokers.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(self) -> tuple[BrokerDescription, ...]:
        """Return all brokers, up or down."""
        cluster = self._runtime.broker.cluster
        partitions = [one for topic in tuple(self._runtime.broker.topics.values()) for one in topic.partitions]
        addresses = self._runtime.addresses()
        return tuple(
            BrokerDescription(
                broker=broker,
                up=cluster.is_up(broker),
                address=addresses.get(broker),
                controller=broker == cluster.controller,
                leader_count=sum(one.leader == broker for one in partitions),
                replica_count=sum(broker in one.replicas for one in partitions),
                out_of_sync_count=sum(broker in one.replicas and broker not in one.isr for one in partitions),
            )
            for broker in cluster.ids
        )

    def settings(self) -> tuple[BrokerSetting, ...]:
        """Return the broker settings that differ from their default, by name: set at the start, or altered later."""
        config = self._runtime.broker.config
        layers = [("STATIC_BROKER_CONFIG", dict(config.overrides))]
        for (kind, name), altered in sorted(dict(config.resources).items()):
            if kind == BROKER:
                source = "DYNAMIC_DEFAULT_BROKER_CONFIG" if name == CLUSTER_WIDE else "DYNAMIC_BROKER_CONFIG"
                layers.append((source, dict(altered)))
        found: dict[str, BrokerSetting] = {}
        for source, values in layers:
            for name, value in values.items():
                known = BROKER_SETTING.get(name)
                secret = known is None or known.type == PASSWORD
                found[name] = BrokerSetting(
                    name,
                    None if secret else value,
                    known.default if known else None,
                    source,
                    known is not None and known.in_effect,
                )
        return tuple(found[name] for name in sorted(found))

    def clients(self) -> tuple[ClientDescription, ...]:
        """Return all open connections of Kafka clients."""
        ports = self._runtime.kafka
        return ports.clients() if ports is not None else ()

    def producer_flows(self) -> tuple[ProducerFlow, ...]:
        """Return which clients produced to which topics since the start, sorted by client id and topic."""
        ports = self._runtime.kafka
        return ports.traffic.flows(self._runtime.clock()) if ports is not None else ()

    def group_clients(self) -> tuple[GroupClient, ...]:
        """Return each client and group for which the client committed offsets since the start, sorted."""
        ports = self._runtime.kafka
        return ports.traffic.groups() if ports is not None else ()

    def coordinator(self, key: str) -> int:
        """Return the id of the broker that coordinates a group or a transactional id; -1 if no broker is up."""
        return self._runtime.broker.cluster.coordinator(key)

    def preview(self, broker: int) -> tuple[LeaderMove, ...]:
        """Preview the leaders that `stop` would move, or `start` if the broker is down. Changes nothing.

        Raises:
            BrokerError: BROKER_NOT_AVAILABLE if the broker doesn't exist.
        """
        owner = self._runtime.broker
        moves = owner.cluster.would_move(broker, tuple(owner.topics.values()))
        return tuple(
            LeaderMove(one.partition.topic.name, one.partition.partition, one.before, one.after) for one in moves
        )

    def stop(self, broker: int) -> None:
        """Stop a broker: its leaders move to in-sync replicas, and its port and connections are closed.

        Raises:
            BrokerError: BROKER_NOT_AVAILABLE if the broker doesn't exist or is down.
        """
        self._runtime.check_writable()
        ports = self._runtime.kafka
        if ports is None:
            self._change(lambda: self._moved(broker, False))
        else:
            self._run(ports.stop_broker(broker))

    def start(self, broker: int) -> None:
        """Reopen the broker's port. It rejoins the ISR immediately, and leads partitions that have no leader.

        Raises:
            BrokerError: BROKER_NOT_AVAILABLE if the broker doesn't exist, is up, or its port is in use.
        """
        self._runtime.check_writable()
        self._runtime.broker.cluster.check(broker)
        ports = self._runtime.kafka
        if ports is None:
            self._change(lambda: self._moved(broker, True))
            return
        try:
            self._run(ports.start_broker(broker))
        except OSError as error:
            reason = f"The port of broker {broker} cannot be opened: {error.strerror or error}."
            raise BrokerError("BROKER_NOT_AVAILABLE", reason) from error

    def move_leader(self, topic: str, partition: int, broker: int) -> None:
        """Make a broker the leader of a partition.

        Raises:
            BrokerError: ELIGIBLE_LEADERS_NOT_AVAILABLE if the broker isn't an in-sync replica, ELECTION_NOT_NEEDED.
        """
        owner = self._runtime.broker
        self._change(lambda: owner.led([owner.cluster.move(owner.topic(topic).partition(partition), broker)]))

    def elect_preferred_leaders(self) -> int:
        """Elect the preferred leader (the first replica) of each partition if it is in sync. Returns the number of
        moves.
        """
        owner = self._runtime.broker

        def prefer() -> int:
            moves = []
            for topic in owner.topics.values():
                for partition in topic.partitions:
                    try:
                        moves.append(owner.cluster.prefer(partition))
                    except BrokerError:
                        continue
            owner.led(moves)
            return len(moves)

        return self._change(prefer)

    def _moved(self, broker: int, up: bool) -> None:
        self._runtime.broker.switched(broker, up=up)

    def _change(self, function: Callable[[], T]) -> T:
        return self._runtime.call(lambda now_ms: function())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        # Outside the caller's context: a port that is opened in it, and its connections, would keep the context alive.
        Context().run(asyncio.run_coroutine_threadsafe, work, self._runtime.loop()).result()


def with_leaders(runtime: Runtime, topic: TopicDescription) -> TopicDescription:
    """Add leaders and in-sync replicas to a topic; only the running broker knows these."""
    known = runtime.broker.topics.get(topic.topic)
    cluster = runtime.broker.cluster
    if known is None or (len(cluster.ids) == 1 and cluster.up):
        return topic
    led: dict[int, Partition] = {one.partition: one for one in known.partitions}
    return replace(
        topic,
        partitions=tuple(
            replace(
                one,
                leader=led[one.partition].leader,
                leader_epoch=led[one.partition].leader_epoch,
                replicas=led[one.partition].replicas,
                isr=led[one.partition].isr,
            )
            if one.partition in led
            else one
            for one in topic.partitions
        ),
    )
