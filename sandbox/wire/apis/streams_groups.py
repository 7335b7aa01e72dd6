"""Streams groups (KIP-1071), which are left out: their APIs are announced, and refused like by Apache Kafka."""

from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Answer, Request
from sandbox.wire.refusals import refuse

REASON = "This broker has no streams groups: the streams.version feature is 0. Use group.protocol=classic."


def streams_group_heartbeat(request: Request) -> Answer:
    """StreamsGroupHeartbeat, key 88, versions 0 and 1 (KIP-1071).

    Differs from a real broker: streams groups are left out. Every request is refused with UNSUPPORTED_VERSION, like by
    Apache Kafka with `streams.version` 0, and with the reason. Kafka Streams works with its classic protocol.
    """
    return refuse(request, BrokerError("UNSUPPORTED_VERSION", REASON))


def streams_group_describe(request: Request) -> Answer:
    """StreamsGroupDescribe, key 89, versions 0 and 1 (KIP-1071).

    Differs from a real broker: as StreamsGroupHeartbeat.
    """
    return refuse(request, BrokerError("UNSUPPORTED_VERSION", REASON))


def streams_group_topology_description_update(request: Request) -> Answer:
    """StreamsGroupTopologyDescriptionUpdate, key 93, version 0 (KIP-1071).

    Differs from a real broker: as StreamsGroupHeartbeat.
    """
    return refuse(request, BrokerError("UNSUPPORTED_VERSION", REASON))
