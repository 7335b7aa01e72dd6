"""ShareFetch and share sessions through the port."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
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
        """Send a ShareFetch. Returns the partitions of its answer."""
        wanted = [{"partition_index": number} for number in range(partitions)]
        standard = {"max_wait_ms": 0, "min_bytes": 1, "max_bytes": 5_000_000, "max_records": 2_000, "batch_size": 500}
        answer = self.ask(
            "ShareFetch",
            2,
            **self.common,
            share_session_epoch=epoch,
            topics=[{"topic_id": self.topic_id, "partitions": wanted}],
            **(standard | fields),
        )
        return [partition for topic in answer.responses for partition in topic.partitions]


def acquired(partition: SimpleNamespace) -> int:
    """The number of acquired records."""
    return sum(one.last_offset - one.first_offset + 1 for one in partition.acquired_records)


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
