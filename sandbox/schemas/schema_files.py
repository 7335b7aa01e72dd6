"""A deserializer from the texts of schema files: finds what the schema uses among them, and checks that it compiles."""

import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.model.deserializers import AUTOMATIC, FORMATS, WITH_SCHEMA, Deserializer
from sandbox.schemas.decoding import parse_chosen
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.schema import AVRO, JSON, MAX_SCHEMA_CHARS, PROTOBUF, InvalidSchema, InvalidValue

FILES_MAX = 100
FORMAT_OF_SUFFIX = {".avsc": AVRO, ".proto": PROTOBUF, ".json": JSON}
# Only to find files: protoc compiles the text. A name in a comment costs a file that is not used.
_IMPORT = re.compile(r"""\bimport\s+(?:public\s+|weak\s+)?["']([^"'\n]+)["']""")


def deserializer_of(
    kind: str, text: str | None = None, files: Mapping[str, str] | None = None, message: str | None = None
) -> Deserializer:
    """Return a checked deserializer.

    Args:
        kind: one of `FORMATS` except AUTOMATIC, in any case.
        text: the text of the schema, for the formats that have one.
        files: name and text of other files; of these the ones that the schema uses are kept.
        message: Protobuf: the message; None for the first one.

    Raises:
        InvalidSchema: the format does not exist, or the schema can't be used; the message has the cause.
        MissingLibrary: the format's library is not installed.
    """
    name = kind.upper()
    if name not in FORMATS or name == AUTOMATIC:
        raise InvalidSchema(f"{kind!r} is not one of the formats {', '.join(FORMATS[1:])}")
    if name not in WITH_SCHEMA:
        if text:
            raise InvalidSchema(f"the format {name} has no schema")
        return Deserializer(name)
    if not text or not text.strip():
        raise InvalidSchema(f"the format {name} needs a schema")
    others = dict(files or {})
    if len(others) > FILES_MAX:
        raise InvalidSchema(f"{len(others)} files: at most {FILES_MAX} are accepted")
    if len(text) + sum(map(len, others.values())) > MAX_SCHEMA_CHARS:
        raise InvalidSchema(f"the files have more than {MAX_SCHEMA_CHARS:,} characters")
    used = _used_types(text, others) if name == AVRO else _used_files(name, text, others)
    found = Deserializer(name, text, tuple(used.items()), message or None)
    _check(found)
    return found


def used_names(kind: str, text: str) -> list[str]:
    """Return the names by which a schema uses other files: Protobuf's imports, and a JSON Schema's relative `$ref`s."""
    if kind == PROTOBUF:
        return [name for name in dict.fromkeys(_IMPORT.findall(text)) if not name.startswith("google/protobuf/")]
    return list(dict.fromkeys(_json_references(text))) if kind == JSON else []


def main_file(kind: str, texts: Mapping[str, str]) -> str:
    """Return the name of the file that no other one uses; the last one if that does not decide.

    Args:
        texts: name and text of one file or more.
    """
    used = {_basename(name) for text in texts.values() for name in used_names(kind, text)}
    free = [name for name in texts if _basename(name) not in used]
    return (free or list(texts))[-1]


def _check(choice: Deserializer) -> None:
    parsed = parse_chosen(choice)
    if isinstance(parsed, str):
        # Raises the error again, with its type.
        parsed = parse_schema(choice.format, choice.schema or "", (), dict(choice.files), new=False)
    if choice.message is None:
        return
    if choice.format != PROTOBUF:
        raise InvalidSchema(f"only {PROTOBUF} has messages to choose from")
    from sandbox.schemas.protobuf.schema import ProtobufSchema

    assert isinstance(parsed, ProtobufSchema)
    try:
        parsed.message_indexes(choice.message)
    except InvalidValue as error:
        names = ", ".join(one.name for one in parsed.file.message_type)
        raise InvalidSchema(f"{error}; it has {names or 'none'}") from error


def _used_files(kind: str, text: str, files: Mapping[str, str]) -> dict[str, str]:
    """Return the files that a schema uses, directly and indirectly, by the names that it uses, dependencies first."""
    used: dict[str, str] = {}

    def add(name: str, above: frozenset[str]) -> None:
        found = _file_of(name, files)
        if name in used or name in above or found is None:
            return
        for inner in used_names(kind, found):
            add(inner, above | {name})
        used[name] = found

    for name in used_names(kind, text):
        add(name, frozenset())
    return used


def _file_of(name: str, files: Mapping[str, str]) -> str | None:
    """Return a file by its name, or by its last part: a browser sends no folders."""
    if name in files:
        return files[name]
    return next((text for one, text in files.items() if _basename(one) == _basename(name)), None)


def _basename(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _used_types(text: str, files: Mapping[str, str]) -> dict[str, str]:
    """Return files of Avro types, those that others use first. A file that can't be parsed raises its error."""
    known: dict[str, str] = {}
    waiting = dict(files)
    while waiting:
        ready: dict[str, str] = {}
        for name, content in waiting.items():
            try:
                parse_schema(AVRO, content, (), known | ready, new=False)
            except InvalidSchema as error:
                reason = InvalidSchema(f"{name}: {error}")
            else:
                ready[name] = content
        if not ready:
            raise reason
        known |= ready
        waiting = {name: content for name, content in waiting.items() if name not in ready}
    return known


def _json_references(text: str) -> list[str]:
    try:
        level: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        return []
    found = []
    while level:
        one = level.pop()
        if isinstance(one, dict):
            reference = one.get("$ref")
            if isinstance(reference, str) and "://" not in reference and reference.partition("#")[0]:
                found.append(reference.partition("#")[0])
            level.extend(one.values())
        elif isinstance(one, list):
            level.extend(one)
    return found
