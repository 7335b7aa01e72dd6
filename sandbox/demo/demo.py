"""The demo: sample data and a few real clients that keep the page moving.

The topics `earthquakes`, `flights` and `payments` are filled with sample data once; two seconds later
`earthquakes-avro` and `flights-protobuf`, with two versions of their schemas in the registry. Then a producer sends
payments, another one sends events with schemas, and two groups read the payments: `fraud-check` keeps up;
`daily-report` pauses, falls behind and catches up. They are ordinary Kafka clients on the sandbox's own port, and their
client ids begin with "demo-".

The demo stays small: `payments` has a size limit per partition (`retention.bytes`), and the producer pauses while the
topic holds `DemoRates.events_max` events. So a sandbox that runs over a weekend doesn't fill the disk.

The file's settings hold the demo's state: `demo` ("on", "off", "removed"), and the topics and groups that it created
and may delete, in `demo.topics` and `demo.groups`. A demo that was removed stays removed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.demo.clients import GROUPS, STOP_S, DemoClients, DemoRates
from sandbox.demo.samples import TOPICS_LOADED, TOPICS_MADE, Progress, keep_names, load_samples, names_kept
from sandbox.demo.schema_topics import SCHEMA_TOPICS, forget_subjects
from sandbox.kafka.errors import BrokerError

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox

__all__ = ["Demo", "DemoRates", "Removed", "load_samples"]

STATE = "demo"
GROUPS_MADE = "demo.groups"


@dataclass(frozen=True, slots=True)
class Removed:
    """Result of `Demo.remove`: what was deleted, and (name, reason) pairs for what was kept."""

    topics: tuple[str, ...]
    groups: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]


class Demo:
    """The demo of one serving sandbox. Its clients connect to `sandbox.kafka_address`.

    pace: None for the default. Methods are thread-safe and block: never call them from the sandbox's own loop, which
        the
    clients need in order to leave their groups.
    """

    def __init__(self, sandbox: Sandbox, pace: DemoRates | None = None) -> None:
        self._sandbox = sandbox
        self._pace = pace or DemoRates()
        self._lock = threading.Lock()
        self._clients: DemoClients | None = None

    @property
    def state(self) -> str:
        """The state stored in the file: "never", "on", "off" or "removed"."""
        return self._sandbox.setting(STATE) or "never"

    @property
    def running(self) -> bool:
        """True from when it is switched on until it is stopped."""
        return self._clients is not None

    def start(self, progress: Progress | None = None) -> bool:
        """Switch the demo on, unless it was switched off or removed in this file. Returns True if it is running.

        Arguments and errors: see `switch_on`.
        """
        if self.state in ("off", "removed"):
            return False
        self.switch_on(progress)
        return True

    def switch_on(self, progress: Progress | None = None) -> None:
        """Load missing sample data and start the clients. Does nothing if they are running.

        progress: called with the progress of the load; None for no reports. Raises RuntimeError if the sandbox has no
            Kafka
        port.
        """
        with self._lock:
            if self._clients is not None:
                return
            address = self._sandbox.kafka_address
            if address is None:
                raise RuntimeError("the demo needs the Kafka port, and none is open: call serve() first")
            self._sandbox.set_setting(STATE, "on")
            load_samples(self._sandbox, progress)
            self._note_groups()
            self._clients = DemoClients(self._sandbox, address, self._pace)

    def stop(self, within_s: float = STOP_S) -> bool:
        """Stop the clients. The file still says "on", so the next `start` starts them again.

        Returns False if a client did not end within `within_s` seconds; its thread ends with the process at the latest.
        """
        with self._lock:
            return self._stop(within_s)

    def rest(self) -> None:
        """Release the topics before a snapshot is restored."""
        self.stop()

    def go_on(self) -> None:
        """Follow the state in the restored file."""
        if self.state == "on":
            self.switch_on()

    def switch_off(self) -> bool:
        """Stop, and stay off after a restart. Topics and groups remain. Returns the result of `stop`."""
        with self._lock:
            self._sandbox.set_setting(STATE, "off")
            return self._stop()

    def remove(self) -> Removed:
        """Stop, and delete the topics and groups that the demo created. `switch_on` creates them again with the sample
        data.

        Keeps what existed before the demo, and a group that has other members.
        """
        with self._lock:
            self._sandbox.set_setting(STATE, "removed")
            self._stop()
            kept: list[tuple[str, str]] = []
            groups = _delete(names_kept(self._sandbox, GROUPS_MADE), self._sandbox.delete_group, kept)
            topics = _delete(names_kept(self._sandbox, TOPICS_MADE), self._sandbox.delete_topic, kept)
            if any(one.topic in topics for one in SCHEMA_TOPICS):
                forget_subjects(self._sandbox, topics)
            for setting in (GROUPS_MADE, TOPICS_MADE, TOPICS_LOADED):
                keep_names(self._sandbox, setting, [])
            return Removed(topics, groups, tuple(kept))

    def _stop(self, within_s: float = STOP_S) -> bool:
        clients, self._clients = self._clients, None
        return clients is None or clients.stop(within_s)

    def _note_groups(self) -> None:
        there = {group.group for group in self._sandbox.groups()}
        made = names_kept(self._sandbox, GROUPS_MADE)
        new = [group for group in GROUPS if group not in there and group not in made]
        if new:
            keep_names(self._sandbox, GROUPS_MADE, [*made, *new])


def _delete(names: Sequence[str], delete: Callable[[str], None], kept: list[tuple[str, str]]) -> tuple[str, ...]:
    """Delete each one. Missing ones are ignored; ones that can't be deleted are added to `kept` with the reason."""
    deleted = []
    for name in names:
        try:
            delete(name)
            deleted.append(name)
        except BrokerError as error:
            if error.error.name not in ("UNKNOWN_TOPIC_OR_PARTITION", "GROUP_ID_NOT_FOUND"):
                kept.append((name, str(error)))
    return tuple(deleted)
