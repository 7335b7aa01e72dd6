"""The clock is set back, or goes on while the machine sleeps."""

from dataclasses import dataclass

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.calls import JoinGroup
from sandbox.kafka.event import NewEvent
from sandbox.runtime.clock import ClockJumps
from tests.clock import Clock
from tests.wire.raw_client import RawClient, rows

HOUR_MS = 3_600_000


@dataclass
class Steady:
    """A clock that no test sets."""

    now_s: float = 5.0

    def __call__(self) -> float:
        return self.now_s


def test_a_jump_is_what_one_clock_went_beside_the_other(clock: Clock) -> None:
    steady = Steady()
    jumps = ClockJumps(clock, steady)
    clock.pass_ms(60_000)
    steady.now_s += 60
    assert jumps.look() == 0
    clock.pass_ms(8 * HOUR_MS)
    assert jumps.look() == 8 * HOUR_MS
    assert jumps.look() == 0
    clock.pass_ms(-2 * HOUR_MS)
    steady.now_s += 1
    assert jumps.look() == -2 * HOUR_MS - 1_000


def test_a_clock_made_by_hand_never_jumps(clock: Clock) -> None:
    jumps = ClockJumps(clock, None)
    clock.pass_ms(HOUR_MS)
    assert jumps.look() == 0


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
