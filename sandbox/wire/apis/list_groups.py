"""ListGroups, key 16, versions 0 to 5 (KIP-518, KIP-848).

Differs from a real broker: nothing known.
"""

from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """List the groups, by state and type where asked."""
    groups = request.node.coordinator.list(request.body.states_filter, request.body.types_filter)
    return {
        "error_code": 0,
        "groups": [
            {
                "group_id": one.group,
                "protocol_type": one.protocol_type,
                "group_state": one.state,
                "group_type": one.type,
            }
            for one in groups
        ],
    }
