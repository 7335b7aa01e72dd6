"""ExpireDelegationToken, key 40, versions 1 and 2 (KIP-48).

Differs from a real broker: nothing known. Delegation tokens are disabled: DELEGATION_TOKEN_AUTH_DISABLED, and, as in
Kafka, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED on a connection without SASL.
"""

from sandbox.wire.delegation_tokens import refusal
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Refuse the request."""
    return {"error_code": refusal(request), "expiry_timestamp_ms": -1}
