"""IncrementalAlterConfigs, key 44, versions 0 and 1 (KIP-339): sets, removes, appends to or subtracts from settings.

Differs from a real broker: settings of brokers are fixed at the start (INVALID_REQUEST).
"""

from typing import Any

from sandbox.config import TOPIC_SETTING
from sandbox.errors import BrokerError
from sandbox.setting import LIST
from sandbox.wire.node import Answer, Request

TOPIC = 2
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def handle(request: Request) -> Answer:
    """Change some settings of each topic."""
    return {"responses": [_alter(request, resource) for resource in request.body.resources]}


def _alter(request: Request, resource: Any) -> Answer:
    answer = {"resource_type": resource.resource_type, "resource_name": resource.resource_name}
    try:
        if resource.resource_type != TOPIC:
            raise BrokerError("INVALID_REQUEST", "Only the settings of topics can be altered while the sandbox runs.")
        names = [config.name for config in resource.configs]
        if len(set(names)) != len(names):
            raise BrokerError("INVALID_REQUEST", "Error due to duplicate config keys.")
        changes = {config.name: _value(request, resource.resource_name, config) for config in resource.configs}
        request.node.broker.alter_topic(resource.resource_name, changes, validate_only=request.body.validate_only)
    except BrokerError as error:
        return answer | {"error_code": error.code, "error_message": error.detail}
    return answer | {"error_code": 0, "error_message": None}


def _value(request: Request, topic: str, config: Any) -> str | None:
    if config.config_operation == DELETE:
        return None
    if config.config_operation not in (SET, APPEND, SUBTRACT):
        raise BrokerError("INVALID_REQUEST", f"Unknown operation {config.config_operation} on {config.name}.")
    if config.value is None:
        raise BrokerError("INVALID_REQUEST", f"Null value not supported for : {config.name}")
    if config.config_operation == SET:
        return str(config.value)
    setting = TOPIC_SETTING.get(config.name)
    if setting is None or setting.type != LIST:
        raise BrokerError("INVALID_CONFIG", f"Can't append or subtract to config {config.name}: it is not a list.")
    broker = request.node.broker
    parts = [part for part in broker.topic(topic).value(config.name, broker.config).split(",") if part]
    change = [part.strip() for part in config.value.split(",") if part.strip()]
    if config.config_operation == APPEND:
        return ",".join([*parts, *(part for part in change if part not in parts)])
    return ",".join(part for part in parts if part not in change)
