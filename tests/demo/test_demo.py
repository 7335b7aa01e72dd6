"""The demo: samples loaded once, two running groups, and everything deleted by one call."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.demo.demo import Demo, DemoRates, load_samples
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event
from sandbox.model.groups import GroupDescription

LINES = {"earthquakes": 1707, "flights": 10000, "payments": 500}
QUICK = DemoRates(payments_per_s=50, rest_s=1.5, schemas_after_s=None)
WITH_SCHEMAS = DemoRates(schemas_after_s=0, schemas_per_s=20)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "demo.db") as opened:
        yield opened


@pytest.fixture
def serving(sandbox: Sandbox) -> Sandbox:
    sandbox.serve(kafka_port=0, web_port=None)
    return sandbox


@pytest.fixture
def demo(serving: Sandbox) -> Iterator[Demo]:
    demo = Demo(serving, QUICK)
    yield demo
    assert demo.stop()


def until(condition: Callable[[], bool], what: str, within_s: float = 30) -> None:
    """Wait for a condition, and fail with its name when it does not come."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        pause.wait(0.02)


def events_by_topic(sandbox: Sandbox) -> dict[str, int]:
    return {topic.topic: topic.events for topic in sandbox.topics()}


def group(sandbox: Sandbox, name: str) -> GroupDescription | None:
    return next((group for group in sandbox.groups() if group.group == name), None)


def lag(sandbox: Sandbox, name: str) -> int:
    """The group's lag; -1 if it has none yet."""
    found = group(sandbox, name)
    return -1 if found is None or found.lag is None else found.lag


def stored(sandbox: Sandbox, topic: str, partition: int) -> list[Event]:
    return sandbox.read(topic, partition=partition, offset=0, limit=5000)


def test_the_samples_are_loaded_once_with_every_line_and_its_own_time(sandbox: Sandbox) -> None:
    assert load_samples(sandbox) == LINES
    assert load_samples(sandbox) == {}
    assert events_by_topic(sandbox) == LINES
    partitions = {topic.topic: len(topic.partitions) for topic in sandbox.topics()}
    assert partitions == {"earthquakes": 3, "flights": 6, "payments": 3}
    for partition in range(3):
        for event in stored(sandbox, "earthquakes", partition):
            quake = json.loads(event.value or b"")
            assert (event.timestamp_ms, event.key) == (quake["time"], quake["net"].encode())


def test_progress_is_told_up_to_the_last_event_of_each_topic(sandbox: Sandbox) -> None:
    told: list[tuple[str, int, int]] = []
    load_samples(sandbox, lambda topic, done, total: told.append((topic, done, total)))
    assert {topic: done for topic, done, total in told if done == total} == LINES
    assert len([done for topic, done, _ in told if topic == "flights"]) == 10


def test_a_load_that_was_cut_short_is_completed_with_nothing_twice(sandbox: Sandbox) -> None:
    def power_cut(topic: str, done: int, _total: int) -> None:
        if (topic, done) == ("flights", 3000):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_samples(sandbox, power_cut)
    assert events_by_topic(sandbox) == {"earthquakes": 1707, "flights": 3000}

    assert load_samples(sandbox) == {"flights": 7000, "payments": 500}
    assert events_by_topic(sandbox) == LINES
    for partition in range(6):
        times = [event.timestamp_ms for event in stored(sandbox, "flights", partition)]
        assert times == sorted(times)


def test_a_sample_topic_that_the_user_deleted_does_not_come_back(sandbox: Sandbox) -> None:
    load_samples(sandbox)
    sandbox.delete_topic("flights")
    assert load_samples(sandbox) == {}
    assert "flights" not in events_by_topic(sandbox)


def test_without_a_kafka_port_the_demo_says_what_to_do(sandbox: Sandbox) -> None:
    with pytest.raises(RuntimeError, match="serve"):
        Demo(sandbox).start()
    assert Demo(sandbox).state == "never"


def test_one_group_keeps_up_and_the_other_falls_behind_and_catches_up(serving: Sandbox, demo: Demo) -> None:
    assert demo.start()
    until(lambda: serving.topic("payments").events > 600, "payments are sent")
    until(lambda: lag(serving, "fraud-check") == 0, "fraud-check has caught up")
    until(lambda: lag(serving, "daily-report") > 50, "daily-report has fallen behind")
    until(lambda: 0 <= lag(serving, "daily-report") < 15, "daily-report has caught up")
    until(lambda: lag(serving, "daily-report") > 50, "daily-report has fallen behind again")

    for name in ("fraud-check", "daily-report"):
        found = group(serving, name)
        assert found is not None
        assert [member.client_id for member in found.members] == [f"demo-{name}"]


def test_a_stopped_demo_leaves_its_groups_and_starts_again_where_it_was(serving: Sandbox, demo: Demo) -> None:
    demo.start()
    until(lambda: lag(serving, "fraud-check") == 0, "fraud-check has caught up")
    assert demo.stop()
    assert (demo.state, demo.running) == ("on", False)
    assert all(not found.members for found in serving.groups())
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("demo-")]

    before = serving.topic("payments").events
    assert demo.start()
    until(lambda: serving.topic("payments").events > before, "payments are sent again")
    assert events_by_topic(serving)["flights"] == LINES["flights"]


