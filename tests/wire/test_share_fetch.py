"""ShareFetch and share sessions through the port."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import CODE
from sandbox.kafka.event import NewEvent
from sandbox.storage.file.database import Database
from sandbox.storage.file.failure import StorageFailed
from sandbox.wire.apis.share_fetch import end_session
from sandbox.wire.fetch_records import read_records
from sandbox.wire.node import Node
from sandbox.wire.records.batch import encode_batch
from tests.clients.raw_requests import RawClient
from tests.waiting import eventually

GROUP = "work"


class Member(RawClient):
    """A member of a share group that reads the topic "jobs" from its start."""

    def __init__(self, served: Sandbox, letter: str = "A") -> None:
        super().__init__(served.kafka_address or "")
        config = {"name": "share.auto.offset.reset", "config_operation": 0, "value": "earliest"}
        self.ask(
            "IncrementalAlterConfigs",
            1,
            resources=[{"resource_type": 32, "resource_name": GROUP, "configs": [config]}],
        )
        self.common = {"group_id": GROUP, "member_id": letter * 22}
        joined = self.ask("ShareGroupHeartbeat", 1, **self.common, member_epoch=0, subscribed_topic_names=["jobs"])
        self.topic_id = joined.assignment.topic_partitions[0].topic_id

    def fetch(self, epoch: int = 0, partitions: int = 1, **fields: Any) -> list[SimpleNamespace]:
        """Fetch. Returns the partitions of the answer."""
        self.send_fetch(epoch, partitions, **fields)
        return self.fetched()

    def fetched(self) -> list[SimpleNamespace]:
        """Return the partitions of the answer to `send_fetch`."""
        return [one for topic in self.receive("ShareFetch", 2).responses for one in topic.partitions]

    def send_fetch(self, epoch: int = 0, partitions: int = 1, **fields: Any) -> None:
        """Send a ShareFetch."""
        wanted = [{"partition_index": number} for number in range(partitions)]
        standard = {"max_wait_ms": 0, "min_bytes": 1, "max_bytes": 5_000_000, "max_records": 2_000, "batch_size": 500}
        self.send(
            "ShareFetch",
            2,
            **self.common,
            share_session_epoch=epoch,
            topics=[{"topic_id": self.topic_id, "partitions": wanted}],
            **(standard | fields),
        )


def acquired(partition: SimpleNamespace) -> int:
    """The number of acquired records."""
    return sum(one.last_offset - one.first_offset + 1 for one in partition.acquired_records)


def waits(served: Sandbox) -> bool:
    """True while a ShareFetch waits for records."""
    return served._runtime.call(lambda now_ms: bool(served._runtime.coordinator.shares._waiting))


def sessions(served: Sandbox) -> bool:
    """True while there is a share session."""
    ports = served._runtime.kafka
    assert ports is not None
    (server,) = (server for door in ports._doors.values() for server in door.servers.values())
    return bool(server.node.share_sessions._sessions)


def test_a_fetch_that_reads_in_steps_is_answered_without_another_request(served: Sandbox) -> None:
    """It acquires records after the turn of its request, so it must see to the commit that its answer waits for."""
    served.create_topic("jobs")
    served.append_many("jobs", [NewEvent(b"x" * 1_000) for _ in range(4_000)], chunk=100)
    with Member(served) as member:
        started = time.monotonic()
        (found,) = member.fetch(max_wait_ms=15_000)
        assert time.monotonic() - started < 8
    assert acquired(found) == 2_000


def test_a_connection_that_ends_with_an_open_session_is_forgotten(served: Sandbox) -> None:
    served.create_topic("jobs")
    served.append("jobs", b"x")
    with Member(served) as member:
        assert acquired(member.fetch()[0]) == 1
        assert len(served.brokers.clients()) == 1
    eventually(lambda: not served.brokers.clients())
    with Member(served, "B") as other:
        assert acquired(other.fetch(max_wait_ms=5_000)[0]) == 1


def test_a_snapshot_is_restored_while_a_share_session_is_open(served: Sandbox) -> None:
    served.create_topic("jobs")
    served.append("jobs", b"x")
    with Member(served) as member:
        served.snapshots.take("before")
        assert acquired(member.fetch()[0]) == 1
        served.create_topic("later")
        served.snapshots.restore("before")
        assert [one.topic for one in served.topics()] == ["jobs"]


def test_what_does_not_fit_into_the_answer_is_not_acquired(file: Path) -> None:
    with Sandbox(file) as box:
        box.create_topic("jobs", partitions=2)
        for partition in (0, 1) * 4:
            box.append_many("jobs", [NewEvent(b"x" * 1_000, partition=partition) for _ in range(100)])
    with Sandbox(file) as box:
        # From the file, because the cache of recent batches has no limit for the first one.
        box.serve(kafka_port=0, web_port=None)
        with Member(box) as member:
            found = member.fetch(partitions=2, max_bytes=150_000, max_wait_ms=1_000)
            assert [(acquired(one), len(one.records) > 100_000) for one in found] == [(100, True)]
            (other,) = member.fetch(1, partitions=2, max_bytes=150_000, max_wait_ms=1_000)
            assert (other.partition_index, acquired(other)) == (1 - found[0].partition_index, 100)


@pytest.fixture
def no_room_to_acquire(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """While it has an element, SQLite fails to store an acquired record, and rolls back as at a full disk."""
    armed: list[str] = []
    write = Database.executemany

    def executemany(self: Database, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        rows = list(rows)
        if armed and "share_records" in sql and any("acquired" in row for row in rows):
            armed.clear()
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise StorageFailed("disk full")
        write(self, sql, rows)

    monkeypatch.setattr(Database, "executemany", executemany)
    return armed


def test_a_write_that_fails_undoes_the_whole_turn(served: Sandbox, no_room_to_acquire: list[str]) -> None:
    served.create_topic("jobs", partitions=2)
    served.append_many("jobs", [NewEvent(b"x", partition=number % 2) for number in range(10)])
    with Member(served) as member:
        no_room_to_acquire.append("now")
        # In one segment, so that both are handled in one turn.
        member.hold()
        batch = encode_batch(0, [(0, 1_700_000_000_000, b"k", b"v", ())])
        data = [{"name": "jobs", "partition_data": [{"index": 0, "records": batch}]}]
        member.send("Produce", 9, acks=-1, timeout_ms=1_000, transactional_id=None, topic_data=data)
        member.send_fetch(partitions=2)
        member.flush()
        (produced,) = member.receive("Produce", 9).responses[0].partition_responses
        fetched = member.receive("ShareFetch", 2)
        storage_error = CODE["KAFKA_STORAGE_ERROR"]
        assert (produced.error_code, fetched.error_code) == (storage_error, storage_error)
        assert not any(one.acquired_records for topic in fetched.responses for one in topic.partitions)
        assert len(served.read("jobs", offset=0, limit=100)) == 10
        assert sum(map(acquired, member.fetch(1, partitions=2))) == 10


def test_a_failed_fetch_does_not_undo_the_release_that_woke_it(served: Sandbox, no_room_to_acquire: list[str]) -> None:
    served.create_topic("jobs")
    served.append("jobs", b"x")
    with Member(served) as one, Member(served, "B") as other:
        assert acquired(one.fetch()[0]) == 1
        other.send_fetch(max_wait_ms=10_000)
        eventually(lambda: waits(served))
        released = [{"first_offset": 0, "last_offset": 0, "acknowledge_types": [2]}]
        partition = {"partition_index": 0, "acknowledgement_batches": released}
        no_room_to_acquire.append("now")
        topics = [{"topic_id": one.topic_id, "partitions": [partition]}]
        answer = one.ask("ShareAcknowledge", 2, **one.common, share_session_epoch=1, topics=topics)
        assert answer.responses[0].partitions[0].error_code == 0
        assert other.receive("ShareFetch", 2).error_code == CODE["KAFKA_STORAGE_ERROR"]
        (again,) = other.fetch(1)
        assert [record.delivery_count for record in again.acquired_records] == [2]


def during_a_read(monkeypatch: pytest.MonkeyPatch, call: Callable[[Node], None], *, number: int = 1) -> None:
    """Call a function during a read of the next ShareFetch: the first, or the one with this number."""
    reads = count(1)

    def interrupted(node: Node, *arguments: Any) -> Generator[None, None, list[bytes]]:
        found = yield from read_records(node, *arguments)
        if next(reads) == number:
            call(node)
        return found

    monkeypatch.setattr("sandbox.wire.apis.share_fetch.read_records", interrupted)


def test_a_window_that_is_set_back_during_a_read_skips_nothing(
    served: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.create_topic("jobs")
    served.append_many("jobs", [NewEvent(b"x") for _ in range(20)])
    with Member(served) as member:
        assert acquired(member.fetch(max_records=10, share_acquire_mode=1)[0]) == 10

        def set_back(node: Node) -> None:
            node.coordinator.shares.begin(GROUP, node.broker.topic("jobs").partition(0), 0)

        during_a_read(monkeypatch, set_back)
        (found,) = member.fetch(1)
        assert [(one.first_offset, one.last_offset) for one in found.acquired_records] == [(0, 19)]


def test_a_session_that_ends_during_a_read_acquires_nothing(served: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    served.create_topic("jobs")
    served.append("jobs", b"x")
    with Member(served) as member:

        def end(node: Node) -> None:
            end_session(node, node.share_sessions.begin((GROUP, "A" * 22)))

        during_a_read(monkeypatch, end)
        assert member.fetch(max_wait_ms=10_000) == []
    with Member(served, "B") as other:
        (found,) = other.fetch()
        assert [one.delivery_count for one in found.acquired_records] == [1]


def test_a_fetch_that_waits_is_answered_at_the_end_of_its_session_and_acquires_nothing(served: Sandbox) -> None:
    served.create_topic("jobs")
    with Member(served) as member, Member(served, "B") as other:
        member.send_fetch(max_wait_ms=600_000)
        member.send("ShareAcknowledge", 2, **member.common, share_session_epoch=-1, topics=[])
        assert member.fetched() == []
        assert not sessions(served)
        served.append("jobs", b"x")
        (found,) = other.fetch()
        assert [one.delivery_count for one in found.acquired_records] == [1]


def test_records_whose_turn_was_undone_during_a_read_are_not_sent(
    served: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.create_topic("jobs", partitions=2)
    served.append_many("jobs", [NewEvent(b"x", partition=number % 2) for number in range(10)])
    with Member(served) as member:

        def undo(node: Node) -> None:
            node.broker.undo(StorageFailed("disk full"))

        during_a_read(monkeypatch, undo, number=2)
        member.send_fetch(partitions=2)
        assert member.receive("ShareFetch", 2).error_code == CODE["KAFKA_STORAGE_ERROR"]
        assert sorted(map(acquired, member.fetch(1, partitions=2))) == [5, 5]
