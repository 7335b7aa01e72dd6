"""Limits the number of connections to the Kafka ports.

Each connection is an open file, and a process at its limit of open files can neither accept a client nor reopen its
database. So connections are counted over all ports of all brokers. At the limit, the oldest connection that has sent
nothing yet is closed, because clients send a request as soon as they are connected; if all have sent something, the new
connection is refused. As a result, idle connections can't keep clients out.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from sandbox.kafka.broker_config import BrokerConfig

LOG_EVERY_MS = 10_000
"""The minimum interval in ms between two log messages about closed connections."""

logger = logging.getLogger("sandbox.wire")


class Guest(Protocol):
    """A connection."""

    def leave(self) -> None:
        """Close the connection immediately."""


class Admission:
    """Counts the connections of all ports.

    Args:
        config: provides `max.connections` and `max.connections.per.ip`.
        now_ms: returns the current time.
        files_max: number of connections that the limit of open files allows; None for no limit.
    """

    def __init__(self, config: BrokerConfig, now_ms: Callable[[], int], files_max: int | None = None) -> None:
        self._config = config
        self._now_ms = now_ms
        self._files_max = files_max
        self._hosts: dict[Guest, str] = {}
        self._silent: dict[Guest, None] = {}
        self._per_host: dict[str, int] = {}
        self._logged_ms: int | None = None
        self._unlogged = 0

    @property
    def count(self) -> int:
        """The number of connections."""
        return len(self._hosts)

    def enter(self, guest: Guest, host: str) -> bool:
        """Count a new connection. Returns False if it must be closed.

        Args:
            host: the client's address.
        """
        per_host_max = self._config.number("max.connections.per.ip")
        if self._per_host.get(host, 0) >= per_host_max:
            self._log(f"it has {per_host_max} connections, the limit for one address (max.connections.per.ip)", host)
            return False
        limit, reason = self._config.number("max.connections"), "max.connections"
        if self._files_max is not None and self._files_max < limit:
            limit, reason = self._files_max, "the limit of open files, see ulimit -n"
        if len(self._hosts) >= limit:
            if not self._silent:
                self._log(f"{len(self._hosts)} connections are open, which is the limit ({reason})", host)
                return False
            oldest = next(iter(self._silent))
            silent_host = self._hosts[oldest]
            self.left(oldest)
            oldest.leave()
            self._log(f"it has sent nothing, and {limit} connections are open, the limit ({reason})", silent_host)
        self._hosts[guest] = host
        self._silent[guest] = None
        self._per_host[host] = self._per_host.get(host, 0) + 1
        return True

    def spoke(self, guest: Guest) -> None:
        """Record that a connection has sent something."""
        self._silent.pop(guest, None)

    def left(self, guest: Guest) -> None:
        """Remove an ended connection from the count, if it was counted."""
        host = self._hosts.pop(guest, None)
        if host is None:
            return
        self._silent.pop(guest, None)
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]

    def _log(self, reason: str, host: str) -> None:
        now_ms = self._now_ms()
        if self._logged_ms is not None and 0 <= now_ms - self._logged_ms < LOG_EVERY_MS:
            self._unlogged += 1
            return
        more = f"; {self._unlogged} more were closed for such reasons since the last message" if self._unlogged else ""
        logger.warning("connection of /%s closed: %s%s", host, reason, more)
        self._logged_ms, self._unlogged = now_ms, 0
