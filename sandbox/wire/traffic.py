"""Records which clients produce to which topics, and which commit for which groups: what the map of the page draws.

It is in memory, bounded, and forgotten at a restart.
"""

from collections import deque

from sandbox.model.traffic import GroupClient, ProducerFlow

FLOWS_MAX = 2_000
"""The number of pairs of client and topic, and of client and group. Beyond it the oldest one is dropped."""
STEP_MS = 1_000
STEPS = 10
RATE_MS = STEP_MS * STEPS


class _Flow:
    """The events of one client in one topic: in all, and in each of the latest seconds."""

    __slots__ = ("events", "last_ms", "steps")

    def __init__(self) -> None:
        self.events = 0
        self.last_ms = 0
        self.steps: deque[tuple[int, int]] = deque(maxlen=STEPS + 1)

    def add(self, events: int, now_ms: int) -> None:
        self.events += events
        self.last_ms = now_ms
        step = now_ms // STEP_MS
        if self.steps and self.steps[-1][0] == step:
            self.steps[-1] = (step, self.steps[-1][1] + events)
        else:
            self.steps.append((step, events))

    def per_s(self, now_ms: int) -> float:
        now = now_ms // STEP_MS
        # The current second is not over yet.
        return sum(events for step, events in tuple(self.steps) if now - STEPS <= step < now) * 1000 / RATE_MS


class Traffic:
    """Clients that produce to topics or commit for groups. Recorded on the loop, read by pages' threads."""

    def __init__(self) -> None:
        self._flows: dict[tuple[str, str, str], _Flow] = {}
        self._groups: dict[tuple[str, str, str], None] = {}

    def produced(
        self, client_id: str | None, transactional_id: str | None, topic: str, events: int, now_ms: int
    ) -> None:
        """Record events that a client produced."""
        key = (client_id or "", transactional_id or "", topic)
        flow = self._flows.get(key)
        if flow is None:
            if len(self._flows) >= FLOWS_MAX:
                del self._flows[min(self._flows, key=lambda one: self._flows[one].last_ms)]
            flow = self._flows[key] = _Flow()
        flow.add(events, now_ms)

    def committed(self, client_id: str | None, transactional_id: str | None, group: str) -> None:
        """Record that a client committed offsets of a group, perhaps in a transaction."""
        key = (client_id or "", transactional_id or "", group)
        if key not in self._groups:
            if len(self._groups) >= FLOWS_MAX:
                del self._groups[next(iter(self._groups))]
            self._groups[key] = None

    def flows(self, now_ms: int) -> tuple[ProducerFlow, ...]:
        """Return who produced to what, sorted by client id and topic. Thread-safe."""
        found = sorted(self._flows.items(), key=lambda one: one[0])
        return tuple(ProducerFlow(*key, flow.events, flow.per_s(now_ms), flow.last_ms) for key, flow in found)

    def groups(self) -> tuple[GroupClient, ...]:
        """Return who committed for which group, sorted. Thread-safe."""
        return tuple(GroupClient(*key) for key in sorted(self._groups))
