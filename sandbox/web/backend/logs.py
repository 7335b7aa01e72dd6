"""What the page asks of the logs of topics: `backend.logs`."""

from collections.abc import Collection, Mapping
from typing import Protocol

from sandbox.model.logs import AppendRate, CompactionPreview, KeyMoves, KeySample, Loss


class LogOperations(Protocol):
    """The logs of topics: `backend.logs`.

    What a backend cannot do of it, `lacks` names: "logs.rates", "logs.keys" (samples and moves of keys), "logs.delete",
    "logs.compact", "logs.retention"; those methods are not called then.
    """

    def rates(self, topics: Collection[str]) -> dict[str, AppendRate]:
        """How many events were written in the last minute, for every topic that is named."""

    def default_settings(self) -> dict[str, str]:
        """What each topic setting is where a topic has none of its own."""

    def sample_keys(self, topic: str) -> KeySample:
        """The most frequent keys of its newest events."""

    def key_moves(self, topic: str, partitions: int) -> KeyMoves:
        """Where its keys go once it has so many partitions."""

    def offsets_at(self, topic: str, timestamp_ms: int) -> dict[int, int]:
        """The first offset of each partition at or after a time; its end where there is none."""

    def preview_delete(self, topic: str, offsets: Mapping[int, int]) -> tuple[Loss, ...]:
        """What `delete_records` would take."""

    def delete_records(self, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
        """Remove what lies below an offset of each partition, -1 for its end; the log start offsets after it."""

    def preview_retention(self, topic: str, settings: Mapping[str, str | None] | None = None) -> tuple[Loss, ...]:
        """What retention would take now, or with these settings."""

    def apply_retention(self, topic: str | None = None) -> int:
        """Apply it now; how many offsets the logs lost."""

    def preview_compaction(self, topic: str) -> CompactionPreview:
        """What `compact` would find to do."""

    def compact(self, topic: str) -> int:
        """Compact it now; how many events went."""
