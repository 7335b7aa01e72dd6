"""Refuses requests: finds those that their API must not see, and creates answers with one error."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from sandbox.kafka.client_text import NAME_CHARACTERS_MAX
from sandbox.kafka.errors import BrokerError
from sandbox.wire.messages.schemas import schemas
from sandbox.wire.node import Answer, Request

FETCH, METADATA = 1, 3
ERROR_CODES = ("error_code", "partition_error_code")
"""Fields for the error; AddPartitionsToTxn has the second."""
UNKNOWN = (
    "base_offset",
    "high_watermark",
    "last_stable_offset",
    "log_start_offset",
    "log_append_time_ms",
    "offset",
    "timestamp",
    "end_offset",
    "committed_offset",
    "node_id",
    "port",
    "producer_id",
    "producer_epoch",
    "generation_id",
)
"""Numbers for which -1 means "none", although the definition has no default."""
SAME = {"partition_index": ("partition", "index"), "partition": ("partition_index",), "index": ("partition_index",)}
"""Fields with different names in a request and its answer."""


def refuse(request: Request, error: BrokerError) -> Answer:
    """Return the answer that gives `error` to everything in the request."""
    fields = schemas()[str(request.key)]["response"]["fields"]
    answer, mirrored = _struct(fields, request.body, error)
    if mirrored and request.key in (FETCH, METADATA):
        answer.pop("error_code", None)
    return answer


def _struct(fields: Iterable[dict[str, Any]], asked: Any, error: BrokerError) -> tuple[dict[str, Any], bool]:
    """Return one struct of the answer, and True if it repeats entries of the request."""
    answer: dict[str, Any] = {}
    mirrored = False
    for field in fields:
        name = field["name"]
        if name in ERROR_CODES:
            answer[name] = error.code
        elif name == "error_message":
            answer[name] = error.detail
        elif name in UNKNOWN and "default" not in field:
            answer[name] = -1
        elif field["type"] == "[]struct" and _carries_errors(field):
            answer[name] = [_struct(field["fields"], one, error)[0] for one in _asked(asked, name)]
            mirrored = mirrored or bool(answer[name])
        elif "fields" not in field:
            _copy(answer, field, asked)
    return answer, mirrored


def _carries_errors(field: dict[str, Any]) -> bool:
    return any(one["name"] in ERROR_CODES or ("fields" in one and _carries_errors(one)) for one in field["fields"])


def _asked(asked: Any, name: str) -> list[Any]:
    """Return the request's array that an array of the answer repeats: the one with that name, or the first non-empty
    one.
    """
    if not isinstance(asked, SimpleNamespace):
        return []
    arrays = {key: found for key, found in vars(asked).items() if isinstance(found, list)}
    if arrays.get(name):
        return arrays[name]
    return next((found for found in arrays.values() if found), [])


def _copy(answer: dict[str, Any], field: dict[str, Any], asked: Any) -> None:
    name = field["name"]
    if isinstance(asked, SimpleNamespace):
        for same in (name, *SAME.get(name, ())):
            if hasattr(asked, same):
                found = getattr(asked, same)
                if not isinstance(found, list | SimpleNamespace):
                    answer[name] = found
                return
    elif field["type"] in ("string", "int32") and not any(key for key in answer if not key.startswith("error")):
        answer[name] = asked


Names = Iterable[tuple[str, str | None]]
"""Each name's label in messages, and the name that the client sent."""


def _group(body: SimpleNamespace) -> Names:
    return (("group id", body.group_id),)


def _transaction(body: SimpleNamespace) -> Names:
    return (("transactional id", body.transactional_id),)


def _join(body: SimpleNamespace) -> Names:
    yield "group id", body.group_id
    yield "member id", body.member_id
    yield "instance id", body.group_instance_id
    yield "protocol type", body.protocol_type
    for protocol in body.protocols:
        yield "protocol name", protocol.name


def _heartbeat(body: SimpleNamespace) -> Names:
    yield "group id", body.group_id
    yield "member id", body.member_id
    yield "instance id", body.instance_id
    yield "rack", body.rack_id
    yield "assignor", body.server_assignor


def _share_heartbeat(body: SimpleNamespace) -> Names:
    yield "group id", body.group_id
    yield "member id", body.member_id
    yield "rack", body.rack_id


