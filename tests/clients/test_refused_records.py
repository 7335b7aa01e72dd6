"""Records that a topic does not accept (KIP-467), on the sandbox and on Apache Kafka alike: each is named."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from sandbox.kafka.errors import BY_CODE
from sandbox.wire.records.batch import encode_batch
from tests.clients.conftest import Kafka
from tests.clients.raw_requests import RawClient
from tests.clients.waiting import eventually, until_listed

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

COMPACTED = {"cleanup.policy": "compact"}
RECENT = {"message.timestamp.before.max.ms": "600000", "message.timestamp.after.max.ms": "600000"}
HOUR_MS = 3_600_000
GZIP = 1
Create = Callable[[dict[str, str]], str]
Record = tuple[bytes | None, int]
"""A key, and how many ms after now its timestamp is."""


@pytest.fixture
def raw(kafka: Kafka) -> Iterator[RawClient]:
    with RawClient(kafka.bootstrap) as found:
        yield found


@pytest.fixture
def create(kafka: Kafka, raw: RawClient, unique: Callable[[str], str]) -> Create:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

    def new(settings: dict[str, str]) -> str:
        name = unique("refused")
        admin.create_topics([NewTopic(name, 1, 1, config=settings)])[name].result(timeout=15)
        until_listed(admin, name)
        eventually(lambda: has_leader(raw, name), 10, lambda: "the partition has no leader")
        return name

    return new


def has_leader(raw: RawClient, topic: str) -> bool:
    wanted = {"partition_index": 0, "current_leader_epoch": -1, "timestamp": -1}
    answer = raw.ask("ListOffsets", 7, replica_id=-1, topics=[{"name": topic, "partitions": [wanted]}])
    return answer.topics[0].partitions[0].error_code == 0  # type: ignore[no-any-return]


def produce(
    raw: RawClient, topic: str, records: Sequence[Record] | bytes, version: int = 11, **batch: Any
) -> SimpleNamespace:
    """The answer for the partition."""
    now_ms = int(time.time() * 1000)
    data = records
    if not isinstance(data, bytes):
        rows = [(index, now_ms + after_ms, key, b"v", ()) for index, (key, after_ms) in enumerate(data)]
        data = encode_batch(0, rows, **batch)
    partition = {"index": 0, "records": data}
    answer = raw.ask(
        "Produce", version, acks=-1, timeout_ms=10_000, topic_data=[{"name": topic, "partition_data": [partition]}]
    )
    found: SimpleNamespace = answer.responses[0].partition_responses[0]
    assert found.error_code == 0 or found.base_offset == -1
    return found


def named(answer: SimpleNamespace) -> tuple[str, int, list[int]]:
    """The error, the log start offset, and the positions of the refused records."""
    return BY_CODE[answer.error_code].name, answer.log_start_offset, [one.batch_index for one in answer.record_errors]


def reasons(answer: SimpleNamespace) -> list[str]:
    return [one.batch_index_error_message for one in answer.record_errors]


@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
@pytest.mark.parametrize("batch", [{}, {"compression": GZIP}])
@pytest.mark.parametrize("version", [8, 9, 12])
def test_a_compacted_topic_names_each_record_without_a_key(
    raw: RawClient, create: Create, policy: str, batch: dict[str, int], version: int
) -> None:
    topic = create({"cleanup.policy": policy})
    answer = produce(raw, topic, [(b"a", 0), (None, 0), (b"b", 0), (None, 0)], version, **batch)
    assert named(answer) == ("INVALID_RECORD", 0, [1, 3])
    reason = f"Compacted topic cannot accept message without key in topic partition {topic}-0"
    assert reasons(answer) == [reason, reason]
    assert answer.error_message == (
        "One or more records have been rejected due to 2 record errors in total, and only showing the first three "
        f"errors at most: [RecordError(batchIndex=1, message='{reason}'), "
        f"RecordError(batchIndex=3, message='{reason}')]"
    )
    assert named(produce(raw, topic, [(b"a", 0)], version)) == ("NONE", 0, []), "nothing was stored"


def test_the_message_for_the_batch_names_three_records_and_the_list_names_all(raw: RawClient, create: Create) -> None:
    answer = produce(raw, create(COMPACTED), [(None, 0)] * 30)
    assert named(answer) == ("INVALID_RECORD", 0, list(range(30)))
    assert answer.error_message.count("RecordError") == 3
    assert "due to 30 record errors in total" in answer.error_message


@pytest.mark.parametrize("batch", [{}, {"compression": GZIP}])
def test_each_record_with_a_timestamp_out_of_range_is_named(
    raw: RawClient, create: Create, batch: dict[str, int]
) -> None:
    answer = produce(raw, create(RECENT), [(b"a", 0), (b"b", -HOUR_MS), (None, 0), (None, HOUR_MS)], **batch)
    assert named(answer) == ("INVALID_TIMESTAMP", 0, [1, 3])
    assert answer.error_message == "One or more records have been rejected due to invalid timestamp"
    for reason, position in zip(reasons(answer), (1, 3), strict=True):
        assert reason.startswith("Timestamp ")
        assert f"of message with offset {position} is out of range. The timestamp should be within [" in reason


def test_a_record_without_a_key_is_named_for_that_even_if_its_timestamp_is_refused_too(
    raw: RawClient, create: Create
) -> None:
    answer = produce(raw, create({**COMPACTED, **RECENT}), [(b"a", -HOUR_MS), (None, -HOUR_MS), (None, 0), (b"b", 0)])
    assert named(answer) == ("INVALID_TIMESTAMP", 0, [0, 1, 2])
    assert ["without key" in reason for reason in reasons(answer)] == [False, True, True]


def test_the_default_range_refuses_a_timestamp_of_the_far_future(raw: RawClient, create: Create) -> None:
    assert named(produce(raw, create({}), [(b"a", 2 * HOUR_MS), (b"b", 0)])) == ("INVALID_TIMESTAMP", 0, [0])


def test_the_brokers_time_is_never_out_of_range_but_keys_are_still_asked_for(raw: RawClient, create: Create) -> None:
    topic = create({**COMPACTED, **RECENT, "message.timestamp.type": "LogAppendTime"})
    assert named(produce(raw, topic, [(b"a", -HOUR_MS), (None, 0)])) == ("INVALID_RECORD", 0, [1])
    assert named(produce(raw, topic, [(b"a", -HOUR_MS)])) == ("NONE", 0, [])


@pytest.mark.parametrize(("version", "log_start"), [(3, -1), (7, 0)])
def test_older_versions_have_the_error_alone(raw: RawClient, create: Create, version: int, log_start: int) -> None:
    answer = produce(raw, create(COMPACTED), [(None, 0)], version)
    assert named(answer) == ("INVALID_RECORD", log_start, [])
    assert answer.error_message is None


def test_a_batch_that_is_refused_as_a_whole_names_no_record(raw: RawClient, create: Create) -> None:
    topic = create({})
    good = encode_batch(0, [(0, 0, b"k", b"v", ())])
    found = {
        "two batches": named(produce(raw, topic, good + good)),
        "no batch": named(produce(raw, topic, b"")),
        "the start of a batch": named(produce(raw, topic, good[:10])),
        "a batch that is cut off": named(produce(raw, topic, good[:-1])),
        "an older format": named(produce(raw, topic, good[:16] + b"\1" + good[17:])),
        "a format that does not exist": named(produce(raw, topic, good[:16] + b"\7" + good[17:])),
        "another base offset": named(produce(raw, topic, good[:7] + b"\7" + good[8:])),
        "another checksum": named(produce(raw, topic, good[:20] + bytes([good[20] ^ 1]) + good[21:])),
        "a control record": named(produce(raw, topic, [(b"\0\0\0\1", 0)], control=True)),
        "a producer without a sequence": named(
            produce(raw, topic, [(b"k", 0)], producer_id=5, producer_epoch=0, base_sequence=-1)
        ),
        "a topic that does not exist": named(produce(raw, f"{topic}-missing", good)),
    }
    assert found == {
        "two batches": ("INVALID_RECORD", -1, []),
        "no batch": ("INVALID_RECORD", -1, []),
        "the start of a batch": ("INVALID_RECORD", -1, []),
        "a batch that is cut off": ("INVALID_RECORD", -1, []),
        "an older format": ("INVALID_RECORD", -1, []),
        "a format that does not exist": ("CORRUPT_MESSAGE", -1, []),
        "another base offset": ("INVALID_RECORD", 0, []),
        "another checksum": ("CORRUPT_MESSAGE", -1, []),
        "a control record": ("INVALID_RECORD", 0, []),
        "a producer without a sequence": ("INVALID_RECORD", 0, []),
        "a topic that does not exist": ("UNKNOWN_TOPIC_OR_PARTITION", -1, []),
    }


def test_success_has_no_message(raw: RawClient, create: Create) -> None:
    answer = produce(raw, create({}), [(b"a", 0)])
    assert (named(answer), answer.error_message) == (("NONE", 0, []), None)


def test_librdkafka_fails_the_refused_messages_with_their_reason(kafka: Kafka, create: Create) -> None:
    topic = create(COMPACTED)
    found: Counter[int] = Counter()
    failed: list[bytes | None] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is not None
        found[error.code()] += 1
        if error.code() == KafkaError.INVALID_RECORD:
            failed.append(message.value())

    # One batch: it is sent when it has all of them.
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 20_000, "batch.num.messages": 100})
    for number in range(100):
        key = None if number % 10 == 0 else b"k"
        producer.produce(topic, b"%d" % number, key, partition=0, on_delivery=delivered)
    assert producer.flush(30) == 0
    assert sorted(failed, key=lambda value: int(value or b"")) == [b"%d" % number for number in range(0, 100, 10)]
    assert found == {KafkaError.INVALID_RECORD: 10, KafkaError._INVALID_DIFFERENT_RECORD: 90}
