"""The APIs of streams groups (KIP-1071), keys 88, 89 and 93: announced, and refused with UNSUPPORTED_VERSION.

Differs from a real broker: streams groups are left out. Every request is refused like by Apache Kafka with
`streams.version` 0, with a message that contains the reason. Kafka Streams works with its classic protocol.
"""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request
from sandbox.wire.refusals import refuse

REASON = "This broker has no streams groups: the streams.version feature is 0. Use group.protocol=classic."


def handle(request: Request) -> Answer:
    """Refuse everything that the request names."""
    return refuse(request, BrokerError("UNSUPPORTED_VERSION", REASON))
