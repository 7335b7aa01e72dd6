"""The deserializers of topics: they decode keys or values where these are shown."""

from dataclasses import dataclass

from sandbox.model.registry import AVRO, JSON, PROTOBUF

AUTOMATIC, TEXT, BYTES, MESSAGEPACK, CBOR = "AUTOMATIC", "TEXT", "BYTES", "MESSAGEPACK", "CBOR"
FORMATS = (AUTOMATIC, TEXT, BYTES, AVRO, JSON, PROTOBUF, MESSAGEPACK, CBOR)
WITH_SCHEMA = frozenset((AVRO, JSON, PROTOBUF))
"""The formats whose deserializer has a schema."""
FORMAT_NAMES = {
    AUTOMATIC: "Automatic",
    TEXT: "Text",
    BYTES: "Bytes in hex",
    AVRO: "Avro",
    JSON: "JSON Schema",
    PROTOBUF: "Protobuf",
    MESSAGEPACK: "MessagePack",
    CBOR: "CBOR",
}
KEY, VALUE = "key", "value"
PARTS = (KEY, VALUE)


@dataclass(frozen=True, slots=True)
class Deserializer:
    """The deserializer that was chosen for a topic's keys or values.

    Attributes:
        format: one of `FORMATS` except `AUTOMATIC`, which is the absence of a choice.
        schema: the text of the schema, for the formats of `WITH_SCHEMA`; else None.
        files: name and text of the files that the schema uses: Protobuf's imports by their paths, the targets of a JSON
            Schema's `$ref`, Avro's named types, dependencies first.
        message: Protobuf: the message's name, with or without its package; None for the first message of the file.
    """

    format: str
    schema: str | None = None
    files: tuple[tuple[str, str], ...] = ()
    message: str | None = None
