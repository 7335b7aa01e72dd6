"""Performs the TLS handshake of a new connection, then passes it on.

asyncio can do both, but doesn't report failed handshakes. Here the handshake is a separate task: it has a timeout,
doesn't block others, and the reason for a failure is logged.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import cast

from sandbox.wire.admission import Admission

HANDSHAKE_SECONDS = 10.0
GUESSES = {
    "WRONG_VERSION_NUMBER": "it sent no TLS: is security.protocol of the client without SSL?",
    "HTTP_REQUEST": "it sent HTTP without TLS",
    "UNKNOWN_CA": "it does not trust our certificate: give it ca.pem",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate: give it ca.pem, and connect to a name that is in it",
    "BAD_CERTIFICATE": "it does not accept our certificate",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate, and this listener wants one",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not from the authority that this listener trusts",
}
"""Explanations of OpenSSL's reasons."""

logger = logging.getLogger("sandbox.wire")


class TlsDoor(asyncio.Protocol):
    """One client during its handshake.

    Args:
        context: the server's certificate.
        behind: creates the connection that gets the decrypted data.
        doors: the current handshakes; this one adds itself.
        admission: counts connections.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        behind: Callable[[], asyncio.BufferedProtocol],
        doors: "set[TlsDoor]",
        admission: Admission,
    ) -> None:
        self._admission = admission
        self._context = context
        self._behind = behind
        self._doors = doors
        self._early: list[bytes] = []
        self._plain: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake of a new client."""
        plain = cast(asyncio.Transport, transport)
        # The handshake reads the data that has already arrived.
        plain.pause_reading()
        peer = plain.get_extra_info("peername")
        if not self._admission.enter(self, str(peer[0]) if peer else "?"):
            plain.abort()
            return
        self._doors.add(self)
        self._plain = plain
        self._task = asyncio.get_running_loop().create_task(self._open(plain))

    def data_received(self, data: bytes) -> None:
        """Buffer data that was decrypted together with the end of the handshake, before the connection existed."""
        self._early.append(data)

    def end(self) -> None:
        """Cancel the handshake and close the socket."""
        if self._task is not None and self._plain is not None:
            self._task.cancel()
            # A task that is cancelled before its first step runs nothing, not even its `finally`.
            self._ended()
            self._plain.abort()

    def leave(self) -> None:
        """Like `end`, to make room for another connection."""
        self.end()

    def _ended(self) -> None:
        self._doors.discard(self)
        self._admission.left(self)

    async def _open(self, plain: asyncio.Transport) -> None:
        peer = plain.get_extra_info("peername")
        client_host = f"/{peer[0]}" if peer else "/?"
        loop = asyncio.get_running_loop()
        try:
            encrypted = await loop.start_tls(
                plain, self, self._context, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except OSError as error:
            logger.warning("TLS handshake of %s failed: %s", client_host, _reason(error))
            return
        finally:
            # The new connection is counted next, in the same turn.
            self._ended()
        if encrypted is None:
            logger.warning("TLS handshake of %s failed: the connection ended", client_host)
            return
        connection = self._behind()
        connection.connection_made(encrypted)
        encrypted.set_protocol(connection)
        for data in self._early:
            _give(connection, memoryview(data))


def _give(connection: asyncio.BufferedProtocol, data: memoryview) -> None:
    while data:
        place = memoryview(connection.get_buffer(len(data)))
        some = data[: len(place)]
        place[: len(some)] = some
        connection.buffer_updated(len(some))
        data = data[len(some) :]


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        guess = next((text for name, text in GUESSES.items() if name in reason), None)
        return f"{guess} ({reason})" if guess else reason
    return str(error) or type(error).__name__
