"""Share groups of any Kafka cluster: not shown, because Kafka's clients in Python have no requests for them."""

from collections.abc import Iterable

from sandbox.kafka.errors import BrokerError
from sandbox.model.share_groups import ShareWindow

REASON = "Kafka's clients in Python have no requests for the windows of share groups."


class RemoteShareGroups:
    """`backend.share_groups` of a cluster. Pages don't call it, because `Capabilities.share_groups` is False."""

    def windows(self, group: str) -> tuple[ShareWindow, ...]:
        """Return no windows."""
        return ()

    def release(self, group: str, topic: str, partition: int, offsets: Iterable[int]) -> int:
        """Raise BrokerError UNSUPPORTED_VERSION."""
        raise BrokerError("UNSUPPORTED_VERSION", REASON)

    def archive(self, group: str, topic: str, partition: int, offsets: Iterable[int]) -> int:
        """Raise BrokerError UNSUPPORTED_VERSION."""
        raise BrokerError("UNSUPPORTED_VERSION", REASON)
