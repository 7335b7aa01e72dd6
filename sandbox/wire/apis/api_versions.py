"""ApiVersions, key 18, versions 0 to 4 (KIP-35, KIP-511).

Differs from a real broker: nothing. A version that is not supported is answered in version 0 with UNSUPPORTED_VERSION,
which `sandbox.wire.connection` does, because nothing of the request can be read. Produce is announced from version 0,
as Kafka 4 does (KAFKA-18659): older librdkafka takes a higher floor for a broker without compression. Of Kafka's
features `transaction.version` is announced, at 2: by it clients choose the transactions of KIP-890, in which a write
makes its partition take part and every end raises the epoch. Those that do not look for it use the older ones.
Left out: the features that only concern how brokers work together.
"""

from sandbox.wire.features import FEATURES
from sandbox.wire.node import Answer, Request


def handle(request: Request) -> Answer:
    """Name every API with its versions."""
    return {
        "error_code": 0,
        "api_keys": request.node.advertised,
        "supported_features": [
            {"name": one.name, "min_version": one.first, "max_version": one.last} for one in FEATURES
        ],
        "finalized_features_epoch": 0,
        "finalized_features": [
            {"name": one.name, "max_version_level": one.level, "min_version_level": one.level} for one in FEATURES
        ],
    }
