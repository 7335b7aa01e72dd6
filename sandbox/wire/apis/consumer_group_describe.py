"""ConsumerGroupDescribe, key 69, versions 0 and 1 (KIP-848).

All authorized operations are returned, as in Kafka without an authorizer.
Differs from a real broker: a group that is named twice is described once.
"""

from sandbox.broker.groups.assignors import Partitions
from sandbox.broker.groups.calls import DescribedConsumer
from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import GROUP_OPERATIONS, NO_OPERATIONS, Answer, Request

CLASSIC_MEMBER, CONSUMER_MEMBER = 0, 1
"""The types of members: the protocols that they use."""


def handle(request: Request) -> Answer:
    """Describe groups of the consumer protocol."""
    return {"groups": [_describe(request, group) for group in dict.fromkeys(request.body.group_ids)]}


def _describe(request: Request, group_id: str) -> Answer:
    try:
        group = request.node.coordinator.describe_consumer(group_id)
    except BrokerError as error:
        reason = error.detail if group_id else None
        return {"error_code": error.code, "error_message": reason, "group_id": group_id}
    return {
        "error_code": 0,
        "group_id": group.group,
        "group_state": group.state,
        "group_epoch": group.epoch,
        "assignment_epoch": group.assignment_epoch,
        "assignor_name": group.assignor,
        "authorized_operations": (GROUP_OPERATIONS if request.body.include_authorized_operations else NO_OPERATIONS),
        "members": [_member(request, member) for member in group.members],
    }


def _member(request: Request, member: DescribedConsumer) -> Answer:
    return {
        "member_id": member.member_id,
        "instance_id": member.instance_id,
        "rack_id": member.rack_id,
        "member_epoch": member.member_epoch,
        "client_id": member.client_id,
        "client_host": member.client_host,
        "subscribed_topic_names": member.topics,
        "subscribed_topic_regex": member.pattern,
        "assignment": {"topic_partitions": _by_topic(request, member.assigned)},
        "target_assignment": {"topic_partitions": _by_topic(request, member.target)},
        "member_type": CLASSIC_MEMBER if member.is_classic else CONSUMER_MEMBER,
    }


def _by_topic(request: Request, partitions: Partitions) -> list[Answer]:
    found: list[Answer] = []
    for topic_id in sorted({topic_id for topic_id, _ in partitions}):
        topic = request.node.broker.topics_by_id.get(topic_id)
        if topic is not None:
            several = sorted(partition for one, partition in partitions if one == topic_id)
            found.append({"topic_id": topic_id, "topic_name": topic.name, "partitions": several})
    return found
