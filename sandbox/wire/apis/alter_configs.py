"""AlterConfigs, key 33, versions 0 to 2 (KIP-133).

It replaces every setting of a topic, broker, group or client metrics subscription.

Differs from a real broker: a broker's settings apply to all brokers, because they share one file.
"""

from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.wire.config_resources import alter
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Replace the settings of each resource."""
    return {"responses": [_alter(request, resource) for resource in request.body.resources]}


def _alter(request: Request, resource: Any) -> Answer:
    kind, name = resource.resource_type, resource.resource_name
    answer = {"resource_type": kind, "resource_name": name}
    try:
        for config in resource.configs:
            if config.value is None:
                raise BrokerError("INVALID_REQUEST", f"Null value not supported for : {config.name}")
        changes = {config.name: config.value for config in resource.configs}
        alter(request, kind, name, changes, replace=True, validate_only=request.body.validate_only)
    except BrokerError as error:
        return answer | {"error_code": error.code, "error_message": error.detail}
    return answer | {"error_code": 0, "error_message": None}
