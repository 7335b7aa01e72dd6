"""Reads and changes a sandbox through the `.json` addresses of its page."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

PROGRAM = "kafka-sandbox mcp"
TIMEOUT_S = 40.0
"""More than the longest time that the page gives a query."""


class PageRefused(Exception):
    """The page did not do what was asked; the text is its reason."""


class PageData:
    """The JSON of one page.

    Args:
        address: the page's URL, without a slash at the end.
        token: the token that the page requires; None for none.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = address.rstrip("/")
        self._headers = {"X-Sandbox": PROGRAM, "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, *path: object, **query: Any) -> dict[str, Any]:
        """Return the data at a path, whose parts are quoted. Fields that are None are left out.

        Raises:
            PageRefused: with the page's reason, or because nothing answers.
        """
        fields = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
        return self._ask(Request(f"{self._url(path)}.json?{fields}", headers=self._headers))

    def post(self, *path: object, **fields: Any) -> dict[str, Any]:
        """Change something, and return what the page answers. Raises PageRefused."""
        given = {name: value for name, value in fields.items() if value is not None}
        headers = {**self._headers, "Content-Type": "application/json"}
        return self._ask(Request(f"{self._url(path)}.json", json.dumps(given).encode(), headers, method="POST"))

    def _url(self, path: tuple[object, ...]) -> str:
        return "/".join([self.address, *(quote(str(part), safe="~") for part in path)])

    def _ask(self, request: Request) -> dict[str, Any]:
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:
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
