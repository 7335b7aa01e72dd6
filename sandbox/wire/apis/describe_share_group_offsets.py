"""DescribeShareGroupOffsets, key 90, versions 0 and 1 (KIP-932, KIP-1226).

A partition that was not fetched yet has start offset -1 and lag -1.
Differs from a real broker: nothing known.
"""

from sandbox.broker.logs.topic import Topic
from sandbox.broker.shares.window import UNSET
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Describe the start offsets and lag of share groups."""
    return {"groups": [_describe(request, group.group_id, group.topics) for group in request.body.groups]}


def _describe(request: Request, group_id: str, topics: list[object] | None) -> Answer:
    node = request.node
    try:
        node.coordinator.share_group(group_id)
    except BrokerError as error:
        return {"group_id": group_id, "error_code": error.code, "error_message": error.detail, "topics": []}
    wanted: dict[str, list[int]] = {}
    if topics is None:
        shared = {partition_id for partition_id, _ in node.coordinator.shares.windows(group_id)}
        for topic in node.broker.topics.values():
            numbers = [one.partition for one in topic.partitions if one.id in shared]
            if numbers:
                wanted[topic.name] = numbers
    else:
        wanted = {one.topic_name: one.partitions for one in topics}  # type: ignore[attr-defined]
    answers = []
    for name, numbers in wanted.items():
        found = node.broker.topics.get(name)
        answer: Answer = {
            "topic_name": name,
            "partitions": [_partition(request, group_id, found, one) for one in numbers],
        }
        answers.append(answer if found is None else {**answer, "topic_id": found.topic_id})
    return {"group_id": group_id, "error_code": 0, "topics": answers}


def _partition(request: Request, group_id: str, topic: Topic | None, number: int) -> Answer:
    answer = {"partition_index": number, "error_code": 0, "start_offset": UNSET, "leader_epoch": 0, "lag": -1}
    if topic is None or not 0 <= number < len(topic.partitions):
        return {**answer, "error_code": CODE["UNKNOWN_TOPIC_OR_PARTITION"]}
    partition = topic.partitions[number]
    shares = request.node.coordinator.shares
    window, lag = shares.window(group_id, partition.id), shares.lag(group_id, partition)
    if window is None or lag is None:
        return answer
    return {**answer, "start_offset": window.start, "leader_epoch": partition.leader_epoch, "lag": lag}
