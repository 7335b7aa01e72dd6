"""The common parts of ShareFetch and ShareAcknowledge: acknowledgements, and the end of a member's session."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sandbox.broker.logs.topic import Partition
from sandbox.broker.shares.window import AcknowledgedRange, AcknowledgeType
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.failure import StorageFailed
from sandbox.wire.node import Answer, Node, Request, topic_of
from sandbox.wire.share_sessions import Member, Place, ShareSession

RENEW_SINCE = 2
"""The version of both requests since which records can be renewed (KIP-1222)."""
NO_PARTITIONS: Mapping[Place, BrokerError | None] = {}


def check_member(request: Request) -> Member:
    """Return the group and member of a request. Raises BrokerError INVALID_REQUEST, GROUP_ID_NOT_FOUND."""
    body = request.body
    if body.group_id is None:
        raise BrokerError("INVALID_REQUEST", "Invalid group id in the request.")
    if not body.member_id:
        raise BrokerError("INVALID_REQUEST", "Invalid member id in the request.")
    request.node.coordinator.share_group(body.group_id)
    return body.group_id, body.member_id


def led_partition(request: Request, place: Place) -> Partition:
    """Return a partition that this broker leads.

    Raises:
        BrokerError: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER.
    """
    partition = topic_of(request, None, place[0]).partition(place[1])
    partition.check_leader(request.node.node_id)
    return partition


def acknowledge(request: Request, member: Member) -> dict[Place, BrokerError | None]:
    """Apply a request's acknowledgements. Returns the outcome for each partition that has some."""
    outcome: dict[Place, BrokerError | None] = {}
    for topic in request.body.topics:
        for wanted in topic.partitions:
            if wanted.acknowledgement_batches:
                place = topic.topic_id, wanted.partition_index
                try:
                    _acknowledge(request, member, place, wanted.acknowledgement_batches)
                    outcome[place] = None
                except BrokerError as error:
                    outcome[place] = error
    return outcome


def _acknowledge(request: Request, member: Member, place: Place, batches: list[Any]) -> None:
    node = request.node
    group_id, member_id = member
    renews = request.version >= RENEW_SINCE and request.body.is_renew_ack
    ranges = _checked(batches, renews)
    partition = led_partition(request, place)
    shares = node.coordinator.shares
    if shares.fetchable(group_id, partition) is None:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION")
    shares.acknowledge(group_id, partition, member_id, ranges, node.now_ms())


def _checked(batches: list[Any], renews: bool) -> list[AcknowledgedRange]:
    """Return valid ranges in ascending order. Raises BrokerError INVALID_REQUEST."""
    ranges: list[AcknowledgedRange] = []
    last = -1
    types_max = AcknowledgeType.RENEW if renews else AcknowledgeType.REJECT
    for batch in batches:
        one = AcknowledgedRange(batch.first_offset, batch.last_offset, tuple(batch.acknowledge_types))
        in_order = last < one.first <= one.last
        complete = len(one.types) == 1 or len(one.types) == one.last - one.first + 1
        if not in_order or not complete or not all(0 <= kind <= types_max for kind in one.types):
            raise BrokerError("INVALID_REQUEST")
        last = one.last
        ranges.append(one)
    return ranges


def end_session(node: Node, session: ShareSession) -> None:
    """End a session, and release the records that its member has."""
    group_id, member_id = session.member
    node.share_sessions.end(session.member)
    partitions = (_partition_id(node, place) for place in session.partitions)
    node.coordinator.shares.release_member(group_id, [one for one in partitions if one is not None], member_id)


def watch_connection(request: Request, session: ShareSession) -> None:
    """End the session with its connection."""
    node, at_end, key = request.node, request.at_end, session.member

    def ended() -> None:
        if node.share_sessions.get(session.member) is session and not node.broker.database.read_only:
            try:
                end_session(node, session)
            except StorageFailed as error:
                node.broker.undo(error)
            node.after()

    def forget() -> None:
        if at_end is not None and at_end.get(key) is ended:
            del at_end[key]

    if at_end is not None:
        at_end[key] = ended
        session.forget = forget


def _partition_id(node: Node, place: Place) -> int | None:
    topic = node.broker.topics_by_id.get(place[0])
    return topic.partitions[place[1]].id if topic is not None and place[1] < len(topic.partitions) else None


def by_topic(partitions: Mapping[Place, Answer]) -> list[Answer]:
    """Group the answers for partitions by topic."""
    topics: dict[UUID, list[Answer]] = {}
    for (topic_id, _), answer in partitions.items():
        topics.setdefault(topic_id, []).append(answer)
    return [{"topic_id": topic_id, "partitions": several} for topic_id, several in topics.items()]


def leader_of(node: Node, place: Place) -> Answer:
    """Return the current leader of a partition, for NOT_LEADER_OR_FOLLOWER."""
    topic = node.broker.topics_by_id.get(place[0])
    if topic is None or place[1] >= len(topic.partitions):
        return {"leader_id": -1, "leader_epoch": -1}
    partition = topic.partitions[place[1]]
    return {"leader_id": partition.leader, "leader_epoch": partition.leader_epoch}
