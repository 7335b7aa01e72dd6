"""The table of all APIs. Everything that lists APIs reads it.

An API's module is imported at its first request, because importing all sixty takes a tenth of the startup time.
"""

import re
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
        module: the module in `sandbox.wire.apis` that has the API's function: `end_txn` for EndTxn.
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
        self.handle = getattr(import_module(self.module), re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name).lower())
        return self.handle

    def _load_and_handle(self, request: Request) -> Handled:
        return self.load()(request)


APIS = (
    Api(PRODUCE, 3, 13, "produce"),
    Api(1, 4, 18, "fetch"),
    Api(2, 1, 11, "log_offsets"),
    Api(3, 0, 13, "metadata"),
    Api(8, 2, 10, "committed_offsets"),
    Api(9, 1, 10, "committed_offsets"),
    Api(10, 0, 6, "groups"),
    Api(11, 0, 9, "classic_groups"),
    Api(12, 0, 4, "classic_groups"),
    Api(13, 0, 5, "classic_groups"),
    Api(14, 0, 5, "classic_groups"),
    Api(15, 0, 6, "classic_groups"),
    Api(16, 0, 5, "groups"),
    Api(17, 0, 1, "sasl"),
    Api(18, 0, 5, "features"),
    Api(19, 2, 7, "topics"),
    Api(20, 1, 6, "topics"),
    Api(21, 0, 2, "log_offsets"),
    Api(22, 0, 5, "transactions"),
    Api(23, 2, 4, "log_offsets"),
    Api(24, 0, 5, "transactions"),
    Api(25, 0, 4, "transactions"),
    Api(26, 0, 5, "transactions"),
    Api(27, 1, 2, "transactions"),
    Api(28, 0, 6, "transactions"),
    Api(29, 1, 3, "acls"),
    Api(30, 1, 3, "acls"),
    Api(31, 1, 3, "acls"),
    Api(32, 1, 4, "configs"),
    Api(33, 0, 2, "configs"),
    Api(34, 1, 2, "log_dirs"),
    Api(35, 1, 5, "log_dirs"),
    Api(36, 0, 2, "sasl"),
    Api(37, 0, 3, "topics"),
    Api(38, 1, 3, "delegation_tokens"),
    Api(39, 1, 2, "delegation_tokens"),
    Api(40, 1, 2, "delegation_tokens"),
    Api(41, 1, 3, "delegation_tokens"),
    Api(42, 0, 3, "groups"),
    Api(43, 0, 2, "partition_leaders"),
    Api(44, 0, 1, "configs"),
    Api(45, 0, 1, "partition_leaders"),
    Api(46, 0, 0, "partition_leaders"),
    Api(47, 0, 0, "committed_offsets"),
    Api(48, 0, 1, "client_quotas"),
    Api(49, 0, 1, "client_quotas"),
    Api(50, 0, 0, "scram_credentials"),
    Api(51, 0, 0, "scram_credentials"),
    Api(55, 0, 2, "quorum"),
    Api(57, 0, 2, "features"),
    Api(60, 0, 2, "metadata"),
    Api(61, 0, 0, "transaction_descriptions"),
    Api(64, 0, 0, "quorum"),
    Api(65, 0, 0, "transaction_descriptions"),
    Api(66, 0, 2, "transaction_descriptions"),
    Api(68, 0, 1, "consumer_groups"),
    Api(69, 0, 1, "consumer_groups"),
    Api(74, 0, 1, "configs"),
    Api(75, 0, 0, "metadata"),
    Api(76, 1, 1, "share_groups"),
    Api(77, 1, 1, "share_groups"),
    Api(78, 1, 2, "share_fetch"),
    Api(79, 1, 2, "share_fetch"),
    Api(80, 0, 1, "quorum"),
    Api(81, 0, 0, "quorum"),
    Api(88, 0, 1, "streams_groups"),
    Api(89, 0, 1, "streams_groups"),
    Api(90, 0, 1, "share_groups"),
    Api(91, 0, 0, "share_groups"),
    Api(92, 0, 0, "share_groups"),
    Api(93, 0, 0, "streams_groups"),
    Api(94, 0, 0, "quorum"),
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
