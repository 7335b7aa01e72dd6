"""ListConfigResources, key 74, versions 0 and 1 (KIP-1142, KIP-714): the resources that have settings.

Version 0 lists only client metrics subscriptions.
Differs from a real broker: a group whose last setting was removed is no longer listed.
"""

from typing import Any

from sandbox.kafka.broker_config import CLIENT_METRICS, GROUP
from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request

TOPIC_TYPE, BROKER_TYPE, LOGGER_TYPE, CLIENT_METRICS_TYPE, GROUP_TYPE = 2, 4, 8, 16, 32
TYPES = (GROUP_TYPE, CLIENT_METRICS_TYPE, LOGGER_TYPE, BROKER_TYPE, TOPIC_TYPE)
TYPES_SINCE = 1


def handle(request: Request) -> Answer:
    """Return the resources of the requested types, or of all types."""
    wanted = (request.body.resource_types or TYPES) if request.version >= TYPES_SINCE else (CLIENT_METRICS_TYPE,)
    if not set(wanted) <= set(TYPES):
        return {"error_code": CODE["UNSUPPORTED_VERSION"], "config_resources": []}
    return {
        "error_code": 0,
        "config_resources": [one for kind in TYPES if kind in wanted for one in _list(request, kind)],
    }


def _list(request: Request, kind: int) -> list[dict[str, Any]]:
    broker = request.node.broker
    if kind == TOPIC_TYPE:
        names = sorted({*broker.topics, *(topic.name for topic in request.node.internal.listed())})
    elif kind == GROUP_TYPE:
        names = broker.resources.names(GROUP)
    elif kind == CLIENT_METRICS_TYPE:
        names = broker.resources.names(CLIENT_METRICS)
    else:
        names = [str(one) for one in broker.cluster.up]
    return [{"resource_name": name, "resource_type": kind} for name in names]
