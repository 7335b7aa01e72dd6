"""Creates the answer that gives one error to a whole request, for any API.

If Kafka's answer has an error for each topic, partition or group, the answer repeats the request's entries and gives
each the error; otherwise the error is at the top level. The structure comes from the message definitions, so this works
for every API: for a turn that could not be committed, a broker that isn't the coordinator, and injected errors.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

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
