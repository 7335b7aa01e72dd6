"""Fetch and ListOffsets through the port."""

import time
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import CODE
from sandbox.kafka.event import NewEvent
from sandbox.storage.log.log import Record
from sandbox.wire.fetch_sessions import FETCHES_WITHOUT
from sandbox.wire.messages import messages
from sandbox.wire.records import compression
from sandbox.wire.records.batch import decode_batches
from tests.clock import START_MS, Clock
from tests.conftest import Connect
from tests.storage.damage import damage
from tests.wire.raw_client import (
    FETCH,
    FETCH_VERSION,
    LIST_OFFSETS,
    OFFSET_FETCH,
    PRODUCE,
    RawClient,
    fetch_body,
    framed,
    produce_body,
    records_of,
    request_header,
    rows,
)

LONG_MS = 30_000
NAMES = (f"t{number}" for number in count())


def test_a_fetch_that_waits_is_woken_by_an_append(served: Sandbox, connect: Connect) -> None:
    """Well before its time is over: it waits 30 s, and all five must be through within 5."""
    served.create_topic("orders")
    client = connect()
    started = time.monotonic()
    for offset in range(5):
        client.send(FETCH, FETCH_VERSION, fetch_body("orders", {0: offset}, max_wait_ms=LONG_MS))
        served.append("orders", b"%d" % offset)
        (record,) = records_of(client.receive().responses[0].partitions[0])
        assert (record[0], record[3]) == (offset, b"%d" % offset)
    assert time.monotonic() - started < 5


def test_a_fetch_waits_until_there_are_the_bytes_it_asks_for(served: Sandbox, connect: Connect) -> None:
    served.create_topic("orders", partitions=2)
    client = connect()
    client.send(FETCH, FETCH_VERSION, fetch_body("orders", {0: 0, 1: 0}, max_wait_ms=LONG_MS, min_bytes=3_000))
    for _ in range(2):
        served.append("orders", b"x" * 1_000, partition=0)
    client.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.receive_bytes(1)
    client.socket.settimeout(10)
    served.append("orders", b"x" * 1_000, partition=1)
    answer = client.receive()
    sizes = {one.partition_index: len(records_of(one)) for one in answer.responses[0].partitions}
    assert sizes == {0: 2, 1: 1}


def test_a_fetch_that_gets_nothing_ends_at_its_time_with_an_empty_record_set(
    client: RawClient, served: Sandbox
) -> None:
    served.create_topic("orders")
    started = time.monotonic()
    found = client.fetch("orders", 0, max_wait_ms=100)
    assert 0.09 <= time.monotonic() - started < 5
    assert (found.error_code, found.high_watermark, found.log_start_offset) == (0, 0, 0)
    assert found.records is not None
    assert len(found.records) == 0


