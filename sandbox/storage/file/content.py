"""Caches that are invalidated when a snapshot is restored."""

from collections.abc import Callable
from typing import Generic, TypeVar

from sandbox.storage.file.database import Reader

Kept = TypeVar("Kept")


def content_of(reader: Reader) -> int:
    """Return a number that changes when a snapshot is restored, so that rows of both contents never mix."""
    row = reader.one("PRAGMA schema_version")
    return int(row[0]) if row else 0


class OfContent(Generic[Kept]):
    """A cached value that is created again after a snapshot was restored. Thread-safe.

    Args:
        make: creates the value.
    """

    def __init__(self, make: Callable[[], Kept]) -> None:
        self._make = make
        self._kept: tuple[int, Kept] | None = None

    def of(self, reader: Reader) -> Kept:
        """Return the cached value for the content that a read transaction sees."""
        content, kept = content_of(reader), self._kept
        if kept is None or kept[0] != content:
            kept = self._kept = content, self._make()
        return kept[1]
