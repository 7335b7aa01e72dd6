"""UnregisterBroker, key 64, version 0 (KIP-631).

Differs from a real broker: the brokers are those that the sandbox was started with, so a known one stays registered:
INVALID_REQUEST.
"""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Refuse."""
    broker = request.body.broker_id
    if broker in request.node.broker.cluster.ids:
        error = BrokerError("INVALID_REQUEST", f"Broker {broker} is played by this sandbox and stays registered.")
    else:
        error = BrokerError("BROKER_ID_NOT_REGISTERED", f"Broker ID {broker} is not currently registered")
    return {"error_code": error.code, "error_message": error.detail}
