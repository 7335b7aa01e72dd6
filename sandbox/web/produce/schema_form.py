"""The part of a form that asks for a key or value with a schema: one input for each field of the schema.

An input's name is the part ("key" or "value") and the places on the way to it: `value.0.2` is the third field of the
first field. Beside it, `#n` is the number of items of a list or map, `#on` says that an optional field is present, `#c`
is the place of a choice, and `#k` is the key of an entry in a map.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.schemas.json_text import value_text
from sandbox.schemas.schema import InvalidValue
from sandbox.schemas.shape import Shape, ShapeField, chosen, field_value, initial_value, tagged

INPUTS_MAX = 500
"""A value with more inputs is typed as JSON."""
DEPTH_MAX = 30
ITEMS_MAX = 200
_TEXTS = ("text", "uuid", "bytes")

Form = Mapping[str, str]


class TooLarge(InvalidValue):
    """A value has more inputs than a form can have."""


@dataclass(slots=True)
class Input:
    """One value of the form, with the values inside.

    Attributes:
        name: the name of its inputs.
        path: its JSON path, such as `$.customer.id`.
        label: the field's name, an item's place; "" for the whole value.
        optional: True if it may be absent.
        present: False if it is absent.
        text: what is typed, for kinds with a text.
        choice: the place of the chosen shape; of a oneof, 0 for none.
        key: the key of an entry in a map.
        error: why it doesn't fit, "" if it does.
    """

    shape: Shape
    name: str
    path: str
    label: str = ""
    doc: str = ""
    optional: bool = False
    present: bool = True
    text: str = ""
    choice: int = 0
    key: str = ""
    error: str = ""
    children: "list[Input]" = field(default_factory=list)

    def walk(self) -> "Iterator[Input]":
        """Yield the input and all inside it."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def option_texts(self) -> list[str]:
        """The values of an enum as the page shows them: text without quotes, others as JSON."""
        return [one if isinstance(one, str) else value_text(one) for one in self.shape.options]

    def mark(self, error: str) -> None:
        """Show an error, which begins with a path, at its input; at the nearest one around it if it has none."""
        for one in self.walk():
            one.error = ""
        found = [one for one in self.walk() if error.startswith(one.path) and one.shape.kind != "oneof"]
        if found:
            nearest = max(found, key=lambda one: len(one.path))
            nearest.error = error.removeprefix(f"{nearest.path}: ")


