"""ListGroups, key 16, versions 0 to 5 (KIP-518, KIP-848).

A broker lists only the groups that it coordinates; clients ask every broker and combine the answers.

Differs from a real broker: nothing known.
Shown by: `tests/wire/test_group_listing.py`.
"""

from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """List the groups that this broker coordinates, filtered by state and type."""
    cluster = request.node.broker.cluster
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
            if cluster.coordinator(one.group) == request.node.node_id
        ],
    }
