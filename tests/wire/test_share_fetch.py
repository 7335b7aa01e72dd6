"""ShareFetch through the port: when its answer is sent."""

import time

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from tests.clients.raw_requests import RawClient

GROUP, MEMBER = "work", "AAAAAAAAAAAAAAAAAAAAAA"


def test_a_fetch_that_reads_in_steps_is_answered_without_another_request(served: Sandbox) -> None:
    """It acquires records after the turn of its request, so it must see to the commit that its answer waits for."""
    served.create_topic("jobs")
    served.append_many("jobs", [NewEvent(b"x" * 1_000) for _ in range(4_000)], chunk=100)
    assert served.kafka_address is not None
    with RawClient(served.kafka_address) as raw:
        config = {"name": "share.auto.offset.reset", "config_operation": 0, "value": "earliest"}
        raw.ask(
            "IncrementalAlterConfigs",
            1,
            resources=[{"resource_type": 32, "resource_name": GROUP, "configs": [config]}],
        )
        common = {"group_id": GROUP, "member_id": MEMBER}
        joined = raw.ask("ShareGroupHeartbeat", 1, **common, member_epoch=0, subscribed_topic_names=["jobs"])
        topic_id = joined.assignment.topic_partitions[0].topic_id
        started = time.monotonic()
        answer = raw.ask(
            "ShareFetch",
            2,
            **common,
            share_session_epoch=0,
            max_wait_ms=15_000,
            min_bytes=1,
            max_bytes=5_000_000,
            max_records=2_000,
            batch_size=500,
            topics=[{"topic_id": topic_id, "partitions": [{"partition_index": 0}]}],
        )
        assert time.monotonic() - started < 8
    ranges = answer.responses[0].partitions[0].acquired_records
    assert sum(one.last_offset - one.first_offset + 1 for one in ranges) == 2_000
