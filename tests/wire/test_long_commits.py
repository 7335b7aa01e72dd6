"""Commits of thousands of offsets: in slices, in the order in which they came, all or refused."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.calls import OffsetCommit, PartitionError
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.database import StorageFailed
from sandbox.storage.file.failure import failure_of
from sandbox.wire.long_commits import SLICE_OFFSETS, LongCommits
from tests.wire.raw_client import OFFSET_COMMIT, OFFSET_FETCH, RawClient

PARTITIONS = 2 * SLICE_OFFSETS + 500


class Loop:
    """What a loop does later, and what waits for the end of a turn."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []
        self.waiters: list[Callable[[BrokerError | None], None]] = []
        self.undone = 0
        self.written: list[list[int]] = []
        self.commits = LongCommits(self.later.append, self.waiters.append, self.undo)

    def undo(self, error: StorageFailed) -> None:
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
    reply = loop.commits.run("app", offsets(PARTITIONS), loop.write)
    assert loop.commits.wants("app", 1)
    assert not loop.commits.wants("other", 1)
    sizes = []
    while not reply.done:
        sizes.append(len(loop.written))
        loop.turn()
    assert sizes == [1, 2]
    assert [one.partition for one in reply.result()] == list(range(PARTITIONS))
    assert not loop.commits.wants("app", 1)


def test_a_slice_whose_turn_could_not_be_committed_refuses_the_whole_request_and_lets_the_next_one_go_on() -> None:
    loop = Loop()
    reply = loop.commits.run("app", offsets(PARTITIONS), loop.write)
    after = loop.commits.run("app", offsets(1), loop.write)
    loop.turn(BrokerError("KAFKA_STORAGE_ERROR", "full"))
    loop.turn()
    assert {one.error for one in reply.result()} == {"COORDINATOR_NOT_AVAILABLE"}
    assert len(reply.result()) == PARTITIONS
    loop.turn()
    assert [one.error for one in after.result()] == ["NONE"]


def test_a_slice_that_cannot_be_written_undoes_its_turn_and_refuses_the_request() -> None:
    loop = Loop()

    def fail(some: Sequence[OffsetCommit]) -> list[PartitionError]:
        raise failure_of(OSError("full"))

    reply = loop.commits.run("app", offsets(PARTITIONS), fail)
    loop.turn()
    assert loop.undone == 1
    assert {one.error for one in reply.result()} == {"COORDINATOR_NOT_AVAILABLE"}


def test_an_unexpected_failure_is_logged_answered_and_lets_the_next_one_go_on(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()

    def fail(some: Sequence[OffsetCommit]) -> list[PartitionError]:
        raise ValueError("a defect")

    reply = loop.commits.run("app", offsets(PARTITIONS), fail)
    after = loop.commits.run("app", offsets(1), loop.write)
    loop.turn()
    loop.turn()
    assert {one.error for one in reply.result()} == {"COORDINATOR_NOT_AVAILABLE"}
    assert [one.error for one in after.result()] == ["NONE"]
    assert not loop.commits.wants("app", 1)
    assert "a defect" in caplog.text


def test_after_clear_nothing_more_is_written_and_later_commits_do_not_wait() -> None:
    loop = Loop()
    cleared = loop.commits.run("app", offsets(PARTITIONS), loop.write)
    loop.commits.clear()
    after = loop.commits.run("app", offsets(PARTITIONS), loop.write)
    while not after.done:
        loop.turn()
    loop.turn()
    assert not cleared.done
    assert [len(one) for one in loop.written] == [SLICE_OFFSETS, SLICE_OFFSETS, SLICE_OFFSETS, 500]


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
    commits = ports._doors["PLAINTEXT"].servers[1].node.long_commits
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
