"""Refuses Kafka requests that change a read-only sandbox. Clients have the rights of a user with READ and DESCRIBE
ACLs.

Every other request gets the error of Kafka's authorizer. Differs from such ACLs: clients can't join a group or commit
offsets, because members and commits are rows of the file. So a consumer must use `assign`; one that subscribes gets
GROUP_AUTHORIZATION_FAILED.
"""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Request

READING = frozenset(
    (1, 2, 3, 9, 10, 15, 16, 17, 18, 23, 29, 32, 35, 36, 41, 46, 48, 50, 55, 60, 61, 65, 66, 69, 74, 75, 77, 90)
)
"""Fetch, ListOffsets, Metadata, OffsetFetch, FindCoordinator, ApiVersions, SASL, and the List and Describe APIs."""
OF_TOPICS = frozenset((0, 19, 20, 21, 24, 37))
OF_GROUPS = frozenset((8, 11, 12, 13, 14, 28, 42, 47, 68, 76, 78, 79, 91, 92))
OF_TRANSACTIONS = frozenset((25, 26))
INIT_PRODUCER_ID, ALTER_CONFIGS, INCREMENTAL_ALTER_CONFIGS = 22, 33, 44
TOPIC_RESOURCE = 2
WHY = "This sandbox was opened read-only."


def refused(request: Request) -> BrokerError | None:
    """Return the error for a request to a read-only sandbox, or None if the request only reads."""
    return None if request.key in READING else BrokerError(_error(request), WHY)


def _error(request: Request) -> str:
    key, body = request.key, request.body
    if key in (ALTER_CONFIGS, INCREMENTAL_ALTER_CONFIGS):
        topics_alone = all(one.resource_type == TOPIC_RESOURCE for one in body.resources)
        return "TOPIC_AUTHORIZATION_FAILED" if topics_alone else "CLUSTER_AUTHORIZATION_FAILED"
    if key in OF_TOPICS:
        return "TOPIC_AUTHORIZATION_FAILED"
    if key in OF_GROUPS:
        return "GROUP_AUTHORIZATION_FAILED"
    if key in OF_TRANSACTIONS or (key == INIT_PRODUCER_ID and body.transactional_id is not None):
        return "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
    return "CLUSTER_AUTHORIZATION_FAILED"
