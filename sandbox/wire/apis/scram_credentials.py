"""SCRAM credentials of users (KIP-554)."""

from collections import Counter
from typing import Any

from sandbox.broker.credentials import NUMBERS
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.node import Answer, Request


def describe_user_scram_credentials(request: Request) -> Answer:
    """DescribeUserScramCredentials, key 50, version 0 (KIP-554).

    Differs from a real broker: nothing known.
    """
    asked = Counter(one.name for one in request.body.users or ())
    known: dict[str, list[dict[str, Any]]] = {}
    for one in request.node.broker.credentials.all():
        known.setdefault(one.user, []).append({"mechanism": NUMBERS[one.mechanism], "iterations": one.iterations})
    return {
        "error_code": 0,
        "error_message": "",
        "results": [_describe(user, asked[user], known) for user in asked or known],
    }


def _describe(user: str, times: int, known: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    answer: dict[str, Any] = {"user": user, "error_code": 0, "error_message": "", "credential_infos": []}
    if times > 1:
        return answer | {
            "error_code": CODE["DUPLICATE_RESOURCE"],
            "error_message": f"Cannot describe SCRAM credentials for the same user twice in a single request: {user}",
        }
    if user not in known:
        return answer | {
            "error_code": CODE["RESOURCE_NOT_FOUND"],
            "error_message": f"Attempt to describe a user credential that does not exist: {user}",
        }
    return answer | {"credential_infos": known[user]}


def alter_user_scram_credentials(request: Request) -> Answer:
    """AlterUserScramCredentials, key 51, version 0 (KIP-554): stores or deletes a SCRAM credential for each user.

    Differs from a real broker: results are in the order of the request. An empty password is refused with
    UNACCEPTABLE_CREDENTIAL; Kafka fails.
    """
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
