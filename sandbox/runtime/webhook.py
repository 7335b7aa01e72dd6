"""Posts JSON to one address, in a thread, without ever blocking the sandbox.

Problem: a webhook's receiver may be slow, gone, or not what its address said. Trade: few tries, a short queue and a
log entry for what is lost. Consequence: a receiver can delay nothing, and learns nothing but the posted object.

The address is checked again on the connection itself, so that a name can't resolve to another one in between.
Redirects are not followed, proxies are not used, and the answer's body is not read.
"""

import http.client
import ipaddress
import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sandbox.kafka.errors import BrokerError
from sandbox.version import __version__

TIMEOUT_S = 5.0
"""Limit of each step of one try: connecting, sending, waiting for the status."""
WAITS_S = (1.0, 4.0)
"""How long to wait before the second and the third try. There is no fourth."""
QUEUE_MAX = 100
URL_MAX = 2_000

logger = logging.getLogger("sandbox")


def checked_url(url: str) -> SplitResult:
    """Return the parts of a webhook's URL.

    Raises:
        BrokerError: INVALID_REQUEST, with the rule that it breaks.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise BrokerError("INVALID_REQUEST", f"The webhook's URL cannot be read: {error}.") from None
    if parts.scheme not in ("http", "https") or not host or len(url) > URL_MAX or not url.isascii():
        raise BrokerError(
            "INVALID_REQUEST", "A webhook is an http or https URL, such as https://hooks.example.com/kafka."
        )
    if any(character <= " " for character in url):
        raise BrokerError("INVALID_REQUEST", "The webhook's URL has a space or a control character.")
    if parts.username is not None or parts.password is not None:
        raise BrokerError("INVALID_REQUEST", "A webhook's URL has no user and password: it is shown on the page.")
    try:
        refuse_address(host)
    except ValueError:
        pass  # A name: its address is checked when the connection is open.
    return parts


def refuse_address(host: str) -> None:
    """Refuse an IP address that no webhook has.

    Raises:
        BrokerError: INVALID_REQUEST for link-local (such as the metadata service of clouds), multicast and unspecified
            addresses.
        ValueError: `host` is not an IP address.
    """
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise BrokerError("INVALID_REQUEST", f"{host} is no address for a webhook: link-local, multicast or none.")


def post(url: str, body: Mapping[str, Any]) -> int:
    """Post an object once. Returns the HTTP status.

    Raises:
        OSError, http.client.HTTPException: nothing answers.
        BrokerError: INVALID_REQUEST if the URL or the address behind its name is refused.
    """
    parts = checked_url(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.connect()
        refuse_address(connection.sock.getpeername()[0])
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": "application/json", "User-Agent": f"kafka-sandbox/{__version__}"}
        connection.request("POST", target, json.dumps(body).encode(), headers)
        return connection.getresponse().status
    finally:
        connection.close()


class WebhookPoster:
    """Posts objects one after another in its own thread, which ends when nothing is left to post.

    Args:
        wait: waits for seconds, or less if the sandbox is closed; returns True then.
    """

    def __init__(self, wait: Callable[[float], bool]) -> None:
        self._wait = wait
        self._waiting: queue.Queue[tuple[str, Mapping[str, Any]]] = queue.Queue(QUEUE_MAX)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.last_error: str | None = None

    def send(self, url: str, body: Mapping[str, Any]) -> None:
        """Post an object later. Returns at once; if too many wait, the object is dropped and the log says so."""
        try:
            self._waiting.put_nowait((url, body))
        except queue.Full:
            logger.warning("The webhook is too slow: an alert was not posted.")
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                url, body = self._waiting.get_nowait()
            except queue.Empty:
                with self._lock:
                    if self._waiting.empty():
                        self._thread = None
                        return
                continue
            if not self._post(url, body):
                return

    def _post(self, url: str, body: Mapping[str, Any]) -> bool:
        """Try to post, at most three times. Returns False if the sandbox was closed meanwhile."""
        for wait_s in (*WAITS_S, None):
            try:
                status = post(url, body)
                self.last_error = None if status < 300 else f"it answered {status}"
                retry = status >= 500 or status == 429
            except BrokerError as error:
                self.last_error, retry = error.detail, False
            except (OSError, http.client.HTTPException) as error:
                self.last_error, retry = f"it does not answer ({error or type(error).__name__})", True
            if self.last_error is None:
                return True
            if not retry or wait_s is None:
                logger.warning(
                    "An alert was not posted to the webhook at %s: %s.", urlsplit(url).hostname, self.last_error
                )
                return True
            if self._wait(wait_s):
                return False
        return True
