"""Asks a schema registry: one at a URL, the one of a running sandbox, or the one in a file that is not in use."""

import base64
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import click

from sandbox.cli.status import Failed, Status
from sandbox.cli.target import FILE_TEXT, chosen_file
from sandbox.runtime.ports import TOKEN_VARIABLE, is_loopback

TIMEOUT_S = 60.0
KIND = "application/vnd.schemaregistry.v1+json"
F = TypeVar("F", bound=Callable[..., Any])


class Refused(Failed):
    """An answer that is an error.

    Attributes:
        code: the registry's error code.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Registry(Protocol):
    """A registry that can be asked."""

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON value of an answer. Raises Refused if it is an error."""


class _Remote:
    """A registry that answers at a URL."""

    def __init__(self, url: str, token: str | None, user: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._authorization = f"Bearer {token}" if token else None
        if user is not None:
            self._authorization = f"Basic {base64.b64encode(user.encode()).decode()}"
        # Never through a proxy: a sandbox is on this machine, or on one nearby.
        self._opener = build_opener(ProxyHandler({}))

    def ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._url + path, data, method=method)
        request.add_header("Accept", KIND)
        if data is not None:
            request.add_header("Content-Type", KIND)
        if self._authorization:
            # Unredirected, so that a redirect doesn't send the token to another host.
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return _value(answer.read(), answer.status, self._url)
        except HTTPError as error:
            return _value(error.read(), error.code, self._url)
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise Failed(f"{self._url} does not answer ({reason}). Is it a schema registry?") from None


class _InFile:
    """The registry of a file that this process has opened."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self._application = application

    def ask(self, method: str, path: str, body: object = None) -> Any:
        place, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": place,
            "QUERY_STRING": query,
            "CONTENT_TYPE": KIND,
            "HTTP_HOST": "localhost",
            "wsgi.input": io.BytesIO(b"" if body is None else json.dumps(body).encode()),
        }
        statuses: list[int] = []
        found = self._application(environ, lambda status, headers: statuses.append(int(status.split()[0])))
        return _value(b"".join(found), statuses[0], "The registry")


def _value(body: bytes, status: int, place: str) -> Any:
    try:
        found = json.loads(body) if body else None
    except ValueError:
        raise Failed(f"{place} is not a schema registry: it answers {status} without JSON.") from None
    if status < 400:
        return found
    if isinstance(found, dict) and "error_code" in found:
        raise Refused(int(found["error_code"]), str(found.get("message", "")))
    raise Failed(f"{place} answers {status}.")


def registry_options(command: F) -> F:
    """Add --file and --url to a command, and pass the argument `registry`."""

    @wraps(command)
    def with_registry(*args: Any, file: str | None, url: str | None, **more: Any) -> Any:
        if file is not None and url is not None:
            raise click.UsageError("--file and --url exclude each other")
        with opened(file, url) as registry:
            return command(*args, registry=registry, **more)

    decorated: Any = with_registry
    for option in (
        click.option("--url", "-u", metavar="URL", help="A schema registry, http://[user:password@]host:port."),
        click.option("--file", "-f", type=click.Path(), metavar="PATH", help=FILE_TEXT),
    ):
        decorated = option(decorated)
    result: F = decorated
    return result


@contextmanager
def opened(file: str | None, url: str | None) -> Iterator[Registry]:
    """Return the registry of a command.

    Args:
        file: a sandbox file, running or not; None for the default one.
        url: a registry's URL, which counts more.
    """
    if url is not None:
        yield _at(url)
        return
    from sandbox.storage.file.lock import read_owner

    path = chosen_file(file)
    owner = read_owner(path)
    if owner is None:
        with _opened(path) as registry:
            yield registry
        return
    address, token = owner.get("registry"), owner.get("token")
    if not isinstance(address, str):
        raise Failed(
            f"Process {owner.get('pid', 'unknown')} owns {path} and has no port open for its schema registry. Start it "
            "without --no-registry, or stop it first.",
            Status.FILE_IN_USE,
        )
    yield _Remote(address, token if isinstance(token, str) else None)


def _at(url: str) -> _Remote:
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
    except ValueError as error:
        raise click.BadParameter(f"{url!r} is not http://host:port: {error}", param_hint="--url") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise click.BadParameter(f"{url!r} is not http://host:port", param_hint="--url")
    token = parse_qs(parts.query).get("token", [None])[0]
    if token is None and is_loopback(parts.hostname or ""):
        # The variable is the token of a sandbox on this machine: another host must not get it.
        token = os.environ.get(TOKEN_VARIABLE)
    user = None if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return _Remote(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", token, user)


@contextmanager
def _opened(path: Path) -> Iterator[Registry]:
    if not path.exists():
        raise Failed(
            f"{path} does not exist. Name a sandbox file with --file or a registry with --url, or start with: sandbox "
            f"up {path}",
            Status.FILE_REFUSED,
        )
    from sandbox.api.sandbox import Sandbox
    from sandbox.web.registry.application import RegistryApplication

    with Sandbox(path) as sandbox:
        yield _InFile(RegistryApplication(sandbox.schemas))
