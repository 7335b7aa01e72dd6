"""The simulated cluster: which brokers are up, and which broker leads each partition.

Nothing is replicated: all brokers share one file. Only the behaviour that clients see is simulated. A broker that stops
leaves the in-sync replicas (ISR). Each partition that it led gets its first in-sync replica as the new leader, with a
higher leader epoch, or no leader if no replica is left. A broker that starts again is in sync immediately, and leads
only partitions without a leader until a preferred leader election.

Replicas are computed from a partition's position, so that a file can be opened with a different number of brokers. Only
manual reassignments are stored.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zlib import crc32

from sandbox.broker.logs.topic import Partition, Topic
from sandbox.kafka.errors import BrokerError

BROKERS_MAX = 9
NO_LEADER = -1
MANUAL = "The manual partition assignment includes"
"""The start of Kafka's errors about a manual assignment."""


@dataclass(frozen=True, slots=True)
class LeaderChange:
    """One partition's leader before and after a change."""

    partition: Partition
    before: int
    after: int


class Cluster:
    """The brokers of one sandbox.

    Args:
        count: number of brokers, 1 to `BROKERS_MAX`. Their ids start at 1.
    """

    def __init__(self, count: int) -> None:
        if not 1 <= count <= BROKERS_MAX:
            raise BrokerError("INVALID_REQUEST", f"A sandbox plays 1 to {BROKERS_MAX} brokers, not {count}.")
        self.ids = tuple(range(1, count + 1))
        self._up = set(self.ids)

    @property
    def up(self) -> tuple[int, ...]:
        """The ids of the running brokers."""
        return tuple(sorted(self._up))

    @property
    def controller(self) -> int:
        """The controller: the running broker with the lowest id."""
        return min(self._up, default=NO_LEADER)

    def replication_factor(self, wanted: int, default: int) -> int:
        """Return the replication factor of a new topic.

        Args:
            wanted: 1 to the number of running brokers; -1 for the default.
            default: `default.replication.factor`.

        Raises:
            BrokerError: INVALID_REPLICATION_FACTOR.
        """
        if wanted == -1:
            return min(default, len(self.ids))
        if wanted < 1:
            raise BrokerError(
                "INVALID_REPLICATION_FACTOR",
                "Replication factor must be larger than 0, or -1 to use the default value.",
            )
        if wanted > len(self._up):
            raise BrokerError(
                "INVALID_REPLICATION_FACTOR",
                f"Unable to replicate the partition {wanted} time(s): The target replication factor of {wanted} "
                f"cannot be reached because only {len(self._up)} broker(s) are registered or some brokers "
                "have all their log directories cordoned.",
            )
        return wanted

    def is_up(self, broker: int) -> bool:
        """True if the broker is running."""
        return broker in self._up

    def coordinator(self, key: str) -> int:
        """Return the broker that coordinates a group or a transactional id.

        If a broker stops, only the groups and ids that it coordinated move.
        """
        return max(self._up, key=lambda broker: (crc32(f"{broker}/{key}".encode()), broker), default=NO_LEADER)

    def place(self, topic: Topic, partition: Partition, replicas: tuple[int, ...] | None) -> None:
        """Assign a partition's replicas and the best available leader.

        Args:
            replicas: the replicas of a manual reassignment, or None.
        """
        count = min(topic.replication_factor, len(self.ids))
        if replicas is None or not set(replicas) <= set(self.ids):
            first = topic.id + partition.partition
            replicas = tuple(self.ids[(first + step) % len(self.ids)] for step in range(count))
        partition.replicas = replicas
        partition.isr = tuple(broker for broker in replicas if broker in self._up) or replicas[:1]
        partition.leader = next((broker for broker in partition.isr if broker in self._up), NO_LEADER)

    def check_assignment(self, assignments: Iterable[tuple[int, ...]]) -> None:
        """Check manually assigned replicas. Raises BrokerError INVALID_REPLICA_ASSIGNMENT with the reason."""
        lengths = set()
        for replicas in assignments:
            lengths.add(len(replicas))
            if not replicas:
                raise BrokerError("INVALID_REPLICA_ASSIGNMENT", f"{MANUAL} an empty replica list.")
            for broker in replicas:
                if replicas.count(broker) > 1:
                    raise BrokerError("INVALID_REPLICA_ASSIGNMENT", f"{MANUAL} the broker {broker} more than once.")
                if broker not in self._up:
                    raise BrokerError(
                        "INVALID_REPLICA_ASSIGNMENT", f"{MANUAL} broker {broker}, but no such broker is registered."
                    )
        if len(lengths) > 1:
            raise BrokerError("INVALID_REPLICA_ASSIGNMENT", "All partitions must have the same number of replicas.")

    def stop(self, broker: int, topics: Iterable[Topic]) -> list[LeaderChange]:
        """Stop a broker.

        Returns:
            The partitions whose leader changed, each with a higher leader epoch.

        Raises:
            BrokerError: BROKER_NOT_AVAILABLE if the broker doesn't exist or is down.
        """
        self.check(broker)
        if broker not in self._up:
            raise BrokerError("BROKER_NOT_AVAILABLE", f"Broker {broker} is down already.")
        self._up.discard(broker)
        moves = []
        for partition in _partitions(topics):
            if broker not in partition.replicas:
                continue
            partition.isr = tuple(one for one in partition.isr if one != broker) or partition.isr
            if partition.leader == broker:
                moves.append(self._lead(partition, self._candidate(partition)))
        return moves

    def start(self, broker: int, topics: Iterable[Topic]) -> list[LeaderChange]:
        """Start a broker. It is in sync immediately, and leads the partitions that have no leader."""
        self.check(broker)
        if broker in self._up:
            raise BrokerError("BROKER_NOT_AVAILABLE", f"Broker {broker} is up already.")
        self._up.add(broker)
        moves = []
        for partition in _partitions(topics):
            if broker not in partition.replicas:
                continue
            if partition.leader == NO_LEADER:
                if broker not in partition.isr:
                    continue
                partition.isr = (broker,)
                moves.append(self._lead(partition, broker))
            else:
                in_sync = {*partition.isr, broker}
                partition.isr = tuple(one for one in partition.replicas if one in in_sync)
        return moves

    def would_move(self, broker: int, topics: Iterable[Topic]) -> list[LeaderChange]:
        """Return the leader changes that `stop`, or `start` for a stopped broker, would cause. Changes nothing."""
        self.check(broker)
        partitions = _partitions(topics)
        if broker in self._up:
            return [
                LeaderChange(one, broker, self._candidate(one, broker)) for one in partitions if one.leader == broker
            ]
        return [
            LeaderChange(one, NO_LEADER, broker) for one in partitions if one.leader == NO_LEADER and broker in one.isr
        ]

    def move(self, partition: Partition, broker: int) -> LeaderChange:
        """Make a broker the leader of a partition.

        Raises:
            BrokerError: ELIGIBLE_LEADERS_NOT_AVAILABLE if it isn't in sync, ELECTION_NOT_NEEDED if it is the leader
            already.
        """
        self.check(broker)
        if broker == partition.leader:
            raise BrokerError("ELECTION_NOT_NEEDED", f"Broker {broker} leads that partition already.")
        if broker not in partition.isr or broker not in self._up:
            raise BrokerError(
                "ELIGIBLE_LEADERS_NOT_AVAILABLE", f"Broker {broker} is not an in-sync replica of that partition."
            )
        return self._lead(partition, broker)

    def prefer(self, partition: Partition) -> LeaderChange:
        """Make the first replica the leader (KIP-460).

        Raises:
            BrokerError: ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE.
        """
        preferred = partition.replicas[0]
        if preferred == partition.leader:
            raise BrokerError("ELECTION_NOT_NEEDED")
        if preferred not in partition.isr or preferred not in self._up:
            raise BrokerError("PREFERRED_LEADER_NOT_AVAILABLE")
        return self._lead(partition, preferred)

    def reassign(self, partition: Partition, replicas: tuple[int, ...]) -> LeaderChange:
        """Replace a partition's replicas. Those that are up are in sync immediately."""
        if not replicas or len(set(replicas)) != len(replicas) or not set(replicas) <= set(self.ids):
            raise BrokerError("INVALID_REPLICA_ASSIGNMENT", f"The brokers are {', '.join(map(str, self.ids))}.")
        partition.replicas = replicas
        partition.isr = tuple(broker for broker in replicas if broker in self._up) or replicas[:1]
        if partition.leader in partition.isr:
            return LeaderChange(partition, partition.leader, partition.leader)
        return self._lead(partition, self._candidate(partition))

    def _candidate(self, partition: Partition, without: int | None = None) -> int:
        in_sync = (one for one in partition.replicas if one in partition.isr and one in self._up and one != without)
        return next(in_sync, NO_LEADER)

    def _lead(self, partition: Partition, broker: int) -> LeaderChange:
        move = LeaderChange(partition, partition.leader, broker)
        partition.leader = broker
        partition.leader_epoch += 1
        return move

    def check(self, broker: int) -> None:
        """Raise BrokerError BROKER_NOT_AVAILABLE if no broker has this id."""
        if broker not in self.ids:
            raise BrokerError(
                "BROKER_NOT_AVAILABLE", f"There is no broker {broker}: there are {', '.join(map(str, self.ids))}."
            )


def _partitions(topics: Iterable[Topic]) -> Iterator[Partition]:
    for topic in topics:
        yield from topic.partitions
