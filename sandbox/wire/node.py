"""The objects that API modules use: a request, and the node that received it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sandbox.broker.broker import Broker
from sandbox.broker.faults import FaultInjector
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.logs.topic import NODE_ID, Topic
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import BrokerError
from sandbox.wire.batch_cache import BatchCache
from sandbox.wire.fetch_sessions import FetchSessions, LookedUp
from sandbox.wire.held_bytes import HeldBytes
from sandbox.wire.internal_topics import InternalTopics
from sandbox.wire.long_writes import LongWrites
from sandbox.wire.lost_clients import LostClients
from sandbox.wire.share_sessions import ShareSessions
from sandbox.wire.time_slices import TimeSlices
from sandbox.wire.traffic import Traffic

if TYPE_CHECKING:
    from sandbox.wire.auth.listener import Advertised
    from sandbox.wire.auth.sasl import SaslSession

Answer = Mapping[str, Any]

TOPIC_OPERATIONS = sum(1 << operation for operation in (3, 4, 5, 6, 7, 8, 10, 11))
CLUSTER_OPERATIONS = sum(1 << operation for operation in (5, 7, 8, 9, 10, 11, 12))
GROUP_OPERATIONS = sum(1 << operation for operation in (3, 6, 8, 10, 11))
"""Kafka's AclOperation bits that everyone has without an authorizer."""
NO_OPERATIONS = -2147483648
"""The value if authorized operations weren't requested."""


class Timer(Protocol):
    """A call scheduled by `Node.call_later`."""

    def cancel(self) -> None:
        """Cancel the call."""


@dataclass(slots=True)
class Node:
    """The broker, as the wire protocol uses it.

    Attributes:
        now_ms: returns the current time.
        call_later: calls a function after a time in ms.
        on_append: callbacks by partition id; called after each commit that appended to that partition.
        faults: the injected faults.
        after: called when requests were handled outside their turn, so that a commit is scheduled.
        ports: broker id to port, of the running brokers.
        advertised_address: what clients of this listener get as address; None for the address that they connected to.
        lost_clients: finds clients that cannot connect to `advertised_address`.
        advertised: every API with its versions, for ApiVersions.
        long_writes: the requests that write thousands of rows.
        share_sessions: the sessions of members of share groups.
        slices: runs long work in steps.
        held: the memory that connections occupy.
        traffic: who produces to which topics, and commits for which groups.
    """

    broker: Broker
    coordinator: GroupCoordinator
    cache: BatchCache
    sessions: FetchSessions
    now_ms: Callable[[], int]
    call_later: Callable[[int, Callable[[], None]], Timer]
    on_append: dict[int, set[Callable[[], None]]]
    advertised: list[dict[str, int]]
    faults: FaultInjector
    after: Callable[[], None]
    slices: TimeSlices
    held: HeldBytes
    traffic: Traffic
    long_writes: LongWrites
    ports: dict[int, int] = field(default_factory=dict)
    node_id: int = NODE_ID
    advertised_address: "Advertised | None" = None
    lost_clients: LostClients = field(default_factory=LostClients)

    share_sessions: ShareSessions = field(init=False)
    internal: InternalTopics = field(init=False)

    def __post_init__(self) -> None:
        self.share_sessions = ShareSessions(lambda: self.broker.config.number("group.share.max.share.sessions"))
        self.internal = InternalTopics(self.broker, self.coordinator)

    def address(self, broker: int, host: str) -> dict[str, Any]:
        """Return a running broker's node id, host and port for a client that connected to a server address."""
        port = self.ports[broker]
        if self.advertised_address is not None:
            host, port = self.advertised_address.of(broker, host, port)
        return {"node_id": broker, "host": host, "port": port}


class Request(NamedTuple):
    """One decoded request.

    Attributes:
        body: every field of every version (`sandbox.wire.messages.messages`).
        host: the server address that the client connected to; answers contain the same address, or the advertised one.
        client_host: the client's address as Kafka shows it, with a leading "/".
        sasl: the connection's SASL session, None on a listener without SASL.
        at_end: what to call when the connection ends, by a key of the caller's; None if there is no connection.
        looked_up: the partitions whose offset the connection has looked up; None if there is no connection.
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
    at_end: dict[object, Callable[[], None]] | None = None
    looked_up: LookedUp | None = None

    def brokers(self) -> list[dict[str, Any]]:
        """Return every running broker, with the address for this client."""
        return [{**self.node.address(broker, self.host), "rack": None} for broker in sorted(self.node.ports)]

    def address(self, broker: int) -> dict[str, Any]:
        """Return a broker's node id, host and port; -1, "" and -1 if it isn't running."""
        if broker not in self.node.ports:
            return {"node_id": -1, "host": "", "port": -1}
        return self.node.address(broker, self.host)


Handled = Answer | Reply[Answer] | None
"""An answer that is available now, later, or (None) not sent, for acks=0."""
Handler = Callable[[Request], Handled]


def topic_of(request: Request, name: str | None, topic_id: Any) -> Topic:
    """Return the topic that a request names, by its name or, without a name, its id.

    Raises:
        BrokerError: UNKNOWN_TOPIC_OR_PARTITION, or UNKNOWN_TOPIC_ID; INVALID_TOPIC_EXCEPTION for an internal topic.
    """
    broker = request.node.broker
    topic = broker.topics.get(name) if name else broker.topics_by_id.get(topic_id)
    if topic is None:
        internal = request.node.internal.find(name, topic_id)
        if internal is not None:
            raise BrokerError(
                "INVALID_TOPIC_EXCEPTION", f"{internal.name} is an internal topic, which clients only read."
            )
    if name:
        return broker.topic(name)
    if topic is None:
        raise BrokerError("UNKNOWN_TOPIC_ID", f"There is no topic with the id {topic_id}.")
    return topic


def readable_topic(request: Request, name: str | None, topic_id: Any) -> Topic:
    """Return a topic like `topic_of`, or an internal topic, which can only be read."""
    broker = request.node.broker
    topic = broker.topics.get(name) if name else broker.topics_by_id.get(topic_id)
    return topic or request.node.internal.find(name, topic_id) or topic_of(request, name, topic_id)
