"""`sandbox schemas`: shows, registers, checks, deletes and copies schemas of a registry; binds files to topics."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import unified_diff
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import click

from sandbox.cli.binding import choose_deserializer, read_deserializer, stored_deserializers
from sandbox.cli.display import show_json, show_rows
from sandbox.cli.registry_access import Refused, Registry, registry_options
from sandbox.cli.status import Failed, Status
from sandbox.cli.target import FILE_TEXT, chosen_file, json_option
from sandbox.model.deserializers import FORMATS, KEY, VALUE
from sandbox.model.registry import AVRO, JSON, PROTOBUF, SCHEMA_TYPES

TYPE_OF_SUFFIX = {".avsc": AVRO, ".proto": PROTOBUF, ".json": JSON}
NO_LEVEL, NO_MODE = 40408, 40409
_KINDS: tuple[tuple[str, type], ...] = (
    ("subject", str),
    ("schema", str),
    ("id", int),
    ("version", int),
    ("config", dict),
    ("mode", dict),
)
"""The types of an exported line's fields."""
_SOURCE = click.argument("source", type=click.File("rb"))
_TYPE = click.option(
    "--type",
    "schema_type",
    type=click.Choice(SCHEMA_TYPES, case_sensitive=False),
    help="The format; else by the file's name: .avsc, .proto or .json; else AVRO.",
)
_REFERENCE = click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="NAME=SUBJECT:VERSION",
    help="A schema that it refers to. Repeatable.",
)
_NORMALIZE = click.option("--normalize", is_flag=True, help="Bring it to its normal form first.")


@click.group()
def schemas() -> None:
    """Show, register, check, delete and copy the schemas of a schema registry.

    It is the one of a sandbox file, running or not (--file), or any that has Confluent's interface (--url).
    """


def subject_path(subject: str) -> str:
    """Return a subject as a part of a path."""
    return quote(subject, safe="")


@schemas.command("list")
@click.option("--prefix", default=":*:", help="Only subjects that begin with this.")
@click.option("--deleted", is_flag=True, help="Soft-deleted ones too.")
@json_option
@registry_options
def list_schemas(prefix: str, deleted: bool, as_json: bool, registry: Registry) -> None:
    """List the subjects with format, versions and level."""
    top = registry.ask("GET", "/config")["compatibilityLevel"]
    flag = f"&deleted={str(deleted).lower()}"
    found = registry.ask("GET", f"/subjects?subjectPrefix={quote(prefix, safe='')}{flag}")
    rows = []
    for subject in found:
        place = f"/subjects/{subject_path(subject)}/versions"
        versions = registry.ask("GET", f"{place}?deleted={str(deleted).lower()}")
        latest = registry.ask("GET", f"{place}/{versions[-1]}?deleted={str(deleted).lower()}")
        rows.append(
            {
                "subject": subject,
                "format": latest.get("schemaType", AVRO),
                "versions": len(versions),
                "latest": latest["version"],
                "id": latest["id"],
                "level": _level(registry, subject) or top,
            }
        )
    columns = ("subject", "format", "versions", "latest", "id", "level")
    show_rows(columns, rows, as_json=as_json, empty="There are no subjects: sandbox schemas register SUBJECT FILE.")


def _level(registry: Registry, subject: str) -> str | None:
    return _own(registry, f"/config/{subject_path(subject)}", "compatibilityLevel", NO_LEVEL)


def _own(registry: Registry, path: str, field: str, missing: int) -> str | None:
    try:
        found: str | None = registry.ask("GET", path).get(field)
    except Refused as error:
        if error.code != missing:
            raise
        return None
    return found


@schemas.command()
@click.argument("subject")
@click.option("--version", default="latest", show_default=True, help="A number, or latest.")
@json_option
@registry_options
def describe(subject: str, version: str, as_json: bool, registry: Registry) -> None:
    """Show a version of SUBJECT with its schema, and the subject's versions, level and mode."""
    place = f"/subjects/{subject_path(subject)}/versions"
    found = registry.ask("GET", f"{place}/{subject_path(version)}")
    if as_json:
        show_json(found)
        return
    versions = registry.ask("GET", place)
    users = registry.ask("GET", f"{place}/{found['version']}/referencedby")
    mode = _own(registry, f"/mode/{subject_path(subject)}", "mode", NO_MODE)
    rows = {
        "subject": found["subject"],
        "version": f"{found['version']} of {', '.join(map(str, versions))}",
        "id": str(found["id"]),
        "format": found.get("schemaType", AVRO),
        "level": _level(registry, subject) or "the registry's",
        "mode": mode or "the registry's",
        "references": ", ".join(f"{one['name']} ({one['subject']}:{one['version']})" for one in _references(found)),
        "used by ids": ", ".join(map(str, users)),
    }
    for name, value in rows.items():
        click.echo(f"{name:<12}{value or '-'}")
    click.echo(f"\n{_readable(found)}")


