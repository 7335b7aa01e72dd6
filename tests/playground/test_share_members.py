"""Members of share groups in the playground: they accept, release, reject, and let locks expire."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.playground.consumer import PlaygroundConsumer
from tests.playground.playground_room import WITHIN_S, count, eventually, fill, ground, until_processed, until_state

GROUP = "workers"


@pytest.fixture
def sandbox(file: Path) -> Iterator[Sandbox]:
    with ground(file) as opened:
        yield opened


def member(sandbox: Sandbox, **more: object) -> PlaygroundConsumer:
    settings: dict[str, object] = {"protocol": "share", "rate": None, "lock_ms": 1000, **more}
    return sandbox.playground.start(GROUP, ["jobs"], **settings)


def outcomes(consumer: PlaygroundConsumer) -> list[tuple[int, str, int]]:
    return sorted((one.offset, one.outcome, one.attempts) for one in consumer.describe().events)


def until_count(consumer: PlaygroundConsumer, what: str, least: int) -> None:
    eventually(lambda: count(consumer, what) >= least, WITHIN_S, f"{least} {what}")


def test_it_accepts_each_event_once(sandbox: Sandbox) -> None:
    fill(sandbox, "jobs", 3)
    one = member(sandbox)
    until_processed(one, 3)
    assert outcomes(one) == [(0, "processed", 1), (1, "processed", 1), (2, "processed", 1)]
    eventually(lambda: sandbox.share_groups.windows(GROUP)[0].start == 3, WITHIN_S, "all are acknowledged")
    assert sandbox.group(GROUP).type == "share"


def test_a_released_event_is_delivered_again_until_the_limit(sandbox: Sandbox) -> None:
    fill(sandbox, "jobs", 1)
    one = member(sandbox, acknowledge="release")
    until_count(one, "released", 5)
    assert outcomes(one) == [(0, "released", deliveries) for deliveries in range(1, 6)]
    eventually(lambda: sandbox.share_groups.windows(GROUP)[0].start == 1, WITHIN_S, "it is archived")


def test_a_rejected_event_is_not_delivered_again(sandbox: Sandbox) -> None:
    fill(sandbox, "jobs", 2)
    one = member(sandbox, acknowledge="reject")
    until_count(one, "rejected", 2)
    one.pause()
    until_state(one, "paused")
    one.change(acknowledge="accept")
    sandbox.append("jobs", "new")
    one.resume()
    until_processed(one, 1)
    assert outcomes(one) == [(0, "rejected", 1), (1, "rejected", 1), (2, "processed", 1)]


def test_an_event_whose_lock_expires_is_delivered_again(sandbox: Sandbox) -> None:
    fill(sandbox, "jobs", 1)
    late = member(sandbox, acknowledge="expire")
    until_state(late, "running")
    eventually(lambda: late.describe().working is not None, WITHIN_S, "it has the event")
    other = member(sandbox)
    until_processed(other, 1)
    assert outcomes(other) == [(0, "processed", 2)]
    until_count(late, "expired", 1)
    assert outcomes(late) == [(0, "expired", 1)]
    assert sandbox.playground.facts(GROUP).redelivered == 0


def test_a_killed_member_holds_nothing_up(sandbox: Sandbox) -> None:
    fill(sandbox, "jobs", 1)
    slow = member(sandbox, slow_ms=60_000, lock_ms=60_000)
    eventually(lambda: slow.describe().working is not None, WITHIN_S, "it has the event")
    slow.crash()
    other = member(sandbox, lock_ms=60_000)
    until_processed(other, 1)
    assert outcomes(other) == [(0, "processed", 2)]


def test_a_poison_event_is_released_for_each_retry_and_then_rejected(sandbox: Sandbox) -> None:
    fill(sandbox, "jobs", 2)
    one = member(sandbox, fail_contains="v0", retries=2, then="dlq")
    until_count(one, "rejected", 1)
    until_processed(one, 1)
    assert outcomes(one) == [(0, "rejected", 3), (0, "released", 1), (0, "released", 2), (1, "processed", 1)]


def test_a_paused_member_locks_nothing_and_polls_one_by_one(sandbox: Sandbox) -> None:
    fill(sandbox, "jobs", 3)
    one = member(sandbox, paused=True)
    until_state(one, "paused")
    one.poll()
    until_processed(one, 1)
    assert [record.state for record in sandbox.share_groups.windows(GROUP)[0].records] in ([], ["acknowledged"])
    one.resume()
    until_processed(one, 3)


def test_it_has_no_offsets_to_commit_or_seek(sandbox: Sandbox) -> None:
    fill(sandbox, "jobs", 1)
    one = member(sandbox)
    for call in (one.commit, lambda: one.seek(0)):
        with pytest.raises(BrokerError, match="acknowledges each event"):
            call()


def test_a_group_keeps_a_start_offset_setting_of_its_own(sandbox: Sandbox) -> None:
    fill(sandbox, "jobs", 1)
    first = member(sandbox, reset="latest")
    until_state(first, "running")
    second = member(sandbox, reset="earliest")
    until_state(second, "running")
    eventually(lambda: sandbox.share_groups.windows(GROUP)[0].start is not None, WITHIN_S, "it has fetched")
    sandbox.append("jobs", "new")
    eventually(lambda: count(first) + count(second) == 1, WITHIN_S, "only the new event is read")
