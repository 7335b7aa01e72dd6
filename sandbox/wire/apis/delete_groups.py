"""DeleteGroups, key 42, versions 0 to 3 (KIP-229).

From version 3 an answer may have a message; as in Kafka, it is null for a group that has members or doesn't exist.

Differs from a real broker: nothing known.
"""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Delete groups that have no members."""
    node = request.node
    return {
        "results": [
            {"group_id": group, "error_code": CODE[node.coordinator.delete(group, node.now_ms())]}
            for group in dict.fromkeys(request.body.groups_names)
        ]
    }