def test_a_demo_that_was_switched_off_stays_off_until_it_is_switched_on(serving: Sandbox, demo: Demo) -> None:
    demo.start()
    assert demo.switch_off()
    assert (demo.start(), demo.state, demo.running) == (False, "off", False)
    assert set(events_by_topic(serving)) == set(LINES)
    demo.switch_on()
    assert (demo.state, demo.running) == ("on", True)


def test_removing_the_demo_deletes_what_it_made_and_nothing_else(serving: Sandbox, demo: Demo) -> None:
    serving.append("earthquakes", "felt nothing", key="me")
    serving.append("orders", "one")
    serving.commit("billing", "orders", 0, 1)
    demo.start()
    until(lambda: len(serving.groups()) == 3, "both groups have come")

    removed = demo.remove()
    assert set(removed.topics) == {"flights", "payments"}
    assert set(removed.groups) == {"fraud-check", "daily-report"}
    assert removed.kept == ()
    assert events_by_topic(serving) == {"earthquakes": 1708, "orders": 1}
    assert [found.group for found in serving.groups()] == ["billing"]


def test_a_removed_demo_stays_removed_when_the_file_is_opened_again(tmp_path: Path) -> None:
    for attempt in range(2):
        with Sandbox(tmp_path / "demo.db") as sandbox:
            sandbox.serve(kafka_port=0, web_port=None)
            demo = Demo(sandbox, QUICK)
            assert demo.start() is (attempt == 0)
            demo.remove()
            assert (demo.state, sandbox.topics(), sandbox.groups()) == ("removed", (), ())


def test_a_removed_demo_can_be_brought_back_from_the_beginning(serving: Sandbox, demo: Demo) -> None:
    demo.start()
    demo.remove()
    demo.switch_on()
    assert events_by_topic(serving)["earthquakes"] == LINES["earthquakes"]
    assert demo.state == "on"


def test_the_demo_sends_nothing_into_a_topic_that_is_full(serving: Sandbox) -> None:
    demo = Demo(serving, DemoRates(payments_per_s=200, events_max=500, schemas_after_s=None))
    demo.start()
    until(lambda: lag(serving, "fraud-check") == 0, "fraud-check has caught up")
    assert demo.stop()
    assert serving.topic("payments").events == 500


def test_a_payments_topic_that_the_user_deletes_is_not_made_again(serving: Sandbox, demo: Demo) -> None:
    demo.start()
    until(lambda: serving.topic("payments").events > 510, "payments are sent")
    serving.delete_topic("payments")
    assert demo.stop()
    with pytest.raises(BrokerError, match="UNKNOWN_TOPIC_OR_PARTITION"):
        serving.topic("payments")


def test_the_page_removes_the_demo_at_one_click_and_then_no_longer_offers_it(sandbox: Sandbox) -> None:
    sandbox.serve(kafka_port=0, web_port=0)
    assert sandbox.web_address is not None
    sandbox.demo = Demo(sandbox, QUICK)
    sandbox.demo.start()
    with urlopen(sandbox.web_address, timeout=30) as answer:
        assert b'action="/demo/remove"' in answer.read()

    click = Request(f"{sandbox.web_address}/demo/remove", method="POST", headers={"Origin": sandbox.web_address})
    with urlopen(click, timeout=30) as answer:
        assert b'action="/demo/remove"' not in answer.read()
    assert (sandbox.demo.state, sandbox.topics(), sandbox.groups()) == ("removed", (), ())


def test_topics_with_schemas_have_two_versions_and_are_live(serving: Sandbox) -> None:
    demo = Demo(serving, WITH_SCHEMAS)
    demo.start()
    expected = {"earthquakes-avro": 1707, "flights-protobuf": 2000}
    until(
        lambda: all(events_by_topic(serving).get(topic, 0) > count for topic, count in expected.items()),
        "the topics with schemas are filled, and get new events",
    )
    assert demo.stop()
    with serving.schemas.rows() as rows:
        versions = {(str(row.subject), row.version): row.schema_id for row in rows.all_versions()}
    assert set(versions) == {(f"{topic}-value", version) for topic in expected for version in (1, 2)}
    for topic in expected:
        events = serving.read(topic, offset=0, limit=5000, decode=True)
        assert all((event.value or b"").startswith(b"{") for event in events)
        ids = {int.from_bytes((event.value or b"")[1:5]) for event in serving.read(topic, offset=0, limit=5000)}
        assert ids == {versions[f"{topic}-value", 1], versions[f"{topic}-value", 2]}
    newest = json.loads(serving.read("flights-protobuf", newest_first=True, limit=1, decode=True)[0].value or b"")
    assert newest["departed"].startswith("20")
    assert "late" in newest

    before = events_by_topic(serving)
    demo.start()
    until(lambda: serving.topic("flights-protobuf").events > before["flights-protobuf"], "it continues")
    assert serving.topic("earthquakes-avro").events < before["earthquakes-avro"] + 1000
    assert set(expected) <= set(demo.remove().topics)
    with serving.schemas.rows() as rows:
        assert rows.all_versions() == []
