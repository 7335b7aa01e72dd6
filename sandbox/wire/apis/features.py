"""Versions of APIs and features (KIP-35, KIP-511, KIP-584)."""

from typing import Any, NamedTuple

from sandbox.kafka.errors import CODE, BrokerError
from sandbox.wire.connection import is_software
from sandbox.wire.node import Answer, Request


class Feature(NamedTuple):
    """One feature.

    Attributes:
        first: the lowest supported version.
        last: the highest supported version.
        level: the version in effect; 0 if the feature is off.
    """

    name: str
    first: int
    last: int
    level: int


FEATURES = (
    Feature("eligible.leader.replicas.version", 0, 1, 1),
    Feature("group.version", 0, 1, 1),
    Feature("kraft.version", 0, 1, 0),
    Feature("metadata.version", 7, 33, 33),
    Feature("share.version", 0, 2, 2),
    Feature("streams.version", 0, 1, 0),
    Feature("transaction.version", 0, 2, 2),
)
"""The features of Apache Kafka 4.4. Two are off, because the quorum is fixed, and there are no streams groups."""
FEATURE = {feature.name: feature for feature in FEATURES}


SOFTWARE_SINCE = 3
FEATURES_FROM_0_SINCE = 4
UNKNOWN_NODE = -1


def api_versions(request: Request) -> Answer:
    """ApiVersions, key 18, versions 0 to 5 (KIP-35, KIP-511, KIP-1242).

    From version 3 a client sends the name and version of its library; invalid ones are answered with INVALID_REQUEST.
    Differs from a real broker: nothing. An unsupported version is answered in version 0 with UNSUPPORTED_VERSION, by
    `sandbox.wire.dispatch`, because the request can't be decoded. Produce is announced from version 0, like in Kafka 4
    (KAFKA-18659): older librdkafka versions take a higher lowest version for a broker without compression. Because
    `transaction.version` is 2, clients choose the transactions of KIP-890, in which a write adds its partition and
    every end raises the epoch. Clients that don't check it use the older ones. Before version 4 a feature whose lowest
    version is 0 isn't in the answer (KAFKA-17011). From version 5 a client may name the cluster and the broker that it
    expects; another one answers REBOOTSTRAP_REQUIRED.
    Left out: features that only concern the communication between brokers.
    """
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


UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3
TYPES_SINCE = 1
RESULTS_UNTIL = 1


def update_features(request: Request) -> Answer:
    """UpdateFeatures, key 57, versions 0 to 2 (KIP-584, KIP-778).

    Either all updates are applied or none: INVALID_UPDATE_VERSION at the top level, with the first reason.

    Differs from a real broker: the levels are fixed. An update to a feature's current level is accepted.
    """
    body = request.body
    try:
        for update in body.feature_updates:
            _check(request, update)
    except BrokerError as error:
        detail = f"The update failed for all features since the following feature had an error: {error.detail}"
        return {"error_code": error.code, "error_message": detail, "results": []}
    return {
        "error_code": 0,
        "error_message": None,
        "results": [
            {"feature": update.feature, "error_code": 0, "error_message": "NONE"} for update in body.feature_updates
        ]
        if request.version <= RESULTS_UNTIL
        else [],
    }


def _check(request: Request, update: Any) -> None:
    name, wanted = update.feature, update.max_version_level
    start = f"Invalid update version {wanted} for feature {name}."
    feature = FEATURE.get(name)
    kind = update.upgrade_type
    if request.version < TYPES_SINCE:
        kind = UNSAFE_DOWNGRADE if update.allow_downgrade else UPGRADE
    controller = request.node.broker.cluster.controller
    reason = None
    if feature is None:
        reason = f"Local controller {controller} does not support this feature."
    elif kind not in (UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE):
        reason = "The controller does not support the given upgrade type."
    elif not feature.first <= wanted <= feature.last:
        reason = f"Local controller {controller} only supports versions {feature.first}-{feature.last}"
    elif wanted < feature.level and kind == UPGRADE:
        reason = (
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe "
            "downgrade."
        )
    elif wanted != feature.level:
        reason = f"The sandbox has it at {feature.level}, always."
    if reason is not None:
        raise BrokerError("INVALID_UPDATE_VERSION", f"{start} {reason}")
