"""DescribeConfigs, key 32, versions 1 to 4 (KIP-133, KIP-226).

Differs from a real broker: names, types, defaults and valid values are Apache Kafka 4.4's; the documentation is
the sandbox's, and states which settings have no effect. A broker's loggers are Python's `logging` loggers; three
of them also have Kafka's names. A resource that is named twice is described once.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sandbox.broker.logs.topic import check_name
from sandbox.kafka.broker_config import BROKER, BROKER_SETTING, BROKER_SETTINGS, CLIENT_METRICS, CLUSTER_WIDE, GROUP
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.resource_settings import CLIENT_METRICS_SETTINGS, GROUP_SETTINGS, LARGER_UNITS
from sandbox.kafka.setting import PASSWORD, STRING, Setting
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.model.file_path import shown_path
from sandbox.wire.config_resources import (
    BROKER_TYPE,
    CLIENT_METRICS_TYPE,
    GROUP_TYPE,
    LOGGER_TYPE,
    TOPIC_TYPE,
    log_levels,
)
from sandbox.wire.node import Answer, Request

TOPIC_CONFIG, BROKER_CONFIG, DEFAULT_BROKER_CONFIG, STATIC_BROKER_CONFIG, DEFAULT_CONFIG = 1, 2, 3, 4, 5
LOGGER_CONFIG, CLIENT_METRICS_CONFIG, GROUP_CONFIG = 6, 7, 8
UNKNOWN_TYPE = 0

Described = Iterable[tuple[Setting, dict[str, Any]]]


def handle(request: Request) -> Answer:
    """Return the settings of each resource."""
    resources = {
        (one.resource_type, one.resource_name, tuple(one.configuration_keys or ())): one
        for one in request.body.resources
    }
    return {"results": [_describe(request, resource) for resource in resources.values()]}


def _describe(request: Request, resource: Any) -> Answer:
    answer = {"resource_type": resource.resource_type, "resource_name": resource.resource_name}
    try:
        describe = DESCRIBED.get(resource.resource_type)
        if describe is None:
            raise BrokerError("INVALID_REQUEST", f"Resources of type {resource.resource_type} have no settings.")
        found = list(describe(request, resource.resource_name))
    except BrokerError as error:
        return answer | {"error_code": error.code, "error_message": error.detail, "configs": []}
    # Null and an empty list both request all of them.
    keys = resource.configuration_keys or None
    return answer | {
        "error_code": 0,
        "error_message": "",
        "configs": [
            _words(request, setting, described) for setting, described in found if keys is None or setting.name in keys
        ],
    }


def _words(request: Request, setting: Setting, described: dict[str, Any]) -> dict[str, Any]:
    """Return a setting's complete description."""
    synonyms = described.pop("synonyms")
    chosen = synonyms[0] if synonyms else {"value": setting.default, "source": DEFAULT_CONFIG}
    return {
        "name": setting.name,
        "value": chosen["value"],
        "read_only": False,
        "config_source": chosen["source"],
        "is_sensitive": setting.type == PASSWORD,
        "synonyms": synonyms if request.body.include_synonyms else [],
        "config_type": setting.type,
        "documentation": _documentation(setting) if request.body.include_documentation else None,
    } | described


def _documentation(setting: Setting) -> str:
    return setting.text if setting.in_effect else f"{setting.text} It has no effect in the sandbox."


def _synonym(name: str, value: str | None, source: int) -> dict[str, Any]:
    return {"name": name, "value": value, "source": source}


def _topic(request: Request, name: str) -> Described:
    topic = request.node.broker.topics.get(name) or request.node.internal.find(name)
    if topic is None:
        check_name(name)
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION")
    for setting in TOPIC_SETTINGS:
        synonyms = []
        if setting.name in topic.settings:
            synonyms.append(_synonym(setting.name, topic.settings[setting.name], TOPIC_CONFIG))
        if setting.broker_name is not None:
            synonyms += _broker_synonyms(request, setting.broker_name, str(request.node.node_id))
            units = LARGER_UNITS.get(setting.broker_name, ())
            larger = [one for name, _ in units for one in _broker_synonyms(request, name, str(request.node.node_id))]
            # As in Kafka, a larger unit's default is shown only next to a value that was set.
            if synonyms or any(one["source"] != DEFAULT_CONFIG for one in larger):
                synonyms += larger
        yield setting, {"synonyms": synonyms, "value": topic.value(setting.name, request.node.broker.config)}


