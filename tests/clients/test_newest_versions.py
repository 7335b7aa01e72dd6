"""The newest versions of requests that Kafka 4.4 brought, as single requests, on both brokers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from sandbox.kafka.errors import BY_CODE
from tests.clients.conftest import Kafka
from tests.clients.raw_requests import RawClient
from tests.clients.waiting import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(90)]


@pytest.mark.parametrize(
    ("version", "timestamp", "error"),
    [(11, -6, "NONE"), (11, -5, "NONE"), (10, -6, "UNSUPPORTED_VERSION"), (11, -7, "UNSUPPORTED_VERSION")],
)
def test_offsets_of_tiered_storage_do_not_exist(
    kafka: Kafka, unique: Callable[[str], str], version: int, timestamp: int, error: str
) -> None:
    topic = unique("tiered")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1)])[topic].result()
    wanted = {"name": topic, "partitions": [{"partition_index": 0, "timestamp": timestamp}]}

    def answer() -> tuple[str, int]:
        asked = {"replica_id": -1, "topics": [wanted], "timeout_ms": 1000}
        with RawClient(kafka.bootstrap) as raw:
            (found,) = raw.ask("ListOffsets", version, **asked).topics[0].partitions
        return BY_CODE[found.error_code].name, found.offset

    # A broker may learn of a new topic a moment after its creation was answered.
    eventually(lambda: answer()[0] != "UNKNOWN_TOPIC_OR_PARTITION", 20, lambda: f"the topic is unknown: {answer()}")
    assert answer() == (error, -1)


def test_transaction_markers_carry_a_transaction_version(kafka: Kafka, unique: Callable[[str], str]) -> None:
    topics = [{"name": unique("nowhere"), "partition_indexes": [0]}]
    marker = {"producer_id": 999_999, "producer_epoch": 0, "transaction_result": False, "topics": topics}
    with RawClient(kafka.bootstrap) as raw:
        answer = raw.ask("WriteTxnMarkers", 2, markers=[{**marker, "coordinator_epoch": 0, "transaction_version": 2}])
    assert BY_CODE[answer.markers[0].topics[0].partitions[0].error_code].name == "UNKNOWN_TOPIC_OR_PARTITION"
