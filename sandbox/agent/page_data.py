"""Reads and changes a sandbox through the `.json` addresses of its page."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

PROGRAM = "kafka-sandbox mcp"
TIMEOUT_S = 40.0
"""More than the longest time that the page gives a query."""


class PageRefused(Exception):
    """The page did not do what was asked; the text is its reason."""


def group_path(group: str, *rest: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the path and the query of a group's data. An id that a path can't hold goes into the query."""
    if group and "/" not in group and group not in (".", "..") and not group.endswith((".json", ".csv")):
        return ("groups", group, *rest), {}
    return ("group", *rest), {"id": group}


class PageData:
    """The JSON of one page.

    Args:
        address: the page's URL, without a slash at the end.
        token: the token that the page requires; None for none.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = address.rstrip("/")
        self._headers = {"X-Sandbox": PROGRAM, "Accept": "application/json"}
        self._token = token
        # Never through a proxy: a sandbox is on this machine, or on one nearby.
        self._opener = build_opener(ProxyHandler({}))

    def get(self, *path: object, **query: Any) -> dict[str, Any]:
        """Return the data at a path, whose parts are quoted. Fields that are None are left out.

        Raises:
            PageRefused: with the page's reason, or because nothing answers.
        """
        fields = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
        return self._ask(Request(f"{self._url(path)}.json?{fields}", headers=self._headers))

    def post(self, *path: object, query: Mapping[str, str] | None = None, **fields: Any) -> dict[str, Any]:
        """Change something, and return what the page answers. Raises PageRefused."""
        given = {name: value for name, value in fields.items() if value is not None}
        headers = {**self._headers, "Content-Type": "application/json"}
        address = f"{self._url(path)}.json?{urlencode(query or {})}"
        return self._ask(Request(address, json.dumps(given).encode(), headers, method="POST"))

    def _url(self, path: tuple[object, ...]) -> str:
        return "/".join([self.address, *(quote(str(part), safe="~") for part in path)])

    def _ask(self, request: Request) -> dict[str, Any]:
        if self._token:
            # Unredirected, so that a redirect doesn't send the token to another host.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except HTTPError as error:
            raise PageRefused(_reason(error)) from error
        except (URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise PageRefused(f"Nothing answers at {self.address} ({reason}). Start a sandbox: sandbox up") from error


def _reason(error: HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        answer = json.loads(text)
    except ValueError:
        return f"HTTP {error.code}: {text[:300]}"
    if not isinstance(answer, Mapping):
        return f"HTTP {error.code}: {text[:300]}"
    parts = [answer.get("error"), answer.get("message"), answer.get("hint")]
    return ": ".join(str(part) for part in parts if part)
