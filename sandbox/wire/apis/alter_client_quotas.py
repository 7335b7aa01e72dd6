"""AlterClientQuotas, key 49, versions 0 and 1 (KIP-546).

Differs from a real broker: quotas are stored and described, but not enforced. Host names are not resolved.
"""

from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Set or remove the quotas of each entity."""
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