class Builder:
    """Builds inputs from a form's fields or from a value, and counts them.

    Args:
        form: the fields; None to build from a value.
        budget: the number of inputs that may still be added, shared by builders of one form.
    """

    def __init__(self, form: Form | None = None, budget: list[int] | None = None) -> None:
        self._form = form
        self._budget = [INPUTS_MAX] if budget is None else budget
        self._names = {key[:at] for key in form or () for at in _ends(key)}

    def build(self, shape: Shape, name: str, path: str, value: Any = None, depth: int = 0) -> Input:
        """Return the inputs of a shape.

        Args:
            value: the JSON value, if there is no form, or the form lacks the inputs.

        Raises:
            TooLarge: there are too many.
        """
        if self._form is not None and name not in self._names:
            # An input that the last page did not have, such as a new item's.
            return Builder(None, self._budget).build(shape, name, path, value, depth)
        self._budget[0] -= 1
        if self._budget[0] < 0 or depth > DEPTH_MAX:
            raise TooLarge(f"The value has more than {INPUTS_MAX} fields, or nests too deeply for a form: use JSON.")
        made = Input(shape, name, path)
        match shape.kind:
            case "record":
                self._record(made, value, depth)
            case "list":
                self._list(made, value, depth)
            case "map":
                self._map(made, value, depth)
            case "choice":
                self._choice(made, value, depth)
            case "oneof":
                self._oneof(made, value, depth)
            case "null":
                pass
            case _:
                made.text = text_of(shape, value) if self._form is None else self._given(name).replace("\r\n", "\n")
        return made

    def _given(self, name: str) -> str:
        return "" if self._form is None else self._form.get(name, "")

    def _record(self, made: Input, value: Any, depth: int) -> None:
        given = value if isinstance(value, dict) else {}
        for at, one in enumerate(made.shape.fields):
            made.children.append(self._field(one, f"{made.name}.{at}", made.path, given, depth))

    def _field(self, one: ShapeField, name: str, path: str, given: dict[str, Any], depth: int) -> Input:
        oneof = one.shape.kind == "oneof"
        optional = not one.required and not oneof
        inner_path = path if oneof else f"{path}.{one.name}"
        there = one.name in given if self._form is None else self._given(f"{name}#on") == "1"
        if optional and not there:
            return Input(one.shape, name, inner_path, one.name, one.doc, optional, present=False)
        if oneof:
            value: Any = given
        else:
            value = given[one.name] if self._form is None and one.name in given else field_value(one)
        made = self.build(one.shape, name, inner_path, value, depth + 1)
        made.label, made.doc, made.optional = one.name, one.doc, optional
        return made

    def _count(self, made: Input, value: Any) -> int:
        if self._form is None:
            return len(value) if isinstance(value, list | dict) else 0
        return _place(self._given(f"{made.name}#n"), ITEMS_MAX + 1)

    def _list(self, made: Input, value: Any, depth: int) -> None:
        element = made.shape.element
        assert element is not None
        for at in range(self._count(made, value)):
            inner = value[at] if self._form is None else initial_value(element)
            item = self.build(element, f"{made.name}.{at}", f"{made.path}[{at}]", inner, depth + 1)
            item.label = str(at)
            made.children.append(item)

    def _map(self, made: Input, value: Any, depth: int) -> None:
        element = made.shape.element
        assert element is not None
        entries = list(value.items()) if isinstance(value, dict) else []
        for at in range(self._count(made, value)):
            if self._form is None:
                key, inner = entries[at]
            else:
                key, inner = self._given(f"{made.name}.{at}#k"), initial_value(element)
            item = self.build(element, f"{made.name}.{at}", f"{made.path}.{key}", inner, depth + 1)
            item.label = item.key = key
            made.children.append(item)

    def _choice(self, made: Input, value: Any, depth: int) -> None:
        if self._form is None:
            made.choice, value = chosen(made.shape, value)
        else:
            made.choice = _place(self._given(f"{made.name}#c"), len(made.shape.choices))
            value = initial_value(made.shape.choices[made.choice])
        # The inputs of another choice have other meanings, so each choice has its own names.
        name = f"{made.name}.c{made.choice}"
        made.children = [self.build(made.shape.choices[made.choice], name, made.path, value, depth + 1)]

    def _oneof(self, made: Input, value: Any, depth: int) -> None:
        fields = made.shape.fields
        given = value if self._form is None and isinstance(value, dict) else {}
        if self._form is None:
            made.choice = next((at + 1 for at, one in enumerate(fields) if one.name in given), 0)
        else:
            made.choice = _place(self._given(f"{made.name}#c"), len(fields) + 1)
        if made.choice:
            one = fields[made.choice - 1]
            required = ShapeField(one.name, one.shape, one.doc, True, one.default)
            made.children = [self._field(required, f"{made.name}.c{made.choice}", made.path, given, depth)]


def _ends(key: str) -> Iterator[int]:
    """Yield the ends of the names in a key: `value.0.2#n` has value, value.0 and value.0.2."""
    yield from (at for at, character in enumerate(key) if character in ".#")
    yield len(key)


def _place(text: str | None, count: int) -> int:
    return int(text) if text and re.fullmatch(r"[0-9]{1,4}", text) and int(text) < count else 0


def text_of(shape: Shape, value: Any) -> str:
    """Return a value as an input shows it."""
    if shape.kind == "enum":
        return str(next((at for at, one in enumerate(shape.options) if _same(one, value)), 0))
    if shape.kind == "boolean":
        return "true" if value is True else "false"
    if shape.kind == "json":
        return value_text(value)
    if value is None:
        return ""
    if isinstance(value, str):
        return _local(shape, value)
    return value_text(value)


def _same(one: Any, other: Any) -> bool:
    return value_text(one) == value_text(other)


