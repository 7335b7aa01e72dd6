"""Schemas of any registry with Confluent's interface, for the pages over a cluster.

Background threads ask for a schema at the first event that needs it, and cache it: ids never change. A page waits only
a moment; what arrives later is announced, and open pages are drawn again.
"""

import base64
import json
import ssl
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from sandbox.model.registry import AVRO, SCHEMA_TYPES
from sandbox.schemas.decoding import FoundSchema, SchemaId
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.schema import InvalidSchema, InvalidValue, ParsedSchema, Reference

TIMEOUT_S = 5.0
ANSWER_MAX_BYTES = 16 * 1024 * 1024
CACHED_MAX = 1_000
MISSING_S = 10.0
"""How long an id that was not found, or an error, is not asked for again."""
PAGE_WAIT_S, SEARCH_WAIT_S = 0.25, 2.0
"""How long a page, and a search, wait for all schemas together."""
REFERENCES_MAX = 300
THREADS = 2
PREFIX = "schema.registry."
SETTINGS = (
    "url",
    "basic.auth.user.info",
    "basic.auth.credentials.source",
    "bearer.auth.token",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "enable.ssl.certificate.verification",
)
"""Settings of a registry, with `PREFIX` before them, as in the configuration files of Confluent's clients."""
UNPREFIXED = ("basic.auth.", "bearer.auth.")
"""Settings that these files also have without it; no setting of librdkafka begins with these."""


class RegistryRefused(Exception):
    """A registry that can't be asked, or refuses; the text is the cause.

    Attributes:
        missing: True if it does not have the schema.
    """

    def __init__(self, text: str, *, missing: bool = False) -> None:
        super().__init__(text)
        self.missing = missing


