"""Each guided scenario reaches its goal when its steps are done, and takes away what it made."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.playground.description import ScenarioDescription
from sandbox.playground.run import Scenario
from sandbox.playground.scenario_definitions import SCENARIOS
from sandbox.web.playground.programs import PROGRAMS, consumer_program, scenario_program
from tests.playground.playground_room import eventually, fill, ground

PACE = {"hot-partition": 3.0, "dead-letters": 1.0}
USUAL_PACE = 4.0
REACHED_S = 110.0


@pytest.fixture
def sandbox(file: Path) -> Iterator[Sandbox]:
    with ground(file) as opened:
        yield opened


def wait_for_step(sandbox: Sandbox, name: str, number: int) -> ScenarioDescription:
    """Wait until this number of steps is done."""

    def done() -> bool:
        return sum(step.done for step in sandbox.playground.scenarios.one(name).steps) >= number

    eventually(done, REACHED_S, f"step {number} of {name} is done")
    return sandbox.playground.scenarios.one(name)


@pytest.mark.parametrize("chosen", [SCENARIOS[:-1], SCENARIOS[-1:]], ids=["consumer groups", "share group"])
def test_every_scenario_reaches_its_goal_by_its_own_buttons(sandbox: Sandbox, chosen: tuple[Scenario, ...]) -> None:
    scenarios = sandbox.playground.scenarios
    names = {scenario.name for scenario in chosen}
    for scenario in chosen:
        scenarios.start(scenario.name, pace=PACE.get(scenario.name, USUAL_PACE))
    pressed: set[tuple[str, int, str]] = set()
    since_s: dict[tuple[str, int], float] = {}

    def again(name: str, at: int) -> None:
        """What the step says: where the consumer had only just committed, the next one is crashed too."""
        if (name, at) == ("why-twice", 2) and time.monotonic() - since_s.setdefault((name, at), time.monotonic()) > 8:
            since_s[name, at] = time.monotonic()
            scenarios.act(name, "crash")
            pressed.discard((name, at, "another"))

    def played() -> bool:
        """Press what each of them asks for, once a step; two consumers more for the hot partition."""
        for found in (one for one in scenarios.all() if one.name in names):
            at = sum(step.done for step in found.steps)
            again(found.name, at)
            for action in found.actions:
                press = (found.name, at, action.name)
                if action.due and press not in pressed:
                    pressed.add(press)
                    for _ in range(2 if press[::2] == ("hot-partition", "another") else 1):
                        scenarios.act(found.name, action.name)
        return all(found.completed for found in scenarios.all() if found.name in names)

    eventually(played, REACHED_S, "every goal is reached")
    for scenario in chosen:
        asked = {(scenario.name, at, name) for at, step in enumerate(scenario.steps) for name in step.asks}
        assert asked == {press for press in pressed if press[0] == scenario.name}
        topics = [scenario.thing, *([f"{scenario.thing}.dlq"] if scenario.name == "dead-letters" else [])]
        assert set(scenarios.one(scenario.name).things) == {
            *(f"topic {one}" for one in topics),
            *(f"group {one}" for one in scenario.groups),
            *([f"subject {scenario.subject}"] if scenario.subject else []),
        }
        scenarios.remove(scenario.name)
        assert not scenarios.one(scenario.name).running
    eventually(lambda: not sandbox.groups(), 10, "the groups go, at the latest when their last sessions have ended")
    assert sandbox.topics() == ()
    assert sandbox.playground.consumers() == ()


def test_an_old_consumer_reads_a_new_schema_and_the_refusal_is_shown(sandbox: Sandbox) -> None:
    name = "evolve-a-schema"
    scenarios = sandbox.playground.scenarios
    scenarios.start(name, pace=USUAL_PACE)
    wait_for_step(sandbox, name, 1)
    assert "without-default" in {action.name for action in scenarios.act(name, "without-default").actions}
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in wait_for_step(sandbox, name, 2).note
    with sandbox.schemas.rows() as rows:
        assert [row.version for row in rows.all_versions()] == [1]
    scenarios.act(name, "with-default")
    wait_for_step(sandbox, name, 4)
    newest = sandbox.read(f"playground-{name}", newest_first=True, limit=1, decode=True)[0]
    assert b'"currency":' in (newest.value or b"")
    (consumer,) = sandbox.playground.consumers(f"playground-{name}")
    assert all(event.outcome == "processed" for event in consumer.events)
    assert re.fullmatch(rb'\{"number":\d+,"amount":[0-9.]+\}', consumer.events[0].value or b"")
    scenarios.remove(name)
    with sandbox.schemas.rows() as rows:
        assert rows.all_versions() == []


def test_a_step_is_not_done_before_the_facts_say_so(sandbox: Sandbox) -> None:
    name = "why-twice"
    sandbox.playground.scenarios.start(name, pace=USUAL_PACE)
    found = wait_for_step(sandbox, name, 1)
    assert [step.done for step in found.steps] == [True, False, False, False, False, False]
    assert [action.name for action in found.actions if action.due] == ["crash"]
    with pytest.raises(BrokerError, match="crash it first"):
        sandbox.playground.scenarios.act(name, "another")


def test_a_scenario_is_set_up_anew_and_leaves_other_topics_alone(sandbox: Sandbox) -> None:
    fill(sandbox, "playground-hot-partitions-of-mine", 1)
    for _ in range(2):
        sandbox.playground.scenarios.start("hot-partition")
    assert len(sandbox.playground.consumers()) == 2
    sandbox.playground.scenarios.remove("hot-partition")
    assert [topic.topic for topic in sandbox.topics()] == ["playground-hot-partitions-of-mine"]


def test_there_is_no_other_scenario(sandbox: Sandbox) -> None:
    for call in (sandbox.playground.scenarios.one, sandbox.playground.scenarios.start):
        with pytest.raises(BrokerError, match="RESOURCE_NOT_FOUND"):
            call("fortune")
    with pytest.raises(BrokerError, match="set it up first"):
        sandbox.playground.scenarios.act("why-twice", "crash")


def test_the_program_of_each_scenario_runs_as_it_stands_and_shows_the_same(sandbox: Sandbox, tmp_path: Path) -> None:
    assert set(PROGRAMS) == {scenario.name for scenario in SCENARIOS}
    running = {}
    for name in PROGRAMS:
        path = tmp_path / f"{name}.py"
        path.write_text(
            scenario_program(name, sandbox.kafka_address or "", sandbox.registry_address or ""), encoding="utf-8"
        )
        running[name] = subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True)
    try:
        printed = {name: process.communicate(timeout=100)[0] for name, process in running.items()}
    finally:
        for process in running.values():
            process.kill()
            process.communicate()
    assert {name: process.returncode for name, process in running.items()} == dict.fromkeys(PROGRAMS, 0)
    assert printed["lose-no-event"].splitlines() == [
        "commit, then process: processed [0, 1, 2, 3, 5, 6, 7, 8], lost [4]",
        "process, then commit: processed [10, 11, 12, 13, 14, 15, 16, 17], lost []",
    ]
    assert "and again [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]" in printed["why-twice"]
    assert "after a commit, again []" in printed["why-twice"]
    one_key, suffixed = (eval(line.partition(":")[2]) for line in printed["hot-partition"].splitlines())  # noqa: S307
    assert max(one_key.values()) >= 300 > max(suffixed.values())
    assert printed["idle-members"].count("nothing: it is idle") == 1
    given_up = [int(line.split()[-2]) for line in printed["rebalance-storm"].splitlines()]
    assert given_up[1] < given_up[0]
    assert printed["dead-letters"].splitlines() == [
        "ten events: 1 dead letter, and nothing waited behind it",
        "mended and sent back: 0 dead letters",
    ]
    assert printed["evolve-a-schema"].splitlines() == [
        "refused without a default: 409",
        "the old consumer reads {'number': 1}",
        "the old consumer reads {'number': 3}",
    ]
    assert printed["queue"].splitlines() == [
        "consumer group: [0, 30]",
        "share group: both members accepted 30 events",
        "released first, and delivered again: 6",
    ]


def test_the_program_of_a_consumer_can_be_compiled(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 1)
    for more in ({"commit": "auto"}, {"commit": "before"}, {"protocol": "consumer"}, {"protocol": "share"}):
        spec = sandbox.playground.start("billing", ["orders"], **more).spec
        text = consumer_program(spec, "127.0.0.1:9092")
        compile(text, "program", "exec")
        assert "'billing'" in text
