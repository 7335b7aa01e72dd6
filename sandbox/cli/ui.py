"""`sandbox ui`: serves the pages for any Kafka cluster, without a file."""

import asyncio
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sandbox.cli.display import show_json
from sandbox.cli.ending import Ending
from sandbox.cli.page_address import page_to_open, proxy_options, token_option
from sandbox.cli.status import Failed, Status
from sandbox.cli.target import json_option
from sandbox.model.proxy import NO_PROXY, Proxy
from sandbox.runtime.ports import is_loopback, new_token
from sandbox.version import __version__
from sandbox.web.backend import Backend
from sandbox.web.server import WebServer

if TYPE_CHECKING:
    from sandbox.remote.backend import RemoteBackend


PORT_MAX = 65535


@click.command(
    epilog="""\b
Examples:
  sandbox ui --bootstrap localhost:9092
  sandbox ui --bootstrap broker.example.com:9092 --config client.properties
  sandbox ui --bootstrap localhost:9092 --allow-writes --open

\b
A file for --config has one setting of librdkafka a line:
  security.protocol=SASL_SSL
  sasl.mechanisms=PLAIN
  sasl.username=alice
  sasl.password=...
It may also have the properties of a schema registry, as in Confluent's files:
  schema.registry.url=https://registry.example.com
  basic.auth.user.info=alice:...
  schema.registry.bearer.auth.token=...
  schema.registry.ssl.ca.location=ca.pem"""
)
@click.option(
    "--bootstrap", "-b", envvar="SANDBOX_BOOTSTRAP", required=True, metavar="HOST:PORT", help="The Kafka cluster."
)
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Librdkafka's settings, one per line.")
@click.option("-X", "properties", multiple=True, metavar="KEY=VALUE", help="One of librdkafka's settings.")
@click.option(
    "--schema-registry",
    "registry_url",
    metavar="URL",
    help="Decode with the schemas of this registry; its other settings are in --config or -X.",
)
@click.option("--allow-writes", is_flag=True, help="Let the pages change the cluster; without it they only read.")
@click.option(
    "--ui-port", type=click.IntRange(0, PORT_MAX), default=8080, show_default=True, help="0 picks a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@token_option
@proxy_options
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@json_option
def ui(
    bootstrap: str,
    config: Path | None,
    properties: tuple[str, ...],
    registry_url: str | None,
    allow_writes: bool,
    ui_port: int,
    host: str,
    token: str | None,
    proxy: Proxy,
    open_page: bool,
    as_json: bool,
) -> None:
    """Show any Kafka cluster in the browser: topics, messages, groups and their lag, live. Ctrl-C ends it.

    Nothing in the cluster is changed, unless --allow-writes is given. With --json it prints one line when it is ready:
    {"web", "bootstrap", "brokers", "pid", "read_only"}, with --public-url also "public_url", and "token" if the page
    requires one: it does if --host or --public-url allows other machines to connect.
    """
    settings = (read_settings(config) if config else {}) | dict(_pair(one) for one in properties)
    settings.pop("bootstrap.servers", None)
    settings, registry = _registry_settings(settings, registry_url)
    ending = Ending()
    private = is_loopback(host) and (proxy.url is None or is_loopback(proxy.url.host))
    token = token or (None if private else new_token())
    with _connected(bootstrap, settings, registry, allow_writes) as backend:
        brokers = backend.check()
        server = PageServer(backend, host, ui_port, token, proxy)
        try:
            backend.web_address = server.start()
        except OSError as error:
            reason = error.strerror or str(error)
            raise Failed(f"Port {ui_port} cannot be opened: {reason}. Here: --ui-port 0.", Status.PORT_IN_USE) from None
        try:
            public = None if proxy.url is None else str(proxy.url)
            _say_ready(backend.web_address, public, bootstrap, brokers, as_json, allow_writes, token)
            if open_page:
                import webbrowser

                webbrowser.open(page_to_open(public or backend.web_address, token))
            ending.wait()
        finally:
            server.stop()


def read_settings(path: Path) -> dict[str, str]:
    """Read a file of librdkafka settings, one `name=value` per line. Empty lines and # comments are skipped.

    Raises:
        Failed: the file can't be read, or a line isn't a setting.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.", Status.USAGE) from None
    found = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            name, equals, value = text.partition("=")
            if not equals or not name.strip():
                # The message doesn't contain the line, because it may hold a password.
                raise Failed(f"{path}, line {number} is not name=value.", Status.USAGE)
            found[name.strip()] = value.strip()
    return found


def _pair(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise click.BadParameter("not KEY=VALUE", param_hint="-X")
    return name, value


def _registry_settings(settings: dict[str, str], url: str | None) -> tuple[dict[str, str], dict[str, str] | None]:
    """Return librdkafka's settings, and the registry's; None if no registry is named."""
    if url is None and not any(
        name.startswith(("schema.registry.", "basic.auth.", "bearer.auth.")) for name in settings
    ):
        return settings, None
    from sandbox.remote.schema_registry import split_settings

    try:
        kafka, registry = split_settings(settings)
    except ValueError as error:
        raise Failed(f"{error}.", Status.USAGE) from None
    if url is not None:
        registry["url"] = url if "//" in url else f"http://{url}"
    if "url" not in registry:
        raise Failed(
            "The settings of a schema registry are there, but not its URL: --schema-registry URL.", Status.USAGE
        )
    return kafka, registry


def _connected(
    bootstrap: str, settings: dict[str, str], registry: dict[str, str] | None, allow_writes: bool
) -> "RemoteBackend":
    from confluent_kafka import KafkaException

    from sandbox.remote.backend import RemoteBackend

    try:
        return RemoteBackend(bootstrap, settings, allow_writes=allow_writes, schema_registry=registry)
    except ValueError as error:
        raise Failed(f"{error}.", Status.USAGE) from None
    except KafkaException as error:
        raise Failed(f"The settings are refused: {error.args[0].str()}", Status.USAGE) from None


def _say_ready(
    web: str, public: str | None, bootstrap: str, brokers: int, as_json: bool, allow_writes: bool, token: str | None
) -> None:
    if as_json:
        show_json(
            {
                "web": web,
                "bootstrap": bootstrap,
                "brokers": brokers,
                "pid": os.getpid(),
                "read_only": not allow_writes,
                **({"public_url": public} if public else {}),
                **({"token": token} if token else {}),
            }
        )
        return
    click.echo(
        f"Kafka Sandbox {__version__}\n"
        f"  page     {page_to_open(public or web, token)}\n"
        f"  cluster  {bootstrap}, {brokers} broker{'' if brokers == 1 else 's'}\n"
        f"  changes  {'allowed' if allow_writes else 'refused; --allow-writes lets the pages make them'}\n"
        "Ctrl-C ends it."
    )


class PageServer:
    """Serves the pages of a backend.

    Args:
        backend: the cluster that the pages show.
        host: the address to listen at.
        port: 0 picks a free one.
        token: the token that every request must have, None for none.
        proxy: the proxy between browsers and the page.
    """

    def __init__(
        self, backend: Backend, host: str, port: int, token: str | None = None, proxy: Proxy = NO_PROXY
    ) -> None:
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._server = WebServer(backend, host, port, token, proxy)
        self._thread = threading.Thread(target=self._loop.run_forever, name="pages", daemon=True)

    def start(self) -> str:
        """Start listening and return the page's URL. Raises OSError if the port can't be opened."""
        self._thread.start()
        try:
            port = asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result()
        except OSError:
            self._end()
            raise
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}"

    def stop(self) -> None:
        """Close the port."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result()
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
