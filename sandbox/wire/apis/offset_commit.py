"""OffsetCommit, key 8, versions 2 to 10.

Differs from a real broker: `retention_time_ms` of old versions is ignored; `offsets.retention.minutes` applies.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace

from sandbox.broker.groups.calls import OffsetCommit, PartitionError
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import CODE
from sandbox.wire.long_writes import not_committed
from sandbox.wire.node import Answer, Handled, Request

MEMBER_EPOCH_SINCE = 9
TOPIC_IDS_SINCE = 10


def handle(request: Request) -> Handled:
    """Commit offsets of a group. The answer for thousands of offsets is sent later."""
    body, node = request.body, request.node
    node.traffic.committed(request.client_id, None, body.group_id)
    exists = _exists(request)
    names = [_name(request, topic) for topic in body.topics]
    offsets = [
        OffsetCommit(
            name, one.partition_index, one.committed_offset, one.committed_leader_epoch, one.committed_metadata
        )
        for name, topic in zip(names, body.topics, strict=True)
        if name is not None
        for one in topic.partitions
    ]

    def commit(some: Sequence[OffsetCommit]) -> Sequence[PartitionError]:
        return node.coordinator.commit(
            body.group_id,
            body.generation_id_or_member_epoch,
            body.member_id,
            body.group_instance_id,
            some,
            node.now_ms(),
            exists=exists,
            knows_epochs=request.version >= MEMBER_EPOCH_SINCE,
        )

    if not node.long_writes.wants(body.group_id, len(offsets)):
        return _answer(request, names, commit(offsets))
    reply: Reply[Answer] = Reply()
    written = node.long_writes.run(body.group_id, offsets, commit, not_committed)
    written.on_done(lambda outcome: reply.set(_answer(request, names, outcome)))
    return reply


def _answer(request: Request, names: Sequence[str | None], found: Sequence[PartitionError]) -> Answer:
    outcome = iter(found)
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
            for name, topic in zip(names, request.body.topics, strict=True)
        ]
    }


def _name(request: Request, topic: SimpleNamespace) -> str | None:
    if request.version < TOPIC_IDS_SINCE:
        return str(topic.name)
    found = request.node.broker.topics_by_id.get(topic.topic_id) or request.node.internal.find(None, topic.topic_id)
    return found.name if found else None


def _exists(request: Request) -> Callable[[str, int], bool]:
    topics = request.node.broker.topics

    def exists(name: str, partition: int) -> bool:
        topic = topics.get(name) or request.node.internal.find(name)
        return topic is not None and 0 <= partition < len(topic.partitions)

    return exists
