"""Chooses the deserializers of a file's topics (`Sandbox.deserializers`).

sandbox.deserializers.bind("orders", "schemas/order.proto", message="shop.Order")
for event in sandbox.read("orders", decode=True):
    print(event.value)
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandbox.model.deserializers import PARTS, VALUE, Deserializer
from sandbox.model.file_path import is_text, shown_path
from sandbox.runtime.runtime import Runtime
from sandbox.schemas.schema import AVRO, InvalidSchema
from sandbox.storage import deserializers as storage


class SandboxDeserializers:
    """The deserializers that were chosen in a file. A topic without one is decoded automatically: what a registry's
    serializer framed with its schema, else MessagePack and CBOR are recognized. All methods are thread-safe.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def of(self, topic: str) -> dict[str, Deserializer]:
        """Return what was chosen for a topic, by part: "key" and "value"."""
        with self._runtime.database.reader() as reader:
            return storage.load_deserializers(reader, topic)

    def list(self) -> dict[str, dict[str, Deserializer]]:
        """Return what was chosen for all topics, by topic and part."""
        with self._runtime.database.reader() as reader:
            return storage.load_topics(reader)

    def set(self, topic: str, part: str, chosen: Deserializer | None) -> None:
        """Choose the deserializer of a topic's keys or values. Events are not changed.

        Args:
            topic: its name. The topic need not exist yet; the choice is deleted with the topic.
            part: "key" or "value".
            chosen: None to decode automatically again.

        Raises:
            ValueError: there is no such part.
            BrokerError: the file can't be written.
        """
        if part not in PARTS:
            raise ValueError(f"a part is one of {', '.join(PARTS)}, not {part!r}")
        database = self._runtime.database
        self._runtime.call(lambda now_ms: storage.save_deserializer(database, topic, part, chosen, now_ms))

    def bind(
        self,
        topic: str,
        schema: str | os.PathLike[str] | None = None,
        *,
        part: str = VALUE,
        format: str | None = None,
        message: str | None = None,
        files: Iterable[str | os.PathLike[str]] = (),
        folders: Iterable[str | os.PathLike[str]] = (),
    ) -> Deserializer:
        """Decode a topic's keys or values with the schema in a file, or as a format without a schema.

        Args:
            schema: the path of an `.avsc`, `.proto` or JSON Schema; None for a format without one.
            part: "key" or "value".
            format: AVRO, JSON, PROTOBUF, MESSAGEPACK, CBOR, TEXT or BYTES; None for the one of the file's suffix.
            message: Protobuf: the message's name; None for the first one.
            files: paths of other files that the schema uses: Avro's named types.
            folders: where imports and relative `$ref`s are looked for, in addition to the schema's own folder.

        Raises:
            InvalidSchema: the schema can't be used.
            MissingLibrary: the format's library is not installed.
            OSError: a file can't be read.
        """
        chosen = deserializer_from_files(schema, format=format, message=message, files=files, folders=folders)
        self.set(topic, part, chosen)
        return chosen


def deserializer_from_files(
    schema: str | os.PathLike[str] | None,
    *,
    format: str | None = None,
    message: str | None = None,
    files: Iterable[str | os.PathLike[str]] = (),
    folders: Iterable[str | os.PathLike[str]] = (),
) -> Deserializer:
    """Return a checked deserializer. Arguments and errors: see `SandboxDeserializers.bind`."""
    # Pages only read what is chosen, and must not wait for the parsers.
    from sandbox.schemas.schema_files import FORMAT_OF_SUFFIX, deserializer_of

    if schema is None:
        if format is None:
            raise InvalidSchema("neither a schema nor a format is named")
        return deserializer_of(format)
    path = Path(schema)
    kind = (format or FORMAT_OF_SUFFIX.get(path.suffix.lower(), AVRO)).upper()
    text = _text(path)
    others = {Path(one).name: _text(Path(one)) for one in files}
    for name in others:
        if not is_text(name):
            raise InvalidSchema(f"{shown_path(name)} is a file name that is not UTF-8, and is stored with the schema")
    found = _imports(kind, text, [path.parent, *map(Path, folders)], others)
    return deserializer_of(kind, text, found, message)


def _imports(kind: str, text: str, folders: Iterable[Path], files: Mapping[str, str]) -> dict[str, str]:
    """Return the files that a schema uses, by the names that it uses. One that isn't found is left to the compiler."""
    from sandbox.schemas.schema_files import used_names

    found = dict(files)
    waiting = used_names(kind, text)
    while waiting:
        name = waiting.pop()
        path = next((one for folder in folders if (one := folder / name).is_file()), None)
        if name not in found and path is not None:
            found[name] = _text(path)
            waiting += used_names(kind, found[name])
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidSchema(f"{shown_path(path)} is not UTF-8: {error}") from error
