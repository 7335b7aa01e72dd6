"""Lists, starts and removes the guided scenarios."""

import threading
from collections.abc import Callable
from dataclasses import replace

from sandbox.kafka.errors import BrokerError
from sandbox.model.registry import DEFAULT_CONTEXT, Subject
from sandbox.playground.description import ActionDescription, ScenarioDescription, StepDescription
from sandbox.playground.ground import Room
from sandbox.playground.run import SHARE_GROUP, Run, Scenario
from sandbox.playground.scenario_definitions import SCENARIOS
from sandbox.playground.spec import DEAD_LETTERS

PROGRAM = "-python"
"""The suffix of the topic and group of the Python program that does the same."""
ABSENT = ("UNKNOWN_TOPIC_OR_PARTITION", "GROUP_ID_NOT_FOUND")
AGAIN_S = 0.5
TRIES = 120


class Scenarios:
    """The scenarios of a playground. All methods are thread-safe.

    Args:
        room: the playground.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.RLock()
        self._runs: dict[str, Run] = {}
        self._closed = threading.Event()

    def all(self) -> tuple[ScenarioDescription, ...]:
        """Describe all scenarios in the recommended order, without their topics and groups."""
        return tuple(self._describe(scenario) for scenario in SCENARIOS)

    def one(self, name: str) -> ScenarioDescription:
        """Describe one scenario. Raises BrokerError RESOURCE_NOT_FOUND if the name is unknown."""
        scenario = _scenario(name)
        return replace(self._describe(scenario), things=self._things(scenario))

    def _describe(self, scenario: Scenario) -> ScenarioDescription:
        run = self._runs.get(scenario.name)
        described = ScenarioDescription(
            name=scenario.name,
            title=scenario.title,
            goal=scenario.goal,
            story=scenario.story,
            lesson=scenario.lesson,
            program=scenario.name,
            topic=scenario.thing,
            groups=scenario.groups,
            steps=tuple(StepDescription(step.text, False) for step in scenario.steps),
        )
        return described if run is None else _with_run(described, run)

    def start(self, name: str, *, pace: float = 1.0) -> ScenarioDescription:
        """Set up a scenario's topic, producer and consumers, all named `playground-<name>`. Restarts a running one.

        Args:
            pace: speed factor, 1 and up.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND, BROKER_NOT_AVAILABLE, POLICY_VIOLATION.
        """
        scenario = _scenario(name)
        self._room.connection()
        if scenario.subject is not None:
            _ = self._room.registry
        with self._lock:
            self.remove(name)
            self._runs[name] = Run(scenario, self._room, pace)
        return self.one(name)

    def act(self, name: str, action: str) -> ScenarioDescription:
        """Run one of a scenario's actions.

        Raises:
            BrokerError: RESOURCE_NOT_FOUND, or INVALID_REQUEST if the scenario isn't running, or the action isn't
                possible now.
        """
        scenario = _scenario(name)
        found = next((one for one in scenario.actions if one.name == action), None)
        if found is None:
            raise BrokerError("RESOURCE_NOT_FOUND", f"{scenario.title} has no action {action!r}.")
        run = self._runs.get(name)
        if run is None:
            raise BrokerError("INVALID_REQUEST", f"{scenario.title} does not run: set it up first.")
        why_not = found.why_not(run)
        if why_not is not None:
            raise BrokerError("INVALID_REQUEST", why_not)
        found.do(run)
        return self.one(name)

    def remove(self, name: str) -> tuple[str, ...]:
        """End a scenario and delete its topics and groups. Returns what was deleted."""
        scenario = _scenario(name)
        with self._lock:
            run = self._runs.pop(name, None)
            if run is not None:
                run.end()
            for group in scenario.groups:
                self._room.stop_group(group)
            deleted = self._things(scenario)
            for thing in (scenario.thing, scenario.thing + PROGRAM):
                for topic in (thing, thing + DEAD_LETTERS):
                    _unless_absent(self._room.ground.delete_topic, topic)
            for group in _groups(scenario):
                if not self._group_deleted(group):
                    self._delete_later(scenario.name, group)
                self._room.forget(group)
            for subject in self._subjects(scenario):
                for permanent in (False, True):
                    self._room.registry.delete_subject(subject, permanent=permanent)
            return deleted

    def _subjects(self, scenario: Scenario) -> tuple[Subject, ...]:
        """Return the existing subjects that a scenario and its Python program have registered."""
        found = self._room.ground.schema_registry
        if scenario.subject is None or found is None:
            return ()
        names = (f"{thing}-value" for thing in (scenario.thing, scenario.thing + PROGRAM))
        with found().rows() as rows:
            subjects = [Subject(DEFAULT_CONTEXT, name) for name in names]
            return tuple(one for one in subjects if rows.has_versions(one, deleted=False))

    def _group_deleted(self, group: str) -> bool:
        """Delete a group. Returns False if it has members, such as crashed ones whose session hasn't timed out."""
        try:
            _unless_absent(self._room.ground.delete_group, group)
        except BrokerError as error:
            if error.error.name != "NON_EMPTY_GROUP":
                raise
            return False
        return True

    def _delete_later(self, name: str, group: str) -> None:
        def work() -> None:
            for _ in range(TRIES):
                if self._closed.wait(AGAIN_S):
                    return
                with self._lock:
                    if name in self._runs or self._group_deleted(group):
                        return

        threading.Thread(target=work, name=f"{group}-remover", daemon=True).start()

    def look_soon(self) -> None:
        """Test the steps of all running scenarios soon, because something happened that may complete one."""
        for run in list(self._runs.values()):
            run.look_soon()

    def close(self) -> None:
        """Stop all running scenarios. Their topics stay."""
        self._closed.set()
        with self._lock:
            runs = list(self._runs.values())
            self._runs.clear()
        for run in runs:
            run.halt()
        for run in runs:
            run.end()

    def _things(self, scenario: Scenario) -> tuple[str, ...]:
        ground, found = self._room.ground, []
        for thing in (scenario.thing, scenario.thing + PROGRAM):
            topics = [name for name in (thing, thing + DEAD_LETTERS) if _is_there(ground.topic, name)]
            found += [f"topic {name}" for name in topics]
        found += [f"group {group}" for group in _groups(scenario) if _is_there(ground.group, group)]
        found += [f"subject {subject}" for subject in self._subjects(scenario)]
        return tuple(found)


