"""The shape of a schema's values, the same for all formats: what a form asks for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

ShapeKind = Literal[
    "record", "list", "map", "choice", "oneof", "enum", "boolean", "integer", "number", "decimal", "text", "date",
    "time", "timestamp", "uuid", "bytes", "null", "json",
]  # fmt: skip


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET = _Unset()
"""A field has no default; null is a default."""


@dataclass(eq=False, slots=True)
class Shape:
    """The values of one type. Recursive types refer to themselves, so shapes are compared by identity.

    Attributes:
        kind: `choice` is one of several shapes; `oneof` is a group of fields of the surrounding record, at most one
            of them set; `json` is any JSON value.
        label: the type in the schema's words, such as `timestamp-millis`.
        hint: how the value is written, if its kind doesn't say it.
        fields: the fields of a record or oneof.
        element: the values of a list or map.
        options: the values of an enum, as JSON values.
        choices: the shapes of a choice.
        tags: the names by which a choice's value names its shape, as in Avro's JSON; empty if it is never named.
        zone: what a timestamp ends with: "Z", or "" for local time.
        digits: the digits of a time's or timestamp's fraction of a second.
    """

    kind: ShapeKind
    label: str = ""
    hint: str = ""
    fields: "list[ShapeField]" = field(default_factory=list)
    element: "Shape | None" = None
    options: tuple[Any, ...] = ()
    choices: "list[Shape]" = field(default_factory=list)
    tags: tuple[str, ...] = ()
    zone: str = "Z"
    digits: int = 9

    def become(self, other: "Shape") -> "Shape":
        """Take over another shape's attributes. A recursive shape is referred to before it is known."""
        for name in Shape.__slots__:
            setattr(self, name, getattr(other, name))
        return self


@dataclass(eq=False, slots=True)
class ShapeField:
    """A field of a record.

    Attributes:
        doc: the schema's documentation of it, "" for none.
        required: a value must be given; False if the field may be absent.
        default: the schema's default, `UNSET` for none.
    """

    name: str
    shape: Shape
    doc: str = ""
    required: bool = True
    default: Any = UNSET


def initial_value(shape: Shape) -> Any:
    """Return the value with which a form starts: the defaults, the first symbols, and nothing optional.

    Kinds that have no obvious value start as None or empty text, which the user replaces.
    """
    match shape.kind:
        case "record":
            return {one.name: field_value(one) for one in shape.fields if one.required and one.shape.kind != "oneof"}
        case "list":
            return []
        case "map" | "oneof":
            return {}
        case "choice":
            first = shape.choices[0] if shape.choices else None
            return None if first is None else tagged(shape, 0, initial_value(first))
        case "enum":
            return shape.options[0] if shape.options else None
        case "boolean":
            return False
        case "json":
            return {}
        case "null":
            return None
    return ""


def field_value(one: ShapeField) -> Any:
    """Return a field's default, or the value with which a form starts."""
    return initial_value(one.shape) if one.default is UNSET else one.default


def tagged(choice: Shape, at: int, value: Any) -> Any:
    """Return a choice's value with the name of its shape, if it needs one: null and one other need none."""
    if not choice.tags or choice.choices[at].kind == "null":
        return value
    others = [one for one in choice.choices if one.kind != "null"]
    return value if len(others) == 1 else {choice.tags[at]: value}


def chosen(choice: Shape, value: Any) -> tuple[int, Any]:
    """Return which shape of a choice a value has, and the value without its name. The first one if none fits."""
    if choice.tags and isinstance(value, dict) and len(value) == 1:
        (tag,) = value
        if tag in choice.tags:
            return choice.tags.index(tag), value[tag]
    places: Iterable[int] = range(len(choice.choices))
    return next((at for at in places if fits(choice.choices[at], value)), 0), value


def fits(shape: Shape, value: Any) -> bool:
    """Report whether a JSON value looks like one of a shape; the values inside are not looked at."""
    match shape.kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer" | "number" | "decimal":
            return not isinstance(value, bool | str | list | dict) and value is not None
        case "record":
            return isinstance(value, dict) and value.keys() <= {one.name for one in shape.fields}
        case "map":
            return isinstance(value, dict)
        case "list":
            return isinstance(value, list)
        case "enum":
            return value in shape.options
        case "choice":
            return any(fits(one, value) for one in shape.choices)
        case "json":
            return True
    return isinstance(value, str)
