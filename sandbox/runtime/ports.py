"""Opens the requested ports, or the last start's, because clients remember them."""

import asyncio
import ipaddress
import re
import secrets
import socket
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from sandbox.broker.broker import Broker
from sandbox.kafka.errors import SandboxError
from sandbox.model.proxy import Proxy
from sandbox.runtime.registry_port import RegistryPort
from sandbox.storage.log import topics

if TYPE_CHECKING:
    from ssl import SSLContext

    from sandbox.web.backend import Backend
    from sandbox.web.server import WebServer
    from sandbox.wire.auth.listener import Advertised, Listener
    from sandbox.wire.cluster_ports import ClusterPorts


PORT_MAX = 65535
TOKEN_BYTES = 24
TOKEN_VARIABLE = "SANDBOX_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{8,200}")


def is_loopback(host: str) -> bool:
    """True if only this machine can connect to the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """True if the address stands for all addresses of this machine."""
    return host in ("", "0.0.0.0", "::")


def new_token() -> str:
    """Return a random token of 192 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_refused(token: str) -> str | None:
    """Return why a chosen token is invalid, or None if it is valid."""
    if _TOKEN.fullmatch(token):
        return None
    return "A token has 8 to 200 letters, digits and . _ ~ -, so that it can stand in an address and in a header."


PLAINTEXT = "PLAINTEXT"
PORT_SETTING = "kafka.port"


class PortInUse(SandboxError):
    """A port could not be opened."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host, self.port = host, port
        super().__init__(f"Port {port} on {host} cannot be opened: {reason}. Choose another one, or 0 for any.")


async def open_ports(
    kafka: "ClusterPorts",
    broker: Broker,
    host: str,
    kafka_port: int | None,
    listeners: "Sequence[Listener]",
    advertised: "Advertised | None",
) -> dict[str, str]:
    """Open a port for each broker and listener.

    Args:
        kafka: opens the ports.
        broker: its file stores the port numbers for the next start.
        host: the address to listen at.
        kafka_port: the first broker's port, without TLS or authentication; 0 picks one, None opens none.
        listeners: additional listeners.
        advertised: the address that clients of the Kafka port get; None for the one that they connected to.

    Returns:
        Listener name to "host:port" of the first broker.

    Raises:
        PortInUse: a port is taken.
        SandboxError: there is no certificate.
    """
    wanted = {} if kafka_port is None else {PLAINTEXT: kafka_port}
    if advertised is not None:
        kafka.advertise(advertised)
    for listener in listeners:
        if listener.name in wanted:
            raise ValueError(f"There is one listener of each name, and {listener.name} was given twice.")
        wanted[listener.name] = listener.port
        kafka.add(listener, _certificate(listener, broker) if listener.has_tls else None)
    opened: dict[str, str] = {}
    count = len(broker.cluster.ids)
    for name, first in wanted.items():
        if first + count - 1 > PORT_MAX:
            raise SandboxError(f"{count} brokers need the ports {first} and up, and the last port is {PORT_MAX}.")
        for node_id in broker.cluster.ids:
            port = await _open(kafka, broker, name, node_id, host, first + node_id - 1 if first else 0)
            opened.setdefault(name, f"{spelled(host)}:{port}")
    return opened


def _certificate(listener: "Listener", broker: Broker) -> "SSLContext":
    from sandbox.runtime.certificates import server_context

    return server_context(listener, broker.database.path)


async def _open(kafka: "ClusterPorts", broker: Broker, listener: str, node_id: int, host: str, port: int) -> int:
    wanted = [port]
    parts = (PORT_SETTING, "" if listener == PLAINTEXT else listener, "" if node_id == 1 else str(node_id))
    setting = ".".join(filter(None, parts))
    remembered = topics.load_setting(broker.database, setting)
    if port == 0 and remembered is not None and _is_port(remembered) and _is_free(host, int(remembered)):
        wanted = [int(remembered), 0]
    for attempt in wanted:
        try:
            bound = await kafka.open(node_id, host, attempt, listener)
        except OSError as error:
            if attempt == wanted[-1]:
                raise PortInUse(host, attempt, error.strerror or str(error)) from error
            continue
        if str(bound) != remembered and not broker.database.read_only:
            topics.save_file_setting(broker.database, setting, str(bound))
            broker.commit()
        return bound
    raise AssertionError("one attempt returned or raised")


async def open_page(
    backend: "Backend", host: str, port: int, token: str | None, proxy: Proxy
) -> tuple["WebServer", str]:
    """Open the page's port.

    Args:
        backend: the cluster that the page shows.
        host: the address to listen at.
        port: 0 picks one.
        token: the token that the page requires, None for none.
        proxy: the proxy between browsers and the page.

    Returns:
        The server and its URL.

    Raises:
        PortInUse: the port is taken.
    """
    # Imported in a thread, so that Kafka clients are served meanwhile: it takes longer than the rest of the start.
    await asyncio.to_thread(import_module, "sandbox.web.server")
    from sandbox.web.server import WebServer

    server = WebServer(backend, host, port, token, proxy)
    try:
        bound = await server.start()
    except OSError as error:
        raise PortInUse(host, port, error.strerror or str(error)) from error
    return server, f"http://{spelled(host)}:{bound}"


async def open_registry(registry: RegistryPort, host: str, ports: Sequence[int]) -> str:
    """Open the schema registry's port.

    Args:
        registry: opens it.
        host: the address to listen at.
        ports: the ports to try, in this order; 0 picks one.

    Returns:
        The registry's URL.

    Raises:
        PortInUse: none can be opened.
    """
    try:
        bound = await registry.open(ports)
    except OSError as error:
        raise PortInUse(host, ports[-1], error.strerror or str(error)) from error
    return f"http://{spelled(host)}:{bound}"


def spelled(host: str) -> str:
    """Return a host as written before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def _is_port(text: str) -> bool:
    # The file may come from elsewhere.
    return text.isdecimal() and text.isascii() and len(text) <= len(str(PORT_MAX)) and 0 < int(text) <= PORT_MAX


def _is_free(host: str, port: int) -> bool:
    """True if the port is free. asyncio sets SO_REUSEADDR, so opening the port would not show it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((host, port)) != 0
