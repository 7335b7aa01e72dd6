"""Refuses delegation tokens (KIP-48), which are disabled. Only an authenticated client gets that reason."""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Request


def refusal(request: Request) -> int:
    """Return the error. Like Kafka, it depends first on authentication, then on tokens being enabled."""
    authenticated = request.sasl is not None and request.sasl.complete
    return CODE["DELEGATION_TOKEN_AUTH_DISABLED" if authenticated else "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"]
