"""Requests that write or look up thousands of rows: in slices, in the order in which they came."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.calls import OffsetCommit, PartitionError
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.storage.file.failure import StorageFailed, failure_of
from sandbox.storage.log.topics import save_file_setting
from sandbox.wire.apis import produce
from sandbox.wire.apis.produce import SLICE_PARTITIONS
from sandbox.wire.auth.listener import Listener
from sandbox.wire.long_writes import SLICE_ROWS, LongWrites, not_committed
from sandbox.wire.records.batch import encode_batch
from tests.waiting import eventually
from tests.wire.raw_client import INIT_PRODUCER_ID, LIST_OFFSETS, OFFSET_COMMIT, OFFSET_FETCH, RawClient

PARTITIONS = 2 * SLICE_ROWS + 500
SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36
DELETE_RECORDS, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 21, 25, 26, 28


class Loop:
    """What a loop does later, and what waits for the end of a turn."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []
        self.waiters: list[Callable[[BrokerError | None], None]] = []
        self.undone = 0
        self.written: list[list[int]] = []
        self.commits = LongWrites(self.later.append, self.waiters.append, self.undo)

    def undo(self, error: Exception) -> None:
        self.undone += 1

    def write(self, offsets: Sequence[OffsetCommit]) -> list[PartitionError]:
        self.written.append([one.partition for one in offsets])
        return [PartitionError(one.topic, one.partition, "NONE") for one in offsets]

    def turn(self, error: BrokerError | None = None) -> None:
        """End the turn, and run what was to be called later."""
        waiters, self.waiters[:] = list(self.waiters), []
        for waiter in waiters:
            waiter(error)
        later, self.later[:] = list(self.later), []
        for call in later:
            call()


def offsets(count: int) -> list[OffsetCommit]:
    return [OffsetCommit("wide", number, 1) for number in range(count)]


def test_each_slice_is_a_turn_of_its_own_and_commits_of_other_groups_do_not_wait() -> None:
    loop = Loop()
    reply = loop.commits.run("app", offsets(PARTITIONS), loop.write, not_committed, list)
    assert loop.commits.wants("app", 1)
    assert not loop.commits.wants("other", 1)
    sizes = []
    while not reply.done:
        sizes.append(len(loop.written))
        loop.turn()
    assert sizes == [1, 2, 3]
    assert [one.partition for one in reply.result()] == list(range(PARTITIONS))
    assert not loop.commits.wants("app", 1)


def test_a_slice_whose_turn_could_not_be_committed_is_refused_with_the_later_ones() -> None:
    loop = Loop()
    reply = loop.commits.run("app", offsets(PARTITIONS), loop.write, not_committed, list)
    after = loop.commits.run("app", offsets(1), loop.write, not_committed, list)
    loop.turn()
    loop.turn(BrokerError("KAFKA_STORAGE_ERROR", "full"))
    found = reply.result()
    assert [one.partition for one in found] == list(range(PARTITIONS))
    assert {one.error for one in found[:SLICE_ROWS]} == {"NONE"}
    assert {one.error for one in found[SLICE_ROWS:]} == {"COORDINATOR_NOT_AVAILABLE"}
    loop.turn()
    loop.turn()
    assert [one.error for one in after.result()] == ["NONE"]


def test_a_slice_that_cannot_be_written_undoes_its_turn_and_refuses_the_request() -> None:
    loop = Loop()

    def fail(some: Sequence[OffsetCommit]) -> list[PartitionError]:
        raise failure_of(OSError("full"))

    reply = loop.commits.run("app", offsets(PARTITIONS), fail, not_committed, list)
    loop.turn()
    assert loop.undone == 1
    assert {one.error for one in reply.result()} == {"COORDINATOR_NOT_AVAILABLE"}


