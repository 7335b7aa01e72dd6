"""UnregisterBroker, key 64, version 0 (KIP-631).

Differs from a real broker: the brokers are fixed when the sandbox starts, so an existing one stays registered:
INVALID_REQUEST.
"""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Refuse the request."""
    broker = request.body.broker_id
    if broker in request.node.broker.cluster.ids:
        error = BrokerError("INVALID_REQUEST", f"Broker {broker} is simulated by this sandbox and stays registered.")
    else:
        error = BrokerError("BROKER_ID_NOT_REGISTERED", f"Broker ID {broker} is not currently registered")
    return {"error_code": error.code, "error_message": error.detail}
