"""Finds the endpoint of a path.

Paths are split before their percent escapes are decoded: a subject may have a slash. As in Confluent's registry,
`/contexts/.test/subjects/orders` is `/subjects/:.test:orders`, and a subject that is the alias of another one is
replaced by it.
"""

from collections.abc import Callable
from urllib.parse import unquote

from sandbox.registry.errors import RegistryError
from sandbox.registry.subjects import is_qualified, normalized_context
from sandbox.web.registry.endpoints import ENDPOINTS, Endpoint
from sandbox.web.registry.exchange import NOT_FOUND, Exchange

_ROUTES = [(endpoint, tuple(endpoint.path.strip("/").split("/"))) for endpoint in ENDPOINTS]
_EXTRA_METHODS = ("HEAD", "OPTIONS")


def segments_of(raw_path: str) -> list[str]:
    """Return the decoded segments of a path as it was sent."""
    return [unquote(segment, errors="replace") for segment in raw_path.strip("/").split("/")]


def in_context(segments: list[str], query: dict[str, list[str]]) -> list[str]:
    """Return the path without `/contexts/NAME` before it: the context is added to its subject, or to the parameter.

    Args:
        query: the parameters, which are changed.

    Raises:
        RegistryError: 400 if the context's name has a colon.
    """
    if segments[0] != "contexts" or len(segments) < 2 or not segments[1]:
        return segments
    prefix = normalized_context(segments[1])
    inner = segments[2:]
    if not inner:
        return ["contexts", prefix or segments[1]]
    at = next((index for index, segment in enumerate(inner) if segment == "subjects"), None)
    if inner[0] in ("config", "mode"):
        at = 0
        if len(inner) == 1 and prefix:
            return [*inner, prefix]
    if at is not None and at + 1 < len(inner) and not is_qualified(inner[at + 1]):
        inner = [*inner[: at + 1], prefix + inner[at + 1], *inner[at + 2 :]]
    if inner[:2] == ["schemas", "ids"]:
        _add_prefix(query, "subject", prefix)
    elif inner in (["schemas"], ["subjects"]):
        _add_prefix(query, "subjectPrefix", prefix)
    return inner


def _add_prefix(query: dict[str, list[str]], name: str, prefix: str) -> None:
    given = query.get(name, [""])
    query[name] = [value if is_qualified(value) else prefix + value for value in given]


def without_alias(segments: list[str], query: dict[str, list[str]], replaced: Callable[[str], str]) -> list[str]:
    """Return the path with an alias replaced by its subject.

    Args:
        query: the parameters, which are changed.
        replaced: returns the subject of an alias, or the name itself.
    """
    if segments[:2] == ["schemas", "ids"] and query.get("subject", [""])[0]:
        query["subject"] = [replaced(query["subject"][0])]
    if "subjects" in segments[:-1]:
        at = 1 + segments.index("subjects")
        return [*segments[:at], replaced(segments[at]), *segments[at + 1 :]]
    return segments


def find_endpoint(method: str, segments: list[str], request: Exchange) -> Endpoint:
    """Return the endpoint of a path, and put the values of its placeholders into the request.

    Raises:
        RegistryError: 404 if there is no such path, 405 if it doesn't take the method.
    """
    known = False
    for endpoint, pattern in _ROUTES:
        values = _matched(pattern, segments)
        if values is None:
            continue
        if endpoint.method == ("GET" if method in _EXTRA_METHODS else method):
            request.path = values
            return endpoint
        known = True
    raise RegistryError(*((405, "HTTP 405 Method Not Allowed") if known else NOT_FOUND))


def _matched(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    values = {}
    for wanted, given in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            if not given:
                return None
            values[wanted[1:-1]] = given
        elif wanted != given:
            return None
    return values