def _references(found: dict[str, Any]) -> list[dict[str, Any]]:
    references: list[dict[str, Any]] = found.get("references", [])
    return references


def _readable(found: dict[str, Any]) -> str:
    text: str = found["schema"]
    if found.get("schemaType", AVRO) == PROTOBUF:
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


@schemas.command()
@click.argument("subject")
@_SOURCE
@_TYPE
@_REFERENCE
@_NORMALIZE
@json_option
@registry_options
def register(
    subject: str,
    source: IO[bytes],
    schema_type: str | None,
    references: tuple[str, ...],
    normalize: bool,
    as_json: bool,
    registry: Registry,
) -> None:
    """Register the schema in the file SOURCE ("-" for standard input) under SUBJECT."""
    body = _body(source, schema_type, references)
    found = registry.ask("POST", f"/subjects/{subject_path(subject)}/versions?{_normalized(normalize)}", body)
    if "version" not in found:
        found = {**registry.ask("POST", f"/subjects/{subject_path(subject)}", body), **found}
    if as_json:
        show_json({"subject": subject, **found})
    else:
        click.echo(f"{subject} version {found['version']} has the id {found['id']}.")


def _normalized(normalize: bool) -> str:
    return f"normalize={str(normalize).lower()}"


def _body(source: IO[bytes], schema_type: str | None, references: tuple[str, ...]) -> dict[str, Any]:
    try:
        text = source.read().decode()
    except UnicodeDecodeError as error:
        raise Failed(f"{source.name} is not UTF-8: {error}.", Status.USAGE) from None
    kind = schema_type or TYPE_OF_SUFFIX.get(Path(source.name).suffix.lower(), AVRO)
    return {"schema": text, "schemaType": kind, "references": [_reference(one) for one in references]}


def _reference(text: str) -> dict[str, Any]:
    name, _, place = text.partition("=")
    subject, _, version = place.rpartition(":")
    if not name or not subject or not version.isdigit():
        raise click.BadParameter(f"{text!r} is not NAME=SUBJECT:VERSION", param_hint="--reference")
    return {"name": name, "subject": subject, "version": int(version)}


@schemas.command()
@click.argument("subject")
@_SOURCE
@click.option("--version", help="Compare with this version only: a number, or latest. Else as the level asks.")
@_TYPE
@_REFERENCE
@_NORMALIZE
@json_option
@registry_options
def check(
    subject: str,
    source: IO[bytes],
    version: str | None,
    schema_type: str | None,
    references: tuple[str, ...],
    normalize: bool,
    as_json: bool,
    registry: Registry,
) -> None:
    """Say whether SUBJECT accepts the schema in the file SOURCE, at its level. Nothing is registered.

    The exit status is 1 if it doesn't.
    """
    body = _body(source, schema_type, references)
    place = f"/compatibility/subjects/{subject_path(subject)}/versions"
    place += "" if version is None else f"/{subject_path(version)}"
    found = registry.ask("POST", f"{place}?verbose=true&{_normalized(normalize)}", body)
    if as_json:
        show_json({"subject": subject, **found})
    elif found["is_compatible"]:
        click.echo(f"{subject} accepts the schema.")
    if found["is_compatible"]:
        return
    if as_json:
        raise click.exceptions.Exit(Status.FAILED)
    reasons = "".join(f"\n  {message}" for message in found.get("messages", []))
    raise Failed(f"{subject} does not accept the schema:{reasons}")


