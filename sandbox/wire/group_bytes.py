"""Decodes consumers' data in group messages, for display and for groups that migrate between the protocols.

Otherwise the classic protocol passes the bytes on unchanged.
"""

from collections.abc import Mapping

from sandbox.broker.groups.calls import MemberBytes, Subscription
from sandbox.wire.messages import messages
from sandbox.wire.messages.schemas import schemas, span

VERSION_0 = b"\0\0"


def assigned_partitions(data: bytes) -> dict[str, tuple[int, ...]] | None:
    """Decode a consumer's assignment to partitions by topic. Returns None if it is something else."""
    try:
        found = messages.decode_assignment(data)
    except messages.MalformedMessage:
        return None
    return {one.topic: tuple(one.partitions) for one in found.assigned_partitions}


def subscribed_topics(data: bytes) -> tuple[str, ...] | None:
    """Decode the topics in a consumer's metadata. Returns None if it is something else.

    Like Kafka's coordinator, it reads only the fields of version 0 (topics and user data), which every version begins
    with: newer versions may lack their additional fields.
    """
    try:
        found = messages.decode_subscription(VERSION_0 + data[len(VERSION_0) :])
    except messages.MalformedMessage:
        return None
    return tuple(found.topics)


def _subscription(data: bytes) -> Subscription | None:
    """Decode a consumer's metadata. Returns None if it is something else."""
    try:
        found = messages.decode_subscription(data)
    except messages.MalformedMessage:
        return None
    owned: dict[str, tuple[int, ...]] = {}
    for one in found.owned_partitions or ():
        owned[one.topic] = owned.get(one.topic, ()) + tuple(one.partitions)
    return Subscription(found.version, tuple(found.topics), owned, found.rack_id)


def _assignment(version: int, by_topic: Mapping[str, tuple[int, ...]]) -> bytes:
    """Encode an assignment with the version of a consumer's metadata, or the newest known one."""
    topics = [{"topic": topic, "partitions": list(partitions)} for topic, partitions in by_topic.items()]
    newest = span(schemas()[messages.ASSIGNMENT]["versions"])[-1]
    return messages.encode_assignment(min(version, newest), {"assigned_partitions": topics, "user_data": None})


def _has_user_data(data: bytes) -> bool:
    try:
        return bool(data) and bool(messages.decode_assignment(data).user_data)
    except messages.MalformedMessage:
        return False


MEMBER_BYTES = MemberBytes(_subscription, _has_user_data, _assignment)
