"""The endpoints of the schema registry: one table, and a function for each."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from sandbox.model.registry import SCHEMA_TYPES, RegisteredSchema, SchemaRequest, Subject, VersionRow
from sandbox.registry import errors, lookups, settings
from sandbox.registry.errors import RegistryError
from sandbox.registry.parsing import format_schema
from sandbox.registry.registry import SchemaRegistry
from sandbox.registry.scope import check_rule_set, config_in_scope, has_rule_type, mode_in_scope, own_config, own_mode
from sandbox.registry.subjects import (
    REGISTRY,
    WILDCARD,
    check_subject,
    is_qualified,
    normalized_context,
    parse_subject,
    within,
)
from sandbox.registry.tags import entity_json, tags_in
from sandbox.storage.registry import RegistryRows
from sandbox.version import __version__
from sandbox.web.registry.exchange import (
    NOT_FOUND,
    SCHEMAS_MAX,
    Answer,
    Exchange,
    Object,
    config_entity,
    metadata_in,
    registered_entity,
    rule_set_in,
    schema_entity,
    settings_in,
    tags_in_body,
    texts_in,
    version_entity,
    whole_in,
    without_empty,
)

Handler = Callable[[SchemaRegistry, Exchange], Any]


class Endpoint(NamedTuple):
    """A row of the table.

    Attributes:
        method: GET, POST, PUT or DELETE.
        path: with placeholders such as {subject}, each for one segment.
        handler: returns the answer, or its JSON value.
    """

    method: str
    path: str
    handler: Handler


# Schemas


def list_schemas(registry: SchemaRegistry, request: Exchange) -> list[Object]:
    """Return the versions of all subjects, or of those that begin with a prefix."""
    prefix = request.text("subjectPrefix")
    wanted: lookups.Deleted = "include" if request.flag("deleted") else "exclude"
    with registry.rows() as rows:
        found = lookups.schemas(rows, prefix, wanted, latest_only=request.flag("latestOnly"))
        if (rule_type := request.text("ruleType")) != "":
            found = [row for row in found if has_rule_type(rows.registered(row).content.rule_set, rule_type)]
        aliases = lookups.aliases(rows) if request.flag("aliases") else {}
        return [
            version_entity(rows.registered(row)) | without_empty({"aliases": aliases.get(row.subject)})
            for row in request.page(found, SCHEMAS_MAX)
        ]


def schema_types(registry: SchemaRegistry, request: Exchange) -> list[str]:
    """Return the types of schemas."""
    return list(SCHEMA_TYPES)


def _place(request: Exchange) -> Subject | None:
    return parse_subject(request.text("subject")) if "subject" in request.query else None


def get_schema(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return a schema by its id."""
    with registry.rows() as rows:
        schema = lookups.schema_by_id(rows, request.id(), _place(request))
        max_id = rows.last_id(schema.subject.context) if request.flag("fetchMaxId") else None
        text = format_schema(rows, _qualified(schema, request), request.text("format"))
        with_version = "subject" in request.query
        found = schema_entity(_qualified(schema, request), text, with_version=with_version, max_id=max_id)
        return found | _tags(schema, request)


def _tags(schema: RegisteredSchema, request: Exchange) -> Object:
    """Return the tags in a schema that the parameters `findTags` ask for; nothing if there are none."""
    wanted = request.query.get("findTags")
    if not wanted:
        return {}
    found = tags_in(schema.content.schema_type, schema.content.text, wanted)
    return without_empty({"schemaTags": [entity_json(one) for one in found]})


def _qualified(schema: RegisteredSchema, request: Exchange) -> RegisteredSchema:
    """Return a schema whose references name their contexts, if the request asks for it."""
    if request.text("referenceFormat") != "qualified" or schema.subject.context == REGISTRY.context:
        return schema
    from dataclasses import replace

    references = tuple(
        one._replace(subject=str(within(schema.subject, one.subject))) for one in schema.content.references
    )
    return replace(schema, content=replace(schema.content, references=references))


def get_schema_text(registry: SchemaRegistry, request: Exchange) -> Answer:
    """Return only the text of a schema, by its id."""
    with registry.rows() as rows:
        schema = lookups.schema_by_id(rows, request.id(), _place(request))
        return Answer(text=format_schema(rows, schema, request.text("format")))


