"""ShareGroupDescribe, key 77, version 1 (KIP-932).

All authorized operations are returned, as in Kafka without an authorizer.
Differs from a real broker: a group that is named twice is described once.
"""

from sandbox.wire.group_answers import described_groups
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Describe share groups."""
    return described_groups(request, request.node.coordinator.describe_share, lambda member: {})
