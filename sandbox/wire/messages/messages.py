"""Decodes Kafka's requests and encodes its responses.

All versions of a message have one shape. A decoded message has every field of every version, named as in Kafka's
definition but in snake_case (``session_timeout_ms``, ``error_code``); a field that the version lacks has its default. A
message to encode is a mapping with the same names. Missing fields get their default; fields that the version lacks are
ignored.

====================  ======================================================================
on the wire           in Python
====================  ======================================================================
int8 ... int64        ``int``, also for error codes and times in milliseconds
bool, float64         ``bool``, ``float``
string                ``str``
bytes                 ``bytes``
records               ``memoryview`` decoded; to encode, bytes-like or a list of bytes-like pieces
uuid                  ``uuid.UUID``; the zero UUID means null (None may be encoded)
array                 ``list``; to encode, any sequence
struct                ``SimpleNamespace``; to encode, a mapping
null                  ``None``
====================  ======================================================================

The functions for one version of one message are generated at its first use.

Source: https://kafka.apache.org/protocol and Kafka's message definitions (Apache Kafka 4.4); KIP-482 (flexible
versions), KIP-511 (the response header of ApiVersions).
"""

import struct
from collections.abc import Mapping, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

from sandbox.wire.messages.reader import ReaderSource, skip_tagged_fields
from sandbox.wire.messages.schemas import apis, fields_at, schemas, span
from sandbox.wire.messages.source import Refusal, failing_field
from sandbox.wire.messages.writer import EncodedArray, UnknownField, WriterSource

__all__ = [
    "EncodedArray",
    "MalformedMessage",
    "RequestHeader",
    "UnencodableMessage",
    "UnknownField",
    "UnsupportedVersion",
    "api_name",
    "api_versions_known",
    "decode_assignment",
    "decode_header",
    "decode_request",
    "decode_response",
    "decode_subscription",
    "encode_assignment",
    "encode_elements",
    "encode_request",
    "encode_response",
    "encode_subscription",
    "response_header",
]

API_VERSIONS = 18
SUBSCRIPTION = "consumer_protocol_subscription"
ASSIGNMENT = "consumer_protocol_assignment"

Buffer = bytes | bytearray | memoryview

_HEADER = struct.Struct(">hhih")
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")


class MalformedMessage(ValueError):
    """Bytes that are not the message they should be. The text names the field and the position."""


class UnencodableMessage(ValueError):
    """A mapping that cannot be written as the message: the text names the field."""


class UnsupportedVersion(LookupError):
    """An API, or a version of it, that is not known here."""


