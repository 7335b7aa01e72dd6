"""SaslHandshake, key 17, versions 0 and 1 (KIP-43).

Differs from a real broker: nothing known. On a listener without SASL, and on an authenticated connection, the answer is
ILLEGAL_SASL_STATE.
Left out: GSSAPI and OAUTHBEARER (UNSUPPORTED_SASL_MECHANISM).
"""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Start the authentication with a mechanism."""
    if request.sasl is None or request.sasl.complete:
        return {"error_code": CODE["ILLEGAL_SASL_STATE"], "mechanisms": []}
    return request.sasl.handshake(request.body.mechanism, request.version)
