"""The one table of APIs. Everything that lists them reads it."""

from typing import NamedTuple

from sandbox.wire.apis import (
    alter_configs,
    api_versions,
    create_partitions,
    create_topics,
    delete_groups,
    delete_topics,
    describe_cluster,
    describe_configs,
    describe_groups,
    fetch,
    find_coordinator,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_groups,
    list_offsets,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sync_group,
)
from sandbox.wire.messages import api_name
from sandbox.wire.node import Handler

PRODUCE = 0


class Api(NamedTuple):
    """One API.

    Attributes:
        first: the lowest version that is served.
        last: the highest one.
    """

    key: int
    first: int
    last: int
    handle: Handler

    @property
    def name(self) -> str:
        """Kafka's name of it."""
        return api_name(self.key)


APIS = (
    Api(PRODUCE, 3, 13, produce.handle),
    Api(1, 4, 18, fetch.handle),
    Api(2, 1, 11, list_offsets.handle),
    Api(3, 0, 13, metadata.handle),
    Api(8, 2, 10, offset_commit.handle),
    Api(9, 1, 10, offset_fetch.handle),
    Api(10, 0, 6, find_coordinator.handle),
    Api(11, 0, 9, join_group.handle),
    Api(12, 0, 4, heartbeat.handle),
    Api(13, 0, 5, leave_group.handle),
    Api(14, 0, 5, sync_group.handle),
    Api(15, 0, 6, describe_groups.handle),
    Api(16, 0, 5, list_groups.handle),
    Api(18, 0, 4, api_versions.handle),
    Api(19, 2, 7, create_topics.handle),
    Api(20, 1, 6, delete_topics.handle),
    Api(22, 0, 6, init_producer_id.handle),
    Api(23, 2, 4, offset_for_leader_epoch.handle),
    Api(32, 1, 4, describe_configs.handle),
    Api(33, 0, 2, alter_configs.handle),
    Api(37, 0, 3, create_partitions.handle),
    Api(42, 0, 2, delete_groups.handle),
    Api(44, 0, 1, incremental_alter_configs.handle),
    Api(47, 0, 0, offset_delete.handle),
    Api(60, 0, 2, describe_cluster.handle),
)

API_BY_KEY = {api.key: api for api in APIS}

ANNOUNCED_FROM = {PRODUCE: 0}
"""Where another floor is announced than is served (KAFKA-18659)."""


def advertised() -> list[dict[str, int]]:
    """What ApiVersions answers."""
    return [
        {"api_key": api.key, "min_version": ANNOUNCED_FROM.get(api.key, api.first), "max_version": api.last}
        for api in APIS
    ]
