"""The rules of a share group's window in one partition (KIP-932), with a clock that the test sets."""

import pytest

from sandbox.broker.shares.window import (
    AcknowledgedRange,
    AcknowledgeType,
    Acquired,
    Limits,
    ReadRange,
    RecordState,
    Window,
    ranges_of,
)
from sandbox.kafka.errors import BrokerError

LIMITS = Limits(lock_ms=1_000)
GAP, ACCEPT, RELEASE, REJECT, RENEW = AcknowledgeType


def begun(at: int = 0) -> Window:
    window = Window()
    window.begin(at)
    return window


def read(first: int, end: int, *batches: tuple[int, int], without: tuple[int, ...] = ()) -> ReadRange:
    offsets = [one for one in range(first, end) if one not in without]
    return ReadRange(first, end, offsets, batches or [(one, one) for one in offsets])


def take(
    window: Window,
    member: str,
    records: ReadRange,
    most: int = 500,
    *,
    at: int = 0,
    exact: bool = False,
    limits: Limits = LIMITS,
) -> list[int]:
    return window.acquire(member, records, most, exact, limits, at)


def say(
    window: Window,
    member: str,
    kind: AcknowledgeType,
    first: int,
    last: int | None = None,
    at: int = 0,
    limits: Limits = LIMITS,
) -> None:
    window.acknowledge(member, [AcknowledgedRange(first, first if last is None else last, (kind,))], limits, at)


def states(window: Window) -> str:
    return " ".join(f"{offset}:{one.state.value}/{one.deliveries}" for offset, one in window.records.items())


def test_a_record_has_one_owner_until_it_is_released() -> None:
    window = begun()
    assert take(window, "a", read(0, 3)) == [0, 1, 2]
    assert take(window, "b", read(0, 3)) == []
    say(window, "a", RELEASE, 1)
    assert window.next_fetch_offset() == 1
    assert take(window, "b", read(1, 3)) == [1]
    assert window.records[1].deliveries == 2


def test_the_start_offset_moves_past_what_is_done() -> None:
    window = begun()
    take(window, "a", read(0, 4))
    say(window, "a", ACCEPT, 1, 2)
    assert (window.start, window.end) == (0, 4)
    say(window, "a", REJECT, 0)
    assert (window.start, window.end, states(window)) == (3, 4, "3:acquired/1")
    say(window, "a", ACCEPT, 3)
    assert (window.start, window.end, window.records) == (4, 4, {})


def test_a_lock_expires_at_its_time_and_the_record_is_available_again() -> None:
    window = begun()
    take(window, "a", read(0, 1), at=100)
    assert window.due_ms == 1_100
    assert not window.expire(LIMITS, 1_099)
    assert window.expire(LIMITS, 1_100)
    assert states(window) == "0:available/1"
    with pytest.raises(BrokerError, match="INVALID_RECORD_STATE"):
        say(window, "a", ACCEPT, 0)


def test_a_renewed_lock_expires_later() -> None:
    window = begun()
    take(window, "a", read(0, 1))
    say(window, "a", RENEW, 0, at=900)
    assert not window.expire(LIMITS, 1_899)
    assert window.expire(LIMITS, 1_900)


def test_renewing_can_be_switched_off() -> None:
    window = begun()
    take(window, "a", read(0, 1))
    with pytest.raises(BrokerError, match="Renewing acquisition locks is not enabled for the group"):
        say(window, "a", RENEW, 0, limits=LIMITS._replace(renews=False))


def test_a_record_is_archived_at_its_last_delivery() -> None:
    window, limits = begun(), LIMITS._replace(deliveries_max=2)
    for delivery in (1, 2):
        assert take(window, "a", read(0, 1), limits=limits) == [0]
        assert window.records[0].deliveries == delivery
        say(window, "a", RELEASE, 0, limits=limits)
    assert (window.start, window.end, window.records) == (1, 1, {})
    assert window.rejected == {0: (2, "Offset delivery count exceeded the threshold.")}


def test_a_record_that_failed_often_is_delivered_with_fewer_and_at_last_alone() -> None:
    window = begun()
    records = read(0, 8, (0, 7))
    sizes = []
    for _ in range(4):
        sizes.append(len(take(window, "a", records)))
        window.release_all(LIMITS)
        while window.next_fetch_offset() < window.end and window.records[window.next_fetch_offset()].deliveries < len(
            sizes
        ):
            take(window, "a", read(window.next_fetch_offset(), 8, (0, 7)))
            window.release_all(LIMITS)
    assert sizes == [8, 8, 8, 4]
    assert take(window, "a", records) == [0]


