"""CreateDelegationToken, key 38, versions 1 to 3 (KIP-48).

Differs from a real broker: nothing known. Delegation tokens are disabled: DELEGATION_TOKEN_AUTH_DISABLED, and, as in
Kafka, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED on a connection without SASL.
"""

from sandbox.wire.delegation_tokens import refusal
from sandbox.wire.node import Answer, Request

USER, ANONYMOUS = "User", "ANONYMOUS"


def handle(request: Request) -> Answer:
    """Refuse the request."""
    return {
        "error_code": refusal(request),
        "principal_type": USER,
        "principal_name": ANONYMOUS,
        "token_requester_principal_type": USER,
        "token_requester_principal_name": ANONYMOUS,
        "issue_timestamp_ms": -1,
        "expiry_timestamp_ms": -1,
        "max_timestamp_ms": -1,
        "token_id": "",
        "hmac": b"",
    }
