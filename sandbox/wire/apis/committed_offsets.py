"""Committed offsets of groups."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from uuid import UUID

from sandbox.broker.groups.calls import FetchedOffset, OffsetCommit, PartitionError
from sandbox.kafka.errors import CODE
from sandbox.wire.long_writes import not_committed
from sandbox.wire.node import Answer, Handled, Request

MEMBER_EPOCH_SINCE = 9
TOPIC_IDS_SINCE = 10


def offset_commit(request: Request) -> Handled:
    """OffsetCommit, key 8, versions 2 to 10.

    Differs from a real broker: `retention_time_ms` of old versions is ignored; `offsets.retention.minutes` applies.
    """
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
    return node.long_writes.run(
        body.group_id, offsets, commit, not_committed, lambda outcome: _answer(request, names, outcome)
    )


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


GROUPS_SINCE = 8


def offset_fetch(request: Request) -> Answer:
    """OffsetFetch, key 9, versions 1 to 10 (KIP-447, KIP-709, KIP-848).

    Differs from a real broker: a group whose offsets are all requested twice is answered once. An unknown group has no
    committed offsets, which is not an error. If an open transaction has staged an offset, a client that requires stable
    offsets must retry (UNSTABLE_OFFSET_COMMIT).
    """
    body = request.body
    if request.version < GROUPS_SINCE:
        return {"topics": _topics(request, body.group_id, body.topics), "error_code": 0}
    # All offsets of a group are read once, even if a request contains the group several times.
    groups = {
        (group.group_id, group.member_id, group.member_epoch) if group.topics is None else id(group): group
        for group in body.groups
    }
    return {"groups": [_group(request, group) for group in groups.values()]}


def _group(request: Request, group: SimpleNamespace) -> Answer:
    """Return one group's offsets. From version 9 the request names its member, and an outdated one gets an error."""
    refusal = request.node.coordinator.fetch_refusal(group.group_id, group.member_id, group.member_epoch)
    if refusal != "NONE":
        return {"group_id": group.group_id, "topics": [], "error_code": CODE[refusal]}
    return {"group_id": group.group_id, "topics": _topics(request, group.group_id, group.topics), "error_code": 0}


def _topics(request: Request, group: str, wanted: list[SimpleNamespace] | None) -> list[Answer]:
    coordinator, broker = request.node.coordinator, request.node.broker
    unstable = broker.transactions.pending(group) if request.body.require_stable else set()
    if wanted is None:
        found: dict[str, list[Answer]] = {}
        for one in coordinator.fetch_offsets(group, None):
            found.setdefault(one.topic, []).append(_partition(one, unstable))
        return [_topic(request, name, partitions) for name, partitions in found.items()]
    answers = []
    for topic in wanted:
        name = topic.name
        if request.version >= TOPIC_IDS_SINCE:
            known = broker.topics_by_id.get(topic.topic_id) or request.node.internal.find(None, topic.topic_id)
            if known is None:
                answers.append(_unknown(topic))
                continue
            name = known.name
        offsets = coordinator.fetch_offsets(group, {name: topic.partition_indexes})
        answers.append(_topic(request, name, [_partition(one, unstable) for one in offsets]))
    return answers


def _topic(request: Request, name: str, partitions: list[Answer]) -> Answer:
    if request.version < TOPIC_IDS_SINCE:
        return {"name": name, "partitions": partitions}
    known = request.node.broker.topics.get(name) or request.node.internal.find(name)
    return {"topic_id": known.topic_id if known else UUID(int=0), "partitions": partitions}


def _partition(one: FetchedOffset, unstable: set[tuple[str, int]]) -> Answer:
    if (one.topic, one.partition) in unstable:
        return _none(one.partition, "UNSTABLE_OFFSET_COMMIT")
    return {
        "partition_index": one.partition,
        "committed_offset": one.offset,
        "committed_leader_epoch": one.leader_epoch,
        "metadata": one.metadata,
        "error_code": 0,
    }


def _none(partition: int, error: str) -> Answer:
    return {
        "partition_index": partition,
        "committed_offset": -1,
        "committed_leader_epoch": -1,
        "metadata": "",
        "error_code": CODE[error],
    }


def _unknown(topic: SimpleNamespace) -> Answer:
    return {
        "topic_id": topic.topic_id,
        "partitions": [_none(index, "UNKNOWN_TOPIC_ID") for index in topic.partition_indexes],
    }


def offset_delete(request: Request) -> Answer:
    """OffsetDelete, key 47, version 0 (KIP-496).

    Differs from a real broker: nothing known.
    """
    body = request.body
    wanted = [(topic.name, one.partition_index) for topic in body.topics for one in topic.partitions]
    answer = request.node.coordinator.delete_offsets(body.group_id, wanted)
    if answer.error != "NONE":
        return {"error_code": CODE[answer.error]}
    outcome = iter(answer.partitions)
    return {
        "error_code": 0,
        "topics": [
            {
                "name": topic.name,
                "partitions": [
                    {"partition_index": one.partition_index, "error_code": CODE[next(outcome).error]}
                    for one in topic.partitions
                ],
            }
            for topic in body.topics
        ],
    }