def test_an_unexpected_failure_is_logged_answered_and_lets_the_next_one_go_on(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()

    def fail(some: Sequence[OffsetCommit]) -> list[PartitionError]:
        raise ValueError("a defect")

    reply = loop.commits.run("app", offsets(PARTITIONS), fail, not_committed, list)
    after = loop.commits.run("app", offsets(1), loop.write, not_committed, list)
    loop.turn()
    loop.turn()
    loop.turn()
    assert {one.error for one in reply.result()} == {"COORDINATOR_NOT_AVAILABLE"}
    assert [one.error for one in after.result()] == ["NONE"]
    assert not loop.commits.wants("app", 1)
    assert loop.undone == 1
    assert "a defect" in caplog.text


def test_after_clear_nothing_more_is_written_and_later_commits_do_not_wait() -> None:
    loop = Loop()
    cleared = loop.commits.run("app", offsets(PARTITIONS), loop.write, not_committed, list)
    loop.commits.clear()
    after = loop.commits.run("app", offsets(PARTITIONS), loop.write, not_committed, list)
    while not after.done:
        loop.turn()
    loop.turn()
    assert not cleared.done
    assert [len(one) for one in loop.written] == [SLICE_ROWS, SLICE_ROWS, SLICE_ROWS, 500]


def body(partitions: Sequence[int], offset: int) -> dict[str, Any]:
    found = [
        {"partition_index": one, "committed_offset": offset, "committed_leader_epoch": -1, "committed_metadata": ""}
        for one in partitions
    ]
    return {
        "group_id": "app",
        "generation_id_or_member_epoch": -1,
        "member_id": "",
        "group_instance_id": None,
        "topics": [{"name": "wide", "partitions": found}],
    }


def test_a_commit_sent_behind_a_long_one_is_written_after_it(served: Sandbox) -> None:
    served.create_topic("wide", partitions=PARTITIONS)
    client = RawClient(served.kafka_address or "")
    client.send(OFFSET_COMMIT, 8, body(range(PARTITIONS), 5))
    client.send(OFFSET_COMMIT, 8, body([PARTITIONS - 1], 9))
    first, second = client.receive(), client.receive()
    assert [one.error_code for one in first.topics[0].partitions] == [0] * PARTITIONS
    assert [one.error_code for one in second.topics[0].partitions] == [0]
    committed = served._runtime.call(lambda now_ms: served._runtime.coordinator.fetch_offsets("app", None))
    assert [one.offset for one in committed] == [5] * (PARTITIONS - 1) + [9]
    client.close()


def test_a_request_sent_behind_a_long_commit_is_handled_after_it(served: Sandbox) -> None:
    served.create_topic("wide", partitions=PARTITIONS)
    client = RawClient(served.kafka_address or "")
    client.send(OFFSET_COMMIT, 8, body(range(PARTITIONS), 5))
    topics = [{"name": "wide", "partition_indexes": list(range(PARTITIONS))}]
    client.send(OFFSET_FETCH, 7, {"group_id": "app", "topics": topics, "require_stable": False})
    client.receive()
    fetched = client.receive()
    assert {one.committed_offset for one in fetched.topics[0].partitions} == {5}
    client.close()


def test_a_restore_in_the_middle_of_a_long_commit_leaves_the_offsets_of_the_snapshot(served: Sandbox) -> None:
    served.create_topic("wide", partitions=PARTITIONS)
    coordinator = served._runtime.coordinator
    ports = served._runtime.kafka
    assert ports is not None
    commits = ports._doors["PLAINTEXT"].servers[1].node.long_writes
    served.snapshots.take("s")
    begun = threading.Event()
    write = coordinator.commit

    def first_slice_only(*arguments: Any, **more: Any) -> tuple[PartitionError, ...]:
        """Let the restore come before the next slice."""
        outcome = write(*arguments, **more)
        if not begun.is_set():
            commits._soon = held.append
            begun.set()
        return outcome

    held: list[Callable[[], None]] = []
    soon = commits._soon
    coordinator.commit = first_slice_only  # type: ignore[method-assign]
    client = RawClient(served.kafka_address or "")
    client.send(OFFSET_COMMIT, 8, body(range(PARTITIONS), 5))
    assert begun.wait(10)
    served.snapshots.restore("s")
    commits._soon = soon
    served._runtime.call(lambda now_ms: [soon(call) for call in held])
    assert served._runtime.call(lambda now_ms: coordinator.fetch_offsets("app", None)) == ()
    client.close()


def slices_of(box: Sandbox) -> list[int]:
    """Collect the number of offsets of each call of the coordinator."""
    coordinator = box._runtime.coordinator
    write, sizes = coordinator.commit, []

    def counted(*arguments: Any, **more: Any) -> tuple[PartitionError, ...]:
        sizes.append(len(arguments[4]))
        return write(*arguments, **more)

    coordinator.commit = counted  # type: ignore[method-assign]
    return sizes


def committed(box: Sandbox) -> list[int]:
    found = box._runtime.call(lambda now_ms: box._runtime.coordinator.fetch_offsets("app", None))
    return [one.offset for one in found]


def test_commits_of_a_group_over_two_listeners_are_written_in_their_order(box: Sandbox) -> None:
    box.create_topic("wide", partitions=PARTITIONS)
    box.add_user("alice", "secret")
    box.serve(kafka_port=0, web_port=None, listeners=[Listener("SASL_PLAINTEXT")])
    ports = box._runtime.kafka
    assert ports is not None
    writes = ports._doors["PLAINTEXT"].servers[1].node.long_writes
    soon = writes._soon
    held: list[Callable[[], None]] = []
    first, second = RawClient(box.kafka_address or ""), RawClient(box.listener_addresses["SASL_PLAINTEXT"])
    assert second.ask(SASL_HANDSHAKE, 1, {"mechanism": "PLAIN"}).error_code == 0
    assert second.ask(SASL_AUTHENTICATE, 2, {"auth_bytes": b"\0alice\0secret"}).error_code == 0
    writes._soon = held.append
    first.send(OFFSET_COMMIT, 8, body(range(PARTITIONS), 5))
    eventually(lambda: bool(held), 10, "the first slice is written")
    second.send(OFFSET_COMMIT, 8, body([PARTITIONS - 1], 9))
    eventually(
        lambda: sum(use.api == "OffsetCommit" for client in ports.clients() for use in client.apis) == 2,
        10,
        "both requests have arrived",
    )
    writes._soon = soon
    box._runtime.call(lambda now_ms: [soon(call) for call in held])
    assert {one.error_code for one in first.receive().topics[0].partitions} == {0}
    assert second.receive().topics[0].partitions[0].error_code == 0
    assert committed(box) == [5] * (PARTITIONS - 1) + [9]
    first.close()
    second.close()


def test_a_transaction_s_long_commit_is_staged_in_slices(served: Sandbox) -> None:
    served.create_topic("wide", partitions=PARTITIONS)
    sizes = slices_of(served)
    client = RawClient(served.kafka_address or "")
    begun = {"transactional_id": "t", "transaction_timeout_ms": 60_000, "producer_id": -1, "producer_epoch": -1}
    producer = client.ask(INIT_PRODUCER_ID, 3, begun)
    own = {"transactional_id": "t", "producer_id": producer.producer_id, "producer_epoch": producer.producer_epoch}
    assert client.ask(ADD_OFFSETS_TO_TXN, 2, {**own, "group_id": "app"}).error_code == 0
    offsets = {**own, **body(range(PARTITIONS), 5)}
    client.send(TXN_OFFSET_COMMIT, 3, offsets)
    client.send(END_TXN, 2, {**own, "committed": True})
    staged, ended = client.receive(), client.receive()
    assert [one.error_code for one in staged.topics[0].partitions] == [0] * PARTITIONS
    assert ended.error_code == 0
    assert sizes == [SLICE_ROWS, SLICE_ROWS, 500]
    assert committed(served) == [5] * PARTITIONS
    client.close()


def test_records_of_thousands_of_partitions_are_deleted_in_slices(served: Sandbox) -> None:
    served.create_topic("wide", partitions=PARTITIONS)
    full = (0, SLICE_ROWS, 2 * SLICE_ROWS)
    for partition in full:
        served.append("wide", "x", partition=partition)
    before = served._runtime.database.commits
    client = RawClient(served.kafka_address or "")
    partitions = [{"partition_index": one, "offset": -1} for one in range(PARTITIONS)]
    topics = [{"name": "wide", "partitions": partitions}]
    answer = client.ask(DELETE_RECORDS, 1, {"topics": topics, "timeout_ms": 1_000})
    found = answer.topics[0].partitions
    assert [one.partition_index for one in found] == list(range(PARTITIONS))
    assert [one.partition_index for one in found if (one.error_code, one.low_watermark) == (0, 1)] == list(full)
    assert served._runtime.database.commits >= before + len(full)
    client.close()


def test_offsets_of_thousands_of_partitions_are_looked_up_in_steps(served: Sandbox) -> None:
    served.create_topic("wide", partitions=PARTITIONS)
    served.append("wide", "x", partition=7)
    log = served._runtime.broker.log
    calls: list[int] = []
    at_next_turn: list[int] = []
    look_up = log.offset_for_time

    def counted(*arguments: Any) -> tuple[int, int] | None:
        if not calls:
            asyncio.get_running_loop().call_soon(lambda: at_next_turn.append(len(calls)))
        calls.append(1)
        return look_up(*arguments)

    log.offset_for_time = counted  # type: ignore[assignment,method-assign]
    client = RawClient(served.kafka_address or "")
    partitions = [{"partition_index": n, "current_leader_epoch": -1, "timestamp": 0} for n in range(PARTITIONS)]
    topics = [{"name": "wide", "partitions": partitions}]
    answer = client.ask(LIST_OFFSETS, 6, {"replica_id": -1, "isolation_level": 0, "topics": topics})
    found = answer.topics[0].partitions
    assert [one.partition_index for one in found if one.offset == 0] == [7]
    assert {one.error_code for one in found} == {0}
    assert len(calls) == PARTITIONS
    assert at_next_turn[0] < PARTITIONS
    client.close()


def test_a_client_that_leaves_ends_its_look_ups(served: Sandbox) -> None:
    served.create_topic("wide", partitions=PARTITIONS)
    log, ports = served._runtime.broker.log, served._runtime.kafka
    assert ports is not None
    calls: list[int] = []
    look_up = log.offset_for_time
    client = RawClient(served.kafka_address or "")

    def slow(*arguments: Any) -> tuple[int, int] | None:
        calls.append(1)
        if len(calls) == 1:
            client.close()
        return look_up(*arguments)

    log.offset_for_time = slow  # type: ignore[assignment,method-assign]
    partitions = [{"partition_index": n, "current_leader_epoch": -1, "timestamp": 0} for n in range(PARTITIONS)]
    topics = [{"name": "wide", "partitions": partitions * 20}]
    client.send(LIST_OFFSETS, 6, {"replica_id": -1, "isolation_level": 0, "topics": topics})
    eventually(lambda: bool(calls) and not ports.clients(), 10, "the connection has ended")
    eventually(lambda: not ports._slices.answers, 10, "the look-ups have ended")
    assert len(calls) < 20 * PARTITIONS


def test_hundreds_of_topics_are_created_and_deleted_in_slices(served: Sandbox) -> None:
    client = RawClient(served.kafka_address or "")
    database = served._runtime.database
    names = [f"t{number}" for number in range(120)]
    fields = {"num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}
    before = database.commits
    created = client.ask(19, 5, {"topics": [{"name": name, **fields} for name in names], "timeout_ms": 9_000})
    assert [(one.name, one.error_code) for one in created.topics] == [(name, 0) for name in names]
    assert database.commits >= before + 3
    before = database.commits
    deleted = client.ask(20, 4, {"topic_names": [*names, "absent"], "timeout_ms": 9_000})
    assert [one.error_code for one in deleted.responses] == [0] * len(names) + [3]
    assert database.commits >= before + 6
    assert served.topics() == ()
    client.close()


def produce_body(partitions: Sequence[int]) -> dict[str, Any]:
    records = encode_batch(0, [(0, 1, None, b"x", ()), (1, 1, None, b"y", ())])
    data = [{"index": number, "records": records} for number in partitions]
    topics = [{"name": "wide", "partition_data": data}]
    return {"transactional_id": None, "acks": -1, "timeout_ms": 9_000, "topic_data": topics}


def fail_commit(box: Sandbox, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Make the commit with this number, from 1, fail as on a full disk."""
    database = box._runtime.database
    commit, left = database.commit, [number]

    def counted() -> None:
        if database.in_transaction:
            left[0] -= 1
            if not left[0]:
                database.rollback()
                raise StorageFailed("database or disk is full")
        commit()

    monkeypatch.setattr(database, "commit", counted)


@pytest.mark.parametrize("slice_number", [1, 3, 5])
def test_a_produce_request_whose_slice_cannot_be_stored_is_answered_per_partition(
    served: Sandbox, monkeypatch: pytest.MonkeyPatch, slice_number: int
) -> None:
    served.create_topic("wide", partitions=250)
    client = RawClient(served.kafka_address or "")
    fail_commit(served, monkeypatch, slice_number)
    (topic,) = client.ask(0, 11, produce_body(range(250))).responses
    stored = SLICE_PARTITIONS * (slice_number - 1)
    assert [one.index for one in topic.partition_responses] == list(range(250))
    codes = [(one.error_code, one.base_offset) for one in topic.partition_responses]
    assert codes == [(0, 0)] * stored + [(CODE["KAFKA_STORAGE_ERROR"], -1)] * (250 - stored)
    refused = [one.index for one in topic.partition_responses if one.error_code]
    (topic,) = client.ask(0, 11, produce_body(refused)).responses
    assert {one.error_code for one in topic.partition_responses} == {0}
    assert set(served.end_offsets("wide").values()) == {2}, "nothing is stored twice"
    client.close()


def test_an_answer_about_stored_slices_stays_true_if_the_turn_in_which_it_is_sent_fails(
    served: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.create_topic("wide", partitions=250)
    broker, answer = served._runtime.broker, produce._answer

    def answer_beside_another_write(*arguments: Any) -> Any:
        save_file_setting(broker.database, "demo", "off")
        fail_commit(served, monkeypatch, 1)
        return answer(*arguments)

    monkeypatch.setattr(produce, "_answer", answer_beside_another_write)
    client = RawClient(served.kafka_address or "")
    (topic,) = client.ask(0, 11, produce_body(range(250))).responses
    assert {(one.error_code, one.base_offset) for one in topic.partition_responses} == {(0, 0)}
    assert set(served.end_offsets("wide").values()) == {2}
    client.close()


def test_a_produce_request_of_hundreds_of_partitions_is_appended_in_slices(served: Sandbox) -> None:
    served.create_topic("wide", partitions=250)
    client = RawClient(served.kafka_address or "")
    records = encode_batch(0, [(0, 1, None, b"x", ()), (1, 1, None, b"y", ())])
    data = [{"index": number, "records": records} for number in range(250)]
    before = served._runtime.database.commits
    body = {"transactional_id": None, "timeout_ms": 9_000, "topic_data": [{"name": "wide", "partition_data": data}]}
    client.send(0, 11, {**body, "acks": 0}, answered=False)
    (topic,) = client.ask(0, 11, {**body, "acks": -1}).responses
    found = [(one.index, one.error_code, one.base_offset) for one in topic.partition_responses]
    assert found == [(number, 0, 2) for number in range(250)]
    assert served._runtime.database.commits >= before + 10
    assert set(served.end_offsets("wide").values()) == {4}
    client.close()
