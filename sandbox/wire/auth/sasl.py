"""SASL on one connection: the requests that are allowed until the client is authenticated.

    state                          ApiVersions            SaslHandshake      SaslAuthenticate
    HANDSHAKE_OR_VERSIONS_REQUEST  -> HANDSHAKE_REQUEST   -> AUTHENTICATE    closed
    HANDSHAKE_REQUEST              closed                 -> AUTHENTICATE    closed
    AUTHENTICATE                   closed                 closed             -> COMPLETE, or waits for the next token
    COMPLETE                       every request is served, as on a listener without SASL

Anything else closes the connection. A failure is answered with its error, then the connection is closed. After a
handshake of version 0 the client sends tokens without a request around them, as old clients do.

A failure is answered after `connection.failed.authentication.delay.ms`, to slow down password guessing. Passwords are
checked outside the event loop (see `sandbox.wire.auth.sasl`).

Differs from a real broker: a request other than SaslAuthenticate after the handshake closes the connection without an
answer.
Left out: GSSAPI, OAUTHBEARER, and re-authentication (`connections.max.reauth.ms` is 0, the default): after COMPLETE,
SaslHandshake and SaslAuthenticate are answered ILLEGAL_SASL_STATE.

Source: KIP-43, KIP-152, https://kafka.apache.org/protocol#sasl_handshake.
"""

import asyncio
import logging
import struct
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from sandbox.broker.credentials import HASHES
from sandbox.broker.reply import Reply
from sandbox.kafka.client_text import shortened
from sandbox.kafka.errors import CODE
from sandbox.storage.resources import ScramCredential
from sandbox.wire.api_table import API_VERSIONS
from sandbox.wire.auth.scram import AuthenticationFailed, ScramExchange, is_password
from sandbox.wire.connection import ProtocolViolation, Slot
from sandbox.wire.messages.messages import api_name, api_versions_known

Outcome = Callable[[], bytes]
"""Returns the answer, or raises the error."""


class PasswordChecks:
    """Runs checks, one after the other."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None

    def run(self, check: Callable[[], bytes], then: Callable[[Outcome], None]) -> None:
        """Run a check in the thread, then call `then` with its outcome on the running event loop."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "sandbox-passwords")
        loop = asyncio.get_running_loop()

        def done(future: Future[bytes]) -> None:
            if not future.cancelled():
                # If the loop has ended, the outcome is not needed.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(then, future.result)

        self._executor.submit(check).add_done_callback(done)

    def close(self) -> None:
        """Cancel the queued checks, and end the thread."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


PLAIN = "PLAIN"
MECHANISMS = (PLAIN, *HASHES)
"""Every mechanism, in the order of SaslHandshake."""
REQUEST_BYTES_MAX = 524_288
"""The longest request of an unauthenticated client (`sasl.server.max.receive.size`)."""

SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36
HANDSHAKE_OR_VERSIONS_REQUEST = "HANDSHAKE_OR_VERSIONS_REQUEST"
HANDSHAKE_REQUEST = "HANDSHAKE_REQUEST"
AUTHENTICATE = "AUTHENTICATE"
COMPLETE = "COMPLETE"
FAILED = "FAILED"
ALLOWED = {
    HANDSHAKE_OR_VERSIONS_REQUEST: (API_VERSIONS, SASL_HANDSHAKE),
    HANDSHAKE_REQUEST: (SASL_HANDSHAKE,),
    AUTHENTICATE: (SASL_AUTHENTICATE,),
    FAILED: (),
}

logger = logging.getLogger("sandbox.wire")

_KEY_AND_VERSION = struct.Struct(">hh")

Answer = Mapping[str, Any]
Find = Callable[[str], Sequence[ScramCredential]]


class SaslExchange(Protocol):
    """One authentication with one mechanism.

    Attributes:
        user: the authenticated user, once `complete`.
        slow: True if a step takes so long that it runs in a thread.
    """

    user: str
    complete: bool
    slow: bool

    def step(self, token: bytes) -> bytes:
        """Process a client's token and return the answer. Raises AuthenticationFailed if it is refused."""


class PlainExchange:
    """PLAIN: the client sends its user name and password (RFC 4616), which are verified with the salted keys.

    Args:
        find: returns a user's credentials.
    """

    slow = True

    def __init__(self, find: Find) -> None:
        self._find = find
        self.user = ""
        self.complete = False

    def step(self, token: bytes) -> bytes:
        """Process the token and return the answer, which is empty."""
        parts = token.split(b"\0")
        if len(parts) != 3:
            told = f"Invalid SASL/PLAIN response: expected 3 tokens, got {len(parts)}"
            raise AuthenticationFailed("the token is not one of PLAIN", told)
        authzid, user, password = (part.decode(errors="replace") for part in parts)
        for what, text in (("username", user), ("password", password)):
            if not text:
                raise AuthenticationFailed(f"the {what} is empty", f"Authentication failed: {what} not specified")
        # All of a user's credentials belong to the same password, unless an admin client altered one of them.
        if not any(is_password(credential, password) for credential in self._find(user)):
            raise AuthenticationFailed(
                f"there is no user {shortened(user)!r} with that password",
                "Authentication failed: Invalid username or password",
            )
        if authzid and authzid != user:
            raise AuthenticationFailed(
                f"user {shortened(user)!r} asks to be somebody else",
                "Authentication failed: Client requested an authorization id that is different from username",
            )
        self.user = user
        self.complete = True
        return b""


