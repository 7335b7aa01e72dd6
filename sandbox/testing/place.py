"""The Kafka that a test runs on: a sandbox, or a cluster with the test's topics under a prefix."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from sandbox.kafka.errors import BrokerError, SandboxError
from sandbox.kafka.event import Event
from sandbox.model.groups import GroupDescription

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox
    from sandbox.web.backend import Backend

T = TypeVar("T")
UNLIMITED = 1 << 62
RECHECK_S = 0.05
"""A client that begins to fetch changes nothing in the file, so a wait on a sandbox also checks at this interval."""


class NeedsSandbox(SandboxError):
    """A test uses what only a sandbox has, and runs on a cluster."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs the sandbox, and this test runs on a Kafka cluster.")


class Place(Protocol):
    """Where a test's topics and groups are. Names are the test's; `real` returns the cluster's."""

    @property
    def backend(self) -> "Backend":
        """Operations on topics and groups."""

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""

    @property
    def schema_registry_url(self) -> str:
        """The URL of the schema registry. Raises NeedsSandbox if it isn't known."""

    @property
    def properties(self) -> dict[str, str]:
        """librdkafka's settings for clients, besides the address."""

    def real(self, name: str) -> str:
        """Return the cluster's name of a topic or group."""

    def topics(self) -> list[str]:
        """Return the test's topics, sorted."""

    def events(self, topic: str) -> list[Event]:
        """Return the committed events of a topic, by partition and offset; none if it doesn't exist."""

    def group(self, name: str) -> GroupDescription | None:
        """Return a group; None if it doesn't exist."""

    def groups(self) -> list[GroupDescription]:
        """Return the test's groups."""

    def wait(self, check: Callable[[], T | None], within_s: float) -> T | None:
        """Call `check` until it returns something, after each change. Returns None if the time is over."""

    def sandbox(self, what: str) -> "Sandbox":
        """Return the sandbox. Raises NeedsSandbox with `what` on a cluster."""

    def close(self) -> None:
        """Close it, and delete what the test left on a cluster."""


class SandboxPlace:
    """A sandbox of this process.

    Args:
        sandbox: it serves a Kafka port.
        file: its file.
    """

    def __init__(self, sandbox: "Sandbox", file: Path) -> None:
        self.backend = sandbox
        self.file = file
        self.properties: dict[str, str] = {}
        self._sandbox = sandbox

    @property
    def bootstrap_servers(self) -> str:
        return self._sandbox.kafka_address or ""

    @property
    def schema_registry_url(self) -> str:
        return self._sandbox.registry_address or ""

    def real(self, name: str) -> str:
        return name

    def topics(self) -> list[str]:
        return [one.topic for one in self._sandbox.topics()]

    def events(self, topic: str) -> list[Event]:
        try:
            found = self._sandbox.read(topic, offset=0, limit=UNLIMITED)
        except BrokerError as error:
            if error.error.name != "UNKNOWN_TOPIC_OR_PARTITION":
                raise
            return []
        return [event for event in found if not (event.aborted or event.pending)]

    def group(self, name: str) -> GroupDescription | None:
        try:
            return self._sandbox.group(name)
        except BrokerError as error:
            if error.error.name != "GROUP_ID_NOT_FOUND":
                raise
            return None

    def groups(self) -> list[GroupDescription]:
        return list(self._sandbox.groups())

    def wait(self, check: Callable[[], T | None], within_s: float) -> T | None:
        changed = threading.Event()
        unsubscribe = self._sandbox.subscribe(lambda change: changed.set())
        try:
            deadline_s = time.monotonic() + within_s
            while True:
                changed.clear()
                found = check()
                left_s = deadline_s - time.monotonic()
                if found is not None or left_s <= 0:
                    return found
                changed.wait(min(left_s, RECHECK_S))
        finally:
            unsubscribe()

    def sandbox(self, what: str) -> "Sandbox":
        return self._sandbox

    def close(self) -> None:
        self._sandbox.close()
