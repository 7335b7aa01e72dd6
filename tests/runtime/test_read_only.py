"""A sandbox that was opened read-only changes nothing in its file, for any client."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from sandbox import Sandbox
from sandbox.generator.examples import EXAMPLES
from sandbox.kafka.errors import BrokerError, FileRefused
from sandbox.wire.api_table import APIS
from sandbox.wire.refusals import READING, refused
from tests.clock import Clock


def content(file: Path) -> list[str]:
    """Every row of a file."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


@pytest.fixture
def made(file: Path, clock: Clock) -> Path:
    """A file with a topic that is kept for a second, and a group."""
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.create_topic("orders", partitions=2, settings={"retention.ms": "1000", "segment.ms": "1000"})
        for n in range(5):
            sandbox.append("orders", f"v{n}", key=f"k{n}")
        sandbox.commit("billing", "orders", 0, 0)
    return file


@pytest.fixture
def looking(made: Path, clock: Clock) -> Iterator[Sandbox]:
    """It, opened read-only, with its Kafka port. The file is as it was afterwards, in every test."""
    before = content(made)
    with Sandbox(made, clock=clock, read_only=True) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        yield sandbox
    assert content(made) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda box: box.append("orders", "x"),
        lambda box: box.append_many("orders", []) or box.append("new", "x"),
        lambda box: box.create_topic("new"),
        lambda box: box.delete_topic("orders"),
        lambda box: box.create_partitions("orders", 9),
        lambda box: box.alter_topic("orders", {"retention.ms": "1"}),
        lambda box: box.delete_records("orders", {0: 1}),
        lambda box: box.compact("orders"),
        lambda box: box.apply_retention("orders"),
        lambda box: box.commit("billing", "orders", 0, 1),
        lambda box: box.reset("billing", to="latest"),
        lambda box: box.delete_group("billing"),
        lambda box: box.set_setting("a", "b"),
        lambda box: box.add_user("alice", "secret"),
        lambda box: box.inject("Fetch", latency_ms=1),
        lambda box: box.brokers.stop(1),
        lambda box: box.generators.save("mine", next(iter(EXAMPLES.values()))),
    ],
)
def test_a_change_from_python_is_refused(looking: Sandbox, change: Callable[[Sandbox], object]) -> None:
    with pytest.raises(BrokerError, match="read-only") as refused:
        change(looking)
    assert refused.value.error.name == "CLUSTER_AUTHORIZATION_FAILED"


def test_everything_can_be_looked_at(looking: Sandbox) -> None:
    assert [event.value for event in looking.read("orders", limit=9)]
    assert [one.group for one in looking.groups()] == ["billing"]
    assert looking.sql("SELECT count(*) FROM orders").rows[0][0] == 5
    assert looking.users.names() == ()


@pytest.mark.parametrize("read_only", [True, False])
def test_time_changes_nothing_either(made: Path, clock: Clock, read_only: bool) -> None:
    with Sandbox(made, clock=clock, read_only=read_only) as box:
        clock.pass_ms(7 * 24 * 3_600_000)
        for _ in range(9):
            box.users.names()  # what is due is done after any call
        assert len(box.read("orders", limit=9)) == (5 if read_only else 0)


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(KafkaException) as refused:
        call()
    return str(refused.value.args[0].name())


def test_a_kafka_client_is_told_what_read_only_acls_would_tell(looking: Sandbox) -> None:
    there: dict[str, Any] = {"bootstrap.servers": looking.kafka_address}
    admin = AdminClient(there)
    assert refusal(admin.create_topics([NewTopic("new", 1)])["new"].result) == "TOPIC_AUTHORIZATION_FAILED"
    assert refusal(admin.delete_topics(["orders"])["orders"].result) == "TOPIC_AUTHORIZATION_FAILED"
    more = admin.create_partitions([NewPartitions("orders", 9)])
    assert refusal(more["orders"].result) == "TOPIC_AUTHORIZATION_FAILED"
    assert refusal(admin.delete_consumer_groups(["billing"])["billing"].result) == "GROUP_AUTHORIZATION_FAILED"
    told: list[str] = []
    producer = Producer(there)
    producer.produce("orders", b"x", on_delivery=lambda error, _: told.append(error.name() if error else ""))
    producer.flush(10)
    assert told == ["TOPIC_AUTHORIZATION_FAILED"]
    transactional = Producer({**there, "transactional.id": "t", "log_level": 0})
    wanted = "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
    assert refusal(lambda: transactional.init_transactions(10)) == wanted


def test_a_consumer_reads_and_can_neither_commit_nor_join(looking: Sandbox) -> None:
    there = {"bootstrap.servers": looking.kafka_address, "group.id": "g", "auto.offset.reset": "earliest"}
    reader = Consumer({**there, "enable.auto.commit": False})
    reader.assign([TopicPartition("orders", 0, 0), TopicPartition("orders", 1, 0)])
    values: list[Any] = [message.value() for message in reader.consume(5, timeout=15)]
    assert sorted(values) == [b"v0", b"v1", b"v2", b"v3", b"v4"]
    assert refusal(lambda: reader.commit(asynchronous=False)) == "GROUP_AUTHORIZATION_FAILED"
    reader.close()
    member = Consumer(there)
    member.subscribe(["orders"])
    message = member.poll(15)
    assert message is not None
    error = message.error()
    assert error is not None
    assert error.name() == "GROUP_AUTHORIZATION_FAILED"
    member.close()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ShareGroupDescribe", None),
        ("DescribeShareGroupOffsets", None),
        ("ShareGroupHeartbeat", "GROUP_AUTHORIZATION_FAILED"),
        ("AlterShareGroupOffsets", "GROUP_AUTHORIZATION_FAILED"),
    ],
)
def test_share_groups_are_described_and_not_changed(name: str, wanted: str | None) -> None:
    (key,) = (api.key for api in APIS if api.name == name)
    error = refused(SimpleNamespace(key=key, body=SimpleNamespace()))  # type: ignore[arg-type]
    assert (None if error is None else error.error.name) == wanted


def test_a_topic_that_is_asked_for_is_not_made(looking: Sandbox) -> None:
    producer = Producer({"bootstrap.servers": looking.kafka_address, "message.timeout.ms": 3000})
    told: list[str] = []
    producer.produce("new", b"x", on_delivery=lambda error, _: told.append(error.name() if error else ""))
    producer.flush(10)
    assert told
    assert [one.topic for one in looking.topics()] == ["orders"]


def test_every_api_that_is_let_through_only_looks() -> None:
    looks = (
        "Describe",
        "List",
        "Offset",
        "Fetch",
        "Metadata",
        "Find",
        "Sasl",
        "ApiVersions",
        "ConsumerGroupDescribe",
        "ShareGroupDescribe",
    )
    for api in APIS:
        if api.key in READING:
            only_reads = api.name.startswith(looks) and api.name not in ("OffsetCommit", "OffsetDelete")
            assert only_reads, f"READING in sandbox/wire/refusals.py has {api.name}: does it change anything?"


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="read-only makes no file"):
        Sandbox(tmp_path / "none.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_sqlite_itself_refuses_to_write(looking: Sandbox) -> None:
    with pytest.raises(Exception, match="readonly"):
        looking._database.execute("DELETE FROM events")
    looking._database.rollback()
