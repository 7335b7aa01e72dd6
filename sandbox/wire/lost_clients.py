"""Explains a wrong advertised address to the people whose clients got it."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.wire.node import Request

logger = logging.getLogger(__name__)


class LostClients:
    """Finds clients that cannot connect to the advertised address, and explains it once each in the log.

    Such a client asks its bootstrap connection for the brokers again and again, and never uses one of them.
    """

    SUSPICIOUS = 5
    """Requests for brokers within `WINDOW_MS`, with no other request between them."""
    WINDOW_MS = 60_000
    HOSTS_MAX = 1_000
    _METADATA, _FIND_COORDINATOR = 3, 10
    _LOG_IN = frozenset((17, 18, 36))

    def __init__(self) -> None:
        self._asked: dict[str, list[int]] = {}
        self._settled: set[str] = set()

    def saw(self, request: "Request") -> None:
        """Note one request at a listener with an advertised address."""
        key, client_host, now_ms = request.key, request.client_host, request.node.now_ms()
        told = request.address(request.node.node_id)
        if told["host"] == request.host:
            return
        if client_host in self._settled or key in self._LOG_IN:
            return
        if key not in (self._METADATA, self._FIND_COORDINATOR):
            self._settle(client_host)
            return
        if len(self._asked) >= self.HOSTS_MAX:
            self._asked.clear()
        times = self._asked.setdefault(client_host, [])
        times.append(now_ms)
        del times[: -self.SUSPICIOUS]
        if len(times) < self.SUSPICIOUS or now_ms - times[0] > self.WINDOW_MS:
            return
        logger.warning(
            "the client %r at %s asks for the brokers again and again and uses none: perhaps it cannot connect to %s, "
            "the advertised address. Advertise one that it can reach: --advertised-host, or a second listener as in "
            "--listener OUTSIDE=PLAINTEXT:19092@HOST:19092",
            request.client_id,
            client_host.removeprefix("/"),
            f"{told['host']}:{told['port']}",
        )
        self._settle(client_host)

    def _settle(self, client_host: str) -> None:
        self._asked.pop(client_host, None)
        if len(self._settled) >= self.HOSTS_MAX:
            self._settled.clear()
        self._settled.add(client_host)
