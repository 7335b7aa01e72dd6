"""Turns: what one commit makes durable and visible, and what an undone one takes back."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.broker.broker import Broker
from sandbox.broker.logs.log import ProducedBatch
from sandbox.broker.logs.turn import Changes
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.database import Database
from sandbox.storage.log.log import EventColumns, Record

NOW_MS = 1_700_000_000_000


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    with closing(Database(file)) as opened:
        yield opened


@pytest.fixture
def broker(database: Database) -> Broker:
    return Broker(database, BrokerConfig(), NOW_MS)


def batch(count: int = 1, producer: int = -1) -> ProducedBatch:
    records: list[Record] = [(delta, NOW_MS, None, b"x", ()) for delta in range(count)]
    known = producer >= 0
    return ProducedBatch(EventColumns.of(records), 100, 0, producer, 0 if known else -1, 0 if known else -1)


def append(broker: Broker, count: int = 1, producer: int = -1) -> int:
    return broker.log.append(broker.topic("orders").partition(0), batch(count, producer), NOW_MS).base_offset


def committed(database: Database) -> int:
    with database.reader() as reader:
        return int(reader.query("SELECT count(*) FROM events")[0][0])


def test_nothing_is_visible_before_the_commit(broker: Broker, database: Database) -> None:
    broker.create_topic("orders", NOW_MS)
    broker.commit()
    heard: list[BrokerError | None] = []
    assert (append(broker, 2), append(broker, 3)) == (0, 2)
    broker.turn.wait(heard.append)
    partition = broker.topic("orders").partition(0)
    assert (partition.next, partition.high_watermark, committed(database), heard) == (5, 0, 0, [])
    assert broker.commit() is None
    assert (partition.next, partition.high_watermark, committed(database), heard) == (5, 5, 5, [None])


def test_an_undone_turn_leaves_neither_rows_nor_memory_and_tells_everybody(broker: Broker, database: Database) -> None:
    broker.create_topic("orders", NOW_MS)
    append(broker)
    broker.commit()
    heard: list[BrokerError | None] = []
    changed: list[Changes] = []
    undone: list[str] = []
    broker.subscribe(changed.append)
    broker.on_undo(lambda: undone.append("undone"))

    append(broker, 4, producer=9)
    broker.create_topic("payments", NOW_MS)
    broker.delete_topic("orders", NOW_MS)
    broker.turn.wait(heard.append)
    error = broker.undo(RuntimeError("no space"))

    assert error.error.name == "KAFKA_STORAGE_ERROR"
    assert heard == [error]
    assert (changed, undone) == ([], ["undone"])
    assert list(broker.topics) == ["orders"]
    assert not broker.uncommitted
    assert committed(database) == 1
    assert append(broker, producer=9) == 1


def test_a_broker_that_is_opened_again_has_the_same_topics_and_ends(broker: Broker, database: Database) -> None:
    made = broker.create_topic("orders", NOW_MS, partitions=2, settings={"retention.ms": "-1"})
    assert made is not None
    append(broker, 3)
    broker.commit()
    again = Broker(database, BrokerConfig(), NOW_MS)
    topic = again.topic("orders")
    assert (topic.topic_id, topic.settings) == (made.topic_id, {"retention.ms": "-1"})
    assert [(one.id, one.next, one.high_watermark) for one in topic.partitions] == [(1, 3, 3), (2, 0, 0)]
    assert again.cluster_id == broker.cluster_id
    assert again.topics_by_id[made.topic_id] is topic


def test_names_that_would_be_one_name_in_metrics_collide(broker: Broker) -> None:
    broker.create_topic("a.b", NOW_MS)
    with pytest.raises(BrokerError, match=r"Topic 'a_b' collides with existing topic: a\.b"):
        broker.create_topic("a_b", NOW_MS)
    broker.create_topic("ab", NOW_MS)


def test_the_number_of_partitions_only_grows(broker: Broker) -> None:
    broker.create_topic("orders", NOW_MS, partitions=2)
    for count in (1, 2):
        with pytest.raises(BrokerError, match="INVALID_PARTITIONS"):
            broker.create_partitions("orders", count)
    broker.create_partitions("orders", 9, validate_only=True)
    assert len(broker.topic("orders").partitions) == 2
    broker.create_partitions("orders", 4)
    assert [one.partition for one in broker.topic("orders").partitions] == [0, 1, 2, 3]


def test_a_look_whether_a_topic_could_be_made_makes_none(broker: Broker) -> None:
    assert broker.create_topic("orders", NOW_MS, validate_only=True) is None
    with pytest.raises(BrokerError, match="INVALID_CONFIG"):
        broker.create_topic("orders", NOW_MS, settings={"nonsense": "1"}, validate_only=True)
    assert not broker.topics
    assert not broker.uncommitted


def test_deleting_topics_can_be_forbidden(database: Database) -> None:
    broker = Broker(database, BrokerConfig({"delete.topic.enable": "false"}), NOW_MS)
    broker.create_topic("orders", NOW_MS)
    with pytest.raises(BrokerError, match="TOPIC_DELETION_DISABLED"):
        broker.delete_topic("orders", NOW_MS)
    assert "orders" in broker.topics


def test_internal_topics_are_never_created_automatically(broker: Broker) -> None:
    with pytest.raises(BrokerError, match="groups and transactions are rows") as refused:
        broker.topic_for_use("__consumer_offsets", 0)
    assert refused.value.error.name == "UNKNOWN_TOPIC_OR_PARTITION"
    assert "__consumer_offsets" not in broker.topics
