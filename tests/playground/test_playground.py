"""The playground's consumers, over real clients: what goes wrong in them is seen, and ends with the sandbox."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.playground import playground as playground_module
from sandbox.playground.consumer import PlaygroundConsumer
from tests.playground.playground_room import (
    SESSION_MS,
    WITHIN_S,
    count,
    eventually,
    fill,
    ground,
    until_ended,
    until_processed,
    until_state,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sandbox(file: Path) -> Iterator[Sandbox]:
    with ground(file) as opened:
        yield opened


def start(sandbox: Sandbox, **more: Any) -> PlaygroundConsumer:
    """A consumer of `orders` in `billing`, as fast as it can."""
    given = {"rate": None, **more}
    return sandbox.playground.start("billing", ["orders"], **given)


def committed(sandbox: Sandbox, partition: int = 0) -> int | None:
    try:
        lags = sandbox.lag("billing")
    except BrokerError:
        return None
    return next((lag.committed for lag in lags if lag.partition == partition), None)


def test_what_was_not_committed_is_delivered_again_after_a_crash_and_marked_so(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 20)
    first = start(sandbox, commit="never", session_timeout_ms=SESSION_MS)
    until_processed(first, 20)
    first.crash()
    assert first.describe().state == "crashed"
    assert [member.client_id for member in sandbox.group("billing").members] == ["playground-1"]

    second = sandbox.playground.start_like(1)
    until_processed(second, 20)
    told = second.describe()
    assert told.redelivered == 20
    assert all(event.redelivered for event in told.events)
    facts = sandbox.playground.facts("billing")
    assert (facts.processed, facts.redelivered, facts.missing, facts.crashes) == (40, 20, 0, 1)


def test_what_was_committed_is_not_delivered_again_after_a_close(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 20)
    first = start(sandbox)
    until_processed(first, 20)
    first.close()
    assert sandbox.group("billing").members == ()
    sandbox.append("orders", "one more")
    second = sandbox.playground.start_like(1)
    until_processed(second, 1)
    eventually(lambda: committed(sandbox) == 21, WITHIN_S, "that one is committed")
    assert (count(second), second.describe().redelivered) == (1, 0)


def test_an_event_that_was_processed_and_committed_never_looks_lost_after_a_crash(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 600)
    first = start(sandbox, session_timeout_ms=SESSION_MS)
    until_processed(first, 100)
    first.crash()
    second = sandbox.playground.start_like(1)
    eventually(lambda: committed(sandbox) == 600, WITHIN_S, "all is committed")
    until_processed(second, 600 - count(first))
    facts = sandbox.playground.facts("billing")
    assert facts.missing == 0
    assert facts.redelivered <= 1


def test_a_consumer_that_commits_first_loses_the_event_it_was_working_on(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 3)
    first = start(sandbox, commit="before", slow_ms=60_000, session_timeout_ms=SESSION_MS)
    eventually(lambda: committed(sandbox) == 1, WITHIN_S, "the first event is committed before it is processed")
    eventually(lambda: first.describe().working == ("orders", 0, 0), WITHIN_S, "it works on the first event")
    first.crash()
    sandbox.playground.start("billing", ["orders"], rate=None, session_timeout_ms=SESSION_MS)
    eventually(lambda: committed(sandbox) == 3, WITHIN_S, "the others are processed")
    # What lies before the first that was handled is not between handled events.
    assert sandbox.playground.facts("billing").processed == 2


def test_a_member_too_many_is_idle(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 4, partitions=2)
    members = [start(sandbox) for _ in range(3)]

    def shares() -> list[int]:
        return sorted(len(one.describe().assigned) for one in members)

    eventually(lambda: shares() == [0, 1, 1], WITHIN_S, "two have a partition each")
    assert set(sandbox.playground.members("billing")) == {"playground-1", "playground-2", "playground-3"}


def test_a_poison_event_goes_to_the_dead_letter_topic_and_says_why(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 6)
    consumer = start(sandbox, fail_contains="v3", retries=1)
    until_processed(consumer, 5)
    eventually(lambda: committed(sandbox) == 6, WITHIN_S, "it went past the poison event")
    (letter,) = sandbox.read("orders.dlq")
    assert (letter.key, letter.value) == (b"k3", b"v3")
    headers = dict(letter.headers)
    assert headers["dlq.error"] == b"it contains 'v3'"
    assert [headers[f"dlq.{name}"] for name in ("topic", "partition", "offset", "group", "attempts")] == [
        b"orders",
        b"0",
        b"3",
        b"billing",
        b"2",
    ]
    (dead,) = [event for event in consumer.describe().events if event.outcome == "dead-lettered"]
    assert (dead.offset, dead.attempts, count(consumer, "failures")) == (3, 2, 2)
    assert sandbox.playground.facts("billing").missing == 0


def test_a_poison_event_that_is_tried_for_ever_holds_up_its_partition_until_the_cause_is_mended(
    sandbox: Sandbox,
) -> None:
    fill(sandbox, "orders", 4)
    consumer = start(sandbox, fail_contains="v1", retries=0, then="stuck")
    eventually(lambda: consumer.describe().stuck, WITHIN_S, "it is stuck")
    stuck = consumer.describe().stuck
    assert stuck is not None
    assert (stuck.topic, stuck.partition, stuck.offset, stuck.why) == ("orders", 0, 1, "it contains 'v1'")
    assert (count(consumer), committed(sandbox)) == (1, 1)
    consumer.change(fail_contains="")
    until_processed(consumer, 4)
    assert consumer.describe().stuck is None


def test_skipped_events_are_counted_as_passed_over(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 9)
    consumer = start(sandbox, fail=1, fail_of=4, retries=0, then="skip")
    eventually(lambda: committed(sandbox) == 9, WITHIN_S, "it went to the end")
    assert (count(consumer), count(consumer, "skipped")) == (6, 3)
    # Offsets 0 and 8 are at the ends, not between events that were handled.
    assert sandbox.playground.facts("billing").passed_over == (("orders", 0, 4, 4),)


def test_a_paused_consumer_handles_one_event_each_time_it_is_told_to_poll(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 5)
    consumer = start(sandbox, paused=True, commit="never")
    eventually(lambda: consumer.describe().assigned, WITHIN_S, "it has its partition")
    for number in (1, 2):
        consumer.poll()
        until_processed(consumer, number)
    assert (count(consumer), consumer.describe().state, committed(sandbox)) == (2, "paused", None)
    consumer.commit()
    eventually(lambda: committed(sandbox) == 2, WITHIN_S, "it commits when told")
    consumer.resume()
    until_processed(consumer, 5)
    assert [event.offset for event in consumer.describe().events] == [4, 3, 2, 1, 0]


def test_a_seek_back_brings_events_again(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 5)
    consumer = start(sandbox)
    until_processed(consumer, 5)
    consumer.seek(3, topic="orders", partition=0)
    until_processed(consumer, 7)
    assert [(event.offset, event.redelivered) for event in consumer.describe().events][:2] == [(4, True), (3, True)]
    consumer.seek("earliest")
    until_processed(consumer, 12)
    with pytest.raises(BrokerError, match="INVALID_REQUEST"):
        consumer.seek("somewhere")


def test_the_consumer_protocol_is_spoken_too(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 3)
    consumer = start(sandbox, protocol="consumer")
    until_processed(consumer, 3)
    assert sandbox.group("billing").protocol == "uniform"


def test_a_consumer_that_comes_and_goes_joins_again_and_again(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 1)
    consumer = start(sandbox, flap_ms=500)
    eventually(lambda: count(consumer, "rebalances") >= 2, WITHIN_S, "it has joined twice")
    assert consumer.describe().spec.injected() == ("comes and goes every 0.5 s",)


def test_a_topic_that_was_made_anew_has_other_events(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 3)
    until_processed(start(sandbox), 3)
    assert sandbox.playground.stop_group("billing") == 1
    sandbox.delete_topic("orders")
    fill(sandbox, "orders", 3)
    second = start(sandbox)
    until_processed(second, 3)
    assert second.describe().redelivered == 0


def test_a_group_is_stopped_at_once_and_forgotten(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 2, partitions=2)
    members = [start(sandbox) for _ in range(2)]
    for one in members:
        until_state(one, "running")
    assert sandbox.playground.stop_group("billing") == 2
    assert sandbox.group("billing").members == ()
    assert [one.state for one in sandbox.playground.consumers()] == ["closed", "closed"]
    assert sandbox.playground.members("billing") == ()
    assert sandbox.playground.forget("billing") == 2
    assert sandbox.playground.consumers() == ()
    assert sandbox.playground.facts("billing").processed == 0


def test_all_end_with_the_sandbox_and_leave_no_thread(file: Path) -> None:
    before = set(threading.enumerate())
    with ground(file) as sandbox:
        fill(sandbox, "orders", 1)
        members = [start(sandbox) for _ in range(2)]
        until_state(members[0], "running")
    assert [one.describe().state for one in members] == ["closed", "closed"]
    for one in members:
        until_ended(one.describe().pid)
    assert set(threading.enumerate()) <= before
    with pytest.raises(BrokerError, match="BROKER_NOT_AVAILABLE"):
        sandbox.playground.connection()


PROGRAM = """
import sys
from sandbox import Sandbox
sandbox = Sandbox(sys.argv[1])
sandbox.serve(kafka_port=0, web_port=None)
sandbox.append("orders", "x")
consumer = sandbox.playground.start("billing", ["orders"])
print(consumer.describe().pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for a process in /proc")
def test_a_consumer_does_not_outlive_a_server_that_was_killed(file: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(file)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        server.kill()
        until_ended(pid)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"commit": "sometimes"}, "INVALID_REQUEST"),
        ({"assignor": "cooperative-sticky", "protocol": "consumer"}, "INVALID_REQUEST"),
        ({"rate": 0.0}, "INVALID_REQUEST"),
        ({"rate": float("nan")}, "INVALID_REQUEST"),
        ({"fail": 11}, "INVALID_REQUEST"),
        ({"client_id": "a b"}, "INVALID_REQUEST"),
        ({"group": ""}, "INVALID_GROUP_ID"),
        ({"topics": []}, "INVALID_REQUEST"),
        ({"topics": ["nowhere"]}, "UNKNOWN_TOPIC_OR_PARTITION"),
    ],
)
def test_what_makes_no_sense_is_refused_and_starts_nothing(sandbox: Sandbox, more: dict[str, Any], named: str) -> None:
    fill(sandbox, "orders", 1)
    given = {"group": "billing", "topics": ["orders"], **more}
    with pytest.raises(BrokerError, match=named):
        sandbox.playground.start(**given)
    assert sandbox.playground.consumers() == ()


def test_the_number_of_consumers_is_bounded(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playground_module, "CONSUMERS_MAX", 1)
    fill(sandbox, "orders", 1)
    first = start(sandbox)
    with pytest.raises(BrokerError, match="POLICY_VIOLATION"):
        start(sandbox)
    first.close()
    start(sandbox)


def test_without_a_kafka_port_it_says_so(box: Sandbox) -> None:
    box.create_topic("orders")
    with pytest.raises(BrokerError, match="BROKER_NOT_AVAILABLE"):
        box.playground.start("billing", ["orders"])


def test_settings_of_the_client_cannot_be_changed_at_work(sandbox: Sandbox) -> None:
    fill(sandbox, "orders", 1)
    consumer = start(sandbox)
    with pytest.raises(BrokerError, match="be changed while the consumer is running"):
        consumer.change(group="other")
    consumer.change(rate=2.0, slow_ms=10)
    assert (consumer.spec.rate, consumer.spec.slow_ms) == (2.0, 10)
