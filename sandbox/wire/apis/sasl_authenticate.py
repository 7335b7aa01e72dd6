"""SaslAuthenticate, key 36, versions 0 to 2 (KIP-152).

Differs from a real broker: see `sandbox.wire.auth.sasl`. On a listener without SASL, and on an authenticated
connection, the answer is ILLEGAL_SASL_STATE.
Left out: re-authentication (KIP-368); the session lifetime is 0, the default.
"""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Handled, Request


def handle(request: Request) -> Handled:
    """Process one token of the authentication."""
    if request.sasl is None or request.sasl.complete:
        return {
            "error_code": CODE["ILLEGAL_SASL_STATE"],
            "error_message": "SaslAuthenticate request received after successful authentication",
            "auth_bytes": b"",
        }
    return request.sasl.authenticate(bytes(request.body.auth_bytes))