def test_only_the_owner_acknowledges() -> None:
    window = begun()
    take(window, "a", read(0, 1))
    with pytest.raises(BrokerError, match="Member is not the owner of offset"):
        say(window, "b", ACCEPT, 0)


def test_acknowledgements_of_one_request_are_all_applied_or_none() -> None:
    window = begun()
    take(window, "a", read(0, 2))
    with pytest.raises(BrokerError, match="past acquired records"):
        window.acknowledge("a", [AcknowledgedRange(0, 0, (1,)), AcknowledgedRange(1, 2, (1,))], LIMITS, 0)
    assert states(window) == "0:acquired/1 1:acquired/1"


def test_one_type_may_be_given_for_each_record() -> None:
    window = begun()
    take(window, "a", read(0, 4))
    window.acknowledge("a", [AcknowledgedRange(0, 3, (RELEASE, ACCEPT, REJECT, ACCEPT))], LIMITS, 0)
    assert states(window) == "0:available/1 1:acknowledged/1 2:archived/1 3:acknowledged/1"


def test_an_acknowledgement_below_the_start_offset_is_ignored() -> None:
    window = begun()
    take(window, "a", read(0, 2))
    window.raise_start(2)
    say(window, "a", ACCEPT, 0, 1)
    assert (window.start, window.end) == (2, 2)


def test_gaps_are_never_acquired_and_do_not_hold_the_start_offset() -> None:
    window = begun()
    assert take(window, "a", read(0, 6, without=(0, 3, 5))) == [1, 2, 4]
    assert (window.start, window.end) == (1, 6)
    say(window, "a", ACCEPT, 1, 4)
    assert (window.start, window.end) == (6, 6)


def test_an_available_record_that_compaction_removed_is_archived() -> None:
    window = begun()
    take(window, "a", read(0, 3))
    window.release_all(LIMITS)
    assert take(window, "a", read(0, 3, without=(0, 1))) == [2]
    assert window.start == 2


def test_a_batch_is_acquired_whole_unless_the_limit_is_exact() -> None:
    batches = (0, 2), (3, 5), (6, 8)
    assert take(begun(), "a", read(0, 9, *batches), 4) == [0, 1, 2, 3, 4, 5]
    assert take(begun(), "a", read(0, 9, *batches), 4, exact=True) == [0, 1, 2, 3]


def test_no_more_new_records_than_locks() -> None:
    window, limits = begun(), LIMITS._replace(locks_max=3)
    assert take(window, "a", read(0, 9), limits=limits) == [0, 1, 2]
    assert (window.end, window.has_room(limits)) == (3, False)
    assert take(window, "a", read(3, 9), limits=limits) == []
    window.release_all(limits)
    assert take(window, "b", read(0, 9), limits=limits) == [0, 1, 2], "available records may be acquired again"


def test_retention_takes_records_out_of_the_window() -> None:
    window = begun()
    take(window, "a", read(0, 4))
    window.raise_start(2)
    assert (window.start, states(window)) == (2, "2:acquired/1 3:acquired/1")


def test_the_ranges_of_an_answer_have_one_delivery_count_and_end_with_a_batch() -> None:
    window = begun()
    taken = take(window, "a", read(0, 6, (0, 1), (2, 3), (4, 5)))
    window.records[5].deliveries = 2
    batches = [(0, 1), (2, 3), (4, 5)]
    assert ranges_of(taken, window, batches, 2) == [
        Acquired(0, 1, 1),
        Acquired(2, 3, 1),
        Acquired(4, 4, 1),
        Acquired(5, 5, 2),
    ]
    assert ranges_of(taken, window, batches, 100)[0] == Acquired(0, 4, 1)


def test_lag_counts_what_is_not_done() -> None:
    window = begun()
    take(window, "a", read(0, 4))
    say(window, "a", ACCEPT, 2)
    assert window.lag(10) == 9


def test_a_moved_clock_moves_the_locks() -> None:
    window = begun()
    take(window, "a", read(0, 1), at=0)
    window.clock_moved(50_000, 50_100, LIMITS)
    assert not window.expire(LIMITS, 50_999)
    assert window.expire(LIMITS, 51_000)


def test_records_are_archived_by_hand() -> None:
    window = begun()
    take(window, "a", read(0, 2))
    assert window.archive([0, 7])
    assert (window.start, window.records[1].state) == (1, RecordState.ACQUIRED)
