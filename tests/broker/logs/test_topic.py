"""The names of topics, and partitions by number."""

from uuid import uuid4

import pytest

from sandbox.broker.logs.topic import Partition, Topic, check_name
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError


@pytest.mark.parametrize("name", ["a", "A-z_0.9", "x" * 249, "...", "__consumer_offsets", "-"])
def test_a_name_that_kafka_takes_is_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 250, "a b", "a/b", "ä", "a\n", "a\0", "<script>"])
def test_a_name_that_kafka_refuses_is_refused(name: str) -> None:
    with pytest.raises(BrokerError, match="Topic name is invalid") as refused:
        check_name(name)
    assert refused.value.error.name == "INVALID_TOPIC_EXCEPTION"


def topic(count: int, settings: dict[str, str] | None = None) -> Topic:
    made = Topic(1, "orders", uuid4(), 0, settings or {})
    made.partitions += [Partition(number + 1, made, number) for number in range(count)]
    return made


@pytest.mark.parametrize("number", [-1, 3, 99])
def test_a_partition_that_is_not_there_is_named_with_those_that_are(number: int) -> None:
    with pytest.raises(BrokerError, match=f"Topic orders has no partition {number}: it has 0 to 2"):
        topic(3).partition(number)


def test_a_setting_of_the_topic_goes_before_that_of_the_broker_and_that_before_kafkas_default() -> None:
    broker = BrokerConfig({"message.max.bytes": "500"})
    assert topic(1).number("max.message.bytes", BrokerConfig()) == 1_048_588
    assert topic(1).number("max.message.bytes", broker) == 500
    own = topic(1, {"max.message.bytes": "300"})
    assert own.number("max.message.bytes", broker) == 300
    own.set({})
    assert own.number("max.message.bytes", broker) == 500


@pytest.mark.parametrize(
    ("asked", "error"), [(-1, None), (4, None), (3, "FENCED_LEADER_EPOCH"), (5, "UNKNOWN_LEADER_EPOCH")]
)
def test_a_leader_epoch_is_compared_with_the_current_one(asked: int, error: str | None) -> None:
    partition = Partition(1, topic(1), 0, leader_epoch=4)
    if error is None:
        partition.check_leader_epoch(asked)
        return
    with pytest.raises(BrokerError) as refused:
        partition.check_leader_epoch(asked)
    assert refused.value.error.name == error
