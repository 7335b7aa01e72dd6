"""DescribeConfigs, key 32, versions 1 to 4 (KIP-133, KIP-226).

Differs from a real broker: the settings are those of `sandbox.config`, which has every topic setting of Kafka and the
broker settings that mean something here.
Left out: logger and client metrics resources (INVALID_REQUEST).
"""

from collections.abc import Callable
from typing import Any

from sandbox.config import BROKER_SETTING, BROKER_SETTINGS
from sandbox.errors import BrokerError
from sandbox.setting import Setting
from sandbox.topic_settings import TOPIC_SETTINGS
from sandbox.wire.node import Answer, Request

TOPIC, BROKER = 2, 4
TOPIC_CONFIG, STATIC_BROKER_CONFIG, DEFAULT_CONFIG = 1, 4, 5


def handle(request: Request) -> Answer:
    """Give the settings of each resource."""
    return {"results": [_describe(request, resource) for resource in request.body.resources]}


def _describe(request: Request, resource: Any) -> Answer:
    answer = {"resource_type": resource.resource_type, "resource_name": resource.resource_name}
    try:
        settings, describe = _settings(request, resource)
    except BrokerError as error:
        return answer | {"error_code": error.code, "error_message": error.detail, "configs": []}
    keys = resource.configuration_keys
    return answer | {
        "error_code": 0,
        "error_message": None,
        "configs": [
            describe(setting) | _words(request, setting) for setting in settings if keys is None or setting.name in keys
        ],
    }


def _settings(request: Request, resource: Any) -> tuple[tuple[Setting, ...], Callable[[Setting], dict[str, Any]]]:
    broker = request.node.broker
    if resource.resource_type == TOPIC:
        topic = broker.topic(resource.resource_name)
        return TOPIC_SETTINGS, lambda setting: _topic_setting(request, topic.settings, setting)
    if resource.resource_type == BROKER:
        if resource.resource_name not in ("", str(request.node.node_id)):
            raise BrokerError("INVALID_REQUEST", f"There is no broker {resource.resource_name} here.")
        return BROKER_SETTINGS, lambda setting: _broker_setting(request, setting)
    raise BrokerError("INVALID_REQUEST", f"Resources of type {resource.resource_type} have no settings here.")


def _topic_setting(request: Request, overrides: dict[str, str], setting: Setting) -> dict[str, Any]:
    synonyms = []
    if setting.name in overrides:
        synonyms.append({"name": setting.name, "value": overrides[setting.name], "source": TOPIC_CONFIG})
    if setting.broker_name is not None:
        synonyms.extend(_broker_synonyms(request, setting.broker_name, setting.default))
    chosen = synonyms[0] if synonyms else {"value": setting.default, "source": DEFAULT_CONFIG}
    return {
        "name": setting.name,
        "value": chosen["value"],
        "read_only": False,
        "config_source": chosen["source"],
        "synonyms": synonyms if request.body.include_synonyms else [],
    }


def _broker_setting(request: Request, setting: Setting) -> dict[str, Any]:
    synonyms = _broker_synonyms(request, setting.name, setting.default)
    return {
        "name": setting.name,
        "value": synonyms[0]["value"],
        "read_only": True,
        "config_source": synonyms[0]["source"],
        "synonyms": synonyms if request.body.include_synonyms else [],
    }


def _broker_synonyms(request: Request, name: str, default: str | None) -> list[dict[str, Any]]:
    overrides = request.node.broker.config.overrides
    set_here = [{"name": name, "value": overrides[name], "source": STATIC_BROKER_CONFIG}] if name in overrides else []
    known = BROKER_SETTING.get(name)
    return [*set_here, {"name": name, "value": known.default if known else default, "source": DEFAULT_CONFIG}]


def _words(request: Request, setting: Setting) -> dict[str, Any]:
    return {
        "is_sensitive": False,
        "config_type": setting.type,
        "documentation": setting.text if request.body.include_documentation else None,
    }
