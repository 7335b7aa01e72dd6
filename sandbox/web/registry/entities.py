"""The registry's values as JSON. Empty fields are left out."""

from typing import Any

from sandbox.model.registry import RegisteredSchema, RegistryConfig, SchemaContent
from sandbox.registry.settings import OTHERS

Object = dict[str, Any]


def without_empty(fields: Object) -> Object:
    """Return an object without the fields that are None or empty."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [], {})}


def _content(content: SchemaContent, text: str) -> Object:
    return {
        "schemaType": content.schema_type,
        "references": [one._asdict() for one in content.references],
        "metadata": content.metadata,
        "ruleSet": content.rule_set,
        "schema": text,
    }


def version_entity(schema: RegisteredSchema, text: str | None = None) -> Object:
    """Return a version of a subject.

    Args:
        text: its schema in another format; None as it is stored.
    """
    return without_empty(
        {
            "subject": str(schema.subject),
            "version": schema.version,
            "id": schema.schema_id,
            "guid": schema.guid,
            **_content(schema.content, schema.content.text if text is None else text),
            "ts": schema.registered_ms,
            "deleted": schema.deleted or None,
        }
    )


def registered_entity(schema: RegisteredSchema, text: str | None = None) -> Object:
    """Return the answer to a registration."""
    entity = version_entity(schema, text)
    return {name: value for name, value in entity.items() if name not in ("subject", "ts", "deleted")}


def schema_entity(schema: RegisteredSchema, text: str, *, with_version: bool, max_id: int | None = None) -> Object:
    """Return a schema that was asked for by its id or GUID.

    Args:
        with_version: True adds subject and version.
        max_id: the largest id of the context, None if it was not asked for.
    """
    return without_empty(
        {
            "subject": str(schema.subject) if with_version else None,
            "version": schema.version if with_version else None,
            "guid": schema.guid,
            **_content(schema.content, text),
            "maxId": max_id,
            "ts": schema.registered_ms,
            "deleted": schema.deleted or None,
        }
    )


def config_entity(config: RegistryConfig, level_name: str = "compatibilityLevel") -> Object:
    """Return settings; the level has another name in the answer to a change."""
    others = {name: config.others.get(name) for name in OTHERS}
    return without_empty({level_name: config.level, **others})
