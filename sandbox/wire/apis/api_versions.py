"""ApiVersions, key 18, versions 0 to 5 (KIP-35, KIP-511, KIP-1242).

From version 3 a client sends the name and version of its library; invalid ones are answered with INVALID_REQUEST.
Differs from a real broker: nothing. An unsupported version is answered in version 0 with UNSUPPORTED_VERSION, by
`sandbox.wire.dispatch`, because the request can't be decoded. Produce is announced from version 0, like in Kafka 4
(KAFKA-18659): older librdkafka versions take a higher lowest version for a broker without compression. Because
`transaction.version` is 2, clients choose the transactions of KIP-890, in which a write adds its partition and every
end raises the epoch. Clients that don't check it use the older ones. Before version 4 a feature whose lowest version is
0 isn't in the answer (KAFKA-17011). From version 5 a client may name the cluster and the broker that it expects;
another one answers REBOOTSTRAP_REQUIRED.
Left out: features that only concern the communication between brokers.
"""

from sandbox.kafka.errors import CODE
from sandbox.wire.client_software import is_software
from sandbox.wire.features import FEATURES
from sandbox.wire.node import Answer, Request

SOFTWARE_SINCE = 3
FEATURES_FROM_0_SINCE = 4
UNKNOWN_NODE = -1


def handle(request: Request) -> Answer:
    """Return every API with its versions."""
    body = request.body
    if request.version >= SOFTWARE_SINCE and not is_software(body.client_software_name, body.client_software_version):
        if request.sasl is not None:
            request.sasl.versions_refused()
        return {"error_code": CODE["INVALID_REQUEST"], "api_keys": []}
    error = _misdirected(request)
    if error is not None:
        return {"error_code": CODE[error], "api_keys": []}
    least = 0 if request.version >= FEATURES_FROM_0_SINCE else 1
    return {
        "error_code": 0,
        "api_keys": request.node.advertised,
        "supported_features": [
            {"name": one.name, "min_version": one.first, "max_version": one.last}
            for one in FEATURES
            if one.first >= least
        ],
        "finalized_features_epoch": 0,
        "finalized_features": [
            {"name": one.name, "max_version_level": one.level, "min_version_level": one.level}
            for one in FEATURES
            if one.level
        ],
    }


def _misdirected(request: Request) -> str | None:
    """Return the error if the client expects another cluster or broker, or names only one of the two."""
    cluster_id, node_id, node = request.body.cluster_id, request.body.node_id, request.node
    if (cluster_id is None) != (node_id == UNKNOWN_NODE):
        return "INVALID_REQUEST"
    expects_another = cluster_id is not None and (cluster_id, node_id) != (node.broker.cluster_id, node.node_id)
    return "REBOOTSTRAP_REQUIRED" if expects_another else None
