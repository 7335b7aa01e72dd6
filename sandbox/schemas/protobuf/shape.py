"""The shape of a Protobuf message."""

from typing import Any

from sandbox.schemas.shape import Shape, ShapeField, ShapeKind

_KINDS: dict[int, ShapeKind] = {1: "integer", 2: "integer", 3: "integer", 4: "integer", 5: "number", 6: "number"}
_BYTES = 12
_WELL_KNOWN: dict[str, tuple[ShapeKind, str]] = {
    "google.protobuf.Timestamp": ("timestamp", ""),
    "google.protobuf.Duration": ("text", "3.5s"),
    "google.protobuf.FieldMask": ("text", "name,address"),
    "google.protobuf.Any": ("json", ""),
    "google.protobuf.Struct": ("json", ""),
    "google.protobuf.Value": ("json", ""),
    "google.protobuf.ListValue": ("json", ""),
    "google.protobuf.StringValue": ("text", ""),
    "google.protobuf.BytesValue": ("bytes", "base64"),
    "google.protobuf.BoolValue": ("boolean", ""),
    "google.protobuf.Int32Value": ("integer", ""),
    "google.protobuf.Int64Value": ("integer", ""),
    "google.protobuf.UInt32Value": ("integer", ""),
    "google.protobuf.UInt64Value": ("integer", ""),
    "google.protobuf.FloatValue": ("number", ""),
    "google.protobuf.DoubleValue": ("number", ""),
    "confluent.type.Decimal": ("decimal", ""),
}


def shape(descriptor: Any, known: dict[str, Shape] | None = None) -> Shape:
    """Return the shape of a message.

    Args:
        known: the shapes of messages that were met before, by their full names.
    """
    known = {} if known is None else known
    name = str(descriptor.full_name)
    if name in known:
        return known[name]
    if name in _WELL_KNOWN:
        return Shape(_WELL_KNOWN[name][0], name, _WELL_KNOWN[name][1])
    record = known[name] = Shape("record", name)
    seen = set()
    for field in descriptor.fields:
        oneof = field.containing_oneof
        # A proto3 field that is `optional` is alone in a oneof that the schema's author never wrote.
        if oneof is None or len(oneof.fields) == 1:
            record.fields.append(_field(field, known))
        elif oneof.name not in seen:
            seen.add(oneof.name)
            fields = [_field(one, known) for one in oneof.fields]
            record.fields.append(ShapeField(oneof.name, Shape("oneof", "oneof", fields=fields), required=False))
    return record


def _field(field: Any, known: dict[str, Shape]) -> ShapeField:
    required = field.is_repeated or not field.has_presence or field.is_required
    return ShapeField(str(field.name), _field_shape(field, known), required=required)


def _field_shape(field: Any, known: dict[str, Shape]) -> Shape:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        return Shape("map", "map", element=_single(value, known))
    single = _single(field, known)
    return Shape("list", "repeated", element=single) if field.is_repeated else single


def _single(field: Any, known: dict[str, Shape]) -> Shape:
    if field.message_type is not None:
        return shape(field.message_type, known)
    if field.enum_type is not None:
        names = tuple(one.name for one in field.enum_type.values)
        return Shape("enum", str(field.enum_type.full_name), options=names)
    if field.type == _BYTES:
        return Shape("bytes", "bytes", "base64")
    kind: ShapeKind = "boolean" if field.cpp_type == 7 else _KINDS.get(field.cpp_type, "text")
    return Shape(kind, _TYPE_NAMES.get(field.type, "string"))


_TYPE_NAMES = {
    1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool",
    13: "uint32", 15: "sfixed32", 16: "sfixed64", 17: "sint32", 18: "sint64",
}  # fmt: skip
