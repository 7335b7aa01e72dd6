"""The option --token, and the page's URL with the token in it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import click

from sandbox.runtime.network import TOKEN_VARIABLE, is_wildcard, token_refused


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