@schemas.command()
@click.argument("subject")
@click.option("--from", "old", metavar="VERSION", help="The older version; else the one before the newer.")
@click.option("--to", "new", default="latest", show_default=True, metavar="VERSION", help="The newer version.")
@json_option
@registry_options
def diff(subject: str, old: str | None, new: str, as_json: bool, registry: Registry) -> None:
    """Show what changed between two versions of SUBJECT, as a unified diff of their texts.

    The exit status is 0 whether they differ or not.
    """
    place = f"/subjects/{subject_path(subject)}/versions"
    newer = registry.ask("GET", f"{place}/{subject_path(new)}")
    if old is None:
        earlier = [number for number in registry.ask("GET", place) if number < newer["version"]]
        if not earlier:
            raise Failed(f"{subject} has no version before {newer['version']}: there is nothing to compare.")
        old = str(earlier[-1])
    older = registry.ask("GET", f"{place}/{subject_path(old)}")
    names = [f"{subject} version {one['version']} (id {one['id']})" for one in (older, newer)]
    before, after = (_readable(one).splitlines() for one in (older, newer))
    lines = list(unified_diff(before, after, names[0], names[1], lineterm=""))
    if as_json:
        show_json({"subject": subject, "from": older["version"], "to": newer["version"], "diff": lines})
    else:
        click.echo("\n".join(lines) if lines else f"{names[0]} and version {newer['version']} have the same text.")


@schemas.command()
@click.argument("subject")
@click.option("--version", help="Only this version: a number, or latest.")
@click.option("--permanent", is_flag=True, help="Remove for good what was soft-deleted before.")
@json_option
@registry_options
def delete(subject: str, version: str | None, permanent: bool, as_json: bool, registry: Registry) -> None:
    """Delete SUBJECT, or one version of it. Without --permanent, it is hidden, and its ids still work."""
    place = f"/subjects/{subject_path(subject)}"
    place += "" if version is None else f"/versions/{subject_path(version)}"
    found = registry.ask("DELETE", f"{place}?permanent={str(permanent).lower()}")
    versions = found if isinstance(found, list) else [found]
    if as_json:
        show_json({"subject": subject, "versions": versions, "permanent": permanent})
    else:
        how = "Removed" if permanent else "Soft-deleted"
        click.echo(f"{how} {subject}, version{'' if len(versions) == 1 else 's'} {', '.join(map(str, versions))}.")


@schemas.command()
@click.option("--output", "-o", type=click.File("w"), default="-", help="The file to write; else standard output.")
@registry_options
def export(output: IO[str], registry: Registry) -> None:
    """Write every version, level and mode as JSON lines, for `sandbox schemas import`."""
    for row in _exported(registry):
        output.write(json.dumps(row, ensure_ascii=False) + "\n")


def _exported(registry: Registry) -> Iterator[dict[str, Any]]:
    """Yield the versions after those that they refer to, then the settings."""
    places = [f"/subjects/{subject_path(one)}/versions" for one in registry.ask("GET", "/subjects?deleted=true")]
    found = [
        registry.ask("GET", f"{place}/{version}?deleted=true")
        for place in places
        for version in registry.ask("GET", f"{place}?deleted=true")
    ]
    yield from sorted(found, key=lambda row: (row["id"], row["subject"], row["version"]))
    for subject in ("", *dict.fromkeys(row["subject"] for row in found)):
        place = f"/{subject_path(subject)}" if subject else ""
        for kind, field, missing in (("config", "compatibilityLevel", NO_LEVEL), ("mode", "mode", NO_MODE)):
            if _own(registry, f"/{kind}{place}", field, missing) is not None:
                yield {"subject": subject, kind: registry.ask("GET", f"/{kind}{place}")}


@schemas.command("import")
@_SOURCE
@json_option
@registry_options
def import_schemas(source: IO[bytes], as_json: bool, registry: Registry) -> None:
    """Register what `sandbox schemas export` wrote, with the same ids and versions.

    A version that exists with the same schema and id is kept; another one of that id is an error.
    """
    rows = [_row(number, line) for number, line in enumerate(source, 1) if line.strip()]
    versions = [row for row in rows if "schema" in row]
    subjects = list(dict.fromkeys(row["subject"] for row in versions))
    with _importing(registry, subjects):
        _import_versions(registry, versions)
        for row in reversed(versions):
            if row.get("deleted"):
                registry.ask("DELETE", f"/subjects/{subject_path(row['subject'])}/versions/{row['version']}")
        for row in rows:
            _import_config(registry, row)
    for row in rows:
        if "mode" in row:
            registry.ask("PUT", f"/mode{_settings_path(row)}?force=true", row["mode"])
    done = {"subjects": len(subjects), "versions": len(versions)}
    if as_json:
        show_json(done)
    else:
        click.echo(f"Imported {done['versions']:,} versions of {done['subjects']:,} subjects.")


def _row(number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict) or any(not isinstance(found.get(name, kind()), kind) for name, kind in _KINDS):
        raise Failed(f"Line {number} is not one that `sandbox schemas export` writes.", Status.USAGE)
    missing = [name for name in ("subject", *(("id", "version") if "schema" in found else ())) if name not in found]
    if missing:
        raise Failed(
            f"Line {number} has no {missing[0]}: it is not one that `sandbox schemas export` writes.", Status.USAGE
        )
    return found


