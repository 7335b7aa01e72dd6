"""AlterUserScramCredentials, key 51, version 0 (KIP-554): stores or deletes a SCRAM credential for each user.

Differs from a real broker: results are in the order of the request. An empty password is refused with
UNACCEPTABLE_CREDENTIAL; Kafka fails.
"""

from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Store or delete the credentials of each user."""
    changes: dict[str, tuple[list[Any], list[Any]]] = {}
    for one in request.body.deletions:
        changes.setdefault(one.name, ([], []))[0].append(one)
    for one in request.body.upsertions:
        changes.setdefault(one.name, ([], []))[1].append(one)
    return {"results": [_alter(request, user, *of_user) for user, of_user in changes.items()]}


def _alter(request: Request, user: str, deletions: list[Any], upsertions: list[Any]) -> Answer:
    credentials = request.node.broker.credentials
    try:
        if len(deletions) + len(upsertions) > 1:
            raise BrokerError("DUPLICATE_RESOURCE", "A user credential cannot be altered twice in the same request")
        for one in deletions:
            credentials.check_deletion(user, one.mechanism)
            credentials.delete(user, one.mechanism)
        for one in upsertions:
            credentials.check_upsertion(user, one.mechanism, one.iterations, bytes(one.salted_password))
            credentials.upsert(user, one.mechanism, one.iterations, bytes(one.salt), bytes(one.salted_password))
    except BrokerError as error:
        return {"user": user, "error_code": error.code, "error_message": error.detail}
    return {"user": user, "error_code": 0, "error_message": None}