def _with_run(described: ScenarioDescription, run: Run) -> ScenarioDescription:
    return replace(
        described,
        running=True,
        completed=run.reached,
        steps=tuple(StepDescription(step.text, done) for step, done in zip(run.scenario.steps, run.done, strict=True)),
        actions=_actions(run),
        sent=run.sent,
        note=run.scenario.note(run),
    )


def _actions(run: Run) -> tuple[ActionDescription, ...]:
    due = next((step.asks for step, done in zip(run.scenario.steps, run.done, strict=True) if not done), ())
    described = []
    for one in run.scenario.actions:
        why_not = one.why_not(run)
        described.append(ActionDescription(one.name, one.label, why_not, one.name in due and why_not is None))
    return tuple(described)


def _scenario(name: str) -> Scenario:
    found = next((one for one in SCENARIOS if one.name == name), None)
    if found is None:
        raise BrokerError("RESOURCE_NOT_FOUND", f"There is no scenario {name!r}.")
    return found


def _groups(scenario: Scenario) -> tuple[str, ...]:
    """Return the groups of a scenario and of its Python program."""
    kinds = ("", SHARE_GROUP) if scenario.shares else ("",)
    return tuple(scenario.thing + program + kind for program in ("", PROGRAM) for kind in kinds)


def _is_there(find: Callable[[str], object], name: str) -> bool:
    try:
        find(name)
    except BrokerError as error:
        if error.error.name in ABSENT:
            return False
        raise
    return True


def _unless_absent(delete: Callable[[str], None], name: str) -> None:
    try:
        delete(name)
    except BrokerError as error:
        if error.error.name not in ABSENT:
            raise