class Door(Protocol):
    """The listener's functions that an authentication needs."""

    @property
    def mechanisms(self) -> Sequence[str]:
        """The enabled mechanisms."""

    def credentials(self) -> Sequence[ScramCredential]:
        """Return the credentials of all users."""

    def check(self, step: Callable[[], bytes], then: Callable[[Outcome], None]) -> None:
        """Run a slow step in a thread, then call `then` on the event loop."""

    def later(self, call: Callable[[], None]) -> None:
        """Call a function after the delay for failed authentications."""


class SaslSession:
    """The authentication of one connection.

    Args:
        door: its listener.
        admit: called when the client is authenticated.
        fail: called with the reason if the connection must be closed after the next answer.
    """

    def __init__(self, door: Door, admit: Callable[[], None], fail: Callable[[str], None]) -> None:
        self._door = door
        self._mechanisms = door.mechanisms
        self._known: Sequence[ScramCredential] = ()
        self._admit = admit
        self._fail = fail
        self._state = HANDSHAKE_OR_VERSIONS_REQUEST
        self._mechanism = ""
        self._exchange: SaslExchange | None = None
        self._bare_tokens = False

    @property
    def complete(self) -> bool:
        """True if the client is authenticated."""
        return self._state == COMPLETE

    @property
    def user(self) -> str | None:
        """The authenticated user, or None."""
        return self._exchange.user if self.complete and self._exchange is not None else None

    def admits(self, frame: bytes, slot: Slot) -> bool:
        """Return True if a request may be served now. A token without a request around it is answered here.

        Raises:
            ProtocolViolation: the request isn't allowed in this state, so the connection must be closed.
        """
        if self._state == COMPLETE:
            return True
        if self._state == AUTHENTICATE and self._bare_tokens:
            slot.holds = True
            self._take(frame, slot.set, lambda failed: self._end(str(failed)))
            return False
        if len(frame) < _KEY_AND_VERSION.size:
            raise ProtocolViolation("it sends no Kafka requests; this listener wants SASL")
        key, version = _KEY_AND_VERSION.unpack_from(frame)
        if key not in ALLOWED[self._state]:
            raise ProtocolViolation(
                f"{api_name(key)} may not come in the SASL state {self._state}; is the client configured for SASL?"
            )
        if key == API_VERSIONS and version <= api_versions_known()[API_VERSIONS][1]:
            self._state = HANDSHAKE_REQUEST
        return True

    def versions_refused(self) -> None:
        """Allow another ApiVersions request, because the first was refused."""
        if self._state == HANDSHAKE_REQUEST:
            self._state = HANDSHAKE_OR_VERSIONS_REQUEST

    def handshake(self, mechanism: str, version: int) -> dict[str, Any]:
        """Return the answer to SaslHandshake."""
        self._bare_tokens = version == 0
        self._mechanism = mechanism
        offered = list(self._mechanisms)
        if mechanism not in offered:
            self._end(f"the SASL mechanism {shortened(mechanism)!r} is not offered")
            return {"error_code": CODE["UNSUPPORTED_SASL_MECHANISM"], "mechanisms": offered}
        if mechanism == PLAIN:
            self._exchange = PlainExchange(self._find_user)
        else:
            self._exchange = ScramExchange(mechanism, self._credential_for(mechanism))
        self._state = AUTHENTICATE
        return {"error_code": 0, "mechanisms": offered}

    def authenticate(self, token: bytes) -> Reply[Answer]:
        """Return the answer to SaslAuthenticate."""
        reply: Reply[Answer] = Reply()

        def refuse(failed: AuthenticationFailed) -> None:
            self._end(str(failed))
            told = failed.told or (
                f"Authentication failed during authentication due to invalid credentials with SASL mechanism "
                f"{self._mechanism}"
            )
            error = {"error_code": CODE["SASL_AUTHENTICATION_FAILED"], "error_message": told, "auth_bytes": b""}
            reply.set(error)

        def accept(answer: bytes) -> None:
            reply.set({"error_code": 0, "error_message": "", "auth_bytes": answer, "session_lifetime_ms": 0})

        self._take(token, accept, refuse)
        return reply

    def _take(
        self, token: bytes, accept: Callable[[bytes], None], refuse: Callable[[AuthenticationFailed], None]
    ) -> None:
        """Process one token: call `accept` with the answer, or `refuse` after the delay."""
        exchange = self._exchange
        assert exchange is not None

        def judge(outcome: Outcome) -> None:
            try:
                answer = outcome()
            except AuthenticationFailed as failure:
                self._state = FAILED
                self._door.later(partial(refuse, failure))
                return
            except Exception:
                logger.exception("a log-in by %s failed", self._mechanism)
                self._end("of an error in the sandbox")
                return
            if exchange.complete:
                self._state = COMPLETE
                self._admit()
            accept(answer)

        self._known = self._door.credentials()
        if exchange.slow:
            self._door.check(lambda: exchange.step(token), judge)
        else:
            judge(lambda: exchange.step(token))

    def _end(self, reason: str) -> None:
        self._state = FAILED
        self._fail(f"authentication failed: {reason}")

    def _credential_for(self, mechanism: str) -> Callable[[str], ScramCredential | None]:
        return lambda user: next((one for one in self._find_user(user) if one.mechanism == mechanism), None)

    def _find_user(self, user: str) -> Sequence[ScramCredential]:
        return [one for one in self._known if one.user == user]
