"""The demo: sample data, and a few real clients that keep the page alive.

Topics `earthquakes`, `flights` and `payments` are filled from the sample data, once. Then one producer sends payments,
and two groups read them: `fraud-check` keeps up, `daily-report` rests, falls behind, and catches up. They are ordinary
Kafka clients on the sandbox's own port; their client ids begin with "demo-".

It stays small: `payments` has a limit of bytes a partition (`retention.bytes`), and whatever retention does, the
producer rests while the topic holds `Pace.events_max` events: a sandbox left running over a weekend does not fill the
disk.

What it did is kept as settings of the file: `demo` ("on", "off", "removed"), and what it made, and may therefore
delete, in `demo.topics` and `demo.groups`. So a demo that was removed stays removed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.demo.clients import GROUPS, STOP_S, DemoClients, Pace
from sandbox.demo.samples import TOPICS_LOADED, TOPICS_MADE, Progress, keep_names, load_samples, names_kept
from sandbox.kafka.errors import BrokerError

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox

__all__ = ["Demo", "Pace", "Removed", "load_samples"]

STATE = "demo"
GROUPS_MADE = "demo.groups"


@dataclass(frozen=True, slots=True)
class Removed:
    """What `Demo.remove` deleted, and what it had to leave: (name, reason) pairs."""

    topics: tuple[str, ...]
    groups: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]


class Demo:
    """The demo of one sandbox, which must be serving: its clients connect to `sandbox.kafka_address`.

    pace: None for the usual one. Methods are thread safe, and block: never call them from the sandbox's own loop, which
    the clients need to get away.
    """

    def __init__(self, sandbox: Sandbox, pace: Pace | None = None) -> None:
        self._sandbox = sandbox
        self._pace = pace or Pace()
        self._lock = threading.Lock()
        self._clients: DemoClients | None = None

    @property
    def state(self) -> str:
        """What the file says: "never", "on", "off" or "removed"."""
        return self._sandbox.setting(STATE) or "never"

    @property
    def running(self) -> bool:
        """True from when it is switched on until it is stopped."""
        return self._clients is not None

    def start(self, progress: Progress | None = None) -> bool:
        """Switch on, unless it was switched off or removed in this file. Returns whether it runs.

        Arguments and errors are those of `switch_on`.
        """
        if self.state in ("off", "removed"):
            return False
        self.switch_on(progress)
        return True

    def switch_on(self, progress: Progress | None = None) -> None:
        """Load the samples where they are missing, and set the clients to work. Does nothing where they are.

        progress: told how far the load is; None for nobody. Raises RuntimeError where the sandbox has no Kafka port.
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
        """Let the clients leave and end; the file still says "on", so that the next `start` starts them again.

        Returns False if a client had not ended within `within_s` seconds; its thread ends with the process at the
        latest.
        """
        with self._lock:
            return self._stop(within_s)

    def rest(self) -> None:
        """A snapshot is about to be restored: let go of the topics."""
        self.stop()

    def go_on(self) -> None:
        """The file may say something else now: do that."""
        if self.state == "on":
            self.switch_on()

    def switch_off(self) -> bool:
        """Stop, and stay off when the sandbox starts again. Topics and groups remain. Returns what `stop` returns."""
        with self._lock:
            self._sandbox.set_setting(STATE, "off")
            return self._stop()

    def remove(self) -> Removed:
        """Stop, and delete the topics and groups that the demo made; `switch_on` brings it back, from the beginning.

        What was there before the demo is left, and so is a group in which others take part.
        """
        with self._lock:
            self._sandbox.set_setting(STATE, "removed")
            self._stop()
            kept: list[tuple[str, str]] = []
            groups = _delete(names_kept(self._sandbox, GROUPS_MADE), self._sandbox.delete_group, kept)
            topics = _delete(names_kept(self._sandbox, TOPICS_MADE), self._sandbox.delete_topic, kept)
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
    """Delete each; what is not there is no matter, what cannot be deleted goes to `kept` with the reason."""
    deleted = []
    for name in names:
        try:
            delete(name)
            deleted.append(name)
        except BrokerError as error:
            if error.error.name not in ("UNKNOWN_TOPIC_OR_PARTITION", "GROUP_ID_NOT_FOUND"):
                kept.append((name, str(error)))
    return tuple(deleted)