class RequestHeader(NamedTuple):
    """A request's header. ``client_id`` is None for null; ``body_offset`` is the position of the request's body."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body_offset: int


def _title(message: str, direction: str, version: int) -> str:
    return f"<{schemas()[message]['name']} {direction} v{version}>"


def _fields(message: str, direction: str, version: int) -> Any:
    try:
        return fields_at(message, direction, version)
    except KeyError:
        name = schemas()[message]["name"] if message in schemas() else f"API {message}"
        raise UnsupportedVersion(f"{name} has no version {version} here") from None


@cache
def _reader(message: str | int, direction: str, version: int) -> Any:
    fields, flexible = _fields(str(message), direction, version)
    return ReaderSource(_title(str(message), direction, version), flexible).message(fields)


@cache
def _writer(message: str | int, direction: str, version: int) -> Any:
    fields, flexible = _fields(str(message), direction, version)
    return WriterSource(_title(str(message), direction, version), flexible).message(fields)


def _decode(read: Any, data: Buffer, offset: int) -> tuple[SimpleNamespace, int]:
    try:
        decoded: tuple[SimpleNamespace, int] = read(data, offset, len(data))
        return decoded
    except (Refusal, IndexError, struct.error, UnicodeDecodeError) as error:
        field, position = failing_field(read, error)
        reason = "is cut short by the end of the message"
        if isinstance(error, Refusal):
            reason = str(error)
        elif isinstance(error, UnicodeDecodeError):
            reason = "is not UTF-8"
        title = read.__code__.co_filename.strip("<>")
        raise MalformedMessage(f"{title}: {field} at byte {position} of {len(data)} {reason}") from None


def _decode_all(message: int, direction: str, version: int, data: Buffer, offset: int) -> tuple[SimpleNamespace, int]:
    decoded, end = _decode(_reader(message, direction, version), data, offset)
    if end != len(data):
        title = _title(str(message), direction, version).strip("<>")
        raise MalformedMessage(f"{title} ends at byte {end}, but {len(data) - end} more bytes follow")
    return decoded, end


@cache
def _element_writer(api_key: int, version: int, name: str) -> Any:
    fields, flexible = _fields(str(api_key), "response", version)
    element = next(field for field in fields if field.name == name)
    return WriterSource(_title(str(api_key), "response", version), flexible).message(element.fields)


def _encode(write: Any, message: Mapping[str, Any], prefix: bytes = b"") -> bytes:
    pieces: list[bytes] = [prefix]
    try:
        write(message, pieces.append, pieces.extend)
        return b"".join(pieces)
    except UnknownField:
        raise
    except (ValueError, TypeError, AttributeError, struct.error) as error:
        field, _ = failing_field(write, error)
        title = write.__code__.co_filename.strip("<>")
        raise UnencodableMessage(f"{title}: {field} {error}") from None


def decode_request(api_key: int, version: int, data: Buffer, offset: int = 0) -> tuple[SimpleNamespace, int]:
    """Decode the request in ``data`` from ``offset``.

    Ignores bytes after the request, as Kafka's broker does: librdkafka 2.16 sends three extra bytes after Metadata 13.

    Args:
        api_key: as in the request's header.
        version: as in the request's header.
        data: the frame, without its length. Records in the result are views into it.
        offset: ``body_offset`` of the header.

    Returns:
        A namespace with every field of every version of the request, and the position after the request.

    Raises:
        UnsupportedVersion: the API or the version is unknown.
        MalformedMessage: the bytes are not a valid request.
    """
    return _decode(_reader(api_key, "request", version), data, offset)


def decode_response(api_key: int, version: int, data: Buffer, offset: int = 0) -> tuple[SimpleNamespace, int]:
    """The response in ``data`` from ``offset``, after its header, to the end: as :func:`decode_request`."""
    return _decode_all(api_key, "response", version, data, offset)


def encode_response(api_key: int, version: int, message: Mapping[str, Any]) -> bytes:
    """Encode a response, without its header.

    Args:
        api_key: as in the request's header.
        version: as in the request's header.
        message: the fields, as nested mappings and sequences. Missing fields are written as their default; fields that
            this version doesn't have are ignored.

    Raises:
        UnsupportedVersion: the API or the version is unknown.
        UnknownField: no version of the response has this name. It is a KeyError.
        UnencodableMessage: null in a non-nullable field, a number out of range, or a value of a wrong type.
    """
    return _encode(_writer(api_key, "response", version), message)


def encode_elements(api_key: int, version: int, name: str, elements: Sequence[Mapping[str, Any]]) -> EncodedArray:
    """Encode some elements of one of a response's own arrays of structs; the array may consist of several such parts.

    Raises: as :func:`encode_response`.
    """
    write = _element_writer(api_key, version, name)
    return EncodedArray(_encode(write, element) for element in elements)


def encode_request(api_key: int, version: int, message: Mapping[str, Any]) -> bytes:
    """The bytes of a request, without its header: as :func:`encode_response`."""
    return _encode(_writer(api_key, "request", version), message)


def _is_flexible(api_key: int, version: int) -> bool:
    known = apis().get(api_key)
    return known is not None and known[3] is not None and version >= known[3]


def decode_header(data: Buffer) -> RequestHeader:
    """Decode the header of a request.

    A flexible version has header version 2, others version 1. For an unknown API, only the fields of version 1 are
    read.
    The client id is never compact, so a broker can read it before it knows the version.

    Args:
        data: the frame, without its length.

    Raises:
        MalformedMessage: the bytes end within the header, or the client id is not UTF-8.
    """
    end = len(data)
    if end < _HEADER.size:
        raise MalformedMessage(f"the request header is cut short: {end} bytes, not {_HEADER.size} or more")
    api_key, version, correlation_id, size_bytes = _HEADER.unpack_from(data)
    position = _HEADER.size
    client_id = None
    if size_bytes >= 0:
        stop = position + size_bytes
        if stop > end:
            raise MalformedMessage(f"the client_id is {size_bytes} bytes long, but only {end - position} are left")
        try:
            client_id = str(data[position:stop], "utf-8")
        except UnicodeDecodeError:
            raise MalformedMessage(f"the client_id at byte {position} is not UTF-8") from None
        position = stop
    elif size_bytes != -1:
        raise MalformedMessage(f"the client_id has a length of {size_bytes}")
    if _is_flexible(api_key, version):
        if position < end and not data[position]:
            # As nearly always: none.
            return RequestHeader(api_key, version, correlation_id, client_id, position + 1)
        try:
            position = skip_tagged_fields(data, position, end)
        except (IndexError, Refusal):
            raise MalformedMessage(f"the tagged fields of the header at byte {position} are cut short") from None
    return RequestHeader(api_key, version, correlation_id, client_id, position)


def response_header(api_key: int, version: int, correlation_id: int) -> bytes:
    """Encode the header of a response: version 1 for a flexible version, otherwise version 0.

    ApiVersions always has version 0: a client that requests a version too new for the broker must be able to read the
    response (KIP-511).
    """
    if api_key != API_VERSIONS and _is_flexible(api_key, version):
        return _INT32.pack(correlation_id) + b"\0"
    return _INT32.pack(correlation_id)


def api_versions_known() -> dict[int, tuple[int, int]]:
    """The first and last version of each API that can be decoded and encoded, by API key."""
    return {key: (first, last) for key, (_, first, last, _) in apis().items()}


def api_name(api_key: int) -> str:
    """The API's name as Kafka spells it, such as "CreateTopics"; "API 99" of one that is not known."""
    known = apis().get(api_key)
    return known[0] if known is not None else f"API {api_key}"


