"""The clock is set back, or advances while the machine sleeps."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.calls import JoinGroup
from sandbox.broker.shares.window import ReadRange
from sandbox.kafka.event import NewEvent
from sandbox.runtime.clock import Jump, WatchedClock
from tests.clock import Clock
from tests.disk import read_only_disk
from tests.waiting import eventually
from tests.wire.raw_client import RawClient, rows

HOUR_MS = 3_600_000


@dataclass
class Steady:
    """A clock that no test sets."""

    now_s: float = 5.0

    def __call__(self) -> float:
        return self.now_s


class Watched:
    """A watched clock with the clocks that it compares, and the jumps that it reported."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.running, self.passed = Steady(), Steady(70.0)
        self.jumps: list[Jump] = []
        self.read = WatchedClock(clock, lambda jump, now_ms: self.jumps.append(jump), self.running, self.passed)

    def run(self, seconds: float) -> None:
        self.clock.pass_ms(int(1000 * seconds))
        self.running.now_s += seconds
        self.passed.now_s += seconds

    def sleep(self, seconds: float) -> None:
        self.clock.pass_ms(int(1000 * seconds))
        self.passed.now_s += seconds


def test_a_clock_that_runs_with_the_others_never_jumps(clock: Clock) -> None:
    watched = Watched(clock)
    for _ in range(100):
        watched.run(3_600)
        assert watched.read() == clock()
    assert watched.jumps == []


def test_a_jump_is_reported_once_with_the_part_by_which_the_clock_was_set(clock: Clock) -> None:
    watched = Watched(clock)
    watched.run(60)
    clock.pass_ms(-24 * HOUR_MS)
    assert watched.read() == clock()
    watched.sleep(3_600)
    watched.read()
    watched.sleep(3_600)
    clock.pass_ms(5 * HOUR_MS)
    watched.read()
    watched.read()
    assert watched.jumps == [Jump(-24 * HOUR_MS, -24 * HOUR_MS), Jump(HOUR_MS, 0), Jump(6 * HOUR_MS, 5 * HOUR_MS)]


def test_drift_adds_up_to_a_jump(clock: Clock) -> None:
    watched = Watched(clock)
    for _ in range(30):
        watched.run(60)
        clock.pass_ms(20)
        watched.read()
    assert sum(jump.by_ms for jump in watched.jumps) == pytest.approx(600, abs=200)


def test_readings_between_which_the_process_was_interrupted_are_not_compared(clock: Clock) -> None:
    class Interrupted(Steady):
        def __call__(self) -> float:
            self.now_s += 1.0
            return self.now_s

    jumps: list[Jump] = []
    read = WatchedClock(clock, lambda jump, now_ms: jumps.append(jump), Interrupted(), Steady())
    read()
    assert jumps == []


def test_a_clock_that_a_test_sets_never_jumps(clock: Clock) -> None:
    jumps: list[Jump] = []
    read = WatchedClock(clock, lambda jump, now_ms: jumps.append(jump), None)
    clock.pass_ms(HOUR_MS)
    assert read() == clock()
    assert jumps == []


class SystemTime:
    """The module `time` as `sandbox.runtime.clock` sees it: the test sets the clock, and lets the machine sleep."""

    CLOCK_BOOTTIME = CLOCK_MONOTONIC = 7

    def __init__(self) -> None:
        self.set_ms = 0
        self.slept_s = self.ran_s = 0.0

    def time_ns(self) -> int:
        return time.time_ns() + 1_000_000 * self.set_ms + int(1e9 * (self.slept_s + self.ran_s))

    def monotonic(self) -> float:
        return time.monotonic() + self.ran_s

    def clock_gettime(self, clock: int) -> float:
        return self.monotonic() + self.slept_s


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> SystemTime:
    system = SystemTime()
    monkeypatch.setattr("sandbox.runtime.clock.time", system)
    monkeypatch.setattr("sandbox.runtime.clock.sys.platform", "linux")
    return system


@pytest.fixture
def running(file: Path, system: SystemTime) -> Iterator[Sandbox]:
    """A sandbox with Kafka's ports on the system clock."""
    with Sandbox(file, settings={"group.min.session.timeout.ms": "100", "log.cleaner.backoff.ms": "100"}) as box:
        box.serve(kafka_port=0, web_port=None)
        yield box


def transaction_state(box: Sandbox) -> str:
    return box._runtime.broker.transactions.describe("teller").state.value


def begin_transaction(box: Sandbox, timeout_ms: int) -> None:
    def begin(now_ms: int) -> None:
        transactions = box._runtime.broker.transactions
        producer = transactions.init_producer_id("teller", timeout_ms, -1, -1, now_ms)
        transactions.add_partitions("teller", *producer, [("orders", 0)], now_ms)

    box._runtime.call(begin)


