"""The simulated cluster: which brokers are up, and who leads each partition.

Nothing is replicated: behind every broker is the same file. What is played is what clients see of a cluster. When a
broker stops, it leaves the in-sync sets; a partition that it led gets the first of its replicas that is in sync as the
new leader, with a higher leader epoch, or none where no replica is left. When it starts again it is in sync at once,
and leads only what has no leader, until its preferred partitions are given back to it (preferred leader election).

Replicas are worked out from a partition's place, so that a file may be opened with another number of brokers; only a
reassignment by hand is stored.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zlib import crc32

from sandbox.broker.logs.topic import Partition, Topic
from sandbox.kafka.errors import BrokerError

BROKERS_MAX = 9
NO_LEADER = -1
MANUAL = "The manual partition assignment includes"
"""How Kafka's refusals of an assignment by hand begin."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change of one partition: its leader before and after."""

    partition: Partition
    before: int
    after: int


class Cluster:
    """The brokers of one sandbox.

    Args:
        count: how many there are, 1 to `BROKERS_MAX`; their ids are 1 and up.
    """

    def __init__(self, count: int) -> None:
        if not 1 <= count <= BROKERS_MAX:
            raise BrokerError("INVALID_REQUEST", f"A sandbox plays 1 to {BROKERS_MAX} brokers, not {count}.")
        self.ids = tuple(range(1, count + 1))
        self._up = set(self.ids)

    @property
    def up(self) -> tuple[int, ...]:
        """The ids of the brokers that are up."""
        return tuple(sorted(self._up))

    @property
    def controller(self) -> int:
        """The broker that is the controller: the first one that is up."""
        return min(self._up, default=NO_LEADER)

    def replication_factor(self, wanted: int, default: int) -> int:
        """How many replicas a new topic gets.

        Args:
            wanted: 1 to the number of brokers that are up; -1 for the default.
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
                f"cannot be reached because only {len(self._up)} broker(s) are registered.",
            )
        return wanted

    def is_up(self, broker: int) -> bool:
        """Whether a broker is up."""
        return broker in self._up

    def coordinator(self, key: str) -> int:
        """The broker that coordinates a group or a transactional id.

        When a broker stops, only what it coordinated itself moves.
        """
        return max(self._up, key=lambda broker: (crc32(f"{broker}/{key}".encode()), broker), default=NO_LEADER)

    def place(self, topic: Topic, partition: Partition, replicas: tuple[int, ...] | None) -> None:
        """Give a partition its replicas, and the best leader there is.

        Args:
            replicas: those of a reassignment by hand, else None.
        """
        count = min(topic.replication_factor, len(self.ids))
        if replicas is None or not set(replicas) <= set(self.ids):
            first = topic.id + partition.partition
            replicas = tuple(self.ids[(first + step) % len(self.ids)] for step in range(count))
        partition.replicas = replicas
        partition.isr = tuple(broker for broker in replicas if broker in self._up) or replicas[:1]
        partition.leader = next((broker for broker in partition.isr if broker in self._up), NO_LEADER)

    def check_assignment(self, assignments: Iterable[tuple[int, ...]]) -> None:
        """Refuse replicas by hand that cannot be: INVALID_REPLICA_ASSIGNMENT, with the reason."""
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

    def stop(self, broker: int, topics: Iterable[Topic]) -> list[Move]:
        """Take a broker down.

        Returns:
            The partitions whose leader changed; their leader epochs are raised.

        Raises:
            BrokerError: BROKER_NOT_AVAILABLE where there is no such broker, or it is down.
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

    def start(self, broker: int, topics: Iterable[Topic]) -> list[Move]:
        """Bring a broker back: it is in sync at once, and leads what has no leader."""
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

    def would_move(self, broker: int, topics: Iterable[Topic]) -> list[Move]:
        """What `stop` would do to the leaders, or `start` where the broker is down. Nothing is changed."""
        self.check(broker)
        partitions = _partitions(topics)
        if broker in self._up:
            return [Move(one, broker, self._candidate(one, broker)) for one in partitions if one.leader == broker]
        return [Move(one, NO_LEADER, broker) for one in partitions if one.leader == NO_LEADER and broker in one.isr]

    def move(self, partition: Partition, broker: int) -> Move:
        """Make a broker the leader of a partition.

        Raises:
            BrokerError: ELIGIBLE_LEADERS_NOT_AVAILABLE where it is not in sync, ELECTION_NOT_NEEDED where it leads.
        """
        self.check(broker)
        if broker == partition.leader:
            raise BrokerError("ELECTION_NOT_NEEDED", f"Broker {broker} leads that partition already.")
        if broker not in partition.isr or broker not in self._up:
            raise BrokerError(
                "ELIGIBLE_LEADERS_NOT_AVAILABLE", f"Broker {broker} is not an in-sync replica of that partition."
            )
        return self._lead(partition, broker)

    def prefer(self, partition: Partition) -> Move:
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

    def reassign(self, partition: Partition, replicas: tuple[int, ...]) -> Move:
        """Give a partition other replicas, which are in sync at once where they are up."""
        if not replicas or len(set(replicas)) != len(replicas) or not set(replicas) <= set(self.ids):
            raise BrokerError("INVALID_REPLICA_ASSIGNMENT", f"The brokers are {', '.join(map(str, self.ids))}.")
        partition.replicas = replicas
        partition.isr = tuple(broker for broker in replicas if broker in self._up) or replicas[:1]
        if partition.leader in partition.isr:
            return Move(partition, partition.leader, partition.leader)
        return self._lead(partition, self._candidate(partition))

    def _candidate(self, partition: Partition, without: int | None = None) -> int:
        in_sync = (one for one in partition.replicas if one in partition.isr and one in self._up and one != without)
        return next(in_sync, NO_LEADER)

    def _lead(self, partition: Partition, broker: int) -> Move:
        move = Move(partition, partition.leader, broker)
        partition.leader = broker
        partition.leader_epoch += 1
        return move

    def check(self, broker: int) -> None:
        """Refuse an id that no broker has: BROKER_NOT_AVAILABLE."""
        if broker not in self.ids:
            raise BrokerError(
                "BROKER_NOT_AVAILABLE", f"There is no broker {broker}: there are {', '.join(map(str, self.ids))}."
            )


def _partitions(topics: Iterable[Topic]) -> Iterator[Partition]:
    for topic in topics:
        yield from topic.partitions
