"""AlterConfigs, key 33, versions 0 to 2 (KIP-133): replaces every setting of a topic.

Differs from a real broker: settings of brokers are fixed at the start (INVALID_REQUEST).
"""

from typing import Any

from sandbox.errors import BrokerError
from sandbox.wire.node import Answer, Request

TOPIC = 2


def handle(request: Request) -> Answer:
    """Replace the settings of each topic."""
    return {"responses": [_alter(request, resource) for resource in request.body.resources]}


def _alter(request: Request, resource: Any) -> Answer:
    answer = {"resource_type": resource.resource_type, "resource_name": resource.resource_name}
    try:
        if resource.resource_type != TOPIC:
            raise BrokerError("INVALID_REQUEST", "Only the settings of topics can be altered while the sandbox runs.")
        changes = {config.name: config.value for config in resource.configs}
        request.node.broker.alter_topic(
            resource.resource_name, changes, replace=True, validate_only=request.body.validate_only
        )
    except BrokerError as error:
        return answer | {"error_code": error.code, "error_message": error.detail}
    return answer | {"error_code": 0, "error_message": None}
