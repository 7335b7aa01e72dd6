"""DescribeClientQuotas, key 48, versions 0 and 1 (KIP-546).

Differs from a real broker: quotas are stored and described, but not enforced.
"""

from sandbox.broker.quotas import Component
from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Return the quotas of the matching entities."""
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
