"""DescribeUserScramCredentials, key 50, version 0 (KIP-554).

Differs from a real broker: nothing known.
"""

from collections import Counter
from typing import Any

from sandbox.broker.credentials import NUMBERS
from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Return the mechanism and iterations of the named users, or of all."""
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
