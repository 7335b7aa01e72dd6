"""Why delegation tokens are refused (KIP-48): they are off, and who asks must have logged in first to be told so."""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Request


def refusal(request: Request) -> int:
    """The error: Kafka looks first whether the connection is authenticated, then whether tokens are on."""
    authenticated = request.sasl is not None and request.sasl.complete
    return CODE["DELEGATION_TOKEN_AUTH_DISABLED" if authenticated else "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"]