def join(box: Sandbox, session_timeout_ms: int) -> None:
    """One member of the group `app` that has joined and then sends nothing more."""
    coordinator = box._runtime.coordinator
    call = JoinGroup("app", "", None, "app", "/127.0.0.1", session_timeout_ms, 300, "consumer", (("range", b""),))
    reply = box._runtime.call(lambda now_ms: coordinator.join(call, now_ms))
    eventually(lambda: reply.done)
    member = reply.result().member_id
    box._runtime.call(
        lambda now_ms: coordinator.sync("app", 1, member, None, "consumer", "range", {member: b""}, now_ms)
    )
    assert box.group("app").state == "Stable"


@pytest.mark.parametrize("by_ms", [-24 * HOUR_MS, 400 * 24 * HOUR_MS])
def test_a_transaction_is_aborted_after_its_timeout_though_the_clock_was_set(
    running: Sandbox, system: SystemTime, by_ms: int
) -> None:
    running.create_topic("orders")
    begin_transaction(running, 2_000)
    begun_s = time.monotonic()
    system.set_ms = by_ms
    running.append("orders", "x")
    assert transaction_state(running) == "Ongoing"
    eventually(lambda: transaction_state(running) == "CompleteAbort", 30)
    assert time.monotonic() - begun_s >= 1.9


def test_a_restart_after_the_clock_was_set_back_ends_a_transaction_a_timeout_later(
    file: Path, system: SystemTime
) -> None:
    with Sandbox(file) as box:
        box.create_topic("orders")
        begin_transaction(box, 1_000)
    system.set_ms = -24 * HOUR_MS
    with Sandbox(file) as box:
        box.serve(kafka_port=0, web_port=None)
        eventually(lambda: transaction_state(box) == "CompleteAbort", 30)


@pytest.mark.parametrize("by_ms", [-24 * HOUR_MS, 24 * HOUR_MS])
def test_a_member_is_removed_after_its_session_though_the_clock_was_set(
    running: Sandbox, system: SystemTime, by_ms: int
) -> None:
    running.create_topic("orders")
    join(running, 3_000)
    joined_s = time.monotonic()
    system.set_ms = by_ms
    running.append("orders", "x")
    assert len(running.group("app").members) == 1
    eventually(lambda: not running.group("app").members, 30)
    assert time.monotonic() - joined_s >= 2.5


def test_after_the_machine_slept_for_an_hour_members_and_transactions_have_the_rest_of_their_time(
    running: Sandbox, system: SystemTime
) -> None:
    running.create_topic("orders")
    join(running, 60_000)
    begin_transaction(running, 60_000)
    system.slept_s = 3_600
    running.append("orders", "x")
    running.append("orders", "y")
    assert len(running.group("app").members) == 1
    assert transaction_state(running) == "Ongoing"
    assert running.trouble is None


def test_a_member_has_a_chance_to_heartbeat_after_the_whole_process_was_stopped(running: Sandbox) -> None:
    running.create_topic("orders")
    join(running, 1_000)
    # As after SIGSTOP and SIGCONT, or the sleep of a machine whose monotonic clock does not stop: nothing ran.
    running._runtime.call(lambda now_ms: threading.Event().wait(4))
    assert len(running.group("app").members) == 1
    eventually(lambda: not running.group("app").members, 30)


