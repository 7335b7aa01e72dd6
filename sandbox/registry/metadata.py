"""Metadata and rules that a new version gets: its own or its predecessor's, between defaults and overrides."""

from typing import Any

from sandbox.model.registry import RegistryConfig
from sandbox.registry.parsing import VERSION_PROPERTY

Object = dict[str, Any]
RULES = ("migrationRules", "domainRules", "encodingRules")


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
    found = _merge_rules(config.others.get("defaultRuleSet"), own if own is not None else previous)
    return _merge_rules(found, config.others.get("overrideRuleSet"))


def _merge_rules(first: Object | None, second: Object | None) -> Object | None:
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
