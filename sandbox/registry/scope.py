"""Finds the configuration, the mode, the metadata and the rules that apply to a subject."""

from collections.abc import Collection
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
from sandbox.registry.errors import RegistryError, invalid_rule_set
from sandbox.registry.parsing import VERSION_PROPERTY
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


Object = dict[str, Any]
RULES = ("migrationRules", "domainRules", "encodingRules")

RULE_KINDS = ("TRANSFORM", "CONDITION")
MIGRATION_MODES = ("UPGRADE", "DOWNGRADE", "UPDOWN")
OTHER_MODES = ("WRITE", "READ", "WRITEREAD")
RULE_NAME_MAX = 64


def check_rule_set(rule_set: Object | None) -> None:
    """Check the rules of a data contract.

    Raises:
        RegistryError: 42210 if a rule is not valid, 400 if its mode or kind is unknown.
    """
    seen: set[str] = set()
    for place in RULES:
        for rule in (rule_set or {}).get(place) or ():
            _check_rule(rule, place)
            if rule["name"] in seen:
                raise invalid_rule_set(f"Found rule with duplicate name '{rule['name']}'")
            seen.add(rule["name"])


def _check_rule(rule: Object, place: str) -> None:
    name, mode, kind = rule.get("name"), rule.get("mode"), rule.get("kind")
    if mode is not None and mode not in (*MIGRATION_MODES, *OTHER_MODES):
        raise RegistryError(400, f"Cannot deserialize the field 'mode' from \"{mode}\"")
    if kind is not None and kind not in RULE_KINDS:
        raise RegistryError(400, f"Cannot deserialize the field 'kind' from \"{kind}\"")
    if name is None:
        raise invalid_rule_set("Missing rule name")
    if not name:
        raise invalid_rule_set("Empty rule name")
    if len(name) > RULE_NAME_MAX:
        raise invalid_rule_set("Rule name too long")
    if not (name[0].isalpha() or name[0] == "_"):
        raise invalid_rule_set(f"Illegal initial character in rule name: {name}")
    if not all(char.isalnum() or char in "_-" for char in name[1:]):
        raise invalid_rule_set(f"Illegal character in rule name: {name}")
    if rule.get("type") is None:
        raise invalid_rule_set("Missing rule type")
    if mode not in (None, "WRITEREAD", "UPDOWN") and any("," in (rule.get(one) or "") for one in _ACTIONS):
        raise invalid_rule_set("Multiple actions only valid with WRITEREAD and UPDOWN")
    allowed = MIGRATION_MODES if place == "migrationRules" else OTHER_MODES
    if (mode or "WRITEREAD") not in allowed:
        what = {"migrationRules": "Migration", "domainRules": "Domain", "encodingRules": "Encoding"}[place]
        raise invalid_rule_set(f"{what} rules can only be {', '.join(allowed)}")


_ACTIONS = ("onSuccess", "onFailure")


def has_rule_type(rule_set: Object | None, rule_type: str) -> bool:
    """Return True if a rule set has a rule of a type."""
    return any(rule.get("type") == rule_type for place in RULES for rule in (rule_set or {}).get(place) or ())


def without_rules(rule_set: Object | None, names: Collection[str]) -> Object | None:
    """Return a rule set without the rules of some names."""
    if rule_set is None:
        return None
    kept = {place: [rule for rule in rule_set.get(place) or () if rule.get("name") not in names] for place in RULES}
    others = {key: value for key, value in rule_set.items() if key not in RULES}
    return {**others, **{place: rules for place, rules in kept.items() if rules}}


def merged_metadata(config: RegistryConfig, own: Object | None, previous: Object | None) -> Object | None:
    """Return the metadata of a version."""
    found = _merge(config.others.get("defaultMetadata"), own if own is not None else previous)
    return _merge(found, config.others.get("overrideMetadata"))


def _merge(first: Object | None, second: Object | None) -> Object | None:
    if first is None or second is None:
        return second if first is None else first
    merged: Object = {**first, **second}
    for name in ("tags", "properties"):
        both = {**(first.get(name) or {}), **(second.get(name) or {})}
        if both:
            merged[name] = both
    return merged


def merged_rule_set(config: RegistryConfig, own: Object | None, previous: Object | None) -> Object | None:
    """Return the rules of a version. Rules of the same name replace each other."""
    found = merge_rules(config.others.get("defaultRuleSet"), own if own is not None else previous)
    return merge_rules(found, config.others.get("overrideRuleSet"))


def merge_rules(first: Object | None, second: Object | None) -> Object | None:
    """Return the rules of both; a rule of the second replaces the first's of the same name."""
    if first is None or second is None:
        return second if first is None else first
    merged: Object = {**first, **second}
    for kind in RULES:
        later = second.get(kind) or []
        names = {rule.get("name") for rule in later}
        both = [rule for rule in first.get(kind) or [] if rule.get("name") not in names] + later
        if both:
            merged[kind] = both
    return merged


def with_version(metadata: Object | None, version: int, *, always: bool) -> Object | None:
    """Return metadata whose property `confluent:version` is the version, if it has it or `always` is True."""
    properties = (metadata or {}).get("properties") or {}
    if not always and VERSION_PROPERTY not in properties:
        return metadata
    return {**(metadata or {}), "properties": {**properties, VERSION_PROPERTY: str(version)}}
