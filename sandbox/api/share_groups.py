"""Share groups: their windows, and records that are released or archived by hand."""

from collections.abc import Iterable

from sandbox.broker.shares.window import RecordState, Window
from sandbox.kafka.errors import BrokerError
from sandbox.model.share_groups import ShareWindow
from sandbox.runtime.runtime import Runtime
from sandbox.storage.groups.share_windows import describe_windows


class SandboxShareGroups:
    """The direct API's operations on share groups: `sandbox.share_groups`.

    Args:
        runtime: the owner of the file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def windows(self, group: str) -> tuple[ShareWindow, ...]:
        """Return a group's window in each partition; none if there is no such share group."""
        with self._runtime.database.reader() as reader:
            return describe_windows(reader, group)

    def release(self, group: str, topic: str, partition: int, offsets: Iterable[int]) -> int:
        """Release acquired records, as if their locks had expired. Returns how many were acquired.

        Raises:
            BrokerError: GROUP_ID_NOT_FOUND, UNKNOWN_TOPIC_OR_PARTITION.
        """
        wanted = tuple(offsets)

        def change(now_ms: int) -> int:
            partition_id, window = self._window(group, topic, partition)
            held = [one for one in wanted if _state(window, one) is RecordState.ACQUIRED]
            self._runtime.coordinator.shares.release(group, partition_id, held)
            return len(held)

        return self._runtime.call(change)

    def archive(self, group: str, topic: str, partition: int, offsets: Iterable[int]) -> int:
        """Archive records that are acquired or available, so that they are not delivered again. Returns how many.

        Raises:
            BrokerError: GROUP_ID_NOT_FOUND, UNKNOWN_TOPIC_OR_PARTITION.
        """
        wanted = tuple(offsets)

        def change(now_ms: int) -> int:
            partition_id, window = self._window(group, topic, partition)
            waiting = RecordState.ACQUIRED, RecordState.AVAILABLE
            found = [one for one in wanted if _state(window, one) in waiting]
            self._runtime.coordinator.shares.archive(group, partition_id, found)
            return len(found)

        return self._runtime.call(change)

    def _window(self, group: str, topic: str, partition: int) -> tuple[int, Window]:
        self._runtime.coordinator.share_group(group)
        place = self._runtime.broker.topic(topic).partition(partition)
        window = self._runtime.coordinator.shares.window(group, place.id)
        if window is None:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"The group doesn't share {topic}-{partition}.")
        return place.id, window


def _state(window: Window, offset: int) -> RecordState | None:
    record = window.records.get(offset)
    return None if record is None else record.state
