"""DescribeGroups, key 15, versions 0 to 6. Groups of the consumer protocol (KIP-848) are not found.

Differs from a real broker: a group that is named twice is described once. All authorized operations are returned, as in
Kafka without an authorizer.
"""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import GROUP_OPERATIONS, NO_OPERATIONS, Answer, Request

ERROR_SINCE = 6


def handle(request: Request) -> Answer:
    """Describe each group; an unknown group is Dead."""
    return {"groups": [_describe(request, group) for group in dict.fromkeys(request.body.groups)]}


def _describe(request: Request, group_id: str) -> Answer:
    group = request.node.coordinator.describe(group_id)
    return {
        "error_code": CODE[group.error] if request.version >= ERROR_SINCE else 0,
        "error_message": group.error_message if request.version >= ERROR_SINCE else None,
        "group_id": group.group,
        "group_state": group.state,
        "protocol_type": group.protocol_type,
        "protocol_data": group.protocol,
        "authorized_operations": (GROUP_OPERATIONS if request.body.include_authorized_operations else NO_OPERATIONS),
        "members": [
            {
                "member_id": member.member_id,
                "group_instance_id": member.instance_id,
                "client_id": member.client_id,
                "client_host": member.client_host,
                "member_metadata": member.metadata,
                "member_assignment": member.assignment,
            }
            for member in group.members
        ],
    }