def test_due_work_goes_on_after_a_jump_while_the_file_cannot_be_written(
    running: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.create_topic("orders")
    runtime = running._runtime
    shares, partition = runtime.coordinator.shares, runtime.broker.topic("orders").partitions[0]

    def acquire(now_ms: int) -> None:
        shares.begin("work", partition, 0)
        shares.acquire("work", partition, "a", ReadRange(0, 1, [0], [(0, 0)]), 1, False, now_ms)

    runtime.call(acquire)
    ticked: Future[bool] = Future()

    def tick() -> None:
        try:
            runtime._tick()
            ticked.set_result(runtime._commit_due)
        except Exception as error:
            ticked.set_exception(error)

    # So that every tick counts as late, as after the process was stopped.
    monkeypatch.setattr("sandbox.runtime.runtime.LATE_S", -1)
    with read_only_disk(running):
        runtime.loop().call_soon_threadsafe(tick)
        assert ticked.result(10), "the end of this turn schedules the next tick"


def test_due_work_goes_on_after_a_defect(
    running: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ticks: list[int] = []

    def tick(now_ms: int) -> None:
        ticks.append(now_ms)
        raise ValueError("a defect")

    monkeypatch.setattr(running._runtime.coordinator, "tick", tick)
    eventually(lambda: len(ticks) >= 2, 10)
    assert "a defect" in caplog.text


def test_a_clock_set_forward_is_reported_and_deletes_nothing_for_an_hour_of_running(
    file: Path, system: SystemTime, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"log.retention.check.interval.ms": "10", "log.retention.ms": str(48 * HOUR_MS)}
    with Sandbox(file, settings=settings) as box:
        box.append_many("orders", [NewEvent(b"x")] * 5)
        box.append_many("orders", [NewEvent(b"y")] * 5)

        def look() -> int:
            box.set_setting("any", "other")
            return box.topic("orders").events

        system.set_ms = 365 * 24 * HOUR_MS
        assert [look() for _ in range(3)] == [10, 10, 10]
        assert "set forward by 365 d" in (box.trouble or "")
        assert "retention.ms" in caplog.text
        (told,) = [one for one in box.activity.read().entries if one.kind == "clock"]
        # Both clocks are read in ms, one after the other.
        assert abs(told.details["by_ms"] - 365 * 24 * HOUR_MS) <= 5
        system.slept_s = 20 * 3_600
        system.ran_s = 3_500
        assert [look() for _ in range(3)] == [10, 10, 10]
        assert box.trouble is not None
        system.ran_s = 3_700
        eventually(lambda: not look(), 30)
        assert box.trouble is None


def test_a_clock_that_is_set_right_within_the_hour_deletes_nothing(file: Path, system: SystemTime) -> None:
    settings = {"log.retention.check.interval.ms": "10", "log.retention.ms": "3600000"}
    with Sandbox(file, settings=settings) as box:
        box.append_many("orders", [NewEvent(b"x")] * 5)
        system.set_ms = 365 * 24 * HOUR_MS
        box.set_setting("any", "other")
        assert box.trouble
        system.set_ms = 0
        box.set_setting("any", "other")
        assert box.trouble is None
        box.set_setting("any", "other")
        assert box.topic("orders").events == 5


def joined(box: Sandbox, clock: Clock) -> str:
    """A member of the group `app`, whose session lasts 10 s."""
    box.create_topic("orders")
    call = JoinGroup(
        group="app",
        member_id="",
        client_id="app",
        client_host="/127.0.0.1",
        session_timeout_ms=10_000,
        rebalance_timeout_ms=60_000,
        protocol_type="consumer",
        protocols=(("range", b""),),
        instance_id=None,
    )
    reply = box._runtime.coordinator.join(call, clock())
    clock.pass_ms(3_000)
    box._runtime.coordinator.tick(clock())
    member = next(iter(box._runtime.coordinator._table.groups["app"].members))
    assert reply is not None
    box._runtime.coordinator.sync("app", 1, member, None, "consumer", "range", {member: b""}, clock())
    box._runtime.broker.commit()
    return member


def members(box: Sandbox) -> int:
    return len(box._runtime.coordinator._table.groups["app"].members)


def test_members_outlive_a_night_that_the_machine_slept_and_die_a_session_later(box: Sandbox, clock: Clock) -> None:
    joined(box, clock)
    coordinator = box._runtime.coordinator
    coordinator.clock_moved(8 * HOUR_MS, clock.pass_ms(8 * HOUR_MS))
    coordinator.tick(clock())
    assert members(box) == 1
    coordinator.tick(clock.pass_ms(10_001))
    assert members(box) == 0


def test_a_member_that_is_gone_is_put_out_in_time_though_the_clock_was_set_back(box: Sandbox, clock: Clock) -> None:
    joined(box, clock)
    coordinator = box._runtime.coordinator
    coordinator.clock_moved(-HOUR_MS, clock.pass_ms(-HOUR_MS))
    coordinator.tick(clock())
    assert members(box) == 1
    coordinator.tick(clock.pass_ms(10_001))
    assert members(box) == 0


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, -400 * 24 * HOUR_MS, 30 * 24 * HOUR_MS])
def test_everything_goes_on_when_the_clock_was_set(served: Sandbox, clock: Clock, jump_ms: int) -> None:
    client = RawClient(served.kafka_address or "")
    served.create_topic("orders", settings={"retention.ms": "-1"})
    served.append_many("orders", [NewEvent(b"before")] * 5)
    served.commit("app", "orders", 0, 2)
    clock.pass_ms(jump_ms)
    served._runtime.call(lambda now_ms: served._runtime.coordinator.clock_moved(jump_ms, now_ms))
    assert client.produce("orders", rows(b"after", timestamp_ms=clock())).error_code == 0
    assert [event.value for event in served.read("orders", offset=0)] == [b"before"] * 5 + [b"after"]
    served.commit("app", "orders", 0, 3)
    assert served.group("app").lag == 3
    assert served.lag_history("app", since_ms=clock() - HOUR_MS)
    assert served.activity.read()
    served._runtime.call(lambda now_ms: served._runtime.broker.tick(now_ms))
    assert served.offsets_for_time("orders", clock() + 800 * 24 * HOUR_MS) == {0: None}
    client.close()
