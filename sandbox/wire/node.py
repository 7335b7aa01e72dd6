"""What an API module works with: one request, and the node that it came to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sandbox.broker.broker import Broker
from sandbox.broker.faults import Faults
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.logs.topic import NODE_ID, Topic
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import BrokerError
from sandbox.wire.batch_cache import BatchCache
from sandbox.wire.fetch_sessions import FetchSessions
from sandbox.wire.held_bytes import HeldBytes
from sandbox.wire.long_commits import LongCommits
from sandbox.wire.time_slices import TimeSlices

if TYPE_CHECKING:
    from sandbox.wire.auth.sasl import SaslSession

Answer = Mapping[str, Any]

TOPIC_OPERATIONS = sum(1 << operation for operation in (3, 4, 5, 6, 7, 8, 10, 11))
CLUSTER_OPERATIONS = sum(1 << operation for operation in (5, 7, 8, 9, 10, 11, 12))
GROUP_OPERATIONS = sum(1 << operation for operation in (3, 6, 8, 10, 11))
"""What everybody may do where there is no authorizer: the bits of AclOperation that Kafka gives."""
NO_OPERATIONS = -2147483648
"""Authorized operations that were not asked for."""


class Timer(Protocol):
    """What `Node.call_later` gives back."""

    def cancel(self) -> None:
        """Forget the call."""


@dataclass(slots=True)
class Node:
    """The broker as the wire sees it.

    Attributes:
        now_ms: the clock.
        call_later: call a function after a time in ms.
        on_append: who waits for an append, by partition id; called after each commit that appended
            to that partition.
        faults: what is made to go wrong.
        after: called when requests were handled outside their turn, so that a commit is scheduled.
        ports: broker id to port, of every broker that is up.
        advertised: every API with its versions, as ApiVersions answers.
        long_commits: the commits of thousands of offsets that are being written.
        slices: where long work is cut into steps.
        held: what connections hold in memory.
    """

    broker: Broker
    coordinator: GroupCoordinator
    cache: BatchCache
    sessions: FetchSessions
    now_ms: Callable[[], int]
    call_later: Callable[[int, Callable[[], None]], Timer]
    on_append: dict[int, set[Callable[[], None]]]
    advertised: list[dict[str, int]]
    faults: Faults
    after: Callable[[], None]
    slices: TimeSlices
    held: HeldBytes
    ports: dict[int, int] = field(default_factory=dict)
    node_id: int = NODE_ID
    long_commits: LongCommits = field(init=False)

    def __post_init__(self) -> None:
        self.long_commits = LongCommits(self._soon, self.broker.turn.wait, self.broker.undo)

    def _soon(self, call: Callable[[], None]) -> None:
        def run() -> None:
            call()
            self.after()

        self.call_later(0, run)


class Request(NamedTuple):
    """One request, decoded.

    Attributes:
        body: every field of every version (`sandbox.wire.messages.messages`).
        host: the address of ours that the client came to, which is the one that it is told again.
        client_host: as Kafka shows it: "/" and the address.
        sasl: the log-in of the connection, None on a listener without.
    """

    key: int
    version: int
    client_id: str | None
    body: SimpleNamespace
    node: Node
    host: str
    port: int
    client_host: str
    sasl: "SaslSession | None" = None

    def brokers(self) -> list[dict[str, Any]]:
        """Every broker that is up, under the address that the client came to."""
        return [
            {"node_id": broker, "host": self.host, "port": port, "rack": None}
            for broker, port in sorted(self.node.ports.items())
        ]

    def address(self, broker: int) -> dict[str, Any]:
        """Node id, host and port of a broker; none where it is not up."""
        port = self.node.ports.get(broker)
        if port is None:
            return {"node_id": -1, "host": "", "port": -1}
        return {"node_id": broker, "host": self.host, "port": port}


Handled = Answer | Reply[Answer] | None
"""An answer: now, later, or (None) never, for acks=0."""
Handler = Callable[[Request], Handled]


def topic_of(request: Request, name: str | None, topic_id: Any) -> Topic:
    """The topic that a request names, or by its id where it has no name.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION, or UNKNOWN_TOPIC_ID.
    """
    broker = request.node.broker
    if name:
        return broker.topic(name)
    topic = broker.topics_by_id.get(topic_id)
    if topic is None:
        raise BrokerError("UNKNOWN_TOPIC_ID", f"There is no topic with the id {topic_id}.")
    return topic
