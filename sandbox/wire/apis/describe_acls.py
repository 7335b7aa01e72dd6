"""DescribeAcls, key 29, versions 1 to 3.

Differs from a real broker: nothing known. There is no authorizer: SECURITY_DISABLED, like Kafka without one.
"""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Refuse the request."""
    return {
        "error_code": CODE["SECURITY_DISABLED"],
        "error_message": "No Authorizer is configured on the broker",
        "resources": [],
    }
