"""The options of `sandbox up` for listeners with TLS or authentication, and for users."""

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sandbox.model.registry import CONFLICT_CODES
from sandbox.runtime.ports import PORT_MAX

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox
    from sandbox.wire.auth.listener import Advertised, Listener


PASSWORD_VARIABLE = "SANDBOX_PASSWORD_"
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class WaysIn:
    """The listeners and users that were requested in addition to the Kafka port.

    Attributes:
        listeners: each has another name.
        users: names and passwords.
        advertised: the address that clients of the Kafka port get.
    """

    listeners: "tuple[Listener, ...]" = ()
    users: tuple[tuple[str, str], ...] = ()
    advertised: "Advertised | None" = None

    def prepare(self, sandbox: "Sandbox") -> None:
        """Store the users. Warns if a listener requires authentication and there are none."""
        for name, password in self.users:
            sandbox.add_user(name, password)
        if any(listener.has_sasl for listener in self.listeners) and not sandbox.users.names():
            click.echo("Warning: there are no users, so no client can log in. Add one: --user alice", err=True)

    def option_of(self, port: int) -> str | None:
        """Return the option that requests a port, or None if none of these does."""
        for listener in self.listeners:
            if listener.port == port != 0:
                named = "" if listener.name == listener.protocol else f"{listener.name}="
                return f"--listener {named}{listener.protocol}:0"
        return None

    def lines(self, sandbox: "Sandbox") -> str:
        """Return the lines about the listeners for the start message."""
        text = "".join(f"  {name}  {address}\n" for name, address in sandbox.listener_addresses.items())
        if any(listener.has_tls and listener.tls is None for listener in self.listeners):
            from sandbox.runtime.certificates import tls_folder

            text += f"  trust  {tls_folder(sandbox.overview().file) / 'ca.pem'}\n"
        return text


def listener_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, and pass their values as `ways_in`."""

    @click.option(
        "--listener",
        "listeners",
        multiple=True,
        metavar="[NAME=]PROTOCOL[:PORT][@HOST[:PORT]]",
        help="One more port for clients: PLAINTEXT (with a NAME), SSL, SASL_PLAINTEXT or SASL_SSL. Without PORT, a "
        "free one. @HOST:PORT is the address that its clients get. Repeatable.",
    )
    @click.option(
        "--advertised-host",
        metavar="HOST[:PORT]",
        envvar="KAFKA_ADVERTISED_HOST",
        show_envvar=True,
        help="The address that clients of the Kafka port get, if it isn't the one that they connect to: for published "
        "ports of a container, and for tunnels. Loopback connections still get loopback.",
    )
    @click.option(
        "--user",
        "users",
        multiple=True,
        metavar="NAME[:PASSWORD]",
        help=f"Who may log in. Without PASSWORD it is read from {PASSWORD_VARIABLE}NAME, or asked for. Repeatable.",
    )
    @click.option("--tls-cert", type=_EXISTING, help="Your certificate (PEM); by default one is created beside FILE.")
    @click.option("--tls-key", type=_EXISTING, help="Its key (PEM, not encrypted).")
    @click.option("--tls-client-auth", is_flag=True, help="Clients with TLS must show a certificate.")
    @click.option("--tls-client-ca", type=_EXISTING, help="Whose certificates, where --tls-cert is given.")
    @wraps(command)
    def wrapped(
        *args: Any,
        listeners: tuple[str, ...],
        users: tuple[str, ...],
        tls_cert: Path | None,
        tls_key: Path | None,
        tls_client_auth: bool,
        tls_client_ca: Path | None,
        advertised_host: str | None,
        **kwargs: Any,
    ) -> Any:
        if (tls_cert is None) != (tls_key is None):
            raise click.UsageError("--tls-cert and --tls-key go together.")
        if tls_client_ca is not None and tls_cert is None:
            raise click.UsageError("--tls-client-ca goes with --tls-cert and --tls-key.")
        ways_in = WaysIn()
        if listeners or users or advertised_host:
            tls = (tls_cert, tls_key, tls_client_ca) if tls_cert else None
            parsed = tuple(_listener(text, tls, tls_client_auth or tls_client_ca is not None) for text in listeners)
            if len({listener.name for listener in parsed}) < len(parsed):
                raise click.UsageError("--listener: each name may be given once. Without NAME= it is the protocol's.")
            advertised = _advertised(advertised_host, "--advertised-host") if advertised_host else None
            ways_in = WaysIn(parsed, tuple(_user(text) for text in users), advertised)
        return command(*args, ways_in=ways_in, **kwargs)

    return wrapped


def _listener(text: str, tls: tuple[Any, ...] | None, client_auth: bool) -> "Listener":
    from sandbox.wire.auth.listener import Listener, TlsFiles

    way_in, at, address = text.partition("@")
    name, _, plain = way_in.rpartition("=")
    protocol, _, port = plain.partition(":")
    if port and not (port.isascii() and port.isdigit()):
        raise click.BadParameter(f"{text!r}: a port is a number, as in SASL_SSL:9094.", param_hint="--listener")
    try:
        return Listener(
            protocol.upper(),
            int(port or 0),
            tls=TlsFiles(*tls) if tls else None,
            client_auth=client_auth,
            name=name,
            advertised=_advertised(address, "--listener") if at else None,
        )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--listener") from None


def _advertised(text: str, option: str) -> "Advertised":
    from sandbox.wire.auth.listener import Advertised

    try:
        return Advertised.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _user(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    variable = PASSWORD_VARIABLE + re.sub(r"\W", "_", name, flags=re.ASCII).upper()
    if not colon:
        password = os.environ.get(variable, "")
        if not password and sys.stdin.isatty():
            password = click.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True, err=True)
    if not name or not password:
        raise click.BadParameter(
            f"{text!r}: a name and a password are needed: NAME:PASSWORD, or NAME and the password in {variable}.",
            param_hint="--user",
        )
    return name, password


DEFAULT_PORT = 8081


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """How the schema registry is served.

    Attributes:
        ports: the ports to try, in this order; empty for no registry.
        conflict_code: the error code of an incompatible schema.
    """

    ports: tuple[int, ...]
    conflict_code: int


def registry_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, and pass their values as `registry`."""

    @click.option(
        "--registry-port",
        type=click.IntRange(0, PORT_MAX),
        help=f"Of the schema registry; 0 picks a free one.  [default: {DEFAULT_PORT}, or a free one if it is taken]",
    )
    @click.option("--no-registry", is_flag=True, help="Open no port for the schema registry.")
    @click.option(
        "--registry-conflict-code",
        type=click.Choice([str(code) for code in CONFLICT_CODES]),
        default=str(CONFLICT_CODES[0]),
        show_default=True,
        help="The registry's error code for an incompatible schema; Confluent's sends 40901 since December 2025.",
    )
    @wraps(command)
    def wrapped(
        *args: Any, registry_port: int | None, no_registry: bool, registry_conflict_code: str, **kwargs: Any
    ) -> Any:
        if no_registry and registry_port is not None:
            raise click.UsageError("--no-registry opens no port: it does not go with --registry-port.")
        ports = () if no_registry else (DEFAULT_PORT, 0) if registry_port is None else (registry_port,)
        return command(*args, registry=RegistryOptions(ports, int(registry_conflict_code)), **kwargs)

    return wrapped
