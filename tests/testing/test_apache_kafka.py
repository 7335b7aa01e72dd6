"""A test's Kafka on Apache Kafka itself: what `pytest --kafka-bootstrap` uses."""

from collections.abc import Iterator

import pytest

import sandbox.testing
from sandbox.testing import NeedsSandbox
from tests.clients.apache_kafka import KafkaUnavailableError, find_or_fetch, running_kafka

pytestmark = [pytest.mark.clients, pytest.mark.apache_kafka]


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    try:
        find_or_fetch()
    except KafkaUnavailableError as missing:
        pytest.skip(f"no Apache Kafka: {missing}")
    with running_kafka() as bootstrap:
        yield bootstrap


def test_assertions_clients_and_clean_up_work_on_apache_kafka(bootstrap: str) -> None:
    with sandbox.testing.cluster(bootstrap, topics={"orders": 2}) as kafka:
        kafka.produce("orders", {"id": 1}, key="user-42", headers={"trace": "a1"})
        consumer = kafka.consumer("orders", group="billing")
        message = consumer.poll(30)
        assert message is not None
        consumer.commit(asynchronous=False)
        kafka.expect("orders", count=1, key="user-42", json={"id": 1}, headers={"trace": "a1"})
        kafka.wait_assigned("billing", "orders", within="30s")
        kafka.wait_lag("billing", within="30s")
        kafka.wait_committed("billing", "orders", 1, partition=message.partition() or 0)
        kafka.expect_none("invoices", within="1ms")
        with pytest.raises(NeedsSandbox, match="The clock needs the sandbox"):
            kafka.clock.advance("8d")
        admin = kafka.admin()
    assert [name for name in admin.list_topics(timeout=30).topics if name.startswith("test-")] == []
    assert [one.group_id for one in admin.list_consumer_groups().result(30).valid if one.group_id != ""] == []


def test_events_of_an_aborted_transaction_do_not_count(bootstrap: str) -> None:
    with sandbox.testing.cluster(bootstrap, topics=["orders"]) as kafka:
        producer = kafka.producer(transactional_id=kafka.topic("t"))
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(kafka.topic("orders"), "aborted")
        producer.abort_transaction(30)
        producer.begin_transaction()
        producer.produce(kafka.topic("orders"), "committed")
        producer.commit_transaction(30)
        assert [event.text for event in kafka.expect("orders", count=1)] == ["committed"]
