"""The one table of APIs. Everything that lists them reads it."""

from typing import NamedTuple

from sandbox.wire.apis import (
    add_offsets_to_txn,
    add_partitions_to_txn,
    add_raft_voter,
    alter_client_quotas,
    alter_configs,
    alter_partition_reassignments,
    alter_replica_log_dirs,
    alter_user_scram_credentials,
    api_versions,
    consumer_group_describe,
    consumer_group_heartbeat,
    create_acls,
    create_delegation_token,
    create_partitions,
    create_topics,
    delete_acls,
    delete_groups,
    delete_records,
    delete_topics,
    describe_acls,
    describe_client_quotas,
    describe_cluster,
    describe_configs,
    describe_delegation_token,
    describe_groups,
    describe_log_dirs,
    describe_producers,
    describe_quorum,
    describe_topic_partitions,
    describe_transactions,
    describe_user_scram_credentials,
    elect_leaders,
    end_txn,
    expire_delegation_token,
    fetch,
    find_coordinator,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_config_resources,
    list_groups,
    list_offsets,
    list_partition_reassignments,
    list_transactions,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    remove_raft_voter,
    renew_delegation_token,
    sasl_authenticate,
    sasl_handshake,
    sync_group,
    txn_offset_commit,
    unregister_broker,
    update_features,
    write_txn_markers,
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
    Api(17, 0, 1, sasl_handshake.handle),
    Api(18, 0, 4, api_versions.handle),
    Api(19, 2, 7, create_topics.handle),
    Api(20, 1, 6, delete_topics.handle),
    Api(21, 0, 2, delete_records.handle),
    Api(22, 0, 5, init_producer_id.handle),
    Api(23, 2, 4, offset_for_leader_epoch.handle),
    Api(24, 0, 5, add_partitions_to_txn.handle),
    Api(25, 0, 4, add_offsets_to_txn.handle),
    Api(26, 0, 5, end_txn.handle),
    Api(27, 1, 1, write_txn_markers.handle),
    Api(28, 0, 5, txn_offset_commit.handle),
    Api(29, 1, 3, describe_acls.handle),
    Api(30, 1, 3, create_acls.handle),
    Api(31, 1, 3, delete_acls.handle),
    Api(32, 1, 4, describe_configs.handle),
    Api(33, 0, 2, alter_configs.handle),
    Api(34, 1, 2, alter_replica_log_dirs.handle),
    Api(35, 1, 5, describe_log_dirs.handle),
    Api(36, 0, 2, sasl_authenticate.handle),
    Api(37, 0, 3, create_partitions.handle),
    Api(38, 1, 3, create_delegation_token.handle),
    Api(39, 1, 2, renew_delegation_token.handle),
    Api(40, 1, 2, expire_delegation_token.handle),
    Api(41, 1, 3, describe_delegation_token.handle),
    Api(42, 0, 2, delete_groups.handle),
    Api(43, 0, 2, elect_leaders.handle),
    Api(44, 0, 1, incremental_alter_configs.handle),
    Api(45, 0, 1, alter_partition_reassignments.handle),
    Api(46, 0, 0, list_partition_reassignments.handle),
    Api(47, 0, 0, offset_delete.handle),
    Api(48, 0, 1, describe_client_quotas.handle),
    Api(49, 0, 1, alter_client_quotas.handle),
    Api(50, 0, 0, describe_user_scram_credentials.handle),
    Api(51, 0, 0, alter_user_scram_credentials.handle),
    Api(55, 0, 2, describe_quorum.handle),
    Api(57, 0, 2, update_features.handle),
    Api(60, 0, 2, describe_cluster.handle),
    Api(61, 0, 0, describe_producers.handle),
    Api(64, 0, 0, unregister_broker.handle),
    Api(65, 0, 0, describe_transactions.handle),
    Api(66, 0, 2, list_transactions.handle),
    Api(68, 0, 1, consumer_group_heartbeat.handle),
    Api(69, 0, 1, consumer_group_describe.handle),
    Api(74, 0, 1, list_config_resources.handle),
    Api(75, 0, 0, describe_topic_partitions.handle),
    Api(80, 0, 1, add_raft_voter.handle),
    Api(81, 0, 0, remove_raft_voter.handle),
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
