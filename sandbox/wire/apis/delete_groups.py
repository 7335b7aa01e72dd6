"""DeleteGroups, key 42, versions 0 to 2 (KIP-229).

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
            for group in request.body.groups_names
        ]
    }
