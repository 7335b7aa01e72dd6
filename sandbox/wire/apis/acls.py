"""ACLs (KIP-11). There is no authorizer, like Kafka without one."""

from sandbox.kafka.errors import CODE
from sandbox.wire.node import Answer, Request


def describe_acls(request: Request) -> Answer:
    """DescribeAcls, key 29, versions 1 to 3.

    Differs from a real broker: nothing known. There is no authorizer: SECURITY_DISABLED, like Kafka without one.
    """
    return {
        "error_code": CODE["SECURITY_DISABLED"],
        "error_message": "No Authorizer is configured on the broker",
        "resources": [],
    }


def create_acls(request: Request) -> Answer:
    """CreateAcls, key 30, versions 1 to 3.

    Differs from a real broker: nothing known. There is no authorizer: SECURITY_DISABLED, like Kafka without one.
    """
    refused = {"error_code": CODE["SECURITY_DISABLED"], "error_message": "No Authorizer is configured."}
    return {"results": [refused for _ in request.body.creations]}


def delete_acls(request: Request) -> Answer:
    """DeleteAcls, key 31, versions 1 to 3.

    Differs from a real broker: nothing known. There is no authorizer: SECURITY_DISABLED, like Kafka without one.
    """
    refused = {"error_code": CODE["SECURITY_DISABLED"], "error_message": "No Authorizer is configured."}
    return {"filter_results": [refused | {"matching_acls": []} for _ in request.body.filters]}
