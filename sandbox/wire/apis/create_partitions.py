"""CreatePartitions, key 37, versions 0 to 3 (KIP-195).

Differs from a real broker: a manual assignment is not looked at, because every replica is node 1.
"""

from typing import Any

from sandbox.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Raise the number of partitions of each topic."""
    return {"results": [_create(request, topic) for topic in request.body.topics]}


def _create(request: Request, wanted: Any) -> Answer:
    try:
        request.node.broker.create_partitions(wanted.name, wanted.count, validate_only=request.body.validate_only)
    except BrokerError as error:
        return {"name": wanted.name, "error_code": error.code, "error_message": error.detail}
    return {"name": wanted.name, "error_code": 0, "error_message": None}
