"""Sets compatibility levels and modes."""

from collections.abc import Mapping
from typing import Any

from sandbox.model.registry import FORWARD, IMPORT, LEVELS, MODES, RegistryConfig, Subject
from sandbox.registry import errors
from sandbox.registry.deletion import clear_deleted
from sandbox.registry.registration import check_writable
from sandbox.registry.scope import mode_in_scope, own_config, own_mode
from sandbox.registry.subjects import GLOBAL, REGISTRY
from sandbox.storage import registry as storage
from sandbox.storage.file.database import Database
from sandbox.storage.registry import RegistryRows

LEVEL = "compatibility"
OTHERS = (
    "alias",
    "aliasForDeks",
    "normalize",
    "validateFields",
    "validateNewSchemas",
    "validateRules",
    "compatibilityPolicy",
    "compatibilityGroup",
    "defaultMetadata",
    "overrideMetadata",
    "defaultRuleSet",
    "overrideRuleSet",
)
"""Confluent's other settings of a subject, in the order in which they are returned."""


def check_level(text: str) -> str:
    """Return a level in upper case. Raises RegistryError 42203."""
    level = text.upper()
    if level not in LEVELS:
        raise errors.invalid_level()
    return level


def update_config(database: Database, subject: Subject, changes: Mapping[str, Any]) -> RegistryConfig:
    """Change the settings of a subject, a context or the registry.

    Args:
        changes: values by their names, `compatibility` for the level; None deletes one. Unknown names are ignored.

    Raises:
        RegistryError: 42203, 42205.
    """
    rows = RegistryRows(database)
    level = changes.get(LEVEL)
    if level is not None:
        level = check_level(str(level))
    check_writable(rows, subject)
    before = rows.config(subject) or RegistryConfig()
    found = {**before.others, **{name: changes[name] for name in OTHERS if name in changes}}
    others = {name: found[name] for name in OTHERS if found.get(name) is not None}
    config = RegistryConfig(level if LEVEL in changes else before.level, others)
    storage.save_config(database, subject, config)
    return config


def delete_config(database: Database, subject: Subject) -> RegistryConfig:
    """Delete the settings of a subject, a context or the registry; return them.

    Raises:
        RegistryError: 40401, 42205.
    """
    rows = RegistryRows(database)
    config = own_config(rows, subject)
    if config is None:
        raise errors.subject_not_found(subject)
    check_writable(rows, subject)
    storage.save_config(database, subject, None)
    return config


def set_mode(database: Database, subject: Subject, mode: str | None, *, force: bool) -> None:
    """Set the mode of a subject, a context or the registry.

    Args:
        mode: one of `MODES`, in any case; None deletes it.
        force: True allows the mode IMPORT although there are schemas.

    Raises:
        RegistryError: 42204; 42205 if the mode is IMPORT and there are schemas; 42206 if soft-deleted ones, which are
            then deleted permanently, are referred to.
    """
    rows = RegistryRows(database)
    name = None if mode is None else mode.upper()
    if name is not None and name not in MODES:
        raise errors.invalid_mode()
    if name == FORWARD and subject != GLOBAL:
        raise errors.invalid_mode("Forward mode only supported on global level")
    if name == IMPORT and mode_in_scope(rows, subject) != IMPORT and not force:
        affected = [
            row
            for row in rows.all_versions()
            if subject in (REGISTRY, GLOBAL, row.subject) or subject == Subject(row.subject.context, "")
        ]
        if any(not row.deleted for row in affected):
            raise errors.not_permitted("Cannot import since found existing subjects")
        clear_deleted(database, affected)
    storage.save_mode(database, subject, name)


def delete_mode(database: Database, subject: Subject, *, recursive: bool) -> str | None:
    """Delete the mode of a subject, a context or the registry; return it.

    Args:
        recursive: True deletes the modes of a context's subjects too.

    Raises:
        RegistryError: 40401 if it has none and `recursive` is False.
    """
    rows = RegistryRows(database)
    mode = own_mode(rows, subject)
    if mode is None and not recursive:
        raise errors.subject_not_found(subject)
    storage.save_mode(database, subject, None)
    if recursive and not subject.name:
        for name in rows.subjects_with_mode(subject.context):
            storage.save_mode(database, Subject(subject.context, name), None)
    return mode
