"""One connection that sends single requests: for what no client library lets a test send."""

from __future__ import annotations

import socket
import struct
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from sandbox.wire.messages import messages
from sandbox.wire.messages.schemas import apis

KEYS = {name: key for key, (name, *_) in apis().items()}
TIMEOUT_S = 20.0


class RawClient:
    """A blocking connection to a broker.

    Args:
        bootstrap: its address, "host:port".
    """

    def __init__(self, bootstrap: str) -> None:
        host, _, port = bootstrap.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), TIMEOUT_S)
        self._correlation_id = 0
        self._held: list[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, api: str, version: int, **fields: Any) -> SimpleNamespace:
        """Send one request and wait for its answer.

        Args:
            api: the name of the API, such as "EndTxn".
            version: of the request.
            fields: as `sandbox.wire.messages.messages.encode_request` takes them.

        Returns:
            The answer, with the fields of every version.
        """
        self.send(api, version, **fields)
        return self.receive(api, version)

    def send(self, api: str, version: int, **fields: Any) -> None:
        """Send a request like `ask`, without waiting."""
        key = KEYS[api]
        self._correlation_id += 1
        flexible_since = apis()[key][3]
        flexible = flexible_since is not None and version >= flexible_since
        header = struct.pack(">hhih", key, version, self._correlation_id, 3) + b"raw" + (b"\0" if flexible else b"")
        frame = header + messages.encode_request(key, version, fields)
        framed = struct.pack(">i", len(frame)) + frame
        if self._held is not None:
            self._held.append(framed)
        else:
            self._socket.sendall(framed)

    def hold(self) -> None:
        """Keep the next requests until `flush`, which sends them at once."""
        self._held = []

    def flush(self) -> None:
        """Send the requests that were kept."""
        held, self._held = self._held, None
        self._socket.sendall(b"".join(held or ()))

    def receive(self, api: str, version: int) -> SimpleNamespace:
        """Return the next answer, which is to a request of this API and version."""
        key = KEYS[api]
        (size_bytes,) = struct.unpack(">i", self._receive(4))
        answer = self._receive(size_bytes)
        skip = len(messages.response_header(key, version, self._correlation_id))
        decoded, _ = messages.decode_response(key, version, answer, skip)
        return decoded

    def _receive(self, size_bytes: int) -> bytes:
        found = bytearray()
        while len(found) < size_bytes:
            piece = self._socket.recv(size_bytes - len(found))
            if not piece:
                raise ConnectionError("the broker closed the connection")
            found += piece
        return bytes(found)
