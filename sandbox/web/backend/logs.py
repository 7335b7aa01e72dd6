"""The interface of topic logs: `backend.logs`."""

from collections.abc import Collection, Mapping
from typing import Protocol

from sandbox.model.logs import AppendRate, CompactionPreview, KeyMoves, KeySample, Loss


class LogOperations(Protocol):
    """Queries and operations on topic logs: `backend.logs`.

    Pages call only the methods that the backend's `Capabilities` allow: `append_rates`, `sample_keys` (also moves of
    keys), `delete_records`, `compact_now`, `apply_retention_now`.
    """

    def rates(self, topics: Collection[str]) -> dict[str, AppendRate]:
        """Return the number of events appended in the last minute, per named topic."""

    def default_settings(self) -> dict[str, str]:
        """Return the default value of each topic setting."""

    def sample_keys(self, topic: str) -> KeySample:
        """Return the most frequent keys among a topic's newest events."""

    def key_moves(self, topic: str, partitions: int) -> KeyMoves:
        """Return where a topic's keys go if it gets this many partitions."""

    def offsets_at(self, topic: str, timestamp_ms: int) -> dict[int, int]:
        """Return each partition's first offset at or after a time, or its log end offset if it has no such event."""

    def preview_delete(self, topic: str, offsets: Mapping[int, int]) -> tuple[Loss, ...]:
        """Return what `delete_records` would delete."""

    def delete_records(self, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
        """Delete all events below an offset per partition (-1: its end); return the new log start offsets."""

    def preview_retention(self, topic: str, settings: Mapping[str, str | None] | None = None) -> tuple[Loss, ...]:
        """Return what retention would delete now, or with these settings."""

    def apply_retention(self, topic: str | None = None) -> int:
        """Apply retention now; return how many offsets the logs lost."""

    def preview_compaction(self, topic: str) -> CompactionPreview:
        """Return what `compact` would do."""

    def compact(self, topic: str) -> int:
        """Compact a topic now; return the number of removed events."""
