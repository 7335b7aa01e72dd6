"""The requests of a SASL log-in (KIP-43, KIP-152)."""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Handled, Request


def sasl_handshake(request: Request) -> Answer:
    """SaslHandshake, key 17, versions 0 and 1 (KIP-43).

    Differs from a real broker: nothing known. On a listener without SASL, and on an authenticated connection, the
    answer is ILLEGAL_SASL_STATE.
    Left out: GSSAPI and OAUTHBEARER (UNSUPPORTED_SASL_MECHANISM).
    """
    if request.sasl is None or request.sasl.complete:
        return {"error_code": CODE["ILLEGAL_SASL_STATE"], "mechanisms": []}
    return request.sasl.handshake(request.body.mechanism, request.version)


def sasl_authenticate(request: Request) -> Handled:
    """SaslAuthenticate, key 36, versions 0 to 2 (KIP-152).

    Differs from a real broker: see `sandbox.wire.auth.sasl`. On a listener without SASL, and on an authenticated
    connection, the answer is ILLEGAL_SASL_STATE.
    Left out: re-authentication (KIP-368); the session lifetime is 0, the default.
    """
    if request.sasl is None or request.sasl.complete:
        return {
            "error_code": CODE["ILLEGAL_SASL_STATE"],
            "error_message": "SaslAuthenticate request received after successful authentication",
            "auth_bytes": b"",
        }
    return request.sasl.authenticate(bytes(request.body.auth_bytes))
