"""Settings of topics, brokers, groups and other resources."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox.broker.logs.topic import check_name
from sandbox.kafka.broker_config import (
    BROKER,
    BROKER_SETTING,
    BROKER_SETTINGS,
    CLIENT_METRICS,
    CLUSTER_WIDE,
    GROUP,
    GROUP_SETTING,
    TOPIC_SETTING,
)
from sandbox.kafka.errors import CODE, MALFORMED, BrokerError
from sandbox.kafka.resource_settings import CLIENT_METRICS_SETTINGS, GROUP_SETTINGS, LARGER_UNITS
from sandbox.kafka.setting import LIST, PASSWORD, STRING, Setting
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.model.file_path import shown_path
from sandbox.wire.long_answers import AnswerSteps, Elements, answer_in_steps, array_in_steps
from sandbox.wire.node import Answer, Handled, Request

TOPIC_TYPE, BROKER_TYPE, LOGGER_TYPE, CLIENT_METRICS_TYPE, GROUP_TYPE = 2, 4, 8, 16, 32
TYPES = (GROUP_TYPE, CLIENT_METRICS_TYPE, LOGGER_TYPE, BROKER_TYPE, TOPIC_TYPE)
TYPES_SINCE = 1


def list_config_resources(request: Request) -> Answer:
    """ListConfigResources, key 74, versions 0 and 1 (KIP-1142, KIP-714): the resources that have settings.

    Version 0 lists only client metrics subscriptions.
    Differs from a real broker: a group whose last setting was removed is no longer listed.
    """
    wanted = (request.body.resource_types or TYPES) if request.version >= TYPES_SINCE else (CLIENT_METRICS_TYPE,)
    if not set(wanted) <= set(TYPES):
        return {"error_code": CODE["UNSUPPORTED_VERSION"], "config_resources": []}
    return {
        "error_code": 0,
        "config_resources": [one for kind in TYPES if kind in wanted for one in _list(request, kind)],
    }


def _list(request: Request, kind: int) -> list[dict[str, Any]]:
    broker = request.node.broker
    if kind == TOPIC_TYPE:
        names = sorted({*broker.topics, *(topic.name for topic in request.node.internal.listed())})
    elif kind == GROUP_TYPE:
        names = broker.resources.names(GROUP)
    elif kind == CLIENT_METRICS_TYPE:
        names = broker.resources.names(CLIENT_METRICS)
    else:
        names = [str(one) for one in broker.cluster.up]
    return [{"resource_name": name, "resource_type": kind} for name in names]


TOPIC_TYPE, BROKER_TYPE, LOGGER_TYPE, CLIENT_METRICS_TYPE, GROUP_TYPE = 2, 4, 8, 16, 32
KINDS = {BROKER_TYPE: BROKER, CLIENT_METRICS_TYPE: CLIENT_METRICS, GROUP_TYPE: GROUP}

ROOT = "root"
KAFKA_LOGGERS = {
    "kafka.server.KafkaApis": "sandbox.wire",
    "kafka.server.BrokerServer": "sandbox",
    "kafka.server.ReplicaManager": "sandbox.broker",
}
"""Kafka's names of loggers to Python's."""
LEVELS = {
    "TRACE": logging.NOTSET + 5,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}


def alter(
    request: Request, kind: int, name: str, changes: Mapping[str, str | None], *, replace: bool, validate_only: bool
) -> None:
    """Set settings of a topic, a broker, a group or a client metrics subscription.

    Raises:
        BrokerError: Kafka's error.
    """
    broker = request.node.broker
    if kind == TOPIC_TYPE:
        if name not in broker.topics:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"The topic '{name}' does not exist.")
        broker.alter_topic(name, changes, replace=replace, validate_only=validate_only)
    elif kind in KINDS:
        broker.resources.alter(KINDS[kind], name, changes, replace=replace, validate_only=validate_only)
    else:
        raise BrokerError("INVALID_REQUEST", f"Unknown resource type {kind}")


def check_logger_broker(request: Request, name: str) -> None:
    """Raise BrokerError INVALID_REQUEST for the loggers of another broker."""
    if name != str(request.node.node_id):
        raise BrokerError(
            "INVALID_REQUEST", f"Unexpected node id. Expected {request.node.node_id}, but received {name}"
        )


def log_levels() -> dict[str, str]:
    """Return each logger's effective level, with Kafka's names."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "sandbox"]
    return {name: _level_name(_logger(name)) for name in (ROOT, *sorted({*names, *KAFKA_LOGGERS}))}


def _logger(name: str) -> logging.Logger:
    return logging.getLogger("" if name == ROOT else KAFKA_LOGGERS.get(name, name))


