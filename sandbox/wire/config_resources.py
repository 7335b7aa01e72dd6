"""Altering the settings of a resource, for the APIs that do: AlterConfigs and IncrementalAlterConfigs.

The loggers of a broker are those of Python's `logging` under `sandbox`, and the root.
"""

import logging
from collections.abc import Mapping

from sandbox.kafka.broker_config import BROKER, CLIENT_METRICS, GROUP
from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Request

TOPIC_TYPE, BROKER_TYPE, LOGGER_TYPE, CLIENT_METRICS_TYPE, GROUP_TYPE = 2, 4, 8, 16, 32
KINDS = {BROKER_TYPE: BROKER, CLIENT_METRICS_TYPE: CLIENT_METRICS, GROUP_TYPE: GROUP}

ROOT = "root"
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
    """Set settings of a resource that is a topic, a broker, a group or a client metrics subscription.

    Raises:
        BrokerError: what Kafka answers.
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
    """Refuse the loggers of another broker: INVALID_REQUEST."""
    if name != str(request.node.node_id):
        raise BrokerError(
            "INVALID_REQUEST", f"Unexpected node id. Expected {request.node.node_id}, but received {name}"
        )


def log_levels() -> dict[str, str]:
    """Logger to its level in effect, by Kafka's names."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "sandbox"]
    return {name: _level_name(logging.getLogger("" if name == ROOT else name)) for name in (ROOT, *sorted(names))}


def set_log_levels(levels: Mapping[str, str | None], *, validate_only: bool) -> None:
    """Set the level of loggers; None gives one that of its parent.

    Raises:
        BrokerError: INVALID_CONFIG for a logger or a level that does not exist; INVALID_REQUEST for the root's None.
    """
    known = log_levels()
    for name, level in levels.items():
        if name not in known:
            raise BrokerError("INVALID_CONFIG", f"Logger {name} does not exist!")
        if level is None and name == ROOT:
            raise BrokerError("INVALID_REQUEST", "Removing the log level of the root logger is not allowed")
        if level is not None and level.upper() not in LEVELS:
            raise BrokerError("INVALID_CONFIG", f"A log level is one of {', '.join(LEVELS)}, not {level}.")
    for name, level in () if validate_only else levels.items():
        logger = logging.getLogger("" if name == ROOT else name)
        logger.setLevel(logging.NOTSET if level is None else LEVELS[level.upper()])


def _level_name(logger: logging.Logger) -> str:
    level = logger.getEffectiveLevel()
    return next((name for name, number in LEVELS.items() if level <= number), "FATAL")
