"""The options for a page behind a reverse proxy."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from sandbox.model.proxy import Proxy, PublicUrl

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
