"""The schema registry's HTTP interface, as a WSGI application.

Statuses, error codes and content types equal Confluent's Schema Registry. An error's body has exactly the fields
`error_code` and `message`: some clients fail if there are more.
"""

import base64
import binascii
import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.model.cancellation import Cancelled
from sandbox.model.proxy import NO_PROXY, Proxy
from sandbox.registry.errors import Incompatible, RegistryError
from sandbox.registry.registry import SchemaRegistry
from sandbox.registry.scope import own_config
from sandbox.registry.subjects import parse_subject, within
from sandbox.web import guard
from sandbox.web.registry.endpoints import find_endpoint, in_context, segments_of, without_alias
from sandbox.web.registry.exchange import Answer, Exchange, parse_query

V1_JSON = "application/vnd.schemaregistry.v1+json"
ANSWERED = (V1_JSON, "application/vnd.schemaregistry+json", "application/json")
"""The content types of answers; the first one that the client likes best is sent."""
ACCEPTED = (*ANSWERED, "application/octet-stream")
"""The content types of requests."""
RANGES = ("application/*", "*/*")
"""Ranges of content types, the more exact one first."""
NOT_CACHED = "no-cache, no-store, must-revalidate"
REALM = 'Basic realm="Kafka Sandbox"'

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

logger = logging.getLogger("sandbox")


class RegistryApplication:
    """The HTTP interface of a schema registry.

    `PATH_INFO` is the path as it was sent, with its percent escapes.

    Args:
        registry: the registry.
        hosts: addresses that the server listens on, in addition to loopback.
        token: the token that every request must carry, None if no token is required.
        proxy: the reverse proxy between clients and the server.
    """

    def __init__(
        self,
        registry: SchemaRegistry,
        hosts: Collection[str] = (),
        token: str | None = None,
        proxy: Proxy = NO_PROXY,
    ) -> None:
        self._registry = registry
        self._hosts = hosts
        self._token = token
        self._proxy = proxy

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        headers = _headers_of(environ)
        kind = V1_JSON
        more: list[tuple[str, str]] = []
        try:
            self._guard(environ, headers)
            kind = _answered_kind(headers)
            answer = self._answer(environ, headers)
        except Exception as error:
            refusal = self._refusal(error)
            if refusal.status == HTTPStatus.UNAUTHORIZED:
                more.append(("WWW-Authenticate", REALM))
            answer = Answer({"error_code": refusal.code, "message": refusal.message}, status=refusal.status)
        return _sent(environ, start_response, answer, kind, more)

    def _guard(self, environ: Environ, headers: Mapping[str, str]) -> None:
        """Refuse what the page refuses too: unknown hosts, other sites' pages, and requests without the token."""
        method, scheme = environ["REQUEST_METHOD"], environ.get("wsgi.url_scheme", "http")
        reason = guard.stranger(headers, self._hosts, self._proxy)
        if reason is None and self._token is not None and not _has_basic_token(headers, self._token):
            missing = guard.token_refused(headers, self._token)
            if missing is not None:
                raise RegistryError(401, f"{missing} Or use basic authentication, with the token as the password.")
        if reason is None and method in guard.SAFE_METHODS:
            reason = guard.reading_refused(headers)
        elif reason is None:
            reason = guard.origin_refused(headers, scheme, self._proxy)
        if reason is not None:
            raise RegistryError(403, reason)

    def _answer(self, environ: Environ, headers: Mapping[str, str]) -> Answer:
        query = parse_query(environ.get("QUERY_STRING", ""))
        segments = without_alias(in_context(segments_of(environ["PATH_INFO"]), query), query, self._without_alias)
        request = Exchange(query)
        method = environ["REQUEST_METHOD"]
        endpoint = find_endpoint(method, segments, request)
        if method == "OPTIONS":
            return Answer(status=204)
        if endpoint.method in ("POST", "PUT"):
            if headers.get("content-type", "").partition(";")[0].strip().lower() not in ACCEPTED:
                raise RegistryError(415, "HTTP 415 Unsupported Media Type")
            request.body = environ["wsgi.input"].read()
        found = endpoint.handler(self._registry, request)
        return found if isinstance(found, Answer) else Answer(found)

    def _without_alias(self, name: str) -> str:
        subject = parse_subject(name)
        with self._registry.rows() as rows:
            config = own_config(rows, subject) if subject.name else None
        alias = config.others.get("alias") if config else None
        return str(within(subject, str(alias))) if alias else name

    def _refusal(self, error: Exception) -> RegistryError:
        match error:
            case Incompatible():
                return RegistryError(self._registry.conflict_code(), error.message)
            case RegistryError():
                return error
            case Cancelled():
                return RegistryError(503, str(error))
            case BrokerError() if error.error.name == "CLUSTER_AUTHORIZATION_FAILED":
                return RegistryError(42205, error.detail)
            case BrokerError():
                return RegistryError(50001, error.detail)
        logger.error("the schema registry failed", exc_info=error)
        return RegistryError(500, f"This is a defect of the sandbox: {type(error).__name__}: {error}")


def _headers_of(environ: Environ) -> dict[str, str]:
    headers = {
        name[len("HTTP_") :].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if "CONTENT_TYPE" in environ:
        headers["content-type"] = environ["CONTENT_TYPE"]
    return headers


def _has_basic_token(headers: Mapping[str, str], token: str) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return False
    return guard.is_token(password or user, token)


def _answered_kind(headers: Mapping[str, str]) -> str:
    """Return the content type of the answer. Raises RegistryError 406 if the client accepts none."""
    weights: dict[str, float] = {}
    for one in (headers.get("accept") or "*/*").split(","):
        kind, _, parameters = one.strip().lower().partition(";")
        kind = kind.strip()
        weights["*/*" if kind.startswith("*") else kind] = _weight(parameters)
    found = {kind: next((weights[one] for one in (kind, *RANGES) if one in weights), 0.0) for kind in ANSWERED}
    best = max(ANSWERED, key=lambda kind: found[kind])
    if not found[best]:
        raise RegistryError(406, "HTTP 406 Not Acceptable")
    return best


def _weight(parameters: str) -> float:
    """Return the q of a content type, 0 to 1; 1 if it has none."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def _sent(
    environ: Environ, start_response: StartResponse, answer: Answer, kind: str, more: list[tuple[str, str]]
) -> Iterable[bytes]:
    if answer.status == HTTPStatus.NO_CONTENT:
        body = b""
    elif answer.text is not None:
        body = answer.text.encode("utf-8", "replace")
    else:
        body = json.dumps(answer.value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    headers = [
        ("Content-Length", str(len(body))),
        ("Cache-Control", NOT_CACHED),
        ("X-XSS-Protection", "1; mode=block"),
        *guard.HEADERS.items(),
        *more,
    ]
    if body:
        headers.append(("Content-Type", kind))
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Error"
    start_response(f"{answer.status} {phrase}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
