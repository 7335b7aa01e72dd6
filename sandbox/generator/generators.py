"""Start, stop and list generators. Each appends events from a template at a rate, in a thread of this process.

    with Sandbox("dev.db") as sandbox:
        sandbox.create_topic("orders", partitions=6)
        run = sandbox.generators.start("orders", "orders", rate=50, count=1000, seed=1)
        print(sandbox.generators.wait(run.id).sent)

The same seed generates the same events. A template is one of `sandbox.generator.examples`, one that was saved in the
file by name, or an `EventTemplate`.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from random import SystemRandom
from typing import Protocol

from sandbox.generator.examples import EXAMPLES
from sandbox.generator.generator import (
    COUNT_MAX,
    DURATION_MAX_S,
    ENDED_MAX,
    RATE_MAX,
    RATE_MIN,
    RATES_MAX,
    RUNNING_MAX,
    Destination,
    Generator,
    GeneratorOrder,
    GeneratorRun,
)
from sandbox.generator.template import (
    SEED_MAX,
    Encoders,
    EventTemplate,
    TemplateRefused,
    system_now_ms,
    template_from_json,
)
from sandbox.kafka.errors import BrokerError, SandboxError
from sandbox.model.activity import Details
from sandbox.model.process import bind_to_process

NAME_MAX = 100
SAVED_MAX = 200
NO_STORE = (
    "Templates are saved in the sandbox file, and a cluster has none. Copy the template's JSON into a file instead."
)
SEEDS = SystemRandom()


class Note(Protocol):
    """Records that a generator started or ended."""

    def __call__(self, kind: str, details: Details, *, topic: str | None = None) -> None:
        """Record one event of a generator's life."""


class TemplateStore(Protocol):
    """Stores templates by name, as JSON."""

    def load(self) -> dict[str, str]:
        """Return all templates by name."""

    def save(self, name: str, template: str) -> None:
        """Save a template. Replaces the template of the same name."""

    def delete(self, name: str) -> bool:
        """Delete a template. Returns False if no template has this name."""


