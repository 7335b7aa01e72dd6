"""Groups of every kind, and their coordinators."""

from sandbox.kafka.errors import BY_NAME, CODE, MALFORMED, NOT_AVAILABLE, KafkaError
from sandbox.wire.node import Answer, Request

GROUP, TRANSACTION, SHARE = 0, 1, 2
BATCHED_SINCE = 4


def find_coordinator(request: Request) -> Answer:
    """FindCoordinator, key 10, versions 0 to 6.

    Differs from a real broker: a group stays with its coordinator until that broker stops.
    Left out: coordinators of share groups (INVALID_REQUEST).
    """
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
        return {"error_code": error.code, "error_message": _text(request, error), "node_id": -1, "host": "", "port": -1}
    # Apache Kafka 4.4 sends these two messages, never null.
    return {"error_code": 0, "error_message": "" if request.version >= BATCHED_SINCE else "NONE", **place}


def _text(request: Request, error: KafkaError) -> str:
    """Return Apache Kafka 4.4's text. Since version 4 only a key type that does not exist has one."""
    if request.version >= BATCHED_SINCE and request.body.key_type in (GROUP, TRANSACTION, SHARE):
        return ""
    return MALFORMED if error.name == "INVALID_REQUEST" else NOT_AVAILABLE


def _refusal(key_type: int) -> KafkaError | None:
    return None if key_type in (GROUP, TRANSACTION) else BY_NAME["INVALID_REQUEST"]


def list_groups(request: Request) -> Answer:
    """ListGroups, key 16, versions 0 to 5 (KIP-518, KIP-848).

    A broker lists only the groups that it coordinates; clients ask every broker and combine the answers.

    Differs from a real broker: nothing known.
    Shown by: `tests/wire/test_group_listing.py`.
    """
    cluster = request.node.broker.cluster
    groups = request.node.coordinator.list(request.body.states_filter, request.body.types_filter)
    return {
        "error_code": 0,
        "groups": [
            {
                "group_id": one.group,
                "protocol_type": one.protocol_type,
                "group_state": one.state,
                "group_type": one.type,
            }
            for one in groups
            if cluster.coordinator(one.group) == request.node.node_id
        ],
    }


def delete_groups(request: Request) -> Answer:
    """DeleteGroups, key 42, versions 0 to 3 (KIP-229).

    From version 3 an answer may have a message; as in Kafka, it is null for a group that has members or doesn't exist.

    Differs from a real broker: nothing known.
    """
    node = request.node
    return {
        "results": [
            {"group_id": group, "error_code": CODE[node.coordinator.delete(group, node.now_ms())]}
            for group in dict.fromkeys(request.body.groups_names)
        ]
    }
