"""Protobuf messages as JSON values and back.

Fields have the schema's names. Fields without presence are shown with their defaults, as the console
consumers of the registry do. Other than in Protobuf's own JSON, 64-bit integers are numbers, and the message
confluent.type.Decimal is an exact number. Well-known types have their usual JSON: timestamps in ISO 8601, plain values
for wrappers. Bytes are base64.
"""

import base64
import binascii
import struct
from decimal import Decimal
from typing import Any

from sandbox.schemas.avro.logical import as_decimal, decimal_of_bytes, signed_bytes, unscaled
from sandbox.schemas.json_text import not_finite, shortest_single
from sandbox.schemas.schema import InvalidValue

_FLOAT, _DOUBLE, _BYTES, _ENUM, _MESSAGE, _GROUP = 2, 1, 12, 14, 11, 10
_DECIMAL = "confluent.type.Decimal"


_WIRE_TYPES = ("a varint", "8 bytes", "a length and bytes", "a group", "a group", "4 bytes")


def decode(descriptor: Any, payload: bytes, *, strict: bool = False) -> Any:
    """Return the JSON value of a message's bytes.

    Args:
        strict: True refuses a field whose bytes have another wire type than the field, which parsers skip.

    Raises:
        InvalidValue: The bytes are not such a message.
    """
    from google.protobuf import message, message_factory

    try:
        decoded = message_factory.GetMessageClass(descriptor).FromString(payload)
        if strict:
            _check_wire_types(decoded, "$")
        return _message_json(decoded)
    except (message.DecodeError, UnicodeDecodeError):
        raise InvalidValue(f"the {len(payload)} bytes are not a message {descriptor.full_name}") from None
    except RecursionError:
        raise InvalidValue("the value is nested too deeply") from None


def _check_wire_types(decoded: Any, path: str) -> None:
    """Refuse a message that has a known field among the unknown ones: its wire type was another one."""
    from google.protobuf import unknown_fields

    by_number = decoded.DESCRIPTOR.fields_by_number
    for one in unknown_fields.UnknownFieldSet(decoded):
        field = by_number.get(one.field_number)
        if field is not None:
            written = _WIRE_TYPES[one.wire_type] if one.wire_type < len(_WIRE_TYPES) else "other bytes"
            raise InvalidValue(f"{path}.{field.name}: {written} was written, which a consumer skips without an error")
    for field, value in decoded.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inner = value.values() if field.message_type.fields_by_name["value"].message_type else ()
        else:
            inner = value if field.is_repeated else (value,)
        for one in inner:
            _check_wire_types(one, f"{path}.{field.name}")


def encode(descriptor: Any, value: Any, pool: Any) -> bytes:
    """Return the bytes of a message for a JSON value. Raises `InvalidValue` with the path."""
    from google.protobuf import json_format, message, message_factory

    if not isinstance(value, dict) and not _is_well_known(descriptor):
        raise InvalidValue(f"$: expected an object for message {descriptor.full_name}")
    try:
        plain = _plain(descriptor, value, "$")
        made = json_format.ParseDict(plain, message_factory.GetMessageClass(descriptor)(), descriptor_pool=pool)
        return bytes(made.SerializeToString(deterministic=True))
    except (json_format.ParseError, message.EncodeError, ValueError, TypeError) as error:
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue(f"$: {error}") from None
    except RecursionError:
        raise InvalidValue("the value is nested too deeply") from None


def _message_json(decoded: Any) -> Any:
    descriptor = decoded.DESCRIPTOR
    if descriptor.full_name == _DECIMAL:
        return _decimal_json(decoded)
    if _is_well_known(descriptor):
        return _well_known_json(decoded)
    json = {}
    for field in descriptor.fields:
        if field.is_repeated:
            json[field.name] = _repeated_json(field, getattr(decoded, field.name))
        elif not field.has_presence or decoded.HasField(field.name):
            json[field.name] = _value_json(field, getattr(decoded, field.name))
    return json


