"""An event as a test reads it: the stored bytes, with its text and JSON."""

import json
from typing import Any

from sandbox.kafka.event import Event


class SeenEvent(Event):
    """One event of a topic; see `sandbox.kafka.event.Event` for its fields."""

    __slots__ = ()

    @property
    def text(self) -> str | None:
        """The value as text; None for a tombstone. Raises UnicodeDecodeError if it isn't UTF-8."""
        return None if self.value is None else self.value.decode()

    @property
    def json(self) -> Any:
        """The value, parsed as JSON; None for a tombstone. Raises ValueError if it isn't JSON."""
        return None if self.value is None else json.loads(self.value)

    @property
    def key_text(self) -> str | None:
        """The key as text; None without a key. Raises UnicodeDecodeError if it isn't UTF-8."""
        return None if self.key is None else self.key.decode()

    @property
    def place(self) -> str:
        """Its place: "topic/partition/offset", as the page's search understands it."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def header(self, name: str) -> bytes | None:
        """Return the last value of a header; None if it has none."""
        return next((value for found, value in reversed(self.headers) if found == name), None)
