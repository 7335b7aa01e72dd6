"""A request to the schema registry, and its answer."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from sandbox.model.registry import AVRO, SchemaRequest, Subject
from sandbox.registry.errors import RegistryError
from sandbox.registry.lookups import INT_MAX, Deleted
from sandbox.registry.subjects import parse_subject
from sandbox.web.registry.fields import (
    flag_in,
    kind_of,
    list_in,
    metadata_in,
    reference,
    rule_set_in,
    tags_in_body,
    text_in,
    whole_in,
)

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
        if re.fullmatch(r"[+-]?\d{1,11}", text, re.ASCII) is None or abs(int(text)) > INT_MAX:
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
            # Half of a surrogate pair is no text.
            json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise RegistryError(400, f"The request body is not JSON: {error}") from None
        if found is None:
            raise RegistryError(422, "The request body must not be null")
        if not isinstance(found, dict):
            raise RegistryError(400, f"The request body must be a JSON object, not {kind_of(found)}")
        return found

    def schema_request(self) -> SchemaRequest:
        """Return the schema in the body. Raises RegistryError 400, 422."""
        body = self.json()
        schema_type = text_in(body, "schemaType")
        return SchemaRequest(
            text=text_in(body, "schema"),
            schema_type=AVRO if schema_type is None else schema_type,
            references=tuple(reference(one) for one in list_in(body, "references") or ()),
            metadata=metadata_in(body, "metadata"),
            rule_set=rule_set_in(body, "ruleSet"),
            version=whole_in(body, "version", 0),
            schema_id=whole_in(body, "id", -1),
            tags_to_add=tags_in_body(body, "schemaTagsToAdd"),
            tags_to_remove=tags_in_body(body, "schemaTagsToRemove"),
            propagate_tags=flag_in(body, "propagateSchemaTags"),
        )


def parse_query(text: str) -> dict[str, list[str]]:
    """Return the values of each query parameter."""
    return parse_qs(text, keep_blank_values=True, errors="replace")
