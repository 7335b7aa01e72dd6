"""Clients that ask for much: the others are answered meanwhile, and memory is bounded. Counted, never timed."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.wire import held_bytes
from sandbox.wire.held_bytes import ANSWER_BYTES_MAX, HeldBytes
from sandbox.wire.messages import messages
from sandbox.wire.time_slices import TimeSlices
from tests.clock import Clock
from tests.waiting import eventually
from tests.wire.raw_client import (
    FETCH,
    FETCH_VERSION,
    METADATA,
    RawClient,
    fetch_body,
    framed,
    records_of,
    request_header,
    rows,
)

JOIN_GROUP = 11
PARTITIONS = 6
BATCHES, EVENTS, VALUE_BYTES = 4, 200, 1_000
ALL = dict.fromkeys(range(PARTITIONS), 0)
Open = Callable[[], RawClient]


@pytest.fixture
def cold(file: Path, clock: Clock) -> Iterator[Sandbox]:
    """A served sandbox with 4.8 MB of events that are in rows alone."""
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.create_topic("orders", partitions=PARTITIONS)
        for partition in ALL:
            for _ in range(BATCHES):
                sandbox.append_many("orders", [NewEvent(b"v" * VALUE_BYTES, partition=partition)] * EVENTS)
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        yield sandbox


@pytest.fixture
def open_client(cold: Sandbox) -> Iterator[Open]:
    """Connects to `cold`."""
    clients: list[RawClient] = []

    def connect() -> RawClient:
        clients.append(RawClient(cold.kafka_address or ""))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def held(sandbox: Sandbox) -> HeldBytes:
    assert sandbox._runtime.kafka is not None
    return sandbox._runtime.kafka._held


def slices(sandbox: Sandbox) -> TimeSlices:
    assert sandbox._runtime.kafka is not None
    return sandbox._runtime.kafka._slices


def test_an_answer_is_no_longer_than_the_limit_and_a_session_reads_every_partition_in_turn(open_client: Open) -> None:
    client = open_client()
    offsets = dict(ALL)
    answer = client.ask(FETCH, FETCH_VERSION, fetch_body("orders", offsets, session=(0, 0)))
    session, epoch, rounds = answer.session_id, 1, 0
    while min(offsets.values()) < BATCHES * EVENTS:
        found = {one.partition_index: one for topic in answer.responses for one in topic.partitions}
        assert sum(len(one.records or b"") for one in found.values()) <= ANSWER_BYTES_MAX
        moved = {number: records_of(one)[-1][0] + 1 for number, one in found.items() if one.records}
        assert moved, "each answer has something new"
        offsets |= moved
        rounds += 1
        assert max(offsets.values()) - min(offsets.values()) <= BATCHES * EVENTS
        if rounds == PARTITIONS:
            assert min(offsets.values()) > 0, "none starves"
        answer = client.ask(FETCH, FETCH_VERSION, fetch_body("orders", moved, session=(session, epoch)))
        epoch += 1
    assert rounds <= 2 * PARTITIONS


def test_a_fetch_whose_least_size_does_not_fit_into_an_answer_does_not_wait(open_client: Open) -> None:
    client = open_client()
    body = fetch_body("orders", ALL, max_wait_ms=60_000, min_bytes=50_000_000)
    answer = client.ask(FETCH, FETCH_VERSION, body)
    assert sum(len(one.records) for one in answer.responses[0].partitions) > ANSWER_BYTES_MAX / 2


def test_others_are_answered_between_the_steps_of_fetches(cold: Sandbox, open_client: Open) -> None:
    readers, other = [open_client() for _ in range(10)], open_client()
    other.produce("orders", rows(b"x"))
    for reader in readers:
        reader.send(FETCH, FETCH_VERSION, fetch_body("orders", ALL))
    answered_before = 0
    for _ in range(20):
        assert other.produce("orders", rows(b"x")).error_code == 0
        answered_before += bool(slices(cold).reads)
    for reader in readers:
        assert reader.receive().responses[0].partitions[0].error_code == 0
    assert answered_before > 1, "while fetches were still being read"
    assert held(cold).reading_bytes == 0


def test_events_that_are_appended_while_a_fetch_reads_do_not_wait_for_its_time(
    cold: Sandbox, open_client: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold.create_topic("quiet")
    monkeypatch.setattr(TimeSlices, "_has_time", lambda self: False)
    monkeypatch.setattr("sandbox.wire.apis.fetch.PARTITIONS_PER_STEP", 1)
    client = open_client()
    body = fetch_body("quiet", {0: 0}, max_wait_ms=60_000)
    client.send(FETCH, FETCH_VERSION, body)
    cold.append("quiet", "ham")
    assert [row[3] for row in records_of(client.receive().responses[0].partitions[0])] == [b"ham"]


def test_answers_that_nobody_reads_get_short_and_the_oldest_of_them_is_given_up(
    cold: Sandbox, open_client: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(held_bytes, "SHORT_ANSWER_BYTES_MAX", 100_000)
    monkeypatch.setattr(held(cold), "_plenty", 500_000)
    monkeypatch.setattr(held(cold), "_bytes_max", 1_000_000)
    pipelined = framed(request_header(FETCH, 11, 1) + messages.encode_request(FETCH, 11, fetch_body("orders", ALL)))
    slow = [open_client() for _ in range(12)]
    for client in slow:
        client.send_bytes(pipelined * 40)
    eventually(lambda: "made no progress for the longest time" in caplog.text, 30)
    assert held(cold).size_bytes <= 1_000_000
    other = open_client()
    assert other.fetch("orders", 0).error_code == 0
    assert other.produce("orders", rows(b"x")).error_code == 0


def test_a_request_that_is_not_ended_counts_and_its_memory_is_given_back(cold: Sandbox, open_client: Open) -> None:
    client = open_client()
    client.send_bytes(b"\0\x10\0\0" + b"x" * 500_000)
    eventually(lambda: held(cold).size_bytes >= 500_000)
    client.close()
    eventually(lambda: held(cold).size_bytes == 0)


def test_pipelined_requests_leave_others_their_turn(cold: Sandbox, open_client: Open) -> None:
    count = 3_000
    flooding, other = open_client(), open_client()
    request = messages.encode_request(METADATA, 5, {"topics": None, "allow_auto_topic_creation": False})
    flood = framed(request_header(METADATA, 5, 1) + request) * count
    other.produce("orders", rows(b"x"))
    between = 0
    for _ in range(5):
        answered = threading.Thread(target=lambda: [flooding.receive_frame() for _ in range(count)])
        flooding.send_bytes(flood)
        answered.start()
        while answered.is_alive():
            assert other.produce("orders", rows(b"x")).error_code == 0
            between += 1
        answered.join()
    assert between >= 90, "while the floods were being handled"


def test_answers_behind_a_join_that_waits_are_bounded_and_held(cold: Sandbox, open_client: Open) -> None:
    cold.create_topic("large", partitions=5_000)
    wanted = {"topics": [{"name": "large"}], "allow_auto_topic_creation": False}
    first, waiting, measured, other = (open_client() for _ in range(4))
    member = first.ask(JOIN_GROUP, 3, _join()).member_id
    waiting.send(JOIN_GROUP, 3, _join())
    requests = 20
    for _ in range(requests):
        waiting.send(METADATA, 5, wanted)
    eventually(lambda: held(cold).size_bytes > 0)
    measured.send(METADATA, 5, wanted)
    one_answer = len(measured.receive_frame())
    other.api_versions()
    # One answer is longer than what may wait, so the next one is not made.
    assert held(cold).size_bytes < 2 * one_answer
    first.send(JOIN_GROUP, 3, _join(member))
    assert waiting.receive().error_code == 0
    assert [len(waiting.receive().topics[0].partitions) for _ in range(requests)] == [5_000] * requests
    eventually(lambda: held(cold).size_bytes == 0)


def _join(member: str = "") -> dict[str, object]:
    protocols = [{"name": "range", "metadata": b""}]
    times = {"session_timeout_ms": 30_000, "rebalance_timeout_ms": 60_000}
    return {"group_id": "g", "member_id": member, "protocol_type": "consumer", "protocols": protocols, **times}
