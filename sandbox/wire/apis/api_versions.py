"""ApiVersions, key 18, versions 0 to 4 (KIP-35, KIP-511).

From version 3 a client sends the name and version of its library; invalid ones are answered with INVALID_REQUEST.
Differs from a real broker: nothing. An unsupported version is answered in version 0 with UNSUPPORTED_VERSION, by
`sandbox.wire.dispatch`, because the request can't be decoded. Produce is announced from version 0, like in Kafka 4
(KAFKA-18659): older librdkafka versions take a higher lowest version for a broker without compression. Of Kafka's
features, `transaction.version` is announced at 2: clients then choose the transactions of KIP-890, in which a write
adds its partition and every end raises the epoch. Clients that don't check it use the older ones.
Left out: features that only concern the communication between brokers.
"""

from sandbox.kafka.errors import CODE
from sandbox.wire.client_software import is_software
from sandbox.wire.features import FEATURES
from sandbox.wire.node import Answer, Request

SOFTWARE_SINCE = 3


def handle(request: Request) -> Answer:
    """Return every API with its versions."""
    body = request.body
    if request.version >= SOFTWARE_SINCE and not is_software(body.client_software_name, body.client_software_version):
        if request.sasl is not None:
            request.sasl.versions_refused()
        return {"error_code": CODE["INVALID_REQUEST"], "api_keys": []}
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
