"""The windows of share groups in a file."""

from pathlib import Path

from sandbox.broker.logs.topic import Partition
from sandbox.broker.shares.shares import ArchivedRecord, Shares
from sandbox.broker.shares.window import ReadRange
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.storage.file.database import Database
from sandbox.storage.groups.shares import ShareStore

GROUP = "work"


def test_a_record_at_its_last_delivery_becomes_a_dead_letter_when_the_file_is_opened(file: Path) -> None:
    letters: list[ArchivedRecord] = []

    def opened(database: Database) -> Shares:
        config = BrokerConfig({"group.share.delivery.count.limit": "2"})
        shares = Shares(ShareStore(database), config, lambda group_id: None)
        shares.on_archived = letters.extend
        shares.load(1_000)
        database.commit()
        return shares

    partition = Partition(1, None, 0)  # type: ignore[arg-type]
    for delivery in (1, 2):
        database = Database(file)
        shares = opened(database)
        if delivery == 1:
            shares.begin(GROUP, partition, 0)
        taken = shares.acquire(GROUP, partition, "a", ReadRange(0, 1, [0], [(0, 0)]), 1, False, 1_000)
        assert (taken, letters) == ([0], [])
        database.commit()
        database.close()
    for _ in range(2):
        # The second time it is archived already.
        database = Database(file)
        opened(database)
        database.close()
        assert [(one.offset, one.deliveries) for one in letters] == [(0, 2)]


def test_the_tick_after_a_clock_jump_writes_the_moved_locks(file: Path) -> None:
    database = Database(file)
    shares = Shares(ShareStore(database), BrokerConfig({}), lambda group_id: None)
    partition = Partition(1, None, 0)  # type: ignore[arg-type]
    shares.begin(GROUP, partition, 0)
    shares.acquire(GROUP, partition, "a", ReadRange(0, 1, [0], [(0, 0)]), 1, False, 1_000)
    database.commit()
    shares.clock_moved(50_000, 51_000)
    assert not database.in_transaction
    shares.tick(51_000)
    database.commit()
    shares.reload()
    window = shares.window(GROUP, 1)
    assert window is not None
    assert window.records[0].locked_until_ms == 81_000
    database.close()


def test_a_clock_jump_whose_tick_cannot_be_written_extends_no_lock(file: Path) -> None:
    database = Database(file)
    shares = Shares(ShareStore(database), BrokerConfig({}), lambda group_id: None)
    partition = Partition(1, None, 0)  # type: ignore[arg-type]
    shares.begin(GROUP, partition, 0)
    shares.acquire(GROUP, partition, "a", ReadRange(0, 1, [0], [(0, 0)]), 1, False, 100_000)
    database.commit()
    shares.acquire(GROUP, partition, "b", ReadRange(1, 2, [1], [(1, 1)]), 1, False, 100_000)
    shares.clock_moved(-90_000, 10_000)
    shares.tick(10_000)
    database.rollback()
    shares.reload()
    window = shares.window(GROUP, 1)
    assert window is not None
    assert {offset: one.locked_until_ms for offset, one in window.records.items()} == {0: 40_000}
    assert shares.next_deadline_ms() == 40_000
    shares.tick(40_000)
    assert window.records[0].locked_until_ms is None
    database.commit()
    database.close()
