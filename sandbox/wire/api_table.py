"""The table of all APIs. Everything that lists APIs reads it.

An API's module is imported at its first request, because importing all sixty takes a tenth of the startup time.
"""

from importlib import import_module

from sandbox.wire.messages.messages import api_name
from sandbox.wire.node import Handled, Handler, Request

PRODUCE = 0

API_VERSIONS = 18


class Api:
    """One API.

    Args:
        key: Kafka's API key.
        first: the lowest supported version.
        last: the highest supported version.
        module: the module in `sandbox.wire.apis` whose `handle` answers requests.
    """

    __slots__ = ("first", "handle", "key", "last", "module")

    def __init__(self, key: int, first: int, last: int, module: str) -> None:
        self.key = key
        self.first = first
        self.last = last
        self.module = f"sandbox.wire.apis.{module}"
        self.handle: Handler = self._load_and_handle

    @property
    def name(self) -> str:
        """Kafka's name of the API."""
        return api_name(self.key)

    def load(self) -> Handler:
        """Import the module and return its handler."""
        self.handle = import_module(self.module).handle
        return self.handle

    def _load_and_handle(self, request: Request) -> Handled:
        return self.load()(request)


APIS = (
    Api(PRODUCE, 3, 13, "produce"),
    Api(1, 4, 18, "fetch"),
    Api(2, 1, 11, "list_offsets"),
    Api(3, 0, 13, "metadata"),
    Api(8, 2, 10, "offset_commit"),
    Api(9, 1, 10, "offset_fetch"),
    Api(10, 0, 6, "find_coordinator"),
    Api(11, 0, 9, "join_group"),
    Api(12, 0, 4, "heartbeat"),
    Api(13, 0, 5, "leave_group"),
    Api(14, 0, 5, "sync_group"),
    Api(15, 0, 6, "describe_groups"),
    Api(16, 0, 5, "list_groups"),
    Api(17, 0, 1, "sasl_handshake"),
    Api(18, 0, 5, "api_versions"),
    Api(19, 2, 7, "create_topics"),
    Api(20, 1, 6, "delete_topics"),
    Api(21, 0, 2, "delete_records"),
    Api(22, 0, 5, "init_producer_id"),
    Api(23, 2, 4, "offset_for_leader_epoch"),
    Api(24, 0, 5, "add_partitions_to_txn"),
    Api(25, 0, 4, "add_offsets_to_txn"),
    Api(26, 0, 5, "end_txn"),
    Api(27, 1, 2, "write_txn_markers"),
    Api(28, 0, 6, "txn_offset_commit"),
    Api(29, 1, 3, "describe_acls"),
    Api(30, 1, 3, "create_acls"),
    Api(31, 1, 3, "delete_acls"),
    Api(32, 1, 4, "describe_configs"),
    Api(33, 0, 2, "alter_configs"),
    Api(34, 1, 2, "alter_replica_log_dirs"),
    Api(35, 1, 5, "describe_log_dirs"),
    Api(36, 0, 2, "sasl_authenticate"),
    Api(37, 0, 3, "create_partitions"),
    Api(38, 1, 3, "create_delegation_token"),
    Api(39, 1, 2, "renew_delegation_token"),
    Api(40, 1, 2, "expire_delegation_token"),
    Api(41, 1, 3, "describe_delegation_token"),
    Api(42, 0, 3, "delete_groups"),
    Api(43, 0, 2, "elect_leaders"),
    Api(44, 0, 1, "incremental_alter_configs"),
    Api(45, 0, 1, "alter_partition_reassignments"),
    Api(46, 0, 0, "list_partition_reassignments"),
    Api(47, 0, 0, "offset_delete"),
    Api(48, 0, 1, "describe_client_quotas"),
    Api(49, 0, 1, "alter_client_quotas"),
    Api(50, 0, 0, "describe_user_scram_credentials"),
    Api(51, 0, 0, "alter_user_scram_credentials"),
    Api(55, 0, 2, "describe_quorum"),
    Api(57, 0, 2, "update_features"),
    Api(60, 0, 2, "describe_cluster"),
    Api(61, 0, 0, "describe_producers"),
    Api(64, 0, 0, "unregister_broker"),
    Api(65, 0, 0, "describe_transactions"),
    Api(66, 0, 2, "list_transactions"),
    Api(68, 0, 1, "consumer_group_heartbeat"),
    Api(69, 0, 1, "consumer_group_describe"),
    Api(74, 0, 1, "list_config_resources"),
    Api(75, 0, 0, "describe_topic_partitions"),
    Api(76, 1, 1, "share_group_heartbeat"),
    Api(77, 1, 1, "share_group_describe"),
    Api(78, 1, 2, "share_fetch"),
    Api(79, 1, 2, "share_acknowledge"),
    Api(80, 0, 1, "add_raft_voter"),
    Api(81, 0, 0, "remove_raft_voter"),
    Api(88, 0, 1, "streams_groups"),
    Api(89, 0, 1, "streams_groups"),
    Api(90, 0, 1, "describe_share_group_offsets"),
    Api(91, 0, 0, "alter_share_group_offsets"),
    Api(92, 0, 0, "delete_share_group_offsets"),
    Api(93, 0, 0, "streams_groups"),
    Api(94, 0, 0, "unregister_controller"),
)

API_BY_KEY = {api.key: api for api in APIS}

ANNOUNCED_FROM = {PRODUCE: 0}
"""APIs whose announced lowest version differs from the supported one (KAFKA-18659)."""


def advertised() -> list[dict[str, int]]:
    """Return the APIs and versions for the answer to ApiVersions."""
    return [
        {"api_key": api.key, "min_version": ANNOUNCED_FROM.get(api.key, api.first), "max_version": api.last}
        for api in APIS
    ]
