"""Listeners: additional ports with TLS, SASL, both, or another advertised address."""

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Self

from sandbox.wire.auth.sasl import MECHANISMS

PLAINTEXT = "PLAINTEXT"
PROTOCOLS = (PLAINTEXT, "SSL", "SASL_PLAINTEXT", "SASL_SSL")
"""Kafka's security protocols."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]@]+)\]|(?P<host>[^\[\]:@/\s]+))(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Advertised:
    """The address that answers give for the brokers, in place of the one that the client connected to.

    It is needed if clients reach the sandbox through a published port of a container, a tunnel or NAT. Clients on this
    machine that connect over loopback still get the loopback address. As Kafka's `advertised.listeners`.

    Attributes:
        host: a name or an IP address that clients can connect to.
        port: of broker 1; broker N has port + N - 1. None if it is the port that the sandbox listens at.
    """

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address written as HOST, HOST:PORT or [IPv6]:PORT. Raises ValueError if it is none."""
        found = _ADDRESS.fullmatch(text)
        port = None if found is None or found["port"] is None else int(found["port"])
        if found is None or (port is not None and not 1 <= port <= 65535):
            raise ValueError(f"An advertised address is HOST or HOST:PORT, as in localhost:9092, not {text!r}.")
        host = found["six"] or found["host"]
        if host in ("0.0.0.0", "::"):
            raise ValueError(f"Clients cannot connect to {host}: advertise a name or address that they can reach.")
        return cls(host, port)

    def of(self, broker: int, host: str, port: int) -> tuple[str, int]:
        """Return the host and port of a broker for a client.

        Args:
            broker: the broker's id, from 1.
            host: the server address that the client connected to.
            port: the port at which that broker listens.
        """
        if ipaddress.ip_address(host.partition("%")[0]).is_loopback:
            return host, port
        return self.host, port if self.port is None else self.port + broker - 1


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The user's certificate, as PEM files.

    Attributes:
        certificate: the server's certificate, followed by the intermediate certificates of its chain.
        key: its private key, not encrypted.
        client_ca: the CA that clients' certificates are verified with; None if clients need no certificate.
    """

    certificate: str | os.PathLike[str]
    key: str | os.PathLike[str]
    client_ca: str | os.PathLike[str] | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """An additional listener.

    Attributes:
        protocol: "PLAINTEXT", "SSL", "SASL_PLAINTEXT" or "SASL_SSL".
        port: 0 picks a free one (if possible the previous one). With several brokers, broker N gets port + N - 1.
        mechanisms: the enabled SASL mechanisms; all by default.
        tls: the user's certificate; None generates one and stores it beside the file.
        client_auth: True if clients must present a certificate (`ssl.client.auth=required`).
        name: the listener's name, as in Kafka's `listener.security.protocol.map`; "" for the protocol's. PLAINTEXT is
            the name of the Kafka port itself.
        advertised: the address that its clients get; None for the one that they connected to.

    Raises:
        ValueError: an unknown protocol or mechanism, or an invalid name or port.
    """

    protocol: str
    port: int = 0
    mechanisms: tuple[str, ...] = MECHANISMS
    tls: TlsFiles | None = None
    client_auth: bool = False
    name: str = ""
    advertised: Advertised | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", (self.name or self.protocol).upper())
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"A listener's protocol is one of {', '.join(PROTOCOLS)}, not {self.protocol!r}.")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"A listener's name has letters, digits and _, and begins with a letter: {self.name!r}.")
        if self.name == PLAINTEXT:
            raise ValueError("PLAINTEXT is the Kafka port itself: name this listener, as in OUTSIDE=PLAINTEXT:19092.")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"A port is 0 to 65535, not {self.port}.")
        unknown = [mechanism for mechanism in self.mechanisms if mechanism not in MECHANISMS]
        if unknown or not self.mechanisms:
            raise ValueError(f"SASL mechanisms are {', '.join(MECHANISMS)}, not {', '.join(unknown) or 'none'}.")

    @property
    def has_tls(self) -> bool:
        """True if the connection is encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def has_sasl(self) -> bool:
        """True if clients must authenticate."""
        return self.protocol.startswith("SASL")
