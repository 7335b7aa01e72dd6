"""Decodes consumers' data in group messages for display. The protocol passes the bytes on unchanged."""

from sandbox.wire.messages import messages

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
