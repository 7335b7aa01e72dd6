"""A key or value of the Produce form that is written with a schema of the registry.

Fields of the form, where PART is "key" or "value": PART_subject, PART_version ("latest" or a number) and PART_message
(Protobuf) choose the schema. PART_mode is "form", with one input for each field (see `schema_form`), or "json", with
the JSON text in PART. PART_shown and PART_by repeat the mode and the schema of the page from which the form was sent,
so that what was typed is kept when they change.
"""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from flask import g

from sandbox.kafka.errors import BrokerError
from sandbox.schemas.json_text import value_text
from sandbox.web.payload import pretty
from sandbox.web.responses import backend

if TYPE_CHECKING:
    from sandbox.schemas.encoding import EventEncoder
    from sandbox.web.produce.schema_form import Form, Input

# What reads schemas is imported where it is used: a start must not wait for it.

PARTS = ("key", "value")
KIND = "schema"
FORM, JSON = MODES = ("form", "json")


@dataclass(slots=True)
class SchemaPart:
    """What the page shows of a key or value with a schema.

    Attributes:
        part: "key" or "value".
        subjects: all subjects of the registry.
        subject: the chosen one, "" if there is none.
        versions: its versions, the latest first.
        version: "latest", or the chosen version.
        messages: the names of its Protobuf messages.
        message: the chosen one.
        mode: one of `MODES`.
        by: the schema that is shown, as `SchemaName`.
        label: the schema in words.
        root: the inputs; None in the mode "json", or if there is a problem.
        text: the JSON text in the mode "json".
        problem: why nothing can be typed, "" if it can.
        changed: True if the JSON text is not what the browser has.
    """

    part: str
    subjects: tuple[str, ...] = ()
    subject: str = ""
    versions: tuple[int, ...] = ()
    version: str = "latest"
    messages: tuple[str, ...] = ()
    message: str = ""
    mode: str = FORM
    by: str = ""
    label: str = ""
    root: "Input | None" = None
    text: str = ""
    problem: str = ""
    changed: bool = False


def has_registry() -> bool:
    """Return True if events can be written with schemas here."""
    return backend().schema_registry is not None


def subjects() -> tuple[str, ...]:
    """Return the subjects of the registry, sorted; empty if there is none."""
    from sandbox.registry import lookups

    registry = backend().schema_registry
    if registry is None:
        return ()
    with registry().rows() as rows:
        return tuple(map(str, lookups.subjects(rows, "", "exclude")))


def encoder(name: str) -> "EventEncoder":
    """Return the encoder with a schema, as `SchemaName` writes it. One request looks it up once.

    Raises:
        BrokerError: INVALID_RECORD if it doesn't exist.
    """
    from sandbox.registry.encoding import registry_encoder
    from sandbox.schemas.encoding import parse_schema_name
    from sandbox.schemas.schema import InvalidValue, MissingLibrary

    known = cast("dict[str, EventEncoder]", g.setdefault("encoders", {}))
    registry = backend().schema_registry
    if registry is None:
        raise BrokerError("INVALID_RECORD", "There is no schema registry here. Nothing was sent.")
    if name not in known:
        try:
            with registry().rows() as rows:
                known[name] = registry_encoder(rows, parse_schema_name(name))
        except (InvalidValue, MissingLibrary) as error:
            raise BrokerError("INVALID_RECORD", f"{str(error).rstrip('.')}. Nothing was sent.") from None
    return known[name]


def chosen_name(form: "Form", part: str) -> str:
    """Return the schema that the form chooses, as `SchemaName`; "" if it names no subject."""
    subject, version, message = (form.get(f"{part}_{field}", "").strip() for field in ("subject", "version", "message"))
    if not subject:
        return ""
    return f"{subject}:{version or 'latest'}{f'#{message}' if message else ''}"


def encoded(form: "Form", part: str) -> bytes:
    """Return the framed bytes of a key or value.

    Raises:
        BrokerError: INVALID_RECORD with the path of what doesn't fit.
    """
    from sandbox.schemas.schema import InvalidValue, MissingLibrary
    from sandbox.web.produce.schema_form import Builder, value_of

    name = chosen_name(form, part)
    if not name:
        raise BrokerError("INVALID_RECORD", f"Choose the subject of the {part}'s schema. Nothing was sent.")
    found = encoder(name)
    try:
        if form.get(f"{part}_mode", JSON) == JSON:
            return found.encode_text(form.get(part, "").encode("utf-8", "replace"))
        return found.encode(value_of(Builder(form).build(found.schema.shape(found.message_indexes), part, "$")))
    except (InvalidValue, MissingLibrary) as error:
        raise BrokerError(
            "INVALID_RECORD",
            f"The {part} does not fit {found.subject} version {found.version}: {error}. Nothing was sent.",
        ) from None