def set_log_levels(levels: Mapping[str, str | None], *, validate_only: bool) -> None:
    """Set the level of loggers; None resets one to its parent's level.

    Raises:
        BrokerError: INVALID_CONFIG for a logger or a level that doesn't exist; INVALID_REQUEST for None on the root
        logger.
    """
    known = log_levels()
    for name, level in levels.items():
        if name not in known:
            raise BrokerError("INVALID_CONFIG", f"Logger {name} does not exist!")
        if level is None and name == ROOT:
            raise BrokerError("INVALID_REQUEST", "Removing the log level of the root logger is not allowed")
        if level is not None and level not in LEVELS:
            raise BrokerError(
                "INVALID_CONFIG",
                f"Cannot set the log level of {name} to {level} as it is not a supported log level. "
                f"Valid log levels are {', '.join(sorted(LEVELS))}",
            )
    for name, level in () if validate_only else levels.items():
        _logger(name).setLevel(logging.NOTSET if level is None else LEVELS[level])


def _level_name(logger: logging.Logger) -> str:
    level = logger.getEffectiveLevel()
    return next((name for name, number in LEVELS.items() if level <= number), "FATAL")


TOPIC_CONFIG, BROKER_CONFIG, DEFAULT_BROKER_CONFIG, STATIC_BROKER_CONFIG, DEFAULT_CONFIG = 1, 2, 3, 4, 5
LOGGER_CONFIG, CLIENT_METRICS_CONFIG, GROUP_CONFIG = 6, 7, 8
UNKNOWN_TYPE = 0
RESOURCES_PER_STEP = 10
"""After how many resources, which take about 3 ms, an answer can be interrupted."""

Described = Iterable[tuple[Setting, dict[str, Any]]]


def describe_configs(request: Request) -> Handled:
    """DescribeConfigs, key 32, versions 1 to 4 (KIP-133, KIP-226).

    Differs from a real broker: names, types, defaults and valid values are Apache Kafka 4.4's; the documentation is
    the sandbox's, and states which settings have no effect. A broker's loggers are Python's `logging` loggers; three
    of them also have Kafka's names. A resource that is named twice is described once.
    """
    return answer_in_steps(request, _describe_resources(request))


def _describe_resources(request: Request) -> AnswerSteps:
    return {"results": (yield from array_in_steps(request, "results", _resources(request)))}


def _resources(request: Request) -> Elements:
    resources = {
        (one.resource_type, one.resource_name, tuple(one.configuration_keys or ())): one
        for one in request.body.resources
    }
    for number, resource in enumerate(resources.values()):
        if number and number % RESOURCES_PER_STEP == 0:
            yield None
        yield _describe(request, resource)


def _describe(request: Request, resource: Any) -> Answer:
    answer = {"resource_type": resource.resource_type, "resource_name": resource.resource_name}
    try:
        describe = DESCRIBED.get(resource.resource_type)
        if describe is None:
            raise BrokerError("INVALID_REQUEST", MALFORMED)
        found = list(describe(request, resource.resource_name))
    except BrokerError as error:
        # As in Kafka, clients use their own text for an unknown topic.
        text = "" if error.error.name == "UNKNOWN_TOPIC_OR_PARTITION" else error.detail
        return answer | {"error_code": error.code, "error_message": text, "configs": []}
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
        for key, value in sorted(broker.resources.cluster_wide().items()):
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
        (DEFAULT_BROKER_CONFIG, broker.resources.cluster_wide()),
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


def alter_configs(request: Request) -> Answer:
    """AlterConfigs, key 33, versions 0 to 2 (KIP-133).

    It replaces every setting of a topic, broker, group or client metrics subscription.

    Differs from a real broker: a broker's settings apply to all brokers, because they share one file.
    """
    return {"responses": [_alter_alter_configs(request, resource) for resource in request.body.resources]}


def _alter_alter_configs(request: Request, resource: Any) -> Answer:
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


SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
OPERATIONS = {APPEND: "APPEND", SUBTRACT: "SUBTRACT"}
SETTINGS: dict[int, dict[str, Setting]] = {
    TOPIC_TYPE: TOPIC_SETTING,
    BROKER_TYPE: BROKER_SETTING,
    GROUP_TYPE: GROUP_SETTING,
    CLIENT_METRICS_TYPE: {setting.name: setting for setting in CLIENT_METRICS_SETTINGS},
}


def incremental_alter_configs(request: Request) -> Answer:
    """IncrementalAlterConfigs, key 44, versions 0 and 1 (KIP-339): sets, removes, appends and subtracts.

    Differs from a real broker: a broker's settings apply to all brokers, because they share one file. Its loggers are
    Python's `logging` loggers. An unknown operation is answered with INVALID_REQUEST; Kafka fails.
    """
    return {"responses": [_alter_incremental_alter_configs(request, resource) for resource in request.body.resources]}


def _alter_incremental_alter_configs(request: Request, resource: Any) -> Answer:
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
