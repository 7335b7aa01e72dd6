"""Posts JSON to one address, in a thread, without ever blocking the sandbox.

Problem: a webhook's receiver may be slow, gone, or not what its address said. Trade: few tries, a short queue and a
log entry for what is lost. Consequence: a receiver can delay nothing, and learns nothing but the posted object.

The addresses of a name are checked before one of them is connected to, so that it can't resolve to another one in
between. Redirects are not followed, proxies are not used, and the answer's body is not read.
"""

import http.client
import ipaddress
import json
import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sandbox.kafka.errors import BrokerError
from sandbox.version import __version__

TIMEOUT_S = 5.0
"""Limit of one try, from the first connection to the status and headers of the answer. Name resolution has its own."""
METADATA = tuple(map(ipaddress.ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192")))
"""Metadata services of clouds whose addresses are not link-local."""
NAT64, COMPATIBLE = ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96")
"""IPv6 addresses that end with an IPv4 address."""
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
        host.encode("idna")
    except UnicodeError:
        raise BrokerError(
            "INVALID_REQUEST", f"The webhook's host {host!r} is no host name: a label is empty or above 63 characters."
        ) from None
    try:
        refuse_address(host)
    except ValueError:
        pass  # A name: its addresses are checked before each post.
    return parts


def refuse_address(host: str) -> None:
    """Refuse an IP address that no webhook has.

    Raises:
        BrokerError: INVALID_REQUEST for link-local, multicast and unspecified addresses, and the metadata services of
            clouds.
        ValueError: `host` is not an IP address.
    """
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and int(address) > 1:
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and (address in NAT64 or address in COMPATIBLE):
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = inside or address
    if address.is_link_local or address.is_multicast or address.is_unspecified or address in METADATA:
        raise BrokerError(
            "INVALID_REQUEST", f"{host} is no address for a webhook: link-local, multicast, none or a metadata service."
        )


def post(url: str, body: Mapping[str, Any]) -> int:
    """Post an object once, within `TIMEOUT_S`. Returns the HTTP status.

    Raises:
        OSError, http.client.HTTPException: no complete answer within `TIMEOUT_S`.
        BrokerError: INVALID_REQUEST if the URL or an address of its name is refused.
    """
    parts = checked_url(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    port = parts.port or (443 if secure else 80)
    until_s = time.monotonic() + TIMEOUT_S
    plain = _connected(host, port, until_s)
    # A timeout of the socket is one per read, and a server that sends a byte now and then is never late.
    over, end = threading.Event(), plain.dup()
    timer = threading.Timer(until_s - time.monotonic(), _end, (end, over))
    timer.daemon = True
    timer.start()
    connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(host, port)
    connection.sock = plain
    try:
        if secure:
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": "application/json", "User-Agent": f"kafka-sandbox/{__version__}"}
        connection.request("POST", target, json.dumps(body).encode(), headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        if over.is_set():
            raise TimeoutError(f"no complete answer within {TIMEOUT_S:g} s") from None
        raise
    finally:
        timer.cancel()
        connection.close()
        plain.close()
        end.close()


def _connected(host: str, port: int, until_s: float) -> socket.socket:
    """Return a connection to the first of a host's addresses that answers. None of them is refused."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        refuse_address(str(address[0]))
    failed: OSError = TimeoutError("timed out")
    for family, kind, protocol, _, address in found:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(left_s)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failed = error
        else:
            connection.settimeout(TIMEOUT_S)
            return connection
    raise failed


def _end(connection: socket.socket, over: threading.Event) -> None:
    over.set()
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


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
        """Post an object later. Returns at once. If too many objects wait, this one is dropped, which is logged."""
        try:
            self._waiting.put_nowait((url, body))
        except queue.Full:
            logger.warning("The webhook is too slow: an alert was not posted.")
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
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
            try:
                if not self._post(url, body):
                    return
            except Exception as error:
                # One post must not end the thread, and with it all later ones.
                self.last_error = f"it failed ({error or type(error).__name__})"
                logger.exception("An alert was not posted to the webhook.")

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