def test_a_fetch_of_a_topic_that_is_deleted_meanwhile_is_told_at_once(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders")
    client.send(FETCH, FETCH_VERSION, fetch_body("orders", {0: 0}, max_wait_ms=LONG_MS))
    served.delete_topic("orders")
    answer = client.receive()
    assert answer.responses[0].partitions[0].error_code == CODE["UNKNOWN_TOPIC_OR_PARTITION"]


@pytest.mark.parametrize(("offset", "error"), [(-1, 1), (0, 0), (3, 0), (4, 1), (2**62, 1)])
def test_an_offset_outside_the_log_is_out_of_range(served: Sandbox, client: RawClient, offset: int, error: int) -> None:
    served.append_many("orders", [NewEvent(b"x")] * 3)
    found = client.fetch("orders", offset, max_wait_ms=0)
    assert found.error_code == error == CODE["OFFSET_OUT_OF_RANGE"] * error
    assert (found.high_watermark, found.log_start_offset) == ((-1, -1) if error else (3, 0))


def test_the_first_batch_comes_even_where_it_is_larger_than_the_limit(served: Sandbox, client: RawClient) -> None:
    """KIP-74: else a consumer could never get past it."""
    served.create_topic("orders")
    for _ in range(3):
        client.produce("orders", rows(b"x" * 1_000))
    for limits in ({"max_bytes": 1}, {"partition_max_bytes": 1}):
        assert [row[0] for row in records_of(client.fetch("orders", 1, **limits))] == [1]


def test_no_more_is_sent_than_was_asked_for(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders", partitions=3)
    for partition in range(3):
        for _ in range(10):
            client.produce("orders", rows(b"x" * 1_000), partition=partition)
    for limits in ({"max_bytes": 5_000}, {"partition_max_bytes": 3_500}):
        body = fetch_body("orders", {0: 0, 1: 0, 2: 0}) | {"max_bytes": limits.get("max_bytes", 50_000_000)}
        for one in body["topics"][0]["partitions"]:
            one |= {"partition_max_bytes": limits.get("partition_max_bytes", 50_000_000)}
        answer = client.ask(FETCH, FETCH_VERSION, body)
        sizes = [len(one.records) for one in answer.responses[0].partitions]
        assert sum(sizes) <= limits.get("max_bytes", 3 * 3_500)
        assert max(sizes) <= limits.get("partition_max_bytes", 5_000)
        assert sizes[0] > 3_000


def test_an_offset_within_a_batch_gives_its_batch(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders")
    client.produce("orders", rows(*(b"%d" % number for number in range(5))))
    assert {row[0] for row in records_of(client.fetch("orders", 3))} >= {3, 4}


def test_a_topic_id_is_the_name_of_a_topic_from_version_13(served: Sandbox, client: RawClient) -> None:
    topic_id = UUID(served.create_topic("orders").topic_id)
    served.append("orders", "ham")
    answer = client.ask(FETCH, 17, fetch_body("", {0: 0}, topic_id=topic_id))
    assert [row[3] for row in records_of(answer.responses[0].partitions[0])] == [b"ham"]
    for wrong in (uuid4(), UUID(int=0)):
        answer = client.ask(FETCH, 17, fetch_body("", {0: 0}, topic_id=wrong))
        assert answer.responses[0].partitions[0].error_code == CODE["UNKNOWN_TOPIC_ID"]


def test_the_id_of_a_deleted_topic_is_unknown_though_its_name_is_taken_again(
    served: Sandbox, client: RawClient
) -> None:
    old = UUID(served.create_topic("orders").topic_id)
    served.delete_topic("orders")
    served.create_topic("orders")
    answer = client.ask(FETCH, 17, fetch_body("", {0: 0}, topic_id=old))
    assert answer.responses[0].partitions[0].error_code == CODE["UNKNOWN_TOPIC_ID"]


@pytest.mark.parametrize(("epoch", "error"), [(-1, "NONE"), (0, "NONE"), (5, "UNKNOWN_LEADER_EPOCH")])
def test_a_leader_epoch_that_is_not_the_current_one_is_fenced(
    served: Sandbox, client: RawClient, epoch: int, error: str
) -> None:
    served.append("orders", "ham")
    assert client.fetch("orders", 0, leader_epoch=epoch).error_code == CODE[error]


def fetched(client: RawClient, topic: str, **options: int) -> list[Record]:
    """The whole of a partition, fetch by fetch."""
    found: list[Record] = []
    while True:
        answer = client.fetch(topic, found[-1][0] + 1 if found else 0, **options)
        assert answer.error_code == 0
        records = [row for row in records_of(answer) if not found or row[0] > found[-1][0]]
        if not records:
            return found
        found += records


payload = st.none() | st.binary(max_size=40)
records = st.lists(
    st.tuples(
        st.integers(START_MS - 50, START_MS + 50),
        payload,
        payload,
        st.lists(st.tuples(st.text(max_size=4), payload), max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=5,
)
batches = st.lists(st.tuples(records, st.sampled_from(range(5))), min_size=1, max_size=8)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches, st.integers(100, 2_000))
def test_a_cold_read_after_a_restart_equals_the_read_of_the_tail(
    tmp_path: Path, produced: list[tuple[list[tuple[int, bytes | None, bytes | None, tuple[()]]], int]], limit: int
) -> None:
    """From the rows, some batches in one, uncompressed, come the same events as from the bytes that were produced."""
    file, topic = tmp_path / f"{next(NAMES)}.db", "orders"
    sent: list[Record] = []
    with Sandbox(file, clock=Clock()) as sandbox:
        sandbox.create_topic(topic)
        sandbox.serve(kafka_port=0, web_port=None)
        client = RawClient(sandbox.kafka_address or "")
        for batch, codec in produced:
            rows_of_batch = [(delta, *record) for delta, record in enumerate(batch)]
            assert client.produce(topic, rows_of_batch, compression=codec).error_code == 0
            sent += [(len(sent) + delta, *rest) for delta, *rest in rows_of_batch]  # type: ignore[misc]
        assert fetched(client, topic) == sent
        client.close()
    with Sandbox(file, clock=Clock()) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        client = RawClient(sandbox.kafka_address or "")
        assert fetched(client, topic) == sent
        assert fetched(client, topic, max_bytes=limit) == sent
        client.close()


def test_a_cold_read_of_what_compresses_well_is_bounded(file: Path) -> None:
    """Batches of a few kilobytes on the wire may hold megabytes; a fetch answers with about what it was asked for."""
    with Sandbox(file, clock=Clock()) as sandbox:
        sandbox.create_topic("orders")
        sandbox.serve(kafka_port=0, web_port=None)
        client = RawClient(sandbox.kafka_address or "")
        for _ in range(30):
            code = client.produce("orders", rows(b"x" * 1_000_000), compression=compression.GZIP).error_code
            assert code == 0
        client.close()
    with Sandbox(file, clock=Clock()) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        client = RawClient(sandbox.kafka_address or "")
        answer = client.fetch("orders", 0, max_bytes=5_000_000)
        assert 1_000_000 <= len(answer.records) <= 5_000_000
        assert [row[0] for row in fetched(client, "orders", max_bytes=3_000_000)] == list(range(30))
        client.close()


def test_a_fetch_in_the_turn_of_a_write_does_not_see_it_before_its_commit(served: Sandbox, client: RawClient) -> None:
    """Both requests come at once, so the event is in memory, and in the cache, when the fetch is answered."""
    served.create_topic("orders")
    produce = messages.encode_request(PRODUCE, 9, produce_body("orders", rows(b"x")))
    fetch = messages.encode_request(FETCH, 12, fetch_body("orders", {0: 0}))
    client.send_bytes(framed(request_header(PRODUCE, 9, 1) + produce) + framed(request_header(FETCH, 12, 2) + fetch))
    client.receive_frame()
    answer, _ = messages.decode_response(FETCH, 12, client.receive_frame(), 5)
    found = answer.responses[0].partitions[0]
    assert (found.high_watermark, records_of(found)) == (0, [])
    assert [row[0] for row in records_of(client.fetch("orders", 0))] == [0]


stamps = st.lists(st.lists(st.integers(-20, 20), min_size=1, max_size=4), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stamps, st.lists(st.integers(-22, 22), min_size=1, max_size=5))
def test_offsets_by_time_are_exact_for_every_event(
    served: Sandbox, client: RawClient, produced: list[list[int]], asked: list[int]
) -> None:
    topic = next(NAMES)
    served.create_topic(topic)
    for batch in produced:
        records = [(delta, START_MS + stamp, None, b"", ()) for delta, stamp in enumerate(batch)]
        assert client.produce(topic, records).error_code == 0
    times = [START_MS + stamp for batch in produced for stamp in batch]
    for stamp in asked:
        found = client.list_offset(topic, START_MS + stamp)
        at = next((offset for offset, one in enumerate(times) if one >= START_MS + stamp), -1)
        assert (found.error_code, found.offset, found.timestamp) == (0, at, -1 if at < 0 else times[at])
    largest = client.list_offset(topic, -3)
    assert (largest.offset, largest.timestamp) == (times.index(max(times)), max(times))
    assert client.list_offset(topic, -1).offset == len(times)
    assert client.list_offset(topic, -2).offset == 0


def test_list_offsets_of_an_empty_log_has_no_event(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders")
    assert [client.list_offset("orders", at).offset for at in (-1, -2, -3, 0, START_MS)] == [0, 0, -1, -1, -1]


@pytest.mark.parametrize(
    ("topic", "partition", "at", "version", "error"),
    [
        ("nowhere", 0, -1, 7, "UNKNOWN_TOPIC_OR_PARTITION"),
        ("orders", 9, -1, 7, "UNKNOWN_TOPIC_OR_PARTITION"),
        ("orders", 0, -3, 6, "UNSUPPORTED_VERSION"),
        ("orders", 0, -9, 7, "UNSUPPORTED_VERSION"),
    ],
)
def test_list_offsets_refuses_what_it_cannot_know(
    served: Sandbox, client: RawClient, topic: str, partition: int, at: int, version: int, error: str
) -> None:
    served.append("orders", "ham")
    assert client.list_offset(topic, at, partition=partition, version=version).error_code == CODE[error]


def test_every_version_of_fetch_gives_the_same_records(served: Sandbox, client: RawClient) -> None:
    topic_id = UUID(served.create_topic("orders").topic_id)
    served.append("orders", "ham", key="k", headers={"a": "b"})
    answers = []
    for version in range(4, 19):
        body = fetch_body("orders" if version < 13 else "", {0: 0}, topic_id=topic_id)
        answers.append(records_of(client.ask(FETCH, version, body).responses[0].partitions[0]))
    assert answers == [[(0, START_MS, b"k", b"ham", (("a", b"b"),))]] * 15


def test_what_was_produced_compressed_is_served_as_it_came(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders")
    client.produce("orders", rows(b"x" * 1_000), compression=compression.ZSTD)
    (batch,) = decode_batches(client.fetch("orders", 0).records)
    assert batch.compression == compression.ZSTD
    assert client.ask(LIST_OFFSETS, 1, {"replica_id": -1, "topics": []}).topics == []


@pytest.mark.parametrize("letter", ["x", "é", "€"])
def test_metadata_of_a_commit_that_is_too_long_for_the_protocol_is_cut(tmp_path: Path, letter: str) -> None:
    path = tmp_path / "dev.db"
    with Sandbox(path) as box:
        box.create_topic("orders", partitions=1)
        box.append("orders", "x")
        for offset in (0, 1):
            box.commit("billing", "orders", 0, offset)
    long = letter * 40_000
    damage(path, "UPDATE commits SET metadata = ?, checksum = NULL WHERE offset = 0", long)
    damage(path, "UPDATE committed_offsets SET metadata = ?, checksum = NULL", long)
    with Sandbox(path) as box:
        box.serve(kafka_port=0, web_port=None, registry_port=None)
        client = RawClient(box.kafka_address or "")
        first, second = records_of(client.fetch("__consumer_offsets", 0))
        ask = {"group_id": "billing", "topics": [{"name": "orders", "partition_indexes": [0]}]}
        (fetched,) = client.ask(OFFSET_FETCH, 5, ask).topics[0].partitions
        client.close()
    value = first[3] or b""
    length = int.from_bytes(value[14:16], "big")
    metadata = value[16 : 16 + length].decode()
    assert (metadata, fetched.metadata) == (long[: 32_767 // len(letter.encode())],) * 2
    assert int.from_bytes((second[3] or b"")[2:10], "big") == 1


def looked_up(client: RawClient, topic: str, *numbers: int) -> None:
    """Look up the start of each partition by its own request, as librdkafka does."""
    for number in numbers:
        wanted = {"partition_index": number, "current_leader_epoch": -1, "timestamp": -2}
        body = {"replica_id": -1, "isolation_level": 0, "topics": [{"name": topic, "partitions": [wanted]}]}
        assert client.ask(LIST_OFFSETS, 7, body).topics[0].partitions[0].offset == 0


def test_a_fetch_without_a_partition_that_was_just_looked_up_does_not_delay_the_next_one(
    served: Sandbox, client: RawClient
) -> None:
    served.create_topic("orders", partitions=3)
    served.append("orders", "ham", partition=1)
    looked_up(client, "orders", 2, 1, 0)
    started = time.monotonic()
    first = client.ask(FETCH, FETCH_VERSION, fetch_body("orders", {2: 0}, max_wait_ms=LONG_MS))
    second = client.ask(FETCH, FETCH_VERSION, fetch_body("orders", {2: 0, 1: 0, 0: 0}, max_wait_ms=LONG_MS))
    assert time.monotonic() - started < 5
    assert [len(records_of(one)) for one in first.responses[0].partitions] == [0]
    assert {one.partition_index: len(records_of(one)) for one in second.responses[0].partitions} == {0: 0, 1: 1, 2: 0}


def test_a_partition_that_is_looked_up_and_not_fetched_shortens_only_a_few_fetches(
    served: Sandbox, client: RawClient
) -> None:
    served.create_topic("orders", partitions=2)
    looked_up(client, "orders", 0, 1)
    for _ in range(FETCHES_WITHOUT):
        client.fetch("orders", 0, max_wait_ms=150)
    for _ in range(3):
        started = time.monotonic()
        client.fetch("orders", 0, max_wait_ms=150)
        assert time.monotonic() - started > 0.14