def _repeated_json(field: Any, values: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value_field = field.message_type.fields_by_name["value"]
        return {_key_text(key): _value_json(value_field, values[key]) for key in values}
    return [_value_json(field, value) for value in values]


def _key_text(key: Any) -> str:
    return ("true" if key else "false") if isinstance(key, bool) else str(key)


def _value_json(field: Any, value: Any) -> Any:
    if field.type in (_MESSAGE, _GROUP):
        return _message_json(value)
    if field.type == _ENUM:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else value
    if field.type == _BYTES:
        return base64.b64encode(value).decode()
    if field.type == _FLOAT:
        return shortest_single(struct.pack("<f", value))
    if field.type == _DOUBLE:
        return value if value - value == 0 else not_finite(value)
    return value


def _is_well_known(descriptor: Any) -> bool:
    from google.protobuf import json_format

    return descriptor.full_name in json_format._WKTJSONMETHODS or _is_wrapper(descriptor)


def _is_wrapper(descriptor: Any) -> bool:
    return str(descriptor.file.name) == "google/protobuf/wrappers.proto"


def _well_known_json(decoded: Any) -> Any:
    from google.protobuf import json_format

    if _is_wrapper(decoded.DESCRIPTOR):
        return _value_json(decoded.DESCRIPTOR.fields_by_name["value"], decoded.value)
    try:
        return json_format.MessageToDict(decoded, descriptor_pool=decoded.DESCRIPTOR.file.pool)
    except (json_format.Error, TypeError, ValueError, OverflowError):
        # Out of the range of its text, such as a timestamp after the year 9999.
        return {field.name: _value_json(field, value) for field, value in decoded.ListFields() if not field.is_repeated}


def _decimal_json(decoded: Any) -> Any:
    try:
        return decimal_of_bytes(decoded.value, decoded.scale)
    except ValueError:
        return {"value": base64.b64encode(decoded.value).decode(), "scale": decoded.scale}


def _plain(descriptor: Any, value: Any, path: str) -> Any:
    """Turn what `decode` makes into what the library's JSON parser accepts, and check the names of fields."""
    if descriptor.full_name == _DECIMAL and not isinstance(value, dict):
        return _decimal_message(value, path)
    if _is_well_known(descriptor) or not isinstance(value, dict):
        return _without_decimals(value)
    names = {name: field for field in descriptor.fields for name in (field.json_name, field.name)}
    plain = {}
    for name, inner in value.items():
        field = names.get(name)
        if field is None and not name.startswith("["):
            known = ", ".join(one.name for one in descriptor.fields)
            raise InvalidValue(f"{path}.{name}: message {descriptor.full_name} has no such field; it has {known}")
        plain[name] = _plain_field(field, inner, f"{path}.{name}")
    return plain


def _plain_field(field: Any, value: Any, path: str) -> Any:
    if field is None:
        return _without_decimals(value)
    if field.is_repeated and isinstance(value, list):
        return [_plain_value(field, one, f"{path}[{at}]") for at, one in enumerate(value)]
    if field.message_type is not None and field.message_type.GetOptions().map_entry and isinstance(value, dict):
        value_field = field.message_type.fields_by_name["value"]
        return {key: _plain_value(value_field, one, f"{path}.{key}") for key, one in value.items()}
    return _plain_value(field, value, path)


def _plain_value(field: Any, value: Any, path: str) -> Any:
    if field.message_type is not None and value is not None:
        return _plain(field.message_type, value, path)
    if field.type == _BYTES and isinstance(value, str):
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            raise InvalidValue(f"{path}: expected bytes as base64") from None
    return _without_decimals(value)


def _without_decimals(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 2**64 else float(value)
    if isinstance(value, dict):
        return {key: _without_decimals(one) for key, one in value.items()}
    return [_without_decimals(one) for one in value] if isinstance(value, list) else value


def _decimal_message(value: Any, path: str) -> dict[str, Any]:
    try:
        number = as_decimal(value)
        scale = max(0, -int(number.as_tuple().exponent))
        data = signed_bytes(unscaled(number, scale))
    except ValueError as error:
        raise InvalidValue(f"{path}: {error}") from None
    return {"value": base64.b64encode(data).decode(), "precision": len(number.as_tuple().digits), "scale": scale}