def _local(shape: Shape, text: str) -> str:
    """Return a timestamp as an input for date and time holds it: without zone, at most milliseconds."""
    if shape.kind == "timestamp" and shape.digits <= 3:
        return text.removesuffix("Z")
    return text


def value_of(one: Input, *, strict: bool = True) -> Any:
    """Return the JSON value of inputs.

    Args:
        strict: False takes a text that is not of its kind as it is.

    Raises:
        InvalidValue: an input's text is not of its kind; the message begins with its path.
    """
    match one.shape.kind:
        case "record":
            found: dict[str, Any] = {}
            for child in one.children:
                if child.shape.kind == "oneof":
                    found.update({inner.label: value_of(inner, strict=strict) for inner in child.children})
                elif child.present:
                    found[child.label] = value_of(child, strict=strict)
            return found
        case "list":
            return [value_of(child, strict=strict) for child in one.children]
        case "map":
            keys = [child.key for child in one.children]
            if strict and len(set(keys)) < len(keys):
                raise InvalidValue(f"{one.path}: a key is there twice")
            return {child.key: value_of(child, strict=strict) for child in one.children}
        case "choice":
            return tagged(one.shape, one.choice, value_of(one.children[0], strict=strict))
        case "null":
            return None
    try:
        return _scalar(one)
    except InvalidValue:
        if strict:
            raise
        return one.text


def _scalar(one: Input) -> Any:
    text, shape = one.text, one.shape
    match shape.kind:
        case "boolean":
            return text == "true"
        case "enum":
            return shape.options[_place(text, len(shape.options))]
        case "integer":
            if not re.fullmatch(r"\s*[+-]?[0-9]{1,40}\s*", text):
                raise InvalidValue(f"{one.path}: {_missing(text, 'a whole number')}")
            return int(text)
        case "number" | "decimal":
            return _number(one)
        case "json":
            return _json(one)
        case "timestamp" if text.strip():
            return _timestamp(text.strip(), shape)
    if shape.kind not in _TEXTS and not text.strip():
        raise InvalidValue(f"{one.path}: {_missing(text, f'a {shape.kind}')}")
    return text if shape.kind in _TEXTS else text.strip()


def _missing(text: str, expected: str) -> str:
    return f"expected {expected}, got {text[:40]!r}" if text.strip() else f"missing: type {expected}"


def _number(one: Input) -> Any:
    text = one.text.strip()
    if one.shape.kind == "number" and text in ("NaN", "Infinity", "-Infinity"):
        return text
    try:
        number = Decimal(text)
        if number.is_finite() and len(text) <= 400:
            return number if one.shape.kind == "decimal" or not re.fullmatch(r"[+-]?[0-9]+", text) else int(text)
    except InvalidOperation:
        pass
    raise InvalidValue(f"{one.path}: {_missing(text, 'a number')}")


def _json(one: Input) -> Any:
    try:
        return json.loads(one.text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{one.path}: not JSON: {error}") from None


def _timestamp(text: str, shape: Shape) -> str:
    """Add what an input for date and time leaves out: the seconds, and the zone."""
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d", text):
        text += ":00"
    return text if re.search(r"(Z|[+-]\d\d:\d\d)$", text) else text + shape.zone


def with_item(form: Form, name: str) -> dict[str, str]:
    """Return the form with one more item in a list or map."""
    count = _place(form.get(f"{name}#n"), ITEMS_MAX)
    return {**form, f"{name}#n": str(count + 1)}


def without_item(form: Form, name: str) -> dict[str, str]:
    """Return the form without an item of a list or map; the items after it move up."""
    parent, _, last = name.rpartition(".")
    count = _place(form.get(f"{parent}#n"), ITEMS_MAX + 1)
    if not last.isdecimal() or int(last) >= count:
        return dict(form)
    gone, kept = int(last), {}
    pattern = re.compile(re.escape(parent) + r"\.(\d{1,4})(?=[.#]|$)")
    for key, text in form.items():
        found = pattern.match(key)
        at = int(found[1]) if found else -1
        if found is None or at < gone:
            kept[key] = text
        elif at > gone:
            kept[f"{parent}.{at - 1}{key[found.end() :]}"] = text
    return {**kept, f"{parent}#n": str(count - 1)}