def split_settings(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return librdkafka's settings, and the registry's, these without their prefix.

    Raises:
        ValueError: a registry's setting is unknown; the message lists the known ones.
    """
    kafka: dict[str, str] = {}
    registry: dict[str, str] = {}
    for name, value in settings.items():
        if name.startswith(PREFIX):
            registry[name.removeprefix(PREFIX)] = value
        elif name.startswith(UNPREFIXED):
            registry.setdefault(name, value)
        else:
            kafka[name] = value
    for name in registry:
        if name not in SETTINGS:
            known = ", ".join(PREFIX + one for one in SETTINGS)
            raise ValueError(f"{PREFIX}{name} is not known: the settings are {known}")
    return kafka, registry


class RegistryConnection:
    """Asks a registry.

    Args:
        settings: values of `SETTINGS`; `url` is needed. User and password may be in it.

    Raises:
        ValueError: the URL or a setting is invalid, or a certificate can't be read.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        parts = urlsplit(settings.get("url", ""))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{settings.get('url')!r} is not the URL of a schema registry: http://host:port")
        host = parts.netloc.rpartition("@")[2]
        self.url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
        user = settings.get("basic.auth.user.info")
        if user is None and parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        token = settings.get("bearer.auth.token")
        if user is not None and token is not None:
            raise ValueError("basic.auth.user.info and bearer.auth.token exclude each other")
        self._authorization = f"Bearer {token}" if token else None
        if user is not None:
            self._authorization = f"Basic {base64.b64encode(user.encode()).decode()}"
        self._local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        self._context = _context(settings) if parts.scheme == "https" else None

    @cached_property
    def _opener(self) -> OpenerDirector:
        handlers: list[Any] = [ProxyHandler({})] if self._local else []
        if self._context is not None:
            handlers.append(HTTPSHandler(context=self._context))
        return build_opener(*handlers)

    def ask(self, path: str) -> Any:
        """Return the JSON value at a path. Raises RegistryRefused."""
        request = Request(self.url + path, headers={"Accept": "application/vnd.schemaregistry.v1+json"})
        if self._authorization is not None:
            # Unredirected, so that a redirect doesn't send the password to another host.
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                body = answer.read(ANSWER_MAX_BYTES + 1)
        except HTTPError as error:
            with error:
                raise RegistryRefused(f"{self.url} answers {error.code}", missing=error.code == 404) from None
        except (URLError, OSError) as error:
            raise RegistryRefused(f"{self.url} does not answer ({getattr(error, 'reason', error)})") from None
        if len(body) > ANSWER_MAX_BYTES:
            raise RegistryRefused(f"{self.url} answers with more than {ANSWER_MAX_BYTES // 2**20} MB")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise RegistryRefused(f"{self.url} is not a schema registry: it does not answer with JSON") from None


def _context(settings: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.get("ssl.ca.location"))
        if settings.get("enable.ssl.certificate.verification", "true").lower() == "false":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate = settings.get("ssl.certificate.location")
        if certificate is not None:
            context.load_cert_chain(certificate, settings.get("ssl.key.location"), settings.get("ssl.key.password"))
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"a certificate of the schema registry cannot be used: {error}") from error
    return context


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A schema of a registry, with all that it refers to.

    Attributes:
        versions: the subjects and versions that have it.
        resolved: name and text of what it refers to, dependencies first.
    """

    schema_id: int
    schema_type: str
    text: str
    references: tuple[Reference, ...]
    resolved: Mapping[str, str]
    versions: tuple[tuple[str, int], ...]

    def found(self, topic: str, is_key: bool, parse: Callable[[], ParsedSchema]) -> FoundSchema:
        """Return the schema with the version that fits a topic best."""
        own = f"{topic}-{'key' if is_key else 'value'}"
        subject, version = min(self.versions, key=lambda one: one[0] != own, default=("an unknown subject", 0))
        return FoundSchema(parse, self.schema_type, subject, version, self.schema_id)

    def parse(self) -> ParsedSchema:
        """Return the parsed schema. Raises InvalidValue, MissingLibrary."""
        try:
            return parse_schema(self.schema_type, self.text, self.references, self.resolved, new=False)
        except InvalidSchema as error:
            raise InvalidValue(str(error)) from error


def _fetch(ask: Callable[[str], Any], schema: SchemaId) -> _Fetched:
    """Return a schema. Raises RegistryRefused, also for an answer that is not a registry's."""
    try:
        by_guid = isinstance(schema, uuid.UUID)
        content = ask(f"/schemas/guids/{schema}" if by_guid else f"/schemas/ids/{schema}")
        schema_id = ask(f"/schemas/guids/{schema}/ids")[0]["id"] if by_guid else schema
        resolved: dict[str, str] = {}
        _resolve(ask, content, resolved, set())
        try:
            versions = ask(f"/schemas/ids/{schema_id}/versions")
        except RegistryRefused:
            # Registries of other makers may lack it: the schema is known anyway.
            versions = []
        kind = content.get("schemaType") or AVRO
        if kind not in SCHEMA_TYPES:
            raise RegistryRefused(f"the schema's type {kind!r} is not known")
        return _Fetched(
            int(str(schema_id)),
            kind,
            str(content["schema"]),
            tuple(Reference(one["name"], one["subject"], one["version"]) for one in content.get("references") or ()),
            resolved,
            tuple((str(one["subject"]), int(one["version"])) for one in versions),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise RegistryRefused(f"the registry's answer has an unexpected form ({cause})") from error


def _resolve(ask: Callable[[str], Any], content: Mapping[str, Any], resolved: dict[str, str], seen: set[str]) -> None:
    for reference in content.get("references") or ():
        name = reference["name"]
        if name in seen:
            continue
        seen.add(name)
        if len(seen) > REFERENCES_MAX:
            raise RegistryRefused(f"the schema refers to more than {REFERENCES_MAX} others")
        path = f"/subjects/{quote(reference['subject'], safe='')}/versions/{int(reference['version'])}?deleted=true"
        inner = ask(path)
        _resolve(ask, inner, resolved, seen)
        resolved[name] = str(inner["schema"])


@dataclass(slots=True)
class _Entry:
    """A schema that was asked for.

    Attributes:
        answer: the schema, or why there is none.
        parsed: the parsed schema, once it was needed.
        done_s: when its error was first seen.
    """

    answer: "Future[_Fetched]"
    done_s: float | None = None
    parsed: ParsedSchema | None = None


class RemoteSchemas:
    """The schemas of a registry, cached. All methods are thread-safe.

    Args:
        connection: the registry.
        arrived: called with a topic when a schema that one of its pages did not wait for has arrived.
        clock: returns seconds that never go back.
    """

    def __init__(
        self,
        connection: RegistryConnection,
        arrived: Callable[[str], None] = lambda topic: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._arrived = arrived
        self._clock = clock
        self._entries: OrderedDict[SchemaId, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, "schema-registry")

    def close(self) -> None:
        """End the threads; a request that runs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def finder(self, wait_s: float = PAGE_WAIT_S) -> "RemoteFinder":
        """Return the look-ups of one page or search, which wait `wait_s` seconds together."""
        return RemoteFinder(self, self._clock() + wait_s, self._clock)

    def look_up(self, schema: SchemaId, topic: str, *, is_key: bool, wait_s: float) -> FoundSchema | str | None:
        """Return a schema, None if the registry does not have it, or why it is not there yet."""
        entry = self._entry(schema)
        if not wait((entry.answer,), max(0.0, wait_s)).done:
            entry.answer.add_done_callback(lambda _: self._arrived(topic))
            return f"is being fetched from {self._connection.url}"
        error = entry.answer.exception()
        if isinstance(error, RegistryRefused):
            return None if error.missing else str(error)
        return entry.answer.result().found(topic, is_key, lambda: self._parsed(entry))

    def _entry(self, schema: SchemaId) -> _Entry:
        with self._lock:
            entry = self._entries.get(schema)
            if entry is None or self._is_old(entry):
                entry = _Entry(self._threads.submit(_fetch, self._connection.ask, schema))
                self._entries[schema] = entry
            self._entries.move_to_end(schema)
            while len(self._entries) > CACHED_MAX:
                self._entries.popitem(last=False)
            return entry

    def _is_old(self, entry: _Entry) -> bool:
        if not entry.answer.done() or entry.answer.exception() is None:
            return False
        if entry.done_s is None:
            entry.done_s = self._clock()
        return self._clock() - entry.done_s > MISSING_S

    @staticmethod
    def _parsed(entry: _Entry) -> ParsedSchema:
        if entry.parsed is None:
            entry.parsed = entry.answer.result().parse()
        return entry.parsed


class RemoteFinder:
    """The look-ups of one page or search."""

    def __init__(self, schemas: RemoteSchemas, until_s: float, clock: Callable[[], float]) -> None:
        self._schemas = schemas
        self._until_s = until_s
        self._clock = clock

    def find(self, schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | str | None:
        """Look a schema up; the first ones may wait for the registry, until the time of the page is up."""
        return self._schemas.look_up(schema, topic, is_key=is_key, wait_s=self._until_s - self._clock())