def shown_part(form: "Form", part: str, topic: str | None) -> SchemaPart:
    """Return what the page shows of a form's key or value.

    Args:
        topic: the target topic, whose own subject is chosen first; None if it is not known yet.
    """
    from sandbox.registry.subjects import parse_subject
    from sandbox.schemas.schema import InvalidValue, MissingLibrary

    shown = SchemaPart(part, subjects())
    registry = backend().schema_registry
    if registry is None:
        return _with_problem(shown, "There is no schema registry here.")
    shown.subject = _subject(shown.subjects, form.get(f"{part}_subject", ""), part, topic)
    if not shown.subject:
        return _with_problem(shown, "No schemas are registered yet.")
    with registry().rows() as rows:
        live = [row.version for row in rows.versions(parse_subject(shown.subject)) if not row.deleted]
    shown.versions = tuple(reversed(live))
    version = form.get(f"{part}_version", "latest")
    shown.version = version if version in map(str, shown.versions) else "latest"
    shown.mode = JSON if form.get(f"{part}_mode") == JSON else FORM
    try:
        found = encoder(f"{shown.subject}:{shown.version}")
        shown.messages = found.schema.message_names()
        message = form.get(f"{part}_message", "")
        shown.message = message if message in shown.messages else ""
        shown.by = f"{shown.subject}:{shown.version}{f'#{shown.message}' if shown.message else ''}"
        _fill(shown, form, encoder(shown.by))
    except BrokerError as error:
        return _with_problem(shown, error.detail.removesuffix(" Nothing was sent."))
    except (InvalidValue, MissingLibrary) as error:
        return _with_problem(shown, str(error))
    return shown


def mark_error(shown: SchemaPart) -> None:
    """Show at the inputs why the value doesn't fit its schema."""
    from sandbox.schemas.schema import InvalidValue, MissingLibrary
    from sandbox.web.produce.schema_form import value_of

    if shown.root is not None:
        try:
            encoder(shown.by).encode(value_of(shown.root))
        except (InvalidValue, MissingLibrary) as error:
            shown.root.mark(str(error))


def _with_problem(shown: SchemaPart, problem: str) -> SchemaPart:
    shown.problem = problem
    return shown


def _subject(subjects: tuple[str, ...], wanted: str, part: str, topic: str | None) -> str:
    own = f"{topic}-{part}"
    return next((one for one in (wanted, own) if one in subjects), subjects[0] if subjects else "")


def _fill(shown: SchemaPart, form: "Form", found: "EventEncoder") -> None:
    """Fill in what was typed: as it is if nothing but an item changed, else as a value of the chosen schema."""
    from sandbox.schemas.shape import initial_value
    from sandbox.web.produce.schema_form import Builder, TooLarge, with_item, without_item

    part, shape = shown.part, found.schema.shape(found.message_indexes)
    shown.label = found.label
    before = form.get(f"{part}_shown")
    action, _, name = form.get("do", "").partition(":")
    if action in ("add", "remove") and name.startswith(f"{part}"):
        form = with_item(form, name) if action == "add" else without_item(form, name)
    example = action == "example" and name == part
    if before == shown.mode == JSON and not example:
        shown.text = form.get(part, "")
        return
    try:
        if before == shown.mode == FORM and form.get(f"{part}_by") == shown.by and not example:
            shown.root = Builder(form).build(shape, part, "$")
            return
        value = found.example(random.Random()) if example else _carried(form, part)
        value = initial_value(shape) if value is None else value
        if shown.mode == FORM:
            shown.root = Builder().build(shape, part, "$", value)
            return
    except TooLarge:
        shown.mode = JSON
        value = initial_value(shape)
    shown.text, shown.changed = pretty(value_text(value)), True


def _carried(form: "Form", part: str) -> Any:
    """Return the value that the form had with another schema or in the other mode; None if there is none."""
    from sandbox.schemas.encoding import json_value
    from sandbox.schemas.schema import InvalidValue
    from sandbox.web.produce.schema_form import Builder, value_of

    try:
        if form.get(f"{part}_shown") == FORM:
            old = encoder(form.get(f"{part}_by", ""))
            root = Builder(form).build(old.schema.shape(old.message_indexes), part, "$")
            return value_of(root, strict=False)
        # Text that was typed without a schema, such as the example in an empty form, is not a value of this schema.
        typed = form.get(part, "") if form.get(f"{part}_shown") == JSON else ""
        return json_value(typed.encode("utf-8", "replace")) if typed.strip() else None
    except (InvalidValue, BrokerError):
        return None
