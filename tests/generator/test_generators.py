"""Generators send what their template makes, at their rate, and end when they should."""

from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.generator.generator import RUNNING_MAX, Pace
from sandbox.generator.generators import Generators
from sandbox.generator.template import EventTemplate
from sandbox.kafka.errors import BrokerError, SandboxError
from sandbox.model.activity import ActivityQuery
from sandbox.web.activity import entry_text
from tests.waiting import eventually

WAIT_S = 20


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=4)
    return box


def test_a_pace_lets_out_as_many_events_as_the_clock_says() -> None:
    pace = Pace(10, 100.0)
    assert pace.due(100.0) == 1
    pace.sent(1)
    assert pace.due(100.05) == 0
    assert pace.rest_s(100.05) == pytest.approx(0.05)
    assert pace.due(100.35) == 3
    pace.sent(3)
    assert pace.due(100.36) == 0


def test_a_pace_that_was_held_up_does_not_flood() -> None:
    pace = Pace(1000, 0.0)
    pace.sent(1)
    assert pace.due(0.5) == 500
    assert pace.due(60.0) <= 2


def test_a_slow_pace_is_kept() -> None:
    pace = Pace(0.1, 0.0)
    pace.sent(1)
    assert pace.due(9.9) == 0
    assert pace.due(10.1) == 1


def test_a_run_sends_what_its_seed_makes_and_then_ends(orders: Sandbox) -> None:
    template = EventTemplate("{{int 1 1000000}}", "k{{pool}}", (("h", "{{hex 4}}"),), keys=3)
    run = orders.generators.start("orders", template, rate=2000, count=120, seed=9)
    run = orders.generators.wait(run.id, WAIT_S)
    assert (run.state, run.sent, run.error) == ("done", 120, None)
    stored = {(event.key, event.value, event.headers) for event in orders.read("orders", limit=200)}
    assert stored == {(event.key, event.value, event.headers) for event in template.events(9, 120)}
    assert sum(events for _, events in run.partitions) == 120
    assert run.last is not None
    assert orders.event("orders", *run.last).key is not None


def test_a_run_is_stopped_and_says_how_much_it_sent(orders: Sandbox) -> None:
    run = orders.generators.start("orders", "clicks", rate=500)
    eventually(lambda: orders.generators.get(run.id).sent > 20)
    stopped = orders.generators.stop(run.id)
    assert stopped.state == "stopped"
    assert orders.topic("orders").events == stopped.sent
    assert stopped.ended_ms is not None


def test_a_run_ends_after_its_time(orders: Sandbox) -> None:
    run = orders.generators.start("orders", "clicks", rate=100, duration_s=0.3)
    run = orders.generators.wait(run.id, WAIT_S)
    assert run.state == "done"
    assert 1 <= run.sent <= 31


def test_its_start_and_its_end_are_activity(orders: Sandbox) -> None:
    run = orders.generators.start("orders", "sensors", rate=1000, count=7, seed=2)
    orders.generators.wait(run.id, WAIT_S)
    found = orders.activity.read(ActivityQuery(frozenset({"generated"}), topic="orders")).entries
    assert sorted(entry_text(entry) for entry in found) == [
        "generator 1 done, 7 events sent",
        "generator 1 started: sensors, 1000 events/s, seed 2",
    ]


def test_a_topic_that_is_deleted_does_not_come_back(orders: Sandbox) -> None:
    run = orders.generators.start("orders", "clicks", rate=200)
    eventually(lambda: orders.generators.get(run.id).sent > 0)
    orders.delete_topic("orders")
    ended = orders.generators.wait(run.id, WAIT_S)
    assert ended.state == "failed"
    assert "There is no topic orders" in (ended.error or "")
    assert orders.topics() == ()


def test_an_event_that_the_topic_refuses_ends_the_run_with_the_reason(box: Sandbox) -> None:
    box.create_topic("small", settings={"max.message.bytes": "200"})
    run = box.generators.start("small", EventTemplate("{{hex 500}}"), rate=100)
    ended = box.generators.wait(run.id, WAIT_S)
    assert (ended.state, ended.sent) == ("failed", 0)
    assert "MESSAGE_TOO_LARGE" in (ended.error or "")


