"""SaslAuthenticate, key 36, versions 0 to 2 (KIP-152).

Differs from a real broker: what `sandbox.wire.auth.sasl` says. On a listener without SASL, and after the log-in, it is
ILLEGAL_SASL_STATE.
Left out: re-authentication (KIP-368); the session lifetime is 0, as by default.
"""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Handled, Request


def handle(request: Request) -> Handled:
    """Take one token of the log-in."""
    if request.sasl is None or request.sasl.complete:
        return {
            "error_code": CODE["ILLEGAL_SASL_STATE"],
            "error_message": "SaslAuthenticate request received after successful authentication",
            "auth_bytes": b"",
        }
    return request.sasl.authenticate(bytes(request.body.auth_bytes))
