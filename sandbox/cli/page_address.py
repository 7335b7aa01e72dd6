"""Finds the page of a running sandbox through the file's lock, and calls it over HTTP.

Brokers and faults exist in the process that owns the file, not in the file, so commands call that process.
"""

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
from sandbox.runtime.network import TOKEN_VARIABLE

TIMEOUT_S = 15.0
F = TypeVar("F", bound=Callable[..., Any])


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
