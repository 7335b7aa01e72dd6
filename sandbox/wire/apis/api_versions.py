"""ApiVersions, key 18, versions 0 to 4 (KIP-35, KIP-511).

Differs from a real broker: nothing. A version that is not supported is answered in version 0 with UNSUPPORTED_VERSION,
which `sandbox.wire.connection` does, because nothing of the request can be read. Produce is announced from version 0,
as Kafka 4 does (KAFKA-18659): older librdkafka takes a higher floor for a broker without compression.
Left out: features, of which the sandbox has none to negotiate.
"""

from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Name every API with its versions."""
    return {"error_code": 0, "api_keys": request.node.advertised, "finalized_features_epoch": 0}
