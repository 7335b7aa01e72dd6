"""Faults on demand, seen by real clients and on the wire."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from sandbox.api.sandbox import Sandbox
from sandbox.broker.faults import ENDING_MAX, FaultInjector
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.model.faults import Fault
from sandbox.wire.records.batch import encode_batch
from tests.clients.raw_requests import RawClient
from tests.clock import Clock
from tests.waiting import eventually

WAIT_S = 30.0


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "faults.db") as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        sandbox.create_topic("orders", partitions=1)
        sandbox.create_topic("other", partitions=1)
        yield sandbox


def producer(sandbox: Sandbox, **settings: str | int | bool) -> Producer:
    address = sandbox.kafka_address
    assert address is not None
    return Producer({"bootstrap.servers": address, "log_level": 0, "linger.ms": 0, **settings})


def outcome(client: Producer, topic: str) -> int | None:
    """The code of the error with which one event is refused, None if it is stored."""
    codes: list[int | None] = []
    client.produce(topic, b"x", on_delivery=lambda error, _: codes.append(error.code() if error else None))
    assert client.flush(WAIT_S) == 0
    return codes[0]


def test_an_injected_error_is_what_the_client_sees_so_often_and_then_no_more(sandbox: Sandbox) -> None:
    client = producer(sandbox, retries=0)
    with sandbox.inject("Produce", topic="orders", error="INVALID_RECORD", times=2) as injection:
        found = [outcome(client, "orders") for _ in range(3)]
    assert found == [KafkaError.INVALID_RECORD, KafkaError.INVALID_RECORD, None]
    assert injection.hits == 2
    assert sandbox.end_offsets("orders") == {0: 1}


def test_a_retriable_error_is_retried_by_the_client_and_nothing_is_stored_twice(sandbox: Sandbox) -> None:
    client = producer(sandbox, **{"enable.idempotence": True, "retry.backoff.ms": 10})
    with sandbox.inject("Produce", error="NOT_LEADER_OR_FOLLOWER", times=3) as injection:
        assert outcome(client, "orders") is None
    assert injection.hits == 3
    assert sandbox.end_offsets("orders") == {0: 1}


def test_a_fault_concerns_only_whom_it_names(sandbox: Sandbox) -> None:
    mine, others = producer(sandbox, retries=0, **{"client.id": "mine"}), producer(sandbox, retries=0)
    with sandbox.inject("Produce", topic="orders", client_id="mine", error="POLICY_VIOLATION"):
        assert outcome(mine, "orders") == KafkaError.POLICY_VIOLATION
        assert outcome(mine, "other") is None
        assert outcome(others, "orders") is None
    assert outcome(mine, "orders") is None


def test_latency_delays_the_answer_and_keeps_the_order_of_a_connection(sandbox: Sandbox) -> None:
    client = producer(sandbox)
    assert outcome(client, "orders") is None
    with sandbox.inject("Produce", latency_ms=300, times=1):
        begun = time.monotonic()
        for number in range(3):
            client.produce("orders", str(number))
            client.poll(0.02)
        assert client.flush(WAIT_S) == 0
        assert time.monotonic() - begun >= 0.3
    assert [event.value for event in sandbox.read("orders", partition=0, offset=1)] == [b"0", b"1", b"2"]


def test_a_dropped_connection_is_survived_by_an_idempotent_producer(sandbox: Sandbox) -> None:
    client = producer(sandbox, **{"enable.idempotence": True, "retry.backoff.ms": 10})
    with sandbox.inject("Produce", drop=True, times=2) as injection:
        assert outcome(client, "orders") is None
    assert injection.hits == 2
    assert sandbox.end_offsets("orders") == {0: 1}


def test_a_fetch_that_fails_is_read_again(sandbox: Sandbox) -> None:
    sandbox.append("orders", "x")
    with sandbox.inject("Fetch", error="NOT_LEADER_OR_FOLLOWER", times=2) as injection:
        address = sandbox.kafka_address
        assert address is not None
        consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "readers",
                "auto.offset.reset": "earliest",
                "log_level": 0,
                "fetch.error.backoff.ms": 10,
                "topic.metadata.refresh.fast.interval.ms": 10,
            }
        )
        consumer.subscribe(["orders"])
        until = time.monotonic() + WAIT_S
        message = None
        while message is None and time.monotonic() < until:
            message = consumer.poll(0.2)
        consumer.close()
    assert message is not None
    assert message.value() == b"x"
    assert injection.hits == 2


def test_what_was_injected_is_listed_logged_and_told_in_words(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with sandbox.inject("Produce", error="INVALID_RECORD", probability=0.5, times=4) as injection:
        assert [fault.id for fault in sandbox.faults.list()] == [injection.fault.id]
        assert injection.fault.text() == "Produce: answered INVALID_RECORD with probability 0.5 4 times"
    assert sandbox.faults.list() == ()
    assert "injected fault 1: Produce" in caplog.text
    with sandbox.inject("Produce", error="INVALID_RECORD", times=1):
        outcome(producer(sandbox, retries=0), "orders")
    assert [(hit.api, hit.fault) for hit in sandbox.faults.hits()] == [("Produce", 2)]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"api": "Prodce", "drop": True}, "no API 'Prodce'"),
        ({"error": "NO_SUCH"}, "not one of Kafka's errors"),
        ({}, "Say what shall happen"),
        ({"latency_ms": -1}, "latency_ms is from 0"),
        ({"drop": True, "probability": 0.0}, "probability is above 0"),
        ({"drop": True, "times": 0}, "times is 1 or more"),
        ({"drop": True, "error": "INVALID_RECORD"}, "choose error or drop"),
    ],
)
def test_a_fault_that_could_not_be_is_refused_with_the_reason(
    sandbox: Sandbox, arguments: dict[str, object], reason: str
) -> None:
    with pytest.raises(BrokerError, match=reason):
        sandbox.inject(**arguments)  # type: ignore[arg-type]


def transact(client: Producer, value: bytes) -> None:
    client.begin_transaction()
    client.produce("orders", value)
    client.commit_transaction(WAIT_S)


def test_a_client_retries_while_its_previous_transaction_ends_slowly(sandbox: Sandbox) -> None:
    client = producer(sandbox, **{"transactional.id": "teller"})
    client.init_transactions(WAIT_S)
    with sandbox.inject("EndTxn", transaction_end_ms=600, times=1) as injection:
        transact(client, b"first")
        begun_s = time.monotonic()
        transact(client, b"second")
        assert time.monotonic() - begun_s > 0.5
        assert injection.hits == 1
    begun_s = time.monotonic()
    transact(client, b"third")
    assert time.monotonic() - begun_s < 0.5
    values = [event.value for event in sandbox.read("orders", limit=10)]
    assert values == [b"first", b"second", b"third"]


def test_every_request_of_the_producer_is_refused_until_its_transaction_has_ended(sandbox: Sandbox) -> None:
    client = RawClient(sandbox.kafka_address or "")
    new = client.ask("InitProducerId", 5, transactional_id="teller", transaction_timeout_ms=60_000)
    me = {"transactional_id": "teller", "producer_id": new.producer_id, "producer_epoch": new.producer_epoch}
    offsets = {**me, "group_id": "billing", "generation_id_or_member_epoch": -1, "member_id": "", "topics": []}
    offsets["topics"] = [{"name": "orders", "partitions": [{"partition_index": 0, "committed_offset": 1}]}]
    places = [{"name": "orders", "partitions": [0]}]
    added = {f"v3_and_below_{name}": value for name, value in {**me, "topics": places}.items()}
    records = encode_batch(0, [(0, 1, None, b"x", ())], transactional=True)
    written = [{"name": "orders", "partition_data": [{"index": 0, "records": records}]}]

    def errors() -> list[int]:
        end = client.ask("EndTxn", 4, **me, committed=True)
        again = client.ask("InitProducerId", 5, transactional_id="teller", transaction_timeout_ms=60_000)
        add = client.ask("AddPartitionsToTxn", 3, **added).results_by_topic_v3_and_below[0].results_by_partition[0]
        group = client.ask("AddOffsetsToTxn", 4, **me, group_id="billing")
        staged = client.ask("TxnOffsetCommit", 5, **offsets).topics[0].partitions[0]
        produced = client.ask("Produce", 12, transactional_id="teller", acks=-1, timeout_ms=1_000, topic_data=written)
        (partition,) = produced.responses[0].partition_responses
        codes = [one.error_code for one in (end, again, group, staged, partition)]
        return [*codes, add.partition_error_code]

    client.ask("AddPartitionsToTxn", 3, **added)
    with sandbox.inject("EndTxn", transaction_end_ms=60_000):
        assert client.ask("EndTxn", 4, **me, committed=False).error_code == 0
        assert set(errors()) == {CODE["CONCURRENT_TRANSACTIONS"]}
        other = client.ask("InitProducerId", 5, transactional_id="other", transaction_timeout_ms=60_000)
        assert other.error_code == 0
    # The fault's end ends it.
    assert client.ask("AddOffsetsToTxn", 4, **me, group_id="billing").error_code == 0
    client.__exit__(None, None, None)


def _begun(client: RawClient, transactional_id: str = "teller") -> dict[str, object]:
    """Begin a transaction and return the fields that name its producer."""
    new = client.ask("InitProducerId", 5, transactional_id=transactional_id, transaction_timeout_ms=60_000)
    me = {
        "transactional_id": transactional_id,
        "producer_id": new.producer_id,
        "producer_epoch": new.producer_epoch,
    }
    assert client.ask("AddOffsetsToTxn", 4, **me, group_id="billing").error_code == 0
    return me


def test_a_refused_end_of_a_transaction_does_not_make_its_successor_wait(sandbox: Sandbox) -> None:
    with RawClient(sandbox.kafka_address or "") as client:
        fenced, successor = _begun(client), _begun(client)
        with sandbox.inject("EndTxn", transaction_end_ms=60_000):
            assert client.ask("EndTxn", 4, **fenced, committed=True).error_code == CODE["PRODUCER_FENCED"]
            assert client.ask("AddOffsetsToTxn", 4, **successor, group_id="billing").error_code == 0


def test_a_transaction_ends_slowly_by_the_machines_clock(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "frozen.db", clock=Clock()) as box:
        box.serve(kafka_port=0, web_port=None)
        with (
            RawClient(box.kafka_address or "") as client,
            box.inject("EndTxn", transaction_end_ms=200, times=1),
        ):
            me = _begun(client)
            assert client.ask("EndTxn", 4, **me, committed=True).error_code == 0
            again = client.ask("AddOffsetsToTxn", 4, **me, group_id="billing")
            assert again.error_code == CODE["CONCURRENT_TRANSACTIONS"]
            eventually(lambda: client.ask("AddOffsetsToTxn", 4, **me, group_id="billing").error_code == 0)


def test_produce_without_acknowledgement_gets_no_answer_while_a_transaction_ends(sandbox: Sandbox) -> None:
    records = encode_batch(0, [(0, 1, None, b"x", ())], transactional=True)
    written = [{"name": "orders", "partition_data": [{"index": 0, "records": records}]}]
    with (
        RawClient(sandbox.kafka_address or "") as client,
        sandbox.inject("EndTxn", transaction_end_ms=60_000),
    ):
        me = _begun(client)
        assert client.ask("EndTxn", 4, **me, committed=True).error_code == 0
        client.send("Produce", 12, transactional_id="teller", acks=0, timeout_ms=1_000, topic_data=written)
        # The next answer on the connection is to this request.
        again = client.ask("AddOffsetsToTxn", 4, **me, group_id="billing")
        assert again.error_code == CODE["CONCURRENT_TRANSACTIONS"]


def test_transactions_that_end_slowly_are_bounded_and_end_with_their_fault() -> None:
    faults = FaultInjector(lambda: 0.0)
    fault, other = (faults.add(Fault("EndTxn", transaction_end_ms=60_000)) for _ in range(2))
    ended = [faults.keep_ending(f"teller-{n}", fault) for n in range(ENDING_MAX + 1)]
    assert not faults.is_ending("teller-0")
    assert faults.is_ending(f"teller-{ENDING_MAX}")
    ended[1]()
    assert not faults.is_ending("teller-1")
    faults.keep_ending("teller-2", other)
    ended[2]()
    assert faults.is_ending("teller-2")
    faults.remove(fault.id)
    assert not faults.is_ending("teller-3")
    assert faults.is_ending("teller-2")
