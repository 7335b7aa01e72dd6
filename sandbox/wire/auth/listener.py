"""Listeners: the ports beside the plain one, with TLS, a log-in, or both."""

import os
from dataclasses import dataclass

from sandbox.wire.auth.sasl import MECHANISMS

PLAINTEXT = "PLAINTEXT"
PROTOCOLS = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")
"""Kafka's security protocols but PLAINTEXT, which is the Kafka port itself."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate of one's own, as PEM files.

    Attributes:
        certificate: the server's certificate, followed by those that lead to the one that clients trust.
        key: its private key, not encrypted.
        client_ca: what clients' certificates are checked against; None where no client needs one.
    """

    certificate: str | os.PathLike[str]
    key: str | os.PathLike[str]
    client_ca: str | os.PathLike[str] | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """One more way in.

    Attributes:
        protocol: "SSL", "SASL_PLAINTEXT" or "SASL_SSL".
        port: 0 picks one (the one of the last time where it is free). Of several brokers, broker N gets port + N - 1.
        mechanisms: the SASL mechanisms that are offered; all where not given.
        tls: a certificate of one's own; where None, one is made beside the file.
        client_auth: True where clients must show a certificate (`ssl.client.auth=required`).

    Raises:
        ValueError: a protocol or mechanism that does not exist, or a port that cannot be.
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
        """Whether what is sent is encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def has_sasl(self) -> bool:
        """Whether clients must log in."""
        return self.protocol.startswith("SASL")
