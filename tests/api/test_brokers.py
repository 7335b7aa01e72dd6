"""Three brokers in one process, seen by a real client."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError

WAIT_S = 30.0


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "cluster.db", brokers=3) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        yield sandbox


def quiet(sandbox: Sandbox, **settings: str | int | bool) -> dict[str, str | int | float | bool]:
    addresses = ",".join(one.address for one in sandbox.brokers.list() if one.address)
    return {"bootstrap.servers": addresses, "log_level": 0, **settings}


def create(sandbox: Sandbox, name: str, partitions: int, replicas: int, **config: str) -> None:
    admin = AdminClient(quiet(sandbox))
    new = NewTopic(name, partitions, replicas, config={key.replace("_", "."): value for key, value in config.items()})
    for future in admin.create_topics([new]).values():
        future.result(WAIT_S)


def test_clients_see_three_brokers_on_three_ports(sandbox: Sandbox) -> None:
    create(sandbox, "orders", 6, 3)
    found = AdminClient(quiet(sandbox)).list_topics(timeout=WAIT_S)
    assert sorted(found.brokers) == [1, 2, 3]
    assert len({broker.port for broker in found.brokers.values()}) == 3
    partitions = found.topics["orders"].partitions.values()
    assert {one.leader for one in partitions} == {1, 2, 3}
    assert all(sorted(one.replicas) == [1, 2, 3] for one in partitions)


def test_an_idempotent_producer_loses_and_repeats_nothing_while_brokers_stop_and_start(sandbox: Sandbox) -> None:
    create(sandbox, "orders", 6, 3)
    producer = Producer(quiet(sandbox, **{"enable.idempotence": True, "linger.ms": 2, "retry.backoff.ms": 20}))
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failed.append(error)

    sent = 0
    for broker in (1, 2, 3):
        for stopped in (True, False):
            (sandbox.brokers.stop if stopped else sandbox.brokers.start)(broker)
            for _ in range(500):
                producer.produce("orders", key=str(sent), value=str(sent), on_delivery=delivered)
                sent += 1
            assert producer.flush(WAIT_S) == 0
    assert failed == []
    consumer = Consumer(quiet(sandbox, **{"group.id": "check", "auto.offset.reset": "earliest"}))
    consumer.subscribe(["orders"])
    seen: list[int] = []
    until = time.monotonic() + WAIT_S
    while len(seen) < sent and time.monotonic() < until:
        for message in consumer.consume(1000, 0.2):
            value = message.value()
            assert value is not None
            seen.append(int(value))
    consumer.close()
    assert sorted(seen) == list(range(sent))


def test_a_group_goes_on_when_its_coordinator_stops(sandbox: Sandbox) -> None:
    create(sandbox, "orders", 3, 3)
    consumer = Consumer(quiet(sandbox, **{"group.id": "billing", "auto.offset.reset": "earliest"}))
    consumer.subscribe(["orders"])
    sandbox.append("orders", "before", key="a")
    assert next_value(consumer) == b"before"
    consumer.commit(asynchronous=False)
    coordinator = sandbox._broker.cluster.coordinator("billing")
    sandbox.brokers.stop(coordinator)
    sandbox.append("orders", "after", key="a")
    assert next_value(consumer) == b"after"
    until = time.monotonic() + WAIT_S
    while sandbox.group("billing").lag and time.monotonic() < until:
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as error:
            assert error.args[0].retriable() or error.args[0].code() == KafkaError._TRANSPORT  # noqa: PT017
    consumer.close()
    assert sandbox.group("billing").lag == 0


def next_value(consumer: Consumer) -> bytes | None:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            return message.value()
    raise AssertionError("no event came")


def test_acks_all_is_refused_below_min_insync_replicas_and_works_again(sandbox: Sandbox) -> None:
    create(sandbox, "orders", 1, 3, min_insync_replicas="3")
    partition = sandbox.topic("orders").partitions[0]
    follower = next(one for one in partition.isr if one != partition.leader)
    sandbox.brokers.stop(follower)
    producer = Producer(quiet(sandbox, acks="all", retries=0))
    codes: list[int | None] = []
    producer.produce("orders", "x", on_delivery=lambda error, _: codes.append(error.code() if error else None))
    producer.flush(WAIT_S)
    sandbox.brokers.start(follower)
    producer.produce("orders", "y", on_delivery=lambda error, _: codes.append(error.code() if error else None))
    producer.flush(WAIT_S)
    assert codes == [KafkaError.NOT_ENOUGH_REPLICAS, None]
    assert [event.value for event in sandbox.read("orders")] == [b"y"]


def test_leader_epochs_and_moved_leaders_are_seen_and_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    with Sandbox(path, brokers=3) as sandbox:
        sandbox._runtime.call(
            lambda now_ms: sandbox._broker.create_topic("orders", now_ms, partitions=1, replication_factor=3)
        )
        before = sandbox.topic("orders").partitions[0]
        sandbox.brokers.move_leader("orders", 0, before.replicas[1])
        after = sandbox.topic("orders").partitions[0]
        assert (after.leader, after.leader_epoch) == (before.replicas[1], before.leader_epoch + 1)
        assert sandbox.brokers.elect_preferred_leaders() == 1
    with Sandbox(path, brokers=3) as sandbox:
        assert sandbox.topic("orders").partitions[0].leader_epoch == before.leader_epoch + 2


def test_a_replication_factor_above_the_brokers_is_refused_as_kafka_refuses_it(sandbox: Sandbox) -> None:
    with pytest.raises(KafkaException) as refused:
        create(sandbox, "orders", 1, 4)
    assert refused.value.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR


def test_replicas_chosen_by_hand_are_kept_and_impossible_ones_refused(sandbox: Sandbox) -> None:
    admin = AdminClient(quiet(sandbox))
    for future in admin.create_topics([NewTopic("orders", 2, replica_assignment=[[2, 3], [3, 1]])]).values():
        future.result(WAIT_S)
    for future in admin.create_partitions([NewPartitions("orders", 3, [[1, 2]])]).values():
        future.result(WAIT_S)
    partitions = sandbox.topic("orders").partitions
    assert [(one.leader, one.replicas) for one in partitions] == [(2, (2, 3)), (3, (3, 1)), (1, (1, 2))]
    for refused in (
        admin.create_topics([NewTopic("more", 1, replica_assignment=[[9]])])["more"],
        admin.create_partitions([NewPartitions("orders", 4, [[9]])])["orders"],
    ):
        with pytest.raises(KafkaException) as error:
            refused.result(WAIT_S)
        assert error.value.args[0].code() == KafkaError.INVALID_REPLICA_ASSIGNMENT


def test_a_broker_that_does_not_exist_or_is_down_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(BrokerError, match="no broker 7"):
        sandbox.brokers.stop(7)
    sandbox.brokers.stop(3)
    with pytest.raises(BrokerError, match="down already"):
        sandbox.brokers.stop(3)
    assert [one.up for one in sandbox.brokers.list()] == [True, True, False]