def test_runs_end_with_the_sandbox(file: Path) -> None:
    with Sandbox(file) as sandbox:
        sandbox.create_topic("orders")
        sandbox.serve(kafka_port=0, web_port=None)
        runs = [sandbox.generators.start("orders", "sensors", rate=100) for _ in range(2)]
        generators = sandbox.generators
    assert [generators.get(run.id).state for run in runs] == ["stopped", "stopped"]
    with pytest.raises(SandboxError, match="closed"):
        generators.start("orders", "sensors")


def test_no_more_run_at_once_than_the_bound(orders: Sandbox) -> None:
    for _ in range(RUNNING_MAX):
        orders.generators.start("orders", "clicks", rate=0.1)
    with pytest.raises(BrokerError, match=f"{RUNNING_MAX} generators are already running, the maximum: stop one first"):
        orders.generators.start("orders", "clicks", rate=0.1)
    orders.generators.stop_all()
    assert {run.state for run in orders.generators.list()} == {"stopped"}
    orders.generators.clear()
    assert orders.generators.list() == ()


def test_all_together_are_no_faster_than_the_bound(orders: Sandbox) -> None:
    orders.generators.start("orders", EventTemplate("v"), rate=2000)
    orders.generators.start("orders", EventTemplate("v"), rate=1500)
    with pytest.raises(BrokerError, match="at most 500"):
        orders.generators.start("orders", EventTemplate("v"), rate=600)


@pytest.mark.parametrize(
    "more", [{"rate": 0}, {"rate": 2001}, {"rate": float("nan")}, {"count": 0}, {"duration_s": -1}, {"seed": -1}]
)
def test_a_number_that_makes_no_sense_starts_nothing(orders: Sandbox, more: dict[str, float]) -> None:
    with pytest.raises(BrokerError, match="INVALID_REQUEST"):
        orders.generators.start("orders", "clicks", **more)  # type: ignore[arg-type]
    assert orders.generators.list() == ()


def test_nothing_starts_for_a_topic_or_a_template_that_is_not_there(orders: Sandbox) -> None:
    with pytest.raises(BrokerError, match="There is no topic nope"):
        orders.generators.start("nope", "clicks")
    with pytest.raises(BrokerError, match=r"no template 'nope'.*orders, clicks"):
        orders.generators.start("orders", "nope")
    assert [topic.topic for topic in orders.topics()] == ["orders"]


def test_a_template_is_saved_in_the_file_and_is_there_again(file: Path) -> None:
    template = EventTemplate("{{int 1 6}}", "k", keys=6, description="a dice")
    with Sandbox(file) as sandbox:
        sandbox.generators.save("dice", EventTemplate("old"))
        sandbox.generators.save("dice", template)
    with Sandbox(file) as sandbox:
        assert sandbox.generators.saved() == {"dice": template}
        sandbox.create_topic("throws")
        run = sandbox.generators.start("throws", "dice", rate=1000, count=3)
        assert sandbox.generators.wait(run.id, WAIT_S).order.name == "dice"
        sandbox.generators.delete("dice")
        assert sandbox.generators.saved() == {}
        with pytest.raises(BrokerError, match="RESOURCE_NOT_FOUND"):
            sandbox.generators.delete("dice")


@pytest.mark.parametrize("name", ["", " ", "orders", "x" * 101, "a\nb"])
def test_a_template_cannot_take_any_name(box: Sandbox, name: str) -> None:
    with pytest.raises(BrokerError, match="INVALID_REQUEST"):
        box.generators.save(name, EventTemplate("v"))


def test_generators_without_a_file_work_and_say_that_they_keep_no_template(orders: Sandbox) -> None:
    generators = Generators(orders)
    assert generators.saved() == {}
    with pytest.raises(BrokerError, match="saved in the sandbox file"):
        generators.save("mine", EventTemplate("v"))
    run = generators.start("orders", "payments", rate=1000, count=5)
    assert generators.wait(run.id, WAIT_S).sent == 5
