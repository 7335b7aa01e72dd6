"""The page's address: its token, its reverse proxy, and where a running sandbox's page is."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

import click

from sandbox.cli.status import Failed, Status
from sandbox.cli.target import DEFAULT_FILE, chosen_file
from sandbox.model.proxy import Proxy, PublicUrl
from sandbox.runtime.ports import TOKEN_VARIABLE, is_wildcard, token_refused


def token_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --token to a command, and pass the argument `token`: None if none was chosen."""
    return click.option(
        "--token",
        metavar="TEXT",
        envvar=TOKEN_VARIABLE,
        show_envvar=True,
        callback=_checked,
        help="The token that the page requires. By default one is created if --host lets other machines connect.",
    )(command)


def _checked(_context: click.Context, _parameter: click.Parameter, token: str | None) -> str | None:
    reason = None if token is None else token_refused(token)
    if reason is not None:
        raise click.BadParameter(reason)
    return token


def page_to_open(web: str, token: str | None) -> str:
    """Return the URL to open in a browser on this machine, with the token. A wildcard host becomes the loopback
    address.
    """
    parts = urlsplit(web)
    if is_wildcard(parts.hostname or ""):
        loopback = "[::1]" if ":" in (parts.hostname or "") else "127.0.0.1"
        web = f"{parts.scheme}://{loopback}:{parts.port}"
    return web if token is None else f"{web}/?token={token}"


F = TypeVar("F", bound=Callable[..., Any])


def proxy_options(command: F) -> F:
    """Add --public-url and --trust-forwarded to a command, and pass the argument `proxy`."""

    @wraps(command)
    def with_proxy(*args: Any, public_url: PublicUrl | None, trust_forwarded: bool, **more: Any) -> Any:
        return command(*args, proxy=Proxy(public_url, trust_forwarded), **more)

    decorated: Any = with_proxy
    for option in (
        click.option(
            "--trust-forwarded",
            is_flag=True,
            help="Believe X-Forwarded-Host and X-Forwarded-Proto, which the proxy must set.",
        ),
        click.option(
            "--public-url",
            metavar="URL",
            envvar="SANDBOX_PUBLIC_URL",
            show_envvar=True,
            callback=_parsed,
            help="The page's address behind a reverse proxy, such as https://kafka.example.org/sandbox.",
        ),
    ):
        decorated = option(decorated)
    result: F = decorated
    return result


def _parsed(_context: click.Context, _parameter: click.Parameter, text: str | None) -> PublicUrl | None:
    try:
        return None if text is None else PublicUrl.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class PageAddress:
    """The address of a running sandbox's page.

    Attributes:
        url: "http://host:port", with the proxy's path if it has one.
        token: the token that the page requires, None for none.
    """

    url: str
    token: str | None = None

    def get(self, path: str) -> dict[str, Any]:
        """Return the JSON object at a path of the page."""
        return self._ask(Request(self.url + path))

    def post(
        self, path: str, fields: Mapping[str, Any] | None = None, *, within_s: float = TIMEOUT_S
    ) -> dict[str, Any]:
        """Change something with a POST request, and return its answer within `within_s` seconds.

        Raises:
            Failed: with Kafka's name of the error and the reason, or that nothing answers.
        """
        headers = {"Content-Type": "application/json", "X-Sandbox": "cli"}
        body = json.dumps(dict(fields or {})).encode()
        return self._ask(Request(self.url + path, body, headers, method="POST"), within_s)

    def _ask(self, request: Request, within_s: float = TIMEOUT_S) -> dict[str, Any]:
        if self.token:
            # Unredirected, so that a redirect doesn't send the token to another host.
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with _opener().open(request, timeout=within_s) as answer:
                return _object(answer.read(), self.url)
        except HTTPError as error:
            text = error.read().decode("utf-8", "replace").strip()
            try:
                told = json.loads(text)
                raise Failed(f"{told['error']}: {told['message']}") from None
            except (ValueError, KeyError, TypeError):
                raise Failed(f"{self.url} answers {error.code}: {text[:200]}") from None
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise Failed(f"{self.url} does not answer ({reason}). Is it the page of a running sandbox?") from None


def _opener() -> OpenerDirector:
    # Never through a proxy: a sandbox is on this machine, or on one nearby.
    return build_opener(ProxyHandler({}))


def _object(body: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Failed(f"{url} is not the page of a sandbox: it does not answer with data.")
    return found


def page_options(command: F) -> F:
    """Add --file and --web to a command, and pass the argument `running`."""

    @wraps(command)
    def with_page(*args: Any, file: Path | None, web: str | None, **more: Any) -> Any:
        if file is not None and web is not None:
            raise click.UsageError("--file and --web exclude each other")
        return command(*args, running=_page(file, web), **more)

    decorated: Any = with_page
    for option in (
        click.option(
            "--web",
            "-w",
            metavar="URL",
            help="The page of a running sandbox, http://host:port; with ?token= where it wants one.",
        ),
        click.option(
            "--file",
            "-f",
            metavar="PATH",
            type=click.Path(path_type=Path),
            help=f"The file of a running sandbox [env: SANDBOX_FILE, else {DEFAULT_FILE}].",
        ),
    ):
        decorated = option(decorated)
    result: F = decorated
    return result


def _page(file: Path | None, web: str | None) -> PageAddress:
    if web is not None:
        parts = urlsplit(web if "//" in web else f"http://{web}")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise click.BadParameter(f"{web!r} is not http://host:port", param_hint="--web")
        given = parse_qs(parts.query).get("token", [None])[0] or os.environ.get(TOKEN_VARIABLE)
        return PageAddress(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", given)
    return _of_file(chosen_file(file))


def of_owner(owner: Mapping[str, object]) -> PageAddress | None:
    """Return the page of a file's owner, from the lock file; None if it has no page open."""
    web, token = owner.get("web"), owner.get("token")
    return PageAddress(web, token if isinstance(token, str) else None) if isinstance(web, str) else None


def _of_file(file: Path) -> PageAddress:
    from sandbox.storage.file.lock import read_owner

    owner = read_owner(file)
    if owner is None:
        raise Failed(
            f"No sandbox runs on {file}. Brokers and faults are in the running process: start one with `sandbox up "
            f"{file}`, or name its page with --web http://host:port.",
            Status.FAILED,
        )
    page = of_owner(owner)
    if page is None:
        raise Failed(
            f"The sandbox on {file} (process {owner.get('pid', 'unknown')}) has no page open, or has only just begun; "
            "`sandbox up` opens one."
        )
    return page
