"""A request to the schema registry, and its answer."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from sandbox.model.registry import AVRO, SchemaReference, SchemaRequest, Subject
from sandbox.registry.errors import RegistryError
from sandbox.registry.lookups import INT_MAX, Deleted
from sandbox.registry.subjects import parse_subject

NOT_FOUND = (404, "HTTP 404 Not Found")
SCHEMAS_MAX = 1_000
"""The largest page of schemas."""
LIMITLESS = INT_MAX


@dataclass(slots=True)
class Answer:
    """What an endpoint returns.

    Attributes:
        value: a JSON value.
        text: a body that is not JSON, such as a schema's text; None for the JSON value.
    """

    value: Any = None
    text: str | None = None
    status: int = 200


@dataclass(slots=True)
class Exchange:
    """A request.

    Attributes:
        path: the values of the endpoint's placeholders.
        query: the values of each query parameter.
        body: the request's body.
    """

    query: dict[str, list[str]]
    body: bytes = b""
    path: dict[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> Subject:
        """The subject in the path."""
        return parse_subject(self.path["subject"])

    def text(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        return self.query.get(name, [default])[0]

    def flag(self, name: str) -> bool:
        """Return a query parameter that is true or false; anything else is false."""
        return self.text(name).lower() == "true"

    def number(self, name: str, default: int) -> int:
        """Return a query parameter that is a whole number. Raises RegistryError 404 like Confluent's registry."""
        return self._number(self.text(name)) if name in self.query else default

    def id(self) -> int:
        """Return the id in the path. Raises RegistryError 404."""
        return self._number(self.path["id"])

    @staticmethod
    def _number(text: str) -> int:
        digits = text.removeprefix("-").removeprefix("+")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 12) or abs(int(text)) > INT_MAX:
            raise RegistryError(*NOT_FOUND)
        return int(text)

    def deleted(self) -> Deleted:
        """Return which versions the parameters `deleted` and `deletedOnly` ask for."""
        if self.flag("deletedOnly"):
            return "only"
        return "include" if self.flag("deleted") else "exclude"

    def page(self, found: list[Any], most: int = LIMITLESS) -> list[Any]:
        """Return the part of a list that the parameters `offset` and `limit` ask for.

        Args:
            most: the largest page; also the default, which a limit outside 1 to `most` gets.
        """
        offset, limit = self.number("offset", 0), self.number("limit", -1)
        if offset < 0:
            raise RegistryError(400, f"offset must be 0 or more, not {offset}")
        return found[offset : offset + (limit if 0 < limit <= most else most)]

    def json(self) -> dict[str, Any]:
        """Return the body, a JSON object.

        Raises:
            RegistryError: 400 if it isn't one, 422 if it is missing.
        """
        if not self.body.strip():
            raise RegistryError(422, "The request body must not be null")
        try:
            found = json.loads(self.body)
            if b"\\u" in self.body:
                # Half of a surrogate pair is no text.
                json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise RegistryError(400, f"The request body is not JSON: {error}") from None
        if found is None:
            raise RegistryError(422, "The request body must not be null")
        if not isinstance(found, dict):
            raise RegistryError(400, f"The request body must be a JSON object, not {_kind(found)}")
        return found

    def schema_request(self) -> SchemaRequest:
        """Return the schema in the body. Raises RegistryError 400, 422."""
        body = self.json()
        schema_type = _text(body, "schemaType")
        return SchemaRequest(
            text=_text(body, "schema"),
            schema_type=AVRO if schema_type is None else schema_type,
            references=tuple(_reference(one) for one in _of_type(body, "references", list) or ()),
            metadata=_of_type(body, "metadata", dict),
            rule_set=_of_type(body, "ruleSet", dict),
            version=_whole(body, "version", 0),
            schema_id=_whole(body, "id", -1),
        )


def parse_query(text: str) -> dict[str, list[str]]:
    """Return the values of each query parameter."""
    return parse_qs(text, keep_blank_values=True, errors="replace")


def _kind(value: object) -> str:
    names = {
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")


def _mistyped(name: str, value: object) -> RegistryError:
    return RegistryError(400, f"Cannot deserialize the field '{name}' from {_kind(value)}")


def _of_type(body: dict[str, Any], name: str, wanted: type) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, wanted):
        raise _mistyped(name, value)
    return value


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if isinstance(value, dict | list):
        raise _mistyped(name, value)
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _whole(body: dict[str, Any], name: str, default: int) -> int:
    value = body.get(name)
    if value is None or value == "":
        return default
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise _mistyped(name, value) from None
    if isinstance(value, bool) or abs(number) > INT_MAX:
        raise _mistyped(name, value)
    return number


def _reference(value: object) -> SchemaReference:
    if not isinstance(value, dict):
        raise _mistyped("references", value)
    name, subject, version = _text(value, "name"), _text(value, "subject"), value.get("version")
    if name is None or subject is None or version is None:
        raise RegistryError(42201, f"Invalid reference: {{name='{name}', subject='{subject}', version={version}}}")
    return SchemaReference(name, subject, _whole(value, "version", 0))
