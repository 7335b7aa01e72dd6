"""IncrementalAlterConfigs, key 44, versions 0 and 1 (KIP-339): sets, removes, appends to or subtracts from settings.

Differs from a real broker: a broker's settings apply to all brokers, because they share one file. Its loggers are
Python's `logging` loggers. An unknown operation is answered with INVALID_REQUEST; Kafka fails.
"""

from typing import Any

from sandbox.kafka.broker_config import BROKER_SETTING, GROUP_SETTING, TOPIC_SETTING
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.resource_settings import CLIENT_METRICS_SETTINGS
from sandbox.kafka.setting import LIST, Setting
from sandbox.wire.config_resources import (
    BROKER_TYPE,
    CLIENT_METRICS_TYPE,
    GROUP_TYPE,
    KINDS,
    LOGGER_TYPE,
    TOPIC_TYPE,
    alter,
    check_logger_broker,
    set_log_levels,
)
from sandbox.wire.node import Answer, Request

SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
OPERATIONS = {APPEND: "APPEND", SUBTRACT: "SUBTRACT"}
SETTINGS: dict[int, dict[str, Setting]] = {
    TOPIC_TYPE: TOPIC_SETTING,
    BROKER_TYPE: BROKER_SETTING,
    GROUP_TYPE: GROUP_SETTING,
    CLIENT_METRICS_TYPE: {setting.name: setting for setting in CLIENT_METRICS_SETTINGS},
}


def handle(request: Request) -> Answer:
    """Change some settings of each resource."""
    return {"responses": [_alter(request, resource) for resource in request.body.resources]}


def _alter(request: Request, resource: Any) -> Answer:
    kind, name = resource.resource_type, resource.resource_name
    answer = {"resource_type": kind, "resource_name": name}
    validate_only = request.body.validate_only
    try:
        names = [config.name for config in resource.configs]
        if len(set(names)) != len(names):
            raise BrokerError("INVALID_REQUEST", "Error due to duplicate config keys")
        if kind == LOGGER_TYPE:
            check_logger_broker(request, name)
            set_log_levels({one.name: _level(one) for one in resource.configs}, validate_only=validate_only)
        else:
            if kind == TOPIC_TYPE and name not in request.node.broker.topics:
                raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"The topic '{name}' does not exist.")
            changes = {config.name: _value(request, kind, name, config) for config in resource.configs}
            alter(request, kind, name, changes, replace=False, validate_only=validate_only)
    except BrokerError as error:
        return answer | {"error_code": error.code, "error_message": error.detail}
    return answer | {"error_code": 0, "error_message": None}


def _level(config: Any) -> str | None:
    if config.config_operation in OPERATIONS:
        operation = OPERATIONS[config.config_operation]
        raise BrokerError("INVALID_REQUEST", f"{operation} operation is not allowed for the BROKER_LOGGER resource")
    return None if config.config_operation == DELETE else str(config.value)


def _value(request: Request, kind: int, name: str, config: Any) -> str | None:
    operation = config.config_operation
    if operation == DELETE:
        return None
    if operation not in (SET, APPEND, SUBTRACT):
        raise BrokerError("INVALID_REQUEST", f"Unknown operation {operation} on {config.name}.")
    if config.value is None:
        raise BrokerError("INVALID_REQUEST", f"Null value not supported for : {config.name}")
    if operation == SET:
        return str(config.value)
    setting = SETTINGS.get(kind, {}).get(config.name)
    if setting is None or setting.type != LIST:
        raise BrokerError(
            "INVALID_CONFIG", f"Can't {OPERATIONS[operation]} to key {config.name} because its type is not LIST."
        )
    parts = [part for part in _present(request, kind, name, setting).split(",") if part]
    change = [part.strip() for part in config.value.split(",") if part.strip()]
    if operation == APPEND:
        return ",".join([*parts, *(part for part in change if part not in parts)])
    return ",".join(part for part in parts if part not in change)


def _present(request: Request, kind: int, name: str, setting: Setting) -> str:
    """Return a list setting's current value."""
    broker = request.node.broker
    if kind == TOPIC_TYPE:
        return broker.topic(name).value(setting.name, broker.config)
    own = broker.resources.settings(KINDS[kind], name).get(setting.name)
    if own is not None:
        return own
    return broker.config.get(setting.name) if kind == BROKER_TYPE else setting.default or ""
