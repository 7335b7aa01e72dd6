"""ListPartitionReassignments, key 46, version 0 (KIP-455).

Differs from a real broker: a reassignment is complete immediately, so there is never one to list.
"""

from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Return an empty list."""
    return {"error_code": 0, "error_message": None, "topics": []}
