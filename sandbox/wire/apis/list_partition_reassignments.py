"""ListPartitionReassignments, key 46, version 0 (KIP-455).

Differs from a real broker: a reassignment is complete at once, so there is never one to list.
"""

from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """List none."""
    return {"error_code": 0, "error_message": None, "topics": []}
