"""Listeners: additional ports with TLS, SASL, or both."""

import os
from dataclasses import dataclass

from sandbox.wire.auth.sasl import MECHANISMS

PLAINTEXT = "PLAINTEXT"
PROTOCOLS = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")
"""Kafka's security protocols except PLAINTEXT, which the Kafka port itself uses."""


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
        protocol: "SSL", "SASL_PLAINTEXT" or "SASL_SSL".
        port: 0 picks a free one (if possible the previous one). With several brokers, broker N gets port + N - 1.
        mechanisms: the enabled SASL mechanisms; all by default.
        tls: the user's certificate; None generates one and stores it beside the file.
        client_auth: True if clients must present a certificate (`ssl.client.auth=required`).

    Raises:
        ValueError: an unknown protocol or mechanism, or an invalid port.
    """

    protocol: str
    port: int = 0
    mechanisms: tuple[str, ...] = MECHANISMS
    tls: TlsFiles | None = None
    client_auth: bool = False

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"A listener's protocol is one of {', '.join(PROTOCOLS)}, not {self.protocol!r}.")
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
