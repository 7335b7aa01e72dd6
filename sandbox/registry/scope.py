"""Finds the configuration and the mode that apply to a subject.

A subject's own comes first, then its context's, then the context `.__GLOBAL`'s, then the default. The default context's
own is what `/config` and `/mode` set without a subject.
"""

from typing import Any

from sandbox.model.registry import (
    DEFAULT_LEVEL,
    IMPORT,
    READONLY,
    READONLY_OVERRIDE,
    READWRITE,
    RegistryConfig,
    Subject,
)
from sandbox.model.registry import FORWARD as FORWARD
from sandbox.registry.subjects import GLOBAL, GLOBAL_CONTEXT, REGISTRY
from sandbox.storage.registry import RegistryRows

INHERITED = (
    "normalize",
    "validateFields",
    "validateNewSchemas",
    "validateRules",
    "compatibilityPolicy",
    "compatibilityGroup",
)
"""Settings that a subject with other settings inherits from the registry if it lacks them."""
DEFAULT_CONFIG = RegistryConfig(DEFAULT_LEVEL)


def own_config(rows: RegistryRows, subject: Subject) -> RegistryConfig | None:
    """Return what was set for a subject, with the default level if no level was; None if nothing was.

    The registry itself and the context `.__GLOBAL` always have one.
    """
    found = rows.config(subject)
    if found is not None:
        return _with_level(found)
    return DEFAULT_CONFIG if subject == REGISTRY or subject.context == GLOBAL_CONTEXT else None


def config_in_scope(rows: RegistryRows, subject: Subject) -> RegistryConfig:
    """Return the configuration that applies to a subject."""
    if subject != REGISTRY and (found := rows.config(subject)) is not None:
        top = own_config(rows, REGISTRY) or DEFAULT_CONFIG
        inherited = {name: top.others[name] for name in INHERITED if name in top.others}
        return RegistryConfig(_with_level(found).level, {**inherited, **found.others})
    for place in (subject, Subject(subject.context, ""), GLOBAL):
        if (found := rows.config(place)) is not None:
            return _with_level(found)
    return DEFAULT_CONFIG


def _with_level(config: RegistryConfig) -> RegistryConfig:
    return config if config.level else RegistryConfig(DEFAULT_LEVEL, config.others)


def own_mode(rows: RegistryRows, subject: Subject) -> str | None:
    """Return the mode that was set for a subject, None if none was. The registry itself always has one."""
    found = rows.mode(subject)
    if found is None and (subject == REGISTRY or subject.context == GLOBAL_CONTEXT):
        return READWRITE
    return found


def mode_in_scope(rows: RegistryRows, subject: Subject) -> str:
    """Return the mode that applies to a subject."""
    for place in (subject, Subject(subject.context, ""), GLOBAL):
        if (found := rows.mode(place)) is not None:
            return found
    return READWRITE


def is_read_only(rows: RegistryRows, subject: Subject) -> bool:
    """Return True if a subject's mode forbids changes."""
    return mode_in_scope(rows, subject) in (READONLY, READONLY_OVERRIDE)


def is_importing(rows: RegistryRows, subject: Subject) -> bool:
    """Return True if a subject takes ids from clients and is not checked."""
    return mode_in_scope(rows, subject) in (IMPORT, FORWARD)


def setting(config: RegistryConfig, name: str) -> Any:
    """Return one of Confluent's other settings, None if it is not set."""
    return config.others.get(name)
