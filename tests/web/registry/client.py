"""Asks a schema registry over HTTP."""

import json
from contextlib import closing
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

V1 = "application/vnd.schemaregistry.v1+json"


class Answer(NamedTuple):
    """An answer; `value` is its JSON value, None if it has no body."""

    status: int
    value: Any
    headers: dict[str, str]


class Registry:
    """Asks a registry, with a new connection for each request.

    Args:
        address: its URL.
    """

    def __init__(self, address: str) -> None:
        self._parts = urlsplit(address)

    def ask(self, line: str, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        """Send a request such as "GET /subjects"; the body is sent as JSON unless it is bytes."""
        method, path = line.split(" ", 1)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": V1} if body is not None else {}
        with closing(HTTPConnection(self._parts.hostname or "", self._parts.port, timeout=30)) as connection:
            connection.request(method, self._parts.path + path, data, sent | (headers or {}))
            answer = connection.getresponse()
            text = answer.read()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, json.loads(text) if text else None, fields)
