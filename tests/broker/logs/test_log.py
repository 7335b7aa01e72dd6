"""Appends to a log, and reads from it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.broker.broker import Broker
from sandbox.broker.logs.log import Appended, ProducedBatch
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.database import Database
from sandbox.storage.log.log import EventColumns, Record
from tests.log_reading import read_batches

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


@pytest.fixture
def broker(file: Path) -> Iterator[Broker]:
    with closing(Database(file)) as database:
        yield Broker(database, BrokerConfig(), NOW_MS)


def append(
    broker: Broker,
    *stamps: int,
    settings: dict[str, str] | None = None,
    key: bytes | None = b"k",
    size_bytes: int = 100,
    control: bool = False,
    compression: int = 0,
) -> Appended:
    """Append a batch with these timestamps to orders, which is created with these settings."""
    if "orders" not in broker.topics:
        broker.create_topic("orders", NOW_MS, settings=settings)
    records: list[Record] = [(delta, stamp, key, b"x", ()) for delta, stamp in enumerate(stamps)]
    batch = ProducedBatch(EventColumns.of(records), size_bytes, compression, control=control)
    appended = broker.log.append(broker.topic("orders").partition(0), batch, NOW_MS)
    broker.commit()
    return appended


@pytest.mark.parametrize("stamp", [-1, 0, NOW_MS, NOW_MS + HOUR_MS])
def test_a_timestamp_within_the_hour_ahead_or_in_the_past_is_taken(broker: Broker, stamp: int) -> None:
    assert append(broker, stamp).base_offset == 0


@pytest.mark.parametrize(
    ("stamp", "settings"),
    [
        (NOW_MS + HOUR_MS + 1, {}),
        (NOW_MS - 1_001, {"message.timestamp.before.max.ms": "1000"}),
        (NOW_MS + 2, {"message.timestamp.after.max.ms": "1"}),
    ],
)
def test_a_timestamp_out_of_range_is_refused(broker: Broker, stamp: int, settings: dict[str, str]) -> None:
    with pytest.raises(BrokerError, match=r"INVALID_TIMESTAMP.*out of range"):
        append(broker, NOW_MS, stamp, settings=settings)
    assert broker.topic("orders").partition(0).next == 0


def test_a_log_stamped_by_the_broker_takes_any_timestamp_and_none_of_them_stays(broker: Broker) -> None:
    appended = append(broker, 5, NOW_MS * 9, settings={"message.timestamp.type": "LogAppendTime"})
    assert appended.append_time_ms == NOW_MS
    partition = broker.topic("orders").partition(0)
    (stored,) = read_batches(broker.log, partition, 0, 1_000, 2)
    assert [record[1] for record in stored.records] == [NOW_MS, NOW_MS]
    assert stored.batch.timestamp_type == 1


@pytest.mark.parametrize(("size_bytes", "fits"), [(1_048_588, True), (1_048_589, False)])
def test_the_largest_batch_is_kafkas(broker: Broker, size_bytes: int, fits: bool) -> None:
    if fits:
        assert append(broker, NOW_MS, size_bytes=size_bytes).base_offset == 0
        return
    with pytest.raises(BrokerError, match=r"MESSAGE_TOO_LARGE.*max.message.bytes"):
        append(broker, NOW_MS, size_bytes=size_bytes)


@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_a_compacted_log_takes_no_event_without_a_key(broker: Broker, policy: str) -> None:
    with pytest.raises(BrokerError, match=r"INVALID_RECORD.*without key"):
        append(broker, NOW_MS, key=None, settings={"cleanup.policy": policy})
    assert append(broker, NOW_MS, key=b"").base_offset == 0


def test_a_batch_without_records_is_refused(broker: Broker) -> None:
    with pytest.raises(BrokerError, match="INVALID_RECORD"):
        append(broker)


def test_sizes_add_up(broker: Broker) -> None:
    for size_bytes in (100, 200, 300):
        append(broker, NOW_MS, size_bytes=size_bytes)
    assert broker.topic("orders").partition(0).bytes_total == 600


def test_a_read_ends_where_there_is_enough_and_counts_what_compression_hid(broker: Broker) -> None:
    for _ in range(4):
        append(broker, *[NOW_MS] * 50, size_bytes=10, compression=1)
    partition = broker.topic("orders").partition(0)
    assert len(read_batches(broker.log, partition, 0, 10_000, 200)) == 4
    assert [one.batch.base_offset for one in read_batches(broker.log, partition, 60, 20, 200)] == [50]
    assert read_batches(broker.log, partition, 200, 10_000, 200) == []
