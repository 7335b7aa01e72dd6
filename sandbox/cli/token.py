"""The token of a page that other machines can reach: chosen, and shown in the address to open."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import click

from sandbox.runtime.network import TOKEN_VARIABLE, is_wildcard, token_refused


def token_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --token, and the argument `token`: None where none was chosen."""
    return click.option(
        "--token",
        metavar="TEXT",
        envvar=TOKEN_VARIABLE,
        show_envvar=True,
        callback=_checked,
        help="What the page asks for. Without it one is made where --host lets other machines in.",
    )(command)


def _checked(_context: click.Context, _parameter: click.Parameter, token: str | None) -> str | None:
    reason = None if token is None else token_refused(token)
    if reason is not None:
        raise click.BadParameter(reason)
    return token


def page_to_open(web: str, token: str | None) -> str:
    """The address to open a page by, in a browser of this machine; from another one, with the name of this in it."""
    parts = urlsplit(web)
    if is_wildcard(parts.hostname or ""):
        loopback = "[::1]" if ":" in (parts.hostname or "") else "127.0.0.1"
        web = f"{parts.scheme}://{loopback}:{parts.port}"
    return web if token is None else f"{web}/?token={token}"
