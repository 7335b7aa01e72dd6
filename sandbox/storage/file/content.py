"""What is remembered of a file is of its content: once a snapshot was restored, it is of other rows."""

from collections.abc import Callable
from typing import Generic, TypeVar

from sandbox.storage.file.database import Reader

Kept = TypeVar("Kept")


def content_of(reader: Reader) -> int:
    """A number that differs once a snapshot was restored: rows of before and after it are never taken together."""
    row = reader.one("PRAGMA schema_version")
    return int(row[0]) if row else 0


class OfContent(Generic[Kept]):
    """What is remembered of one content, and begun anew with the next. May be used by several threads.

    Args:
        make: begins it.
    """

    def __init__(self, make: Callable[[], Kept]) -> None:
        self._make = make
        self._kept: tuple[int, Kept] | None = None

    def of(self, reader: Reader) -> Kept:
        """What is remembered of the content that a read transaction sees."""
        content, kept = content_of(reader), self._kept
        if kept is None or kept[0] != content:
            kept = self._kept = content, self._make()
        return kept[1]
