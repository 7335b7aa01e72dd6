"""UpdateFeatures, key 57, versions 0 to 2 (KIP-584, KIP-778).

Either all updates are applied or none: INVALID_UPDATE_VERSION at the top level, with the first reason.

Differs from a real broker: the levels are fixed. An update to a feature's current level is accepted.
"""

from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.wire.features import FEATURE
from sandbox.wire.node import Answer, Request

UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3
TYPES_SINCE = 1
RESULTS_UNTIL = 1


def handle(request: Request) -> Answer:
    """Check each update."""
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