def _versions_by_id(registry: SchemaRegistry, request: Exchange) -> list[VersionRow]:
    with registry.rows() as rows:
        wanted: lookups.Deleted = "include" if request.flag("deleted") else "exclude"
        return lookups.versions_by_id(rows, request.id(), _place(request), wanted)


def get_schema_subjects(registry: SchemaRegistry, request: Exchange) -> list[str]:
    """Return the subjects that have a schema."""
    names = dict.fromkeys(str(row.subject) for row in _versions_by_id(registry, request))
    return request.page(list(names))


def get_schema_versions(registry: SchemaRegistry, request: Exchange) -> list[Object]:
    """Return the versions that have a schema."""
    rows = request.page(_versions_by_id(registry, request))
    return [{"subject": str(row.subject), "version": row.version} for row in rows]


def get_schema_by_guid(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return a schema by its GUID."""
    with registry.rows() as rows:
        schema = lookups.schema_by_guid(rows, request.path["guid"])
        return schema_entity(schema, format_schema(rows, schema, request.text("format")), with_version=False)


def get_guid_ids(registry: SchemaRegistry, request: Exchange) -> list[Object]:
    """Return the ids of a schema in each context."""
    with registry.rows() as rows:
        found = rows.ids_of_guid(lookups.canonical_guid(request.path["guid"]))
        return [{"context": context, "id": schema_id} for context, schema_id in found]


# Subjects and versions


def list_subjects(registry: SchemaRegistry, request: Exchange) -> list[str]:
    """Return the subjects of all contexts, or those that begin with a prefix."""
    with registry.rows() as rows:
        found = lookups.subjects(rows, request.text("subjectPrefix", WILDCARD), request.deleted())
    return request.page([str(subject) for subject in found])


def look_up(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return the version of a subject that has the schema of the body."""
    wanted = request.schema_request()
    normalize, deleted = request.flag("normalize"), request.flag("deleted")
    with registry.rows() as rows:
        schema = lookups.look_up(rows, request.subject, wanted, normalize=normalize, deleted=deleted)
        return version_entity(schema, format_schema(rows, schema, request.text("format")))


def delete_subject(registry: SchemaRegistry, request: Exchange) -> list[int]:
    """Delete a subject; returns its deleted versions."""
    return registry.delete_subject(request.subject, permanent=request.flag("permanent"))


def latest_with_metadata(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return the latest version that has the given metadata."""
    properties = dict(zip(request.query.get("key", []), request.query.get("value", []), strict=False))
    with registry.rows() as rows:
        schema = lookups.latest_with_metadata(rows, request.subject, properties, deleted=request.flag("deleted"))
        return version_entity(schema, format_schema(rows, schema, request.text("format")))


def list_versions(registry: SchemaRegistry, request: Exchange) -> list[int]:
    """Return the versions of a subject."""
    negative = request.flag("deletedAsNegative")
    with registry.rows() as rows:
        found = lookups.versions(rows, request.subject, request.deleted())
        if negative:
            found = rows.versions(request.subject)
    return request.page([-row.version if negative and row.deleted else row.version for row in found])


def register(registry: SchemaRegistry, request: Exchange) -> Object:
    """Register the schema of the body."""
    wanted = request.schema_request()
    check_rule_set(wanted.rule_set)
    subject = check_subject(request.path["subject"])
    flags = {"normalize": request.flag("normalize"), "force": request.flag("force")}
    schema = registry.register(subject, wanted, **flags)
    output_format = request.text("format")
    if not output_format.strip():
        return registered_entity(schema)
    with registry.rows() as rows:
        return registered_entity(schema, format_schema(rows, schema, output_format))


def get_version(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return a version of a subject."""
    with registry.rows() as rows:
        schema = _version(rows, request)
        text = format_schema(rows, schema, request.text("format"))
        return version_entity(_qualified(schema, request), text) | _tags(schema, request)


def _version(rows: RegistryRows, request: Exchange) -> RegisteredSchema:
    number = lookups.parse_version(request.path["version"])
    return lookups.version(rows, request.subject, number, deleted=request.flag("deleted"))


def get_version_text(registry: SchemaRegistry, request: Exchange) -> Answer:
    """Return only the text of a version's schema."""
    with registry.rows() as rows:
        return Answer(text=format_schema(rows, _version(rows, request), request.text("format")))


def delete_version(registry: SchemaRegistry, request: Exchange) -> int:
    """Delete a version of a subject; returns its number."""
    number = lookups.parse_version(request.path["version"])
    return registry.delete_version(request.subject, number, permanent=request.flag("permanent"))


def modify_tags(registry: SchemaRegistry, request: Exchange) -> Object:
    """Register a version's schema again with other tags, metadata and rules."""
    body = request.json()
    subject = check_subject(request.path["subject"])
    number = lookups.parse_version(request.path["version"])
    with registry.rows() as rows:
        lookups.version(rows, subject, number)
    rule_set, merged = rule_set_in(body, "ruleSet"), rule_set_in(body, "rulesToMerge")
    removed = texts_in(body, "rulesToRemove")
    if rule_set is not None and (merged is not None or removed is not None):
        raise errors.invalid_rule_set("ruleSet should be omitted if specifying rulesToMerge or rulesToRemove")
    for one in (merged, rule_set):
        check_rule_set(one)
    wanted = SchemaRequest(
        text=None,
        metadata=metadata_in(body, "metadata"),
        rule_set=rule_set,
        version=whole_in(body, "newVersion", 0),
        tags_to_add=tags_in_body(body, "tagsToAdd"),
        tags_to_remove=tags_in_body(body, "tagsToRemove"),
    )
    return registered_entity(registry.modify_tags(subject, number, wanted, merged, removed))


def get_referenced_by(registry: SchemaRegistry, request: Exchange) -> list[int]:
    """Return the ids of the schemas that refer to a version."""
    number = lookups.parse_version(request.path["version"])
    with registry.rows() as rows:
        found = lookups.referenced_by(rows, request.subject, number, deleted=request.flag("deleted"))
    return request.page(found, SCHEMAS_MAX)


# Compatibility


def check_version(registry: SchemaRegistry, request: Exchange) -> Object:
    """Compare the schema of the body with one version, at the subject's level."""
    return _check(registry, request, lookups.parse_version(request.path["version"]))


def check_all_versions(registry: SchemaRegistry, request: Exchange) -> Object:
    """Compare the schema of the body with all versions that the subject's level compares with."""
    return _check(registry, request, None)


def _check(registry: SchemaRegistry, request: Exchange, version: int | None) -> Object:
    wanted, verbose = request.schema_request(), request.flag("verbose")
    try:
        messages = registry.check(request.subject, wanted, version, normalize=request.flag("normalize"))
    except errors.RegistryError as error:
        if not verbose or error.code != errors.invalid_schema("").code:
            raise
        messages = [error.message]
    return {"is_compatible": not messages, **({"messages": messages} if verbose else {})}


# Settings and modes


def _settings_place(request: Exchange) -> Subject:
    return request.subject if "subject" in request.path else REGISTRY


def get_config(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return the settings of a subject, a context or the registry."""
    place = _settings_place(request)
    with registry.rows() as rows:
        default = request.flag("defaultToGlobal")
        config = config_in_scope(rows, place) if default else own_config(rows, place)
    if config is None:
        raise errors.no_config(place)
    return config_entity(config)


def update_config(registry: SchemaRegistry, request: Exchange) -> Object:
    """Change the settings of a subject, a context or the registry."""
    changes = settings_in(request.json())
    for name in ("defaultRuleSet", "overrideRuleSet"):
        check_rule_set(changes.get(name))
    if (level := changes.get(settings.LEVEL)) is not None:
        settings.check_level(str(level))
    place = _settings_place(request)
    if place != REGISTRY:
        check_subject(request.path["subject"], for_settings=True)
    return config_entity(registry.update_config(place, changes), settings.LEVEL)


def delete_config(registry: SchemaRegistry, request: Exchange) -> Object:
    """Delete the settings of a subject, a context or the registry; returns them."""
    return config_entity(registry.delete_config(_settings_place(request)))


def get_mode(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return the mode of a subject, a context or the registry."""
    place = _settings_place(request)
    with registry.rows() as rows:
        mode = mode_in_scope(rows, place) if request.flag("defaultToGlobal") else own_mode(rows, place)
    if mode is None:
        raise errors.no_mode(place)
    return {"mode": mode}


def update_mode(registry: SchemaRegistry, request: Exchange) -> Object:
    """Set the mode of a subject, a context or the registry."""
    body = request.json()
    place = _settings_place(request)
    if place != REGISTRY:
        check_subject(request.path["subject"], for_settings=True)
    if "mode" not in body:
        raise errors.invalid_mode()
    mode, force = body["mode"], request.flag("force")
    if mode is not None and not isinstance(mode, str):
        raise errors.invalid_mode()
    registry.set_mode(place, mode, force=force)
    return without_empty({"mode": mode})


def delete_mode(registry: SchemaRegistry, request: Exchange) -> Object:
    """Delete the mode of a subject, a context or the registry; returns it."""
    mode = registry.delete_mode(_settings_place(request), recursive=request.flag("recursive"))
    return without_empty({"mode": mode})


# Contexts and the server


def list_contexts(registry: SchemaRegistry, request: Exchange) -> list[str]:
    """Return the contexts, the default one first."""
    with registry.rows() as rows:
        found = [REGISTRY.context, *rows.contexts()]
    prefix = request.text("contextPrefix")
    return request.page([context for context in found if context.startswith(prefix)])


def delete_context(registry: SchemaRegistry, request: Exchange) -> Answer:
    """Delete an empty context."""
    registry.delete_context(request.subject.context)
    return Answer(status=204)


def root(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return an empty object: clients ask for it to see whether the registry answers."""
    return {}


def cluster_id(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return the id of the registry's cluster."""
    clusters = {"kafka-cluster": registry.cluster_id, "schema-registry-cluster": "schema-registry"}
    return {"id": "", "scope": {"path": [], "clusters": clusters}}


def server_version(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return the version of the server."""
    return {"version": __version__, "commitId": "kafka-sandbox"}


def server_deployment(registry: SchemaRegistry, request: Exchange) -> Object:
    """Return the attributes of the server's deployment: it has none."""
    return {"attributes": []}


ENDPOINTS = (
    Endpoint("GET", "/", root),
    Endpoint("POST", "/", root),
    Endpoint("GET", "/schemas", list_schemas),
    Endpoint("GET", "/schemas/types", schema_types),
    Endpoint("GET", "/schemas/ids/{id}", get_schema),
    Endpoint("GET", "/schemas/ids/{id}/schema", get_schema_text),
    Endpoint("GET", "/schemas/ids/{id}/subjects", get_schema_subjects),
    Endpoint("GET", "/schemas/ids/{id}/versions", get_schema_versions),
    Endpoint("GET", "/schemas/guids/{guid}", get_schema_by_guid),
    Endpoint("GET", "/schemas/guids/{guid}/ids", get_guid_ids),
    Endpoint("GET", "/subjects", list_subjects),
    Endpoint("POST", "/subjects/{subject}", look_up),
    Endpoint("DELETE", "/subjects/{subject}", delete_subject),
    Endpoint("GET", "/subjects/{subject}/metadata", latest_with_metadata),
    Endpoint("GET", "/subjects/{subject}/versions", list_versions),
    Endpoint("POST", "/subjects/{subject}/versions", register),
    Endpoint("GET", "/subjects/{subject}/versions/{version}", get_version),
    Endpoint("DELETE", "/subjects/{subject}/versions/{version}", delete_version),
    Endpoint("GET", "/subjects/{subject}/versions/{version}/schema", get_version_text),
    Endpoint("GET", "/subjects/{subject}/versions/{version}/referencedby", get_referenced_by),
    Endpoint("POST", "/subjects/{subject}/versions/{version}/tags", modify_tags),
    Endpoint("POST", "/compatibility/subjects/{subject}/versions", check_all_versions),
    Endpoint("POST", "/compatibility/subjects/{subject}/versions/{version}", check_version),
    Endpoint("GET", "/config", get_config),
    Endpoint("PUT", "/config", update_config),
    Endpoint("DELETE", "/config", delete_config),
    Endpoint("GET", "/config/{subject}", get_config),
    Endpoint("PUT", "/config/{subject}", update_config),
    Endpoint("DELETE", "/config/{subject}", delete_config),
    Endpoint("GET", "/mode", get_mode),
    Endpoint("PUT", "/mode", update_mode),
    Endpoint("DELETE", "/mode", delete_mode),
    Endpoint("GET", "/mode/{subject}", get_mode),
    Endpoint("PUT", "/mode/{subject}", update_mode),
    Endpoint("DELETE", "/mode/{subject}", delete_mode),
    Endpoint("GET", "/contexts", list_contexts),
    Endpoint("DELETE", "/contexts/{subject}", delete_context),
    Endpoint("GET", "/v1/metadata/id", cluster_id),
    Endpoint("GET", "/v1/metadata/version", server_version),
    Endpoint("GET", "/v1/metadata/deployment", server_deployment),
)


_ROUTES = [(endpoint, tuple(endpoint.path.strip("/").split("/"))) for endpoint in ENDPOINTS]
_EXTRA_METHODS = ("HEAD", "OPTIONS")


def segments_of(raw_path: str) -> list[str]:
    """Return the decoded segments of a path as it was sent."""
    return [unquote(segment, errors="replace") for segment in raw_path.strip("/").split("/")]


def in_context(segments: list[str], query: dict[str, list[str]]) -> list[str]:
    """Return the path without `/contexts/NAME` before it: the context is added to its subject, or to the parameter.

    Args:
        query: the parameters, which are changed.

    Raises:
        RegistryError: 400 if the context's name has a colon.
    """
    if segments[0] != "contexts" or len(segments) < 2 or not segments[1]:
        return segments
    prefix = normalized_context(segments[1])
    inner = segments[2:]
    if not inner:
        return ["contexts", prefix or segments[1]]
    at = next((index for index, segment in enumerate(inner) if segment == "subjects"), None)
    if inner[0] in ("config", "mode"):
        at = 0
        if len(inner) == 1 and prefix:
            return [*inner, prefix]
    if at is not None and at + 1 < len(inner) and not is_qualified(inner[at + 1]):
        inner = [*inner[: at + 1], prefix + inner[at + 1], *inner[at + 2 :]]
    if inner[:2] == ["schemas", "ids"]:
        _add_prefix(query, "subject", prefix)
    elif inner in (["schemas"], ["subjects"]):
        _add_prefix(query, "subjectPrefix", prefix)
    return inner


def _add_prefix(query: dict[str, list[str]], name: str, prefix: str) -> None:
    given = query.get(name, [""])
    query[name] = [value if is_qualified(value) else prefix + value for value in given]


def without_alias(segments: list[str], query: dict[str, list[str]], replaced: Callable[[str], str]) -> list[str]:
    """Return the path with an alias replaced by its subject.

    Args:
        query: the parameters, which are changed.
        replaced: returns the subject of an alias, or the name itself.
    """
    if segments[:2] == ["schemas", "ids"] and query.get("subject", [""])[0]:
        query["subject"] = [replaced(query["subject"][0])]
    if "subjects" in segments[:-1]:
        at = 1 + segments.index("subjects")
        return [*segments[:at], replaced(segments[at]), *segments[at + 1 :]]
    return segments


def find_endpoint(method: str, segments: list[str], request: Exchange) -> Endpoint:
    """Return the endpoint of a path, and put the values of its placeholders into the request.

    Raises:
        RegistryError: 404 if there is no such path, 405 if it doesn't take the method.
    """
    known = False
    for endpoint, pattern in _ROUTES:
        values = _matched(pattern, segments)
        if values is None:
            continue
        if endpoint.method == ("GET" if method in _EXTRA_METHODS else method):
            request.path = values
            return endpoint
        known = True
    raise RegistryError(*((405, "HTTP 405 Method Not Allowed") if known else NOT_FOUND))


def _matched(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    values = {}
    for wanted, given in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            if not given:
                return None
            values[wanted[1:-1]] = given
        elif wanted != given:
            return None
    return values
