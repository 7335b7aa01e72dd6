"""What consumers put into group messages, for the rows that people read. The protocol itself hands the bytes around."""

from sandbox.wire.messages import messages

VERSION_0 = b"\0\0"


def assigned_partitions(data: bytes) -> dict[str, tuple[int, ...]] | None:
    """Topic to partitions of a consumer's assignment, None where it is something else."""
    try:
        found = messages.decode_assignment(data)
    except messages.MalformedMessage:
        return None
    return {one.topic: tuple(one.partitions) for one in found.assigned_partitions}


def subscribed_topics(data: bytes) -> tuple[str, ...] | None:
    """The topics that a consumer's metadata names, None if it is something else.

    As Kafka's coordinator does, it reads what every version begins with (version 0: topics and user data) and nothing
    after it: a newer version may lack its own fields.
    """
    try:
        found = messages.decode_subscription(VERSION_0 + data[len(VERSION_0) :])
    except messages.MalformedMessage:
        return None
    return tuple(found.topics)
