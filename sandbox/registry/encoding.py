"""Encodes events with the schemas of a file's own registry."""

from sandbox.model.registry import PROTOBUF
from sandbox.registry import lookups
from sandbox.registry.errors import RegistryError
from sandbox.registry.parsing import parse_stored
from sandbox.registry.subjects import parse_subject
from sandbox.schemas.encoding import EventEncoder, SchemaName
from sandbox.schemas.schema import InvalidValue
from sandbox.storage.registry import RegistryRows


def registry_encoder(rows: RegistryRows, name: SchemaName) -> EventEncoder:
    """Return an encoder with a registered schema.

    Raises:
        InvalidValue: the subject, the version or the message doesn't exist, or the schema can't be parsed here.
    """
    try:
        found = lookups.version(rows, parse_subject(name.subject), name.version)
        schema = parse_stored(rows, found)
    except RegistryError as error:
        raise InvalidValue(f"{name}: {error.message}") from error
    indexes = schema.message_indexes(name.message) if name.message else (0,)
    if found.content.schema_type == PROTOBUF and not name.message and not schema.message_names():
        raise InvalidValue(f"{name} has no message: it only defines enums or imports")
    return EventEncoder(schema, found.schema_id, str(found.subject), found.version, indexes)
