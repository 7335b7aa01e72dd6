"""Client quotas (KIP-546)."""

from typing import Any

from sandbox.broker.quotas import Component
from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def describe_client_quotas(request: Request) -> Answer:
    """DescribeClientQuotas, key 48, versions 0 and 1 (KIP-546).

    Differs from a real broker: quotas are stored and described, but not enforced.
    """
    body = request.body
    components = [Component(one.entity_type, one.match_type, one.match) for one in body.components]
    try:
        found = request.node.broker.quotas.describe(components, body.strict)
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail, "entries": None}
    return {
        "error_code": 0,
        "error_message": "",
        "entries": [
            {
                "entity": [{"entity_type": kind, "entity_name": name} for kind, name in entity],
                "values": [{"key": name, "value": value} for name, value in quotas.items()],
            }
            for entity, quotas in found
        ],
    }


def alter_client_quotas(request: Request) -> Answer:
    """AlterClientQuotas, key 49, versions 0 and 1 (KIP-546).

    Differs from a real broker: quotas are stored and described, but not enforced. Host names are not resolved.
    """
    return {"entries": [_alter(request, entry) for entry in request.body.entries]}


def _alter(request: Request, entry: Any) -> Answer:
    quotas = request.node.broker.quotas
    # Sorted by type like Kafka's answer: client-id comes before user.
    named = {one.entity_type: one.entity_name for one in sorted(entry.entity, key=lambda one: one.entity_type)}
    answer = {"entity": [{"entity_type": kind, "entity_name": name} for kind, name in named.items()]}
    changes = [(one.key, None if one.remove else one.value) for one in entry.ops]
    try:
        entity = quotas.alter([(one.entity_type, one.entity_name) for one in entry.entity], changes)
        if not request.body.validate_only:
            quotas.save(entity, changes)
    except BrokerError as error:
        return answer | {"error_code": error.code, "error_message": error.detail}
    return answer | {"error_code": 0, "error_message": None}
