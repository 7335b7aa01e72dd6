"""OffsetFetch, key 9, versions 1 to 10 (KIP-447, KIP-709, KIP-848).

Differs from a real broker: a group whose offsets are all requested twice is answered once. An unknown group has no
committed offsets, which is not an error. If an open transaction has staged an offset, a client that requires stable
offsets must retry (UNSTABLE_OFFSET_COMMIT).
"""

from types import SimpleNamespace
from uuid import UUID

from sandbox.broker.groups.calls import FetchedOffset
from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request

GROUPS_SINCE = 8
TOPIC_IDS_SINCE = 10


def handle(request: Request) -> Answer:
    """Return the committed offsets of one group, or (version 8 and later) of several."""
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
