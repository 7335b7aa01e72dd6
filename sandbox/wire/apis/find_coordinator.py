"""FindCoordinator, key 10, versions 0 to 6.

Differs from a real broker: the one node coordinates every group.
Left out: coordinators of transactions, which the sandbox does not have yet (COORDINATOR_NOT_AVAILABLE), and of share
groups (INVALID_REQUEST).
"""

from sandbox.errors import BY_NAME, KafkaError
from sandbox.wire.node import Answer, Request

GROUP, TRANSACTION = 0, 1
BATCHED_SINCE = 4


def handle(request: Request) -> Answer:
    """Say which node coordinates each key."""
    body = request.body
    error = _refusal(body.key_type)
    if request.version >= BATCHED_SINCE:
        return {"coordinators": [{"key": key, **_place(request, error)} for key in body.coordinator_keys]}
    return _place(request, error)


def _refusal(key_type: int) -> KafkaError | None:
    if key_type == GROUP:
        return None
    return BY_NAME["COORDINATOR_NOT_AVAILABLE" if key_type == TRANSACTION else "INVALID_REQUEST"]


def _place(request: Request, error: KafkaError | None) -> dict[str, object]:
    if error is not None:
        return {"error_code": error.code, "error_message": error.text, "node_id": -1, "host": "", "port": -1}
    return {
        "error_code": 0,
        "error_message": None,
        "node_id": request.node.node_id,
        "host": request.host,
        "port": request.port,
    }
