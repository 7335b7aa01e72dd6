"""The server side of SCRAM, which verifies a password that is neither sent nor stored.

The server stores a salt, a number of iterations, and two keys derived from the salted password. The client sends its
user name and a nonce. The server answers with the salt, the iterations and an extended nonce. The client proves its
identity with an HMAC over these messages that requires the salted password; the server proves its identity in the same
way.

Source: RFC 5802 (SCRAM), RFC 7677 (SCRAM-SHA-256), KIP-84. As in Kafka: no channel binding, ASCII names, extensions are
ignored, passwords are not normalized.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable

from sandbox.broker.credentials import HASHES, keys
from sandbox.kafka.client_text import shortened
from sandbox.storage.resources import ScramCredential

OLD_CLIENT = " but begins with the client's own again, as librdkafka before 2.6.1 sends it: Kafka 4 refuses it too"

_SASLNAME = r"(?:[\x01-\x2b\x2d-\x3c\x3e-\x7f]|=2C|=3D)+"
_NONCE = r"[\x21-\x2b\x2d-\x7e]+"
_VALUE = r"[^\x00,]+"
_BASE64 = r"[a-zA-Z0-9/+]*={0,2}"
_CLIENT_FIRST = re.compile(
    rf"n,(?:a=(?P<authzid>{_SASLNAME}))?,"
    rf"(?P<bare>(?:m={_VALUE},)?n=(?P<name>{_SASLNAME}),r=(?P<nonce>{_NONCE})(?P<extensions>(?:,[A-Za-z]+={_VALUE})*))"
)
_CLIENT_FINAL = re.compile(
    rf"(?P<bare>c={_BASE64},r=(?P<nonce>{_NONCE})(?:,[A-Za-z]+={_VALUE})*),p=(?P<proof>{_BASE64})"
)


class AuthenticationFailed(Exception):
    """An authentication failed, or its message was invalid.

    Args:
        reason: the reason, for the log.
        told: the message for the client; None if it must only learn that the authentication failed.
    """

    def __init__(self, reason: str, told: str | None = None) -> None:
        super().__init__(reason)
        self.told = told


def salted_password(mechanism: str, password: str, salt: bytes, iterations: int) -> bytes:
    """Return the salted password hash from which the keys are derived (Hi in the RFC)."""
    return hashlib.pbkdf2_hmac(HASHES[mechanism], password.encode(), salt, iterations)


def is_password(credential: ScramCredential, password: str) -> bool:
    """Return True if a credential belongs to this password."""
    salted = salted_password(credential.mechanism, password, credential.salt, credential.iterations)
    return hmac.compare_digest(keys(credential.mechanism, salted)[0], credential.stored_key)


class ScramExchange:
    """One authentication: two messages from the client, two answers.

    Args:
        mechanism: "SCRAM-SHA-256" or "SCRAM-SHA-512".
        find: returns a user's credential, or None.
        nonce: returns the server's part of the nonce.

    Attributes:
        user: the authenticated user, once `complete`.
    """

    slow = False

    def __init__(
        self,
        mechanism: str,
        find: Callable[[str], ScramCredential | None],
        nonce: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self._mechanism = mechanism
        self._hash = HASHES[mechanism]
        self._find = find
        self._new_nonce = nonce
        self._credential: ScramCredential | None = None
        self._nonce = ""
        self._so_far = ""
        self.user = ""
        self.complete = False

    def step(self, token: bytes) -> bytes:
        """Process a client's message and return the answer.

        Raises:
            AuthenticationFailed: the message is invalid, or the user or the proof is wrong.
        """
        text = token.decode(errors="replace")
        if self._credential is None:
            return self._first(text).encode()
        return self._final(text, self._credential).encode()

    def _first(self, text: str) -> str:
        found = _CLIENT_FIRST.fullmatch(text)
        if found is None:
            raise AuthenticationFailed("the first message is not one of SCRAM without channel binding")
        if "tokenauth=true" in found["extensions"].split(","):
            raise AuthenticationFailed("delegation tokens are off")
        user = _unescaped(found["name"])
        credential = self._find(user)
        if credential is None:
            raise AuthenticationFailed(f"there is no user {shortened(user)!r} with {self._mechanism}")
        if found["authzid"] and _unescaped(found["authzid"]) != user:
            raise AuthenticationFailed(
                f"user {shortened(user)!r} asks to be somebody else",
                "Authentication failed: Client requested an authorization id that is different from username",
            )
        self._credential = credential
        self._nonce = found["nonce"] + self._new_nonce()
        salt = base64.b64encode(credential.salt).decode()
        answer = f"r={self._nonce},s={salt},i={credential.iterations}"
        self._so_far = f"{found['bare']},{answer}"
        return answer

    def _final(self, text: str, credential: ScramCredential) -> str:
        found = _CLIENT_FINAL.fullmatch(text)
        if found is None or self.complete:
            raise AuthenticationFailed("the final message is not one of SCRAM")
        if found["nonce"] != self._nonce:
            twice = found["nonce"].endswith(self._nonce)
            raise AuthenticationFailed("the nonce is not the one that was sent" + (OLD_CLIENT if twice else ""))
        signed = f"{self._so_far},{found['bare']}".encode()
        signature = hmac.digest(credential.stored_key, signed, self._hash)
        proof = _decoded(found["proof"])
        if len(proof) != len(signature):
            raise AuthenticationFailed("the proof has the wrong length")
        client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.new(self._hash, client_key).digest(), credential.stored_key):
            raise AuthenticationFailed(f"the password of user {credential.user!r} is wrong")
        self.user = credential.user
        self.complete = True
        return "v=" + base64.b64encode(hmac.digest(credential.server_key, signed, self._hash)).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise AuthenticationFailed("the proof is not base64") from None


def _unescaped(name: str) -> str:
    return name.replace("=2C", ",").replace("=3D", "=")