def _broker(request: Request, name: str) -> Described:
    broker = request.node.broker
    if name == CLUSTER_WIDE:
        for key, value in sorted(broker.resources.settings(BROKER, CLUSTER_WIDE).items()):
            yield _known(key), _altered(key, value, DEFAULT_BROKER_CONFIG)
        return
    if not name.lstrip("-").isdigit():
        raise BrokerError("INVALID_REQUEST", f"Broker id must be an integer, but it is: {name}")
    if name != str(request.node.node_id):
        raise BrokerError(
            "INVALID_REQUEST",
            f"Unexpected broker id, expected {request.node.node_id} or empty string, but received {name}",
        )
    fixed = _fixed(request)
    for setting in BROKER_SETTINGS:
        synonyms = _broker_synonyms(request, setting.name, name)
        if setting.name in fixed:
            synonyms = [_synonym(setting.name, fixed[setting.name], STATIC_BROKER_CONFIG), *synonyms]
        for larger, _ in LARGER_UNITS.get(setting.name, ()) if synonyms else ():
            synonyms += _broker_synonyms(request, larger, name)
        yield setting, {"synonyms": synonyms, "read_only": not setting.dynamic}
    for key, value in broker.resources.settings(BROKER, name).items():
        if key not in BROKER_SETTING:
            yield _known(key), _altered(key, value, BROKER_CONFIG)


def _fixed(request: Request) -> dict[str, str]:
    """Return the broker settings that follow from how the sandbox was started."""
    node = str(request.node.node_id)
    listener = f"PLAINTEXT://{request.host}:{request.port}"
    advertised = request.address(request.node.node_id)
    return {
        "node.id": node,
        "broker.id": node,
        "log.dirs": shown_path(request.node.broker.database.path),
        "listeners": listener,
        "advertised.listeners": f"PLAINTEXT://{advertised['host']}:{advertised['port']}",
    }


def _known(name: str) -> Setting:
    return BROKER_SETTING.get(name) or Setting(name, STRING, None, "")


def _altered(name: str, value: str, source: int) -> dict[str, Any]:
    """Describe an altered setting. An unknown setting may contain a secret, so its value is hidden."""
    if name in BROKER_SETTING:
        return {"synonyms": [_synonym(name, value, source)]}
    hidden = {"is_sensitive": True, "read_only": True, "config_type": UNKNOWN_TYPE}
    return {"synonyms": [_synonym(name, None, source)], **hidden}


def _broker_synonyms(request: Request, name: str, node: str) -> list[dict[str, Any]]:
    """Return a broker setting's values, the effective one first."""
    broker = request.node.broker
    places = (
        (BROKER_CONFIG, broker.resources.settings(BROKER, node)),
        (DEFAULT_BROKER_CONFIG, broker.resources.settings(BROKER, CLUSTER_WIDE)),
        (STATIC_BROKER_CONFIG, broker.config.overrides),
    )
    found = [_synonym(name, settings[name], source) for source, settings in places if name in settings]
    default = BROKER_SETTING[name].default
    return found if default is None else [*found, _synonym(name, default, DEFAULT_CONFIG)]


def _loggers(request: Request, name: str) -> Described:
    if not name:
        raise BrokerError("INVALID_REQUEST", "Broker id must not be empty")
    if name != str(request.node.node_id):
        raise BrokerError(
            "INVALID_REQUEST", f"Unexpected broker id, expected {request.node.node_id} but received {name}"
        )
    for logger, level in log_levels().items():
        # As in Kafka, a level has neither a type nor synonyms.
        yield Setting(logger, STRING, level, ""), {"synonyms": [], "config_source": LOGGER_CONFIG, "config_type": 0}


def _group(request: Request, name: str) -> Described:
    if not name:
        raise BrokerError("INVALID_REQUEST", "Group name must not be empty")
    broker = request.node.broker
    own = broker.resources.settings(GROUP, name)
    for setting in GROUP_SETTINGS:
        synonyms = [_synonym(setting.name, own[setting.name], GROUP_CONFIG)] if setting.name in own else []
        if setting.broker_name is not None:
            synonyms += _broker_synonyms(request, setting.broker_name, str(request.node.node_id))
        elif setting.default is not None:
            synonyms.append(_synonym(setting.name, setting.default, DEFAULT_CONFIG))
        yield setting, {"synonyms": synonyms}


def _client_metrics(request: Request, name: str) -> Described:
    if not name:
        raise BrokerError("INVALID_REQUEST", "Client metrics subscription name must not be empty")
    own = request.node.broker.resources.settings(CLIENT_METRICS, name)
    for setting in CLIENT_METRICS_SETTINGS:
        given = [_synonym(setting.name, own[setting.name], CLIENT_METRICS_CONFIG)] if setting.name in own else []
        yield setting, {"synonyms": given}


DESCRIBED: dict[int, Callable[[Request, str], Described]] = {
    TOPIC_TYPE: _topic,
    BROKER_TYPE: _broker,
    LOGGER_TYPE: _loggers,
    CLIENT_METRICS_TYPE: _client_metrics,
    GROUP_TYPE: _group,
}
