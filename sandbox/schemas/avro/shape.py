"""The shape of an Avro type."""

from sandbox.schemas.avro.types import NO_DEFAULT, AvroType
from sandbox.schemas.shape import UNSET, Shape, ShapeField, ShapeKind

_PRIMITIVES: dict[str, ShapeKind] = {
    "null": "null",
    "boolean": "boolean",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "string": "text",
    "bytes": "bytes",
    "fixed": "bytes",
}
_DIGITS = {"millis": 3, "micros": 6, "nanos": 9}


def shape(type_: AvroType, known: dict[int, Shape] | None = None) -> Shape:
    """Return the shape of a type.

    Args:
        known: the shapes of types that were met before, by their identity.
    """
    known = {} if known is None else known
    if id(type_) in known:
        return known[id(type_)]
    logical = _logical(type_)
    if logical is not None:
        return logical
    match type_.kind:
        case "record":
            record = known[id(type_)] = Shape("record", type_.name)
            record.fields = [
                ShapeField(
                    one.name,
                    shape(one.type, known),
                    one.doc or one.type.doc or "",
                    default=UNSET if one.default is NO_DEFAULT else one.default,
                )
                for one in type_.fields
            ]
            return record
        case "union":
            choice = known[id(type_)] = Shape("choice", "union")
            choice.choices = [shape(branch, known) for branch in type_.branches]
            choice.tags = tuple(branch.label for branch in type_.branches)
            return choice
        case "array" | "map":
            collection = known[id(type_)] = Shape("list" if type_.kind == "array" else "map", type_.kind)
            collection.element = shape(type_.element, known)
            return collection
        case "enum":
            return Shape("enum", type_.name, options=type_.symbols)
    hint = "one character per byte" if type_.kind in ("bytes", "fixed") else ""
    size = f", {type_.size} bytes" if type_.kind == "fixed" else ""
    return Shape(_PRIMITIVES[type_.kind], type_.label + size, hint)


def _logical(type_: AvroType) -> Shape | None:
    logical = type_.logical_type()
    match logical:
        case None:
            return None
        case "date":
            return Shape("date", logical)
        case "decimal":
            precision, scale = type_.properties["precision"], type_.properties.get("scale", 0)
            return Shape("decimal", f"decimal({precision}, {scale})", f"at most {scale} digits after the point")
        case "big-decimal":
            return Shape("decimal", logical)
        case "uuid":
            return Shape("uuid", logical)
        case "duration":
            return Shape("text", logical, "P1M2DT3.004S")
    digits = _DIGITS[logical.rpartition("-")[2]]
    if logical.startswith("time-"):
        return Shape("time", logical, digits=digits)
    return Shape("timestamp", logical, zone="" if logical.startswith("local-") else "Z", digits=digits)