class Generators:
    """The generators of one sandbox or cluster. All methods are thread-safe.

    Args:
        log: receives the events.
        store: saves templates by name; None if there is no file to save them in.
        now_ms: returns the time in ms since 1970.
        note: called when a generator starts or ends; None to record nothing.
        encoders: looks up the schemas that templates name; None if there is no registry.
    """

    def __init__(
        self,
        log: Destination,
        store: TemplateStore | None = None,
        now_ms: Callable[[], int] = system_now_ms,
        note: Note | None = None,
        encoders: Encoders | None = None,
    ) -> None:
        bind_to_process(self)
        self._log = log
        self._store = store
        self._now_ms = now_ms
        self._note = note
        self._encoders = encoders
        self._lock = threading.Lock()
        self._all: dict[int, Generator] = {}
        self._next = 1
        self._closed = False

    # Templates

    def examples(self) -> dict[str, EventTemplate]:
        """Return the templates that ship with the sandbox, by name."""
        return dict(EXAMPLES)

    def saved(self) -> dict[str, EventTemplate]:
        """The templates that were saved, by name."""
        if self._store is None:
            return {}
        found = {}
        for name, text in sorted(self._store.load().items()):
            try:
                found[name] = template_from_json(text)
            except TemplateRefused:
                # From a later version, with a placeholder that this one does not know: left as it is.
                continue
        return found

    def template(self, name: str) -> EventTemplate:
        """Return the template of this name. Raises BrokerError RESOURCE_NOT_FOUND if none has it."""
        found = EXAMPLES.get(name) or self.saved().get(name)
        if found is None:
            raise BrokerError(
                "RESOURCE_NOT_FOUND",
                f"There is no template {name!r}. Built-in templates: {', '.join(EXAMPLES)}.",
            )
        return found

    def save(self, name: str, template: EventTemplate) -> None:
        """Save a template in the file. Replaces the saved template of the same name.

        Args:
            name: 1 to `NAME_MAX` characters; not a name of `examples()`.

        Raises:
            BrokerError: INVALID_REQUEST if the name is invalid or there is no file to save it in.
        """
        store = self._kept()
        if not name.strip() or len(name) > NAME_MAX or not name.isprintable():
            raise BrokerError("INVALID_REQUEST", f"A template needs a name of 1 to {NAME_MAX} printable characters.")
        if name in EXAMPLES:
            raise BrokerError("INVALID_REQUEST", f"{name} is a built-in template: choose another name.")
        known = store.load()
        if name not in known and len(known) >= SAVED_MAX:
            raise BrokerError(
                "POLICY_VIOLATION", f"The file already has {SAVED_MAX} templates, the maximum: delete one first."
            )
        store.save(name, template.to_json())

    def delete(self, name: str) -> None:
        """Delete a saved template. Raises BrokerError RESOURCE_NOT_FOUND if none has this name."""
        if not self._kept().delete(name):
            raise BrokerError("RESOURCE_NOT_FOUND", f"There is no saved template {name!r}.")

    def _kept(self) -> TemplateStore:
        if self._store is None:
            raise BrokerError("INVALID_REQUEST", NO_STORE)
        return self._store

    # Runs

    def start(
        self,
        topic: str,
        template: EventTemplate | str,
        *,
        rate: float = 10.0,
        count: int | None = None,
        duration_s: float | None = None,
        seed: int | None = None,
        name: str = "",
    ) -> GeneratorRun:
        """Start a generator.

        Args:
            topic: an existing topic.
            template: a template, or a template's name.
            rate: events/s, `RATE_MIN` to `RATE_MAX`.
            count: number of events; None for `COUNT_MAX`.
            duration_s: stop after this many seconds; None for no limit.
            seed: the same seed generates the same events; None picks a random seed.
            name: the name to show if `template` is an EventTemplate.

        Raises:
            BrokerError: UNKNOWN_TOPIC_OR_PARTITION, RESOURCE_NOT_FOUND for the template, INVALID_REQUEST for a number
            out of
                range, POLICY_VIOLATION if too many generators are running.
        """
        if isinstance(template, str):
            name, template = template, self.template(template)
        drawn = SEEDS.randrange(1, 1_000_000) if seed is None else seed
        order = GeneratorOrder(topic, template, name, rate, count, duration_s, drawn)
        _check(order)
        self._log.topic(topic)
        with self._lock:
            self._check_room(rate)
            made = Generator(self._next, order, self._log, self._now_ms, self._ended, self._encoders)
            self._all[self._next] = made
            self._next += 1
            self._forget(ENDED_MAX)
        details = {"generator": made.id, "state": "started", "template": name, "events_per_s": rate, "seed": drawn}
        self._tell(details, topic)
        return made.description()

    def list(self) -> tuple[GeneratorRun, ...]:
        """Every run that is remembered, newest first."""
        with self._lock:
            found = tuple(self._all.values())
        return tuple(one.description() for one in reversed(found))

    def get(self, id: int) -> GeneratorRun:
        """Return one run. Raises BrokerError RESOURCE_NOT_FOUND if it doesn't exist."""
        return self._find(id).description()

    def stop(self, id: int) -> GeneratorRun:
        """Stop a run if it is still running. Raises BrokerError RESOURCE_NOT_FOUND if it doesn't exist."""
        found = self._find(id)
        found.stop()
        return found.description()

    def stop_all(self) -> None:
        """Stop all runs."""
        with self._lock:
            found = tuple(self._all.values())
        for one in found:
            one.stop(0)
        for one in found:
            one.stop()

    def wait(self, id: int, timeout_s: float | None = None) -> GeneratorRun:
        """Wait until a run has ended, up to `wait_s` seconds, and return it."""
        found = self._find(id)
        found.join(timeout_s)
        return found.description()

    def clear(self) -> None:
        """Forget the runs that have ended."""
        with self._lock:
            self._forget(0)

    def close(self) -> None:
        """Stop every run, and start none any more."""
        with self._lock:
            self._closed = True
        self.stop_all()

    def _ended(self, run: GeneratorRun) -> None:
        details = {"generator": run.id, "state": run.state, "events": run.sent, "error": run.error}
        self._tell(details, run.order.topic)

    def _tell(self, details: Details, topic: str) -> None:
        if self._note is not None:
            # Of a sandbox that was closed meanwhile nothing can be written down.
            with suppress(SandboxError):
                self._note("generated", details, topic=topic)

    def _find(self, id: int) -> Generator:
        with self._lock:
            found = self._all.get(id)
        if found is None:
            raise BrokerError("RESOURCE_NOT_FOUND", f"There is no generator {id}. It may have ended some time ago.")
        return found

    def _check_room(self, rate: float) -> None:
        running = [one for one in self._all.values() if one.running]
        if self._closed:
            raise BrokerError("INVALID_REQUEST", "The sandbox is being closed.")
        if len(running) >= RUNNING_MAX:
            raise BrokerError(
                "POLICY_VIOLATION", f"{RUNNING_MAX} generators are already running, the maximum: stop one first."
            )
        taken = sum(one.order.rate for one in running)
        if taken + rate > RATES_MAX:
            raise BrokerError(
                "POLICY_VIOLATION",
                f"All generators together send at most {RATES_MAX:,.0f} events/s, and those that run have taken "
                f"{taken:,.6g} of it: stop one, or choose a rate of at most {RATES_MAX - taken:,.6g}.",
            )

    def _forget(self, most: int) -> None:
        ended = [id for id, one in self._all.items() if not one.running]
        for id in ended[: max(0, len(ended) - most)]:
            del self._all[id]


def _check(order: GeneratorOrder) -> None:
    for what, found, least, most in (
        ("The rate, in events/s,", order.rate, RATE_MIN, RATE_MAX),
        ("The count", order.count, 1, COUNT_MAX),
        ("The duration, in seconds,", order.duration_s, 0.001, DURATION_MAX_S),
        ("The seed", order.seed, 0, SEED_MAX),
    ):
        if found is not None and not least <= found <= most:
            raise BrokerError("INVALID_REQUEST", f"{what} must be {least:,} to {most:,.10g}, not {found:,}.")
