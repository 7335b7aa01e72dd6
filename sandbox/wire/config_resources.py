"""Alters settings of resources, for AlterConfigs and IncrementalAlterConfigs.

A broker's loggers are Python's loggers under `sandbox`, and the root logger. Three of them also have Kafka's names.
"""

import logging
from collections.abc import Mapping

from sandbox.kafka.broker_config import BROKER, CLIENT_METRICS, GROUP
from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Request

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
