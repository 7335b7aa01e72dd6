"""Delegation tokens (KIP-48), which are disabled. Only an authenticated client gets that reason."""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request


def refusal(request: Request) -> int:
    """Return the error. Like Kafka, it depends first on authentication, then on tokens being enabled."""
    authenticated = request.sasl is not None and request.sasl.complete
    return CODE["DELEGATION_TOKEN_AUTH_DISABLED" if authenticated else "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"]


USER, ANONYMOUS = "User", "ANONYMOUS"


def create_delegation_token(request: Request) -> Answer:
    """CreateDelegationToken, key 38, versions 1 to 3 (KIP-48).

    Differs from a real broker: nothing known. Delegation tokens are disabled: DELEGATION_TOKEN_AUTH_DISABLED, and, as
    in Kafka, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED on a connection without SASL.
    """
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


def renew_delegation_token(request: Request) -> Answer:
    """RenewDelegationToken, key 39, versions 1 and 2 (KIP-48).

    Differs from a real broker: nothing known. Delegation tokens are disabled: DELEGATION_TOKEN_AUTH_DISABLED, and, as
    in Kafka, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED on a connection without SASL.
    """
    return {"error_code": refusal(request), "expiry_timestamp_ms": -1}


def expire_delegation_token(request: Request) -> Answer:
    """ExpireDelegationToken, key 40, versions 1 and 2 (KIP-48).

    Differs from a real broker: nothing known. Delegation tokens are disabled: DELEGATION_TOKEN_AUTH_DISABLED, and, as
    in Kafka, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED on a connection without SASL.
    """
    return {"error_code": refusal(request), "expiry_timestamp_ms": -1}


def describe_delegation_token(request: Request) -> Answer:
    """DescribeDelegationToken, key 41, versions 1 to 3 (KIP-48).

    Differs from a real broker: nothing known. Delegation tokens are disabled: DELEGATION_TOKEN_AUTH_DISABLED, and, as
    in Kafka, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED on a connection without SASL.
    """
    return {"error_code": refusal(request), "tokens": []}
