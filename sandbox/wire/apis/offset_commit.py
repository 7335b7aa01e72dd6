"""OffsetCommit, key 8, versions 2 to 10.

Differs from a real broker: `retention_time_ms` of old versions is not looked at; `offsets.retention.minutes` counts.
"""

from collections.abc import Callable
from types import SimpleNamespace

from sandbox.broker.groups.calls import OffsetCommit
from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request

MEMBER_EPOCH_SINCE = 9
TOPIC_IDS_SINCE = 10


def handle(request: Request) -> Answer:
    """Commit offsets of a group."""
    body, node = request.body, request.node
    names = [_name(request, topic) for topic in body.topics]
    offsets = [
        OffsetCommit(
            name, one.partition_index, one.committed_offset, one.committed_leader_epoch, one.committed_metadata
        )
        for name, topic in zip(names, body.topics, strict=True)
        if name is not None
        for one in topic.partitions
    ]
    outcome = iter(
        node.coordinator.commit(
            body.group_id,
            body.generation_id_or_member_epoch,
            body.member_id,
            body.group_instance_id,
            offsets,
            node.now_ms(),
            exists=_exists(request),
            knows_epochs=request.version >= MEMBER_EPOCH_SINCE,
        )
    )
    return {
        "topics": [
            {
                "name": topic.name,
                "topic_id": topic.topic_id,
                "partitions": [
                    {
                        "partition_index": one.partition_index,
                        "error_code": CODE[next(outcome).error if name is not None else "UNKNOWN_TOPIC_ID"],
                    }
                    for one in topic.partitions
                ],
            }
            for name, topic in zip(names, body.topics, strict=True)
        ]
    }


def _name(request: Request, topic: SimpleNamespace) -> str | None:
    if request.version < TOPIC_IDS_SINCE:
        return str(topic.name)
    found = request.node.broker.topics_by_id.get(topic.topic_id)
    return found.name if found else None


def _exists(request: Request) -> Callable[[str, int], bool]:
    topics = request.node.broker.topics

    def exists(name: str, partition: int) -> bool:
        topic = topics.get(name)
        return topic is not None and 0 <= partition < len(topic.partitions)

    return exists
