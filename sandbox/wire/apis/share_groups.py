"""Members and offsets of share groups (KIP-932)."""

from sandbox.broker.groups.share_group import ShareHeartbeat
from sandbox.broker.logs.topic import Topic
from sandbox.broker.shares.window import UNSET
from sandbox.kafka.errors import CODE, NO_TOPIC, BrokerError
from sandbox.wire.group_answers import described_groups, heartbeat_answer
from sandbox.wire.node import Answer, Request


def share_group_heartbeat(request: Request) -> Answer:
    """ShareGroupHeartbeat, key 76, version 1 (KIP-932).

    With this request a member of a share group joins, stays alive, leaves, and gets its assignment.
    Differs from a real broker: assignments are computed immediately, without `share.assignment.interval.ms`, and a new
    partition is assigned without a first heartbeat that initializes its state.
    """
    node, body = request.node, request.body
    heartbeat = ShareHeartbeat(
        group=body.group_id,
        member_id=body.member_id,
        member_epoch=body.member_epoch,
        rack_id=body.rack_id,
        client_id=request.client_id or "",
        client_host=request.client_host,
        topics=None if body.subscribed_topic_names is None else tuple(body.subscribed_topic_names),
    )
    try:
        answer = node.coordinator.share_heartbeat(heartbeat, node.now_ms())
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail}
    return heartbeat_answer(answer)


def share_group_describe(request: Request) -> Answer:
    """ShareGroupDescribe, key 77, version 1 (KIP-932).

    All authorized operations are returned, as in Kafka without an authorizer.
    Differs from a real broker: a group that is named twice is described once.
    """
    return described_groups(request, request.node.coordinator.describe_share, lambda member: {})


def describe_share_group_offsets(request: Request) -> Answer:
    """DescribeShareGroupOffsets, key 90, versions 0 and 1 (KIP-932, KIP-1226).

    A partition that was not fetched yet has start offset -1 and lag -1. As in Kafka, so have all partitions of groups,
    topics and partitions that do not exist, and none of these is an error.
    Differs from a real broker: nothing known.
    """
    return {"groups": [_describe(request, group.group_id, group.topics) for group in request.body.groups]}


def _describe(request: Request, group_id: str, topics: list[object] | None) -> Answer:
    node = request.node
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
        return answer
    partition = topic.partitions[number]
    shares = request.node.coordinator.shares
    window, lag = shares.window(group_id, partition.id), shares.lag(group_id, partition)
    if window is None or lag is None:
        return answer
    return {**answer, "start_offset": window.start, "leader_epoch": partition.leader_epoch, "lag": lag}


def alter_share_group_offsets(request: Request) -> Answer:
    """AlterShareGroupOffsets, key 91, version 0 (KIP-932).

    Sets start offsets of a share group without members. The state of every record in flight is forgotten. As in Kafka,
    a group that does not exist is created.
    Differs from a real broker: nothing known.
    """
    node, body = request.node, request.body
    try:
        node.coordinator.altered_share_group(body.group_id, node.now_ms())
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail, "responses": []}
    answers = []
    for wanted in body.topics:
        topic = node.broker.topics.get(wanted.topic_name)
        partitions = []
        for one in wanted.partitions:
            known = topic is not None and 0 <= one.partition_index < len(topic.partitions)
            if topic is not None and known:
                partition = topic.partitions[one.partition_index]
                node.coordinator.shares.begin(body.group_id, partition, max(0, one.start_offset))
            outcome, text = ("NONE", None) if known else ("UNKNOWN_TOPIC_OR_PARTITION", NO_TOPIC)
            partitions.append(
                {"partition_index": one.partition_index, "error_code": CODE[outcome], "error_message": text}
            )
        answer: Answer = {"topic_name": wanted.topic_name, "partitions": partitions}
        answers.append(answer if topic is None else {**answer, "topic_id": topic.topic_id})
    return {"error_code": 0, "responses": answers}


def delete_share_group_offsets(request: Request) -> Answer:
    """DeleteShareGroupOffsets, key 92, version 0 (KIP-932).

    Deletes a share group's state in whole topics. The group must have no members.
    Differs from a real broker: nothing known.
    """
    node, body = request.node, request.body
    try:
        node.coordinator.empty_share_group(body.group_id)
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail, "responses": []}
    answers: list[Answer] = []
    for wanted in body.topics:
        topic = node.broker.topics.get(wanted.topic_name)
        if topic is None:
            code = CODE["UNKNOWN_TOPIC_OR_PARTITION"]
            answers.append({"topic_name": wanted.topic_name, "error_code": code, "error_message": NO_TOPIC})
            continue
        node.coordinator.shares.delete(body.group_id, [one.id for one in topic.partitions])
        answers.append({"topic_name": topic.name, "topic_id": topic.topic_id, "error_code": 0})
    return {"error_code": 0, "responses": answers}