def _decode_protocol(message: str, data: Buffer) -> SimpleNamespace:
    name = schemas()[message]["name"]
    if len(data) < 2:
        raise MalformedMessage(f"{name}: {len(data)} bytes cannot hold a version")
    version = _INT16.unpack_from(data)[0]
    if version < 0:
        raise MalformedMessage(f"{name} has a version of {version}")
    newest = span(schemas()[message]["versions"])[-1]
    decoded, _ = _decode(_reader(message, "data", min(version, newest)), data, 2)
    decoded.version = version
    return decoded


def decode_subscription(data: Buffer) -> SimpleNamespace:
    """Decode a consumer group member's subscription, the metadata it joins with.

    Args:
        data: as in JoinGroup and DescribeGroups: a version, then ConsumerProtocolSubscription. A newer version is read
            as
            the newest known one, and the rest is ignored, as clients do.

    Returns:
        ``version``, ``topics``, ``user_data``, ``owned_partitions``, ``generation_id``, ``rack_id``.

    Raises:
        MalformedMessage: the bytes are something else; not every group is a consumer group.
    """
    return _decode_protocol(SUBSCRIPTION, data)


def decode_assignment(data: Buffer) -> SimpleNamespace:
    """Decode a consumer group member's assignment: ``version``, ``assigned_partitions``, ``user_data``.

    Args:
        data: as in SyncGroup and DescribeGroups; newer versions are handled as by :func:`decode_subscription`.

    Raises:
        MalformedMessage: the bytes are something else, or empty: a member without an assignment.
    """
    return _decode_protocol(ASSIGNMENT, data)


def encode_subscription(version: int, message: Mapping[str, Any]) -> bytes:
    """The bytes that a member joins a group with: the version, then ConsumerProtocolSubscription."""
    return _encode(_writer(SUBSCRIPTION, "data", version), message, _INT16.pack(version))


def encode_assignment(version: int, message: Mapping[str, Any]) -> bytes:
    """Encode an assignment as a group leader does: the version, then ConsumerProtocolAssignment."""
    return _encode(_writer(ASSIGNMENT, "data", version), message, _INT16.pack(version))
