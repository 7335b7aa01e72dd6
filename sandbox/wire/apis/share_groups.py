"""The APIs of share groups (KIP-932), keys 76 to 79 and 90 to 92: announced, and refused with UNSUPPORTED_VERSION.

Differs from a real broker: share groups are left out. Every request is refused like by Apache Kafka with
`share.version` 0, with a message that contains the reason. The APIs are announced so that clients get this error:
otherwise librdkafka's share consumer polls forever without an error.
"""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request
from sandbox.wire.refusals import refuse

REASON = "This broker has no share groups: the share.version feature is 0."


def handle(request: Request) -> Answer:
    """Refuse everything that the request names."""
    return refuse(request, BrokerError("UNSUPPORTED_VERSION", REASON))
