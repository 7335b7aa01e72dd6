"""Produce through the port: what is refused, what is changed on the way, and what is remembered."""

import threading
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import CODE
from sandbox.wire.records import compression
from sandbox.wire.records.batch import decode_batches, encode_batch
from tests.clock import START_MS, Clock
from tests.disk import full_disk
from tests.wire.raw_client import (
    FETCH,
    FETCH_VERSION,
    INIT_PRODUCER_ID,
    OFFSET_COMMIT,
    PRODUCE,
    RawClient,
    fetch_body,
    produce_body,
    records_of,
    rows,
)


def test_each_batch_gets_the_next_offsets(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders", partitions=2)
    bases = [
        client.produce("orders", rows(*[b"x"] * size), partition=partition).base_offset
        for partition, size in ((0, 3), (1, 1), (0, 2), (0, 1), (1, 4))
    ]
    assert bases == [0, 0, 3, 5, 1]
    assert served.end_offsets("orders") == {0: 6, 1: 5}


@pytest.mark.parametrize("version", range(3, 14))
def test_every_version_of_produce_stores_the_same(served: Sandbox, client: RawClient, version: int) -> None:
    topic_id = UUID(served.create_topic("orders").topic_id)
    body = produce_body("orders" if version < 13 else "", [(0, START_MS, b"k", None, (("h", None),))])
    body["topic_data"][0]["topic_id"] = topic_id
    answer = client.ask(PRODUCE, version, body).responses[0].partition_responses[0]
    assert (answer.error_code, answer.base_offset) == (0, 0)
    (event,) = served.read("orders")
    assert (event.key, event.value, event.headers, event.timestamp_ms) == (b"k", None, (("h", None),), START_MS)


@pytest.mark.parametrize("codec", range(5))
def test_every_compression_is_stored_as_the_same_rows(served: Sandbox, client: RawClient, codec: int) -> None:
    served.create_topic("orders")
    assert client.produce("orders", rows(b"ham", b"eggs"), compression=codec).error_code == 0
    assert [event.value for event in served.read("orders")] == [b"ham", b"eggs"]


def corrupt() -> bytes:
    return encode_batch(0, rows(b"ham"))[:-1] + b"\x7f"


def of_magic(magic: int) -> bytes:
    batch = bytearray(encode_batch(0, rows(b"ham")))
    batch[16] = magic
    return bytes(batch)


@pytest.mark.parametrize(
    ("settings", "topic", "records", "error"),
    [
        ({}, "nowhere", rows(b"x"), "UNKNOWN_TOPIC_OR_PARTITION"),
        ({}, "orders", corrupt(), "CORRUPT_MESSAGE"),
        ({}, "orders", encode_batch(0, rows(b"ham"))[:-4], "INVALID_RECORD"),
        ({}, "orders", of_magic(1), "INVALID_RECORD"),
        ({}, "orders", b"", "INVALID_RECORD"),
        ({}, "orders", encode_batch(0, rows(b"a")) * 2, "INVALID_RECORD"),
        ({}, "orders", encode_batch(0, rows(b"a"), control=True), "INVALID_RECORD"),
        ({}, "orders", rows(b"x" * 1_048_588), "MESSAGE_TOO_LARGE"),
        ({"max.message.bytes": "200"}, "orders", rows(b"x" * 200), "MESSAGE_TOO_LARGE"),
        ({"cleanup.policy": "compact"}, "orders", rows(b"x", key=None), "INVALID_RECORD"),
        ({}, "orders", rows(b"x", timestamp_ms=START_MS + 3_600_001), "INVALID_TIMESTAMP"),
        ({"message.timestamp.before.max.ms": "1000"}, "orders", rows(b"x", timestamp_ms=START_MS - 1_001),
         "INVALID_TIMESTAMP"),
    ],
    ids=range(12),
)  # fmt: skip
def test_a_batch_that_breaks_a_rule_is_refused_with_kafkas_error_and_nothing_is_stored(
    served: Sandbox, client: RawClient, settings: dict[str, str], topic: str, records: bytes, error: str
) -> None:
    served.create_topic("orders", settings=settings)
    assert client.produce("orders", rows(b"k")).base_offset == 0
    answer = client.produce(topic, records)
    assert (answer.error_code, answer.base_offset) == (CODE[error], -1)
    assert answer.error_message
    assert client.produce("orders", rows(b"k")).base_offset == 1


def test_one_refused_batch_leaves_the_others_of_its_request(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders", partitions=2)
    body = produce_body("orders", rows(b"ham"))
    body["topic_data"][0]["partition_data"] += [{"index": 1, "records": corrupt()}, {"index": 7, "records": corrupt()}]
    answers = client.ask(PRODUCE, 9, body).responses[0].partition_responses
    assert [one.error_code for one in answers] == [0, CODE["CORRUPT_MESSAGE"], CODE["UNKNOWN_TOPIC_OR_PARTITION"]]
    assert served.end_offsets("orders") == {0: 1, 1: 0}


def test_an_unknown_topic_id_is_refused(served: Sandbox, client: RawClient) -> None:
    body = produce_body("", rows(b"x"))
    body["topic_data"][0]["topic_id"] = uuid4()
    answer = client.ask(PRODUCE, 13, body).responses[0].partition_responses[0]
    assert answer.error_code == CODE["UNKNOWN_TOPIC_ID"]


@pytest.mark.parametrize("acks", [2, -2])
def test_an_ack_that_is_none_is_refused(served: Sandbox, client: RawClient, acks: int) -> None:
    served.create_topic("orders")
    assert client.produce("orders", rows(b"x"), acks=acks).error_code == CODE["INVALID_REQUIRED_ACKS"]
    assert served.end_offsets("orders") == {0: 0}


def test_a_topic_stamped_by_the_broker_gives_its_time_in_every_form(
    served: Sandbox, client: RawClient, clock: Clock
) -> None:
    served.create_topic("orders", settings={"message.timestamp.type": "LogAppendTime"})
    answer = client.produce("orders", rows(b"ham", timestamp_ms=5))
    assert answer.log_append_time_ms == clock.now_ms
    found = client.fetch("orders", 0)
    (batch,) = decode_batches(found.records)
    assert (batch.timestamp_type, batch.max_timestamp) == (1, clock.now_ms)
    assert [row[1] for row in records_of(found)] == [clock.now_ms]
    (event,) = served.read("orders")
    assert (event.timestamp_ms, event.timestamp_type) == (clock.now_ms, 1)


@pytest.mark.parametrize(("wanted", "codec"), [("gzip", 1), ("zstd", 4), ("uncompressed", 0), ("producer", 2)])
def test_the_topics_compression_is_remembered_with_the_batch(
    served: Sandbox, client: RawClient, wanted: str, codec: int
) -> None:
    served.create_topic("orders", settings={"compression.type": wanted})
    assert client.produce("orders", rows(b"ham"), compression=compression.SNAPPY).error_code == 0
    assert [row[3] for row in records_of(client.fetch("orders", 0))] == [b"ham"]
    assert served._database.query("SELECT compression FROM batches") == [(codec,)]


def producer_id(client: RawClient) -> int:
    body = {"transactional_id": None, "transaction_timeout_ms": 60_000, "producer_id": -1, "producer_epoch": -1}
    answer = client.ask(INIT_PRODUCER_ID, 4, body)
    assert (answer.error_code, answer.producer_epoch) == (0, 0)
    return int(answer.producer_id)


def send(client: RawClient, producer: int, sequence: int, count: int = 1, epoch: int = 0) -> SimpleNamespace:
    return client.produce(
        "orders",
        rows(*[b"%d" % (sequence + at) for at in range(count)]),
        producer_id=producer,
        producer_epoch=epoch,
        base_sequence=sequence,
    )


def test_a_duplicate_is_answered_with_its_old_offset_and_stored_once(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders")
    producer = producer_id(client)
    bases = [send(client, producer, sequence, 2).base_offset for sequence in (0, 2, 4, 6, 8)]
    assert bases == [0, 2, 4, 6, 8]
    again = [send(client, producer, sequence, 2) for sequence in (8, 0, 4)]
    assert [(one.error_code, one.base_offset) for one in again] == [(0, 8), (0, 0), (0, 4)]
    assert served.end_offsets("orders") == {0: 10}


@pytest.mark.parametrize("sequence", [0, 1, 4, 99])
def test_a_gap_or_a_step_back_is_out_of_order(served: Sandbox, client: RawClient, sequence: int) -> None:
    served.create_topic("orders")
    producer = producer_id(client)
    send(client, producer, 0, 3)
    found = send(client, producer, sequence, 1)
    assert found.error_code == CODE["OUT_OF_ORDER_SEQUENCE_NUMBER"]
    assert send(client, producer, 3).base_offset == 3


def test_an_older_epoch_is_fenced_and_a_newer_one_begins_at_0(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders")
    producer = producer_id(client)
    send(client, producer, 0)
    assert send(client, producer, 5, epoch=1).error_code == CODE["OUT_OF_ORDER_SEQUENCE_NUMBER"]
    assert send(client, producer, 0, epoch=1).base_offset == 1
    assert send(client, producer, 1, epoch=0).error_code == CODE["INVALID_PRODUCER_EPOCH"]


def test_producer_ids_are_never_given_twice(served: Sandbox, client: RawClient) -> None:
    given = [producer_id(client) for _ in range(5)]
    assert len(set(given)) == 5


@pytest.fixture
def sequences(file: Path) -> tuple[Path, int]:
    """A file in which a producer wrote five batches of one event, and the producer's id."""
    with Sandbox(file, clock=Clock()) as sandbox:
        sandbox.create_topic("orders")
        sandbox.serve(kafka_port=0, web_port=None)
        client = RawClient(sandbox.kafka_address or "")
        producer = producer_id(client)
        for sequence in range(7):
            send(client, producer, sequence)
        client.close()
    return file, producer


def test_duplicates_and_gaps_are_known_after_a_restart(sequences: tuple[Path, int]) -> None:
    file, producer = sequences
    with Sandbox(file, clock=Clock()) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        client = RawClient(sandbox.kafka_address or "")
        assert [send(client, producer, sequence).base_offset for sequence in (2, 6)] == [2, 6]
        assert send(client, producer, 1).error_code == CODE["OUT_OF_ORDER_SEQUENCE_NUMBER"], "older than the last five"
        assert send(client, producer, 8).error_code == CODE["OUT_OF_ORDER_SEQUENCE_NUMBER"]
        assert send(client, producer, 7).base_offset == 7
        assert producer_id(client) > producer
        client.close()


def test_a_full_disk_is_a_storage_error_and_reading_goes_on(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders")
    producer = producer_id(client)
    assert send(client, producer, 0).base_offset == 0
    with full_disk(served):
        for _ in range(2):
            failed = client.produce("orders", rows(b"x" * 100_000))
            assert (failed.error_code, failed.base_offset) == (CODE["KAFKA_STORAGE_ERROR"], -1)
        large = client.produce("orders", rows(b"x" * 100_000), producer_id=producer, producer_epoch=0, base_sequence=1)
        assert large.error_code == CODE["KAFKA_STORAGE_ERROR"]
        assert client.fetch("orders", 0).high_watermark == 1
        assert [row[3] for row in records_of(client.fetch("orders", 0))] == [b"0"]
        assert client.list_offset("orders", -1).offset == 1
        assert client.api_versions().error_code == 0
    assert send(client, producer, 1).base_offset == 1, "the batch that failed is not remembered as written"
    assert [row[0] for row in records_of(client.fetch("orders", 0))] == [0, 1]


def test_a_turn_that_fails_fails_for_its_writers_and_not_for_a_reader(served: Sandbox) -> None:
    """Four requests come in one turn of the loop; the last one finds no room, and takes back what two others wrote."""
    served.create_topic("orders")
    served.append("orders", "ham")
    small, reader, group, large = (RawClient(served.kafka_address or "") for _ in range(4))
    blocked, go = threading.Event(), threading.Event()

    def block(now_ms: int) -> None:
        blocked.set()
        go.wait(10)

    with full_disk(served, free_pages=10):
        holder = threading.Thread(target=served._runtime.call, args=(block,))
        holder.start()
        assert blocked.wait(10)
        small.send(PRODUCE, 9, produce_body("orders", rows(b"small")))
        group.send(OFFSET_COMMIT, 8, commit_body())
        reader.send(FETCH, FETCH_VERSION, fetch_body("orders", {0: 0}))
        large.send(PRODUCE, 9, produce_body("orders", rows(b"x" * 100_000)))
        go.set()
        holder.join(10)
        found = reader.receive().responses[0].partitions[0]
        assert (found.error_code, [row[3] for row in records_of(found)]) == (0, [b"ham"])
        answers = [one.receive().responses[0].partition_responses[0].error_code for one in (small, large)]
        assert answers == [CODE["KAFKA_STORAGE_ERROR"]] * 2
        code = group.receive().topics[0].partitions[0].error_code
        assert code == CODE["COORDINATOR_NOT_AVAILABLE"]
        assert served.end_offsets("orders") == {0: 1}
        assert served.groups() == ()
    for one in (small, reader, group, large):
        assert one.produce("orders", rows(b"x")).error_code == 0
        one.close()
    assert served.end_offsets("orders") == {0: 5}


def commit_body() -> dict[str, object]:
    partition = {"partition_index": 0, "committed_offset": 1, "committed_leader_epoch": -1, "committed_metadata": ""}
    return {
        "group_id": "app",
        "generation_id_or_member_epoch": -1,
        "member_id": "",
        "group_instance_id": None,
        "topics": [{"name": "orders", "partitions": [partition]}],
    }
