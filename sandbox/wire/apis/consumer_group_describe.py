"""ConsumerGroupDescribe, key 69, versions 0 and 1 (KIP-848).

All authorized operations are returned, as in Kafka without an authorizer.
Differs from a real broker: a group that is named twice is described once.
"""

from sandbox.broker.groups.calls import DescribedConsumer
from sandbox.wire.group_answers import described_groups, named_partitions
from sandbox.wire.node import Answer, Request

CLASSIC_MEMBER, CONSUMER_MEMBER = 0, 1
"""The types of members: the protocols that they use."""


def handle(request: Request) -> Answer:
    """Describe groups of the consumer protocol."""

    def fields(member: DescribedConsumer) -> Answer:
        return {
            "instance_id": member.instance_id,
            "subscribed_topic_regex": member.pattern,
            "target_assignment": {"topic_partitions": named_partitions(request, member.target)},
            "member_type": CLASSIC_MEMBER if member.is_classic else CONSUMER_MEMBER,
        }

    return described_groups(request, request.node.coordinator.describe_consumer, fields)
