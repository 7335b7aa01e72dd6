"""FindCoordinator, key 10, versions 0 to 6.

Differs from a real broker: a group stays with its coordinator until that broker stops.
Left out: coordinators of share groups (INVALID_REQUEST).
"""

from sandbox.kafka.errors import BY_NAME, KafkaError
from sandbox.wire.node import Answer, Request

GROUP, TRANSACTION = 0, 1
BATCHED_SINCE = 4


def handle(request: Request) -> Answer:
    """Return the broker that coordinates each key."""
    body = request.body
    if request.version >= BATCHED_SINCE:
        return {"coordinators": [{"key": key, **_place(request, key)} for key in body.coordinator_keys]}
    return _place(request, body.key)


def _place(request: Request, key: str) -> dict[str, object]:
    error = _refusal(request.body.key_type)
    place = request.address(request.node.broker.cluster.coordinator(key))
    if error is None and place["node_id"] < 0:
        error = BY_NAME["COORDINATOR_NOT_AVAILABLE"]
    if error is not None:
        return {"error_code": error.code, "error_message": error.text, "node_id": -1, "host": "", "port": -1}
    # Apache Kafka 4.4 sends these two messages, never null.
    return {"error_code": 0, "error_message": "" if request.version >= BATCHED_SINCE else "NONE", **place}


def _refusal(key_type: int) -> KafkaError | None:
    return None if key_type in (GROUP, TRANSACTION) else BY_NAME["INVALID_REQUEST"]