@contextmanager
def _importing(registry: Registry, subjects: list[str]) -> Iterator[None]:
    """Set subjects to the mode IMPORT, and restore their own modes afterwards."""
    own = {subject: _own(registry, f"/mode/{subject_path(subject)}", "mode", NO_MODE) for subject in subjects}
    changed = []
    try:
        for subject in subjects:
            registry.ask("PUT", f"/mode/{subject_path(subject)}?force=true", {"mode": "IMPORT"})
            changed.append(subject)
        yield
    finally:
        for subject in changed:
            place = f"/mode/{subject_path(subject)}"
            if own[subject] is None:
                registry.ask("DELETE", place)
            else:
                registry.ask("PUT", f"{place}?force=true", {"mode": own[subject]})


def _import_versions(registry: Registry, versions: list[dict[str, Any]]) -> None:
    """Register versions; those whose references are missing are tried again after the others."""
    fields = ("schema", "schemaType", "references", "metadata", "ruleSet", "id", "version")
    waiting = versions
    while waiting:
        failed: list[tuple[dict[str, Any], Refused]] = []
        for row in waiting:
            body = {name: row[name] for name in fields if name in row}
            try:
                registry.ask("POST", f"/subjects/{subject_path(row['subject'])}/versions", body)
            except Refused as error:
                failed.append((row, error))
        if len(failed) == len(waiting):
            row, reason = failed[0]
            raise Failed(f"{row['subject']} version {row['version']} cannot be imported. {reason}")
        waiting = [row for row, _ in failed]


def _settings_path(row: dict[str, Any]) -> str:
    return f"/{subject_path(row['subject'])}" if row["subject"] else ""


def _import_config(registry: Registry, row: dict[str, Any]) -> None:
    if "config" in row:
        config = dict(row["config"])
        config["compatibility"] = config.pop("compatibilityLevel", None)
        registry.ask("PUT", f"/config{_settings_path(row)}", config)


@schemas.command(
    epilog="""\b
Examples:
  sandbox schemas bind orders order.avsc
  sandbox schemas bind orders order.proto --message shop.Order -I protos
  sandbox schemas bind clicks --format MESSAGEPACK
  sandbox schemas bind orders --remove"""
)
@click.argument("topic")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--key", "part", flag_value=KEY, default=VALUE, help="Decode the keys, instead of the values.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS[1:], case_sensitive=False),
    help="The format; else by the file's name: .avsc, .proto or .json; else AVRO.",
)
@click.option("--message", metavar="NAME", help="Protobuf: the message; else the first one of the file.")
@click.option("-I", "folders", multiple=True, type=click.Path(), metavar="DIR", help="Where imports are looked for.")
@click.option(
    "--with", "files", multiple=True, type=click.Path(), metavar="FILE", help="A file with Avro types it uses."
)
@click.option("--remove", is_flag=True, help="Decode automatically again.")
@json_option
@click.option("--file", "-f", "file", type=click.Path(), metavar="PATH", help=FILE_TEXT)
def bind(
    topic: str, source: Path | None, part: str, remove: bool, as_json: bool, file: str | None, **schema: Any
) -> None:
    """Decode TOPIC's values with the schema in the file SOURCE, without a schema registry.

    It may be an .avsc, a .proto with its imports, or a JSON Schema; or name a --format that has no schema. The choice
    is kept in the sandbox file, running or not. Without SOURCE and options it shows what is chosen.
    """
    path = chosen_file(file)
    if not path.exists():
        raise Failed(f"{path} does not exist. Start with: sandbox up {path}", Status.FILE_REFUSED)
    if not remove and source is None and schema["kind"] is None:
        found = stored_deserializers(path, topic)
        rows = [{"topic": topic, "part": one, **shape} for one, shape in found.items()]
        show_rows(
            ("topic", "part", "format", "message"), rows, as_json=as_json, empty=f"{topic} is decoded automatically."
        )
        return
    chosen = None if remove else read_deserializer(source, **schema)
    choose_deserializer(path, topic, part, chosen)
    if as_json:
        show_json({"topic": topic, "part": part, "format": None if chosen is None else chosen.format})
    else:
        click.echo(
            f"The {part}s of {topic} are decoded {'automatically' if chosen is None else f'as {chosen.format}'}."
        )
