"""CreateDelegationToken, key 38, versions 1 to 3 (KIP-48).

Delegation tokens are off. As Kafka does on a connection without authentication, which is looked at first, it answers
DELEGATION_TOKEN_REQUEST_NOT_ALLOWED.
"""

from sandbox.errors import CODE
from sandbox.wire.node import Answer, Request

USER, ANONYMOUS = "User", "ANONYMOUS"


def handle(request: Request) -> Answer:
    """Refuse."""
    return {
        "error_code": CODE["DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"],
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
