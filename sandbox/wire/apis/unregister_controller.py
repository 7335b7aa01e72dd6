"""UnregisterController, key 94, version 0.

Differs from a real broker: every broker is a controller, and stays registered.
"""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Refuse the request."""
    cluster, controller = request.node.broker.cluster, request.body.controller_id
    if controller == cluster.controller:
        error = BrokerError("INVALID_REQUEST", "Controller cannot unregister itself while it is active.")
    elif controller in cluster.ids:
        error = BrokerError(
            "INVALID_REQUEST", f"Controller {controller} is simulated by this sandbox and stays registered."
        )
    else:
        error = BrokerError("CONTROLLER_ID_NOT_REGISTERED", f"Controller ID {controller} is not currently registered.")
    return {"error_code": error.code, "error_message": error.detail}