def _resources(body: SimpleNamespace) -> Names:
    return [("resource name", resource.resource_name) for resource in body.resources]


NAMES: dict[int, Callable[[SimpleNamespace], Names]] = {
    8: _group,
    11: _join,
    22: _transaction,
    28: _group,
    33: _resources,
    44: _resources,
    49: lambda body: [("entity name", one.entity_name) for entry in body.entries for one in entry.entity],
    51: lambda body: [("user name", one.name) for one in body.upsertions],
    68: _heartbeat,
    76: _share_heartbeat,
}
"""API key to a function that returns a request's names."""


def too_long(request: Request) -> BrokerError | None:
    """Return the error for a request with a too long name, or None."""
    names = NAMES.get(request.key)
    if names is None:
        return None
    for what, name in names(request.body):
        if name is not None and len(name) > NAME_CHARACTERS_MAX:
            error = "INVALID_GROUP_ID" if what == "group id" else "INVALID_REQUEST"
            return BrokerError(
                error, f"The {what} has {len(name)} characters; the sandbox takes at most {NAME_CHARACTERS_MAX}."
            )
    return None


def _coordinated_group(body: SimpleNamespace) -> list[str]:
    return [body.group_id]


def _coordinated_transaction(body: SimpleNamespace) -> list[str]:
    return [] if body.transactional_id is None else [body.transactional_id]


KEYS: dict[int, Callable[[SimpleNamespace], list[str]]] = {
    8: _coordinated_group,
    9: lambda body: [group.group_id for group in body.groups] or [body.group_id],
    11: _coordinated_group,
    12: _coordinated_group,
    13: _coordinated_group,
    14: _coordinated_group,
    15: lambda body: list(body.groups),
    22: _coordinated_transaction,
    24: lambda body: [
        *(one.transactional_id for one in body.transactions),
        *([body.v3_and_below_transactional_id] if body.v3_and_below_transactional_id else []),
    ],
    25: _coordinated_transaction,
    26: _coordinated_transaction,
    28: _coordinated_group,
    42: lambda body: list(body.groups_names),
    47: _coordinated_group,
    65: lambda body: list(body.transactional_ids),
    68: _coordinated_group,
    69: lambda body: list(body.group_ids),
    76: _coordinated_group,
    77: lambda body: list(body.group_ids),
    90: lambda body: [group.group_id for group in body.groups],
    91: _coordinated_group,
    92: _coordinated_group,
}
"""API key to a function that returns the groups or transactional ids in a request."""


READING = frozenset(
    (1, 2, 3, 9, 10, 15, 16, 17, 18, 23, 29, 32, 35, 36, 41, 46, 48, 50, 55, 60, 61, 65, 66, 69, 74, 75, 77, 90)
)
"""Fetch, ListOffsets, Metadata, OffsetFetch, FindCoordinator, ApiVersions, SASL, and the List and Describe APIs."""
OF_TOPICS = frozenset((0, 19, 20, 21, 24, 37))
OF_GROUPS = frozenset((8, 11, 12, 13, 14, 28, 42, 47, 68, 76, 78, 79, 91, 92))
OF_TRANSACTIONS = frozenset((25, 26))
INIT_PRODUCER_ID, ALTER_CONFIGS, INCREMENTAL_ALTER_CONFIGS = 22, 33, 44
TOPIC_RESOURCE = 2
WHY = "This sandbox was opened read-only."


def refused(request: Request) -> BrokerError | None:
    """Return the error for a request to a read-only sandbox, or None if the request only reads."""
    return None if request.key in READING else BrokerError(_error(request), WHY)


def _error(request: Request) -> str:
    key, body = request.key, request.body
    if key in (ALTER_CONFIGS, INCREMENTAL_ALTER_CONFIGS):
        topics_alone = all(one.resource_type == TOPIC_RESOURCE for one in body.resources)
        return "TOPIC_AUTHORIZATION_FAILED" if topics_alone else "CLUSTER_AUTHORIZATION_FAILED"
    if key in OF_TOPICS:
        return "TOPIC_AUTHORIZATION_FAILED"
    if key in OF_GROUPS:
        return "GROUP_AUTHORIZATION_FAILED"
    if key in OF_TRANSACTIONS or (key == INIT_PRODUCER_ID and body.transactional_id is not None):
        return "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
    return "CLUSTER_AUTHORIZATION_FAILED"
