"""DescribeDelegationToken, key 41, versions 1 to 3 (KIP-48).

Delegation tokens are off. As Kafka does on a connection without authentication, which is looked at first, it answers
DELEGATION_TOKEN_REQUEST_NOT_ALLOWED.
"""

from sandbox.errors import CODE
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Refuse."""
    return {"error_code": CODE["DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"], "tokens": []}
