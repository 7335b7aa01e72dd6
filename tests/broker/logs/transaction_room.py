"""A broker with its file and a clock that the test sets, and short words for what transactional producers do."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.broker.broker import Broker
from sandbox.broker.logs.log import ABORT_KEY, Appended, ProducedBatch
from sandbox.broker.logs.topic import Partition
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.storage.file.database import Database
from sandbox.storage.groups.groups import CommittedOffset, GroupStore
from sandbox.storage.log import log_transactions
from sandbox.storage.log.log import EventColumns
from tests.log_reading import read_batches

TOPIC = "payments"
TIMEOUT_MS = 60_000


@dataclass
class Producer:
    """A producer with a transactional id: what it was given, and its next sequence number of each partition."""

    transactional_id: str
    producer_id: int
    epoch: int
    sequences: dict[int, int] = field(default_factory=dict)


@dataclass
class TransactionRoom:
    """One sandbox file, its broker, and a topic of two partitions."""

    path: Path
    settings: dict[str, str] = field(default_factory=dict)
    now_ms: int = 1_000_000

    def __post_init__(self) -> None:
        self.open()
        if TOPIC not in self.broker.topics:
            self.broker.create_topic(TOPIC, self.now_ms, partitions=2)
            self.broker.commit()

    def open(self) -> None:
        """Open the file, as the sandbox does when it starts."""
        self.database = Database(self.path)
        self.broker = Broker(self.database, BrokerConfig(self.settings), self.now_ms)

    def restart(self) -> None:
        """Stop and start; uncommitted work is lost, as when the process is killed."""
        self.database.rollback()
        self.database.close()
        self.open()

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def partition(self, number: int = 0) -> Partition:
        """A partition of the topic."""
        return self.broker.topics[TOPIC].partitions[number]

    def init(self, name: str = "teller", *, timeout_ms: int = TIMEOUT_MS) -> Producer:
        """A producer comes with a transactional id."""
        given = self.broker.transactions.init_producer_id(name, timeout_ms, -1, -1, self.now_ms)
        self.broker.commit()
        return Producer(name, *given)

    def add(self, producer: Producer, *partitions: int) -> None:
        """The producer says that partitions take part."""
        places = [(TOPIC, number) for number in partitions or (0,)]
        self.broker.transactions.add_partitions(
            producer.transactional_id, producer.producer_id, producer.epoch, places, self.now_ms
        )

    def write(self, producer: Producer, *values: str, partition: int = 0, joins: bool = False) -> Appended:
        """The producer writes a batch in its transaction."""
        self.broker.transactions.check_write(
            producer.transactional_id,
            producer.producer_id,
            producer.epoch,
            (TOPIC, partition),
            self.now_ms,
            joins=joins,
            refusal="INVALID_TXN_STATE",
        )
        sequence = producer.sequences.get(partition, 0)
        records = [(index, self.now_ms, None, value.encode(), ()) for index, value in enumerate(values)]
        batch = ProducedBatch(
            EventColumns.of(records),
            100,
            0,
            producer.producer_id,
            producer.epoch,
            sequence,
            transactional=True,
            control=False,
        )
        written = self.broker.log.append(self.partition(partition), batch, self.now_ms)
        producer.sequences[partition] = sequence + len(values)
        self.broker.commit()
        return written

    def plain(self, *values: str, partition: int = 0) -> None:
        """Somebody writes without a transaction."""
        records = [(index, self.now_ms, None, value.encode(), ()) for index, value in enumerate(values)]
        self.broker.log.append(self.partition(partition), ProducedBatch(EventColumns.of(records), 100), self.now_ms)
        self.broker.commit()

    def end(self, producer: Producer, *, commit: bool = True, version: int = 1) -> None:
        """The producer commits or aborts."""
        given = self.broker.transactions.end(
            producer.transactional_id, producer.producer_id, producer.epoch, commit, self.now_ms, version=version
        )
        if given != (producer.producer_id, producer.epoch):
            producer.producer_id, producer.epoch = given
            producer.sequences.clear()
        self.broker.commit()

    def transact(self, producer: Producer, *values: str, partition: int = 0, commit: bool = True) -> None:
        """A whole transaction in one partition."""
        self.add(producer, partition)
        self.write(producer, *values, partition=partition)
        self.end(producer, commit=commit)

    def stage(self, producer: Producer, group: str, offset: int) -> None:
        """The producer stages an offset of a group in partition 0."""
        self.broker.transactions.add_group(
            producer.transactional_id, producer.producer_id, producer.epoch, group, self.now_ms
        )
        offsets = [CommittedOffset(TOPIC, 0, offset, -1, "", self.now_ms)]
        self.broker.transactions.stage_offsets(producer.producer_id, group, offsets, -1, "")
        self.broker.commit()

    def committed(self, group: str) -> int | None:
        """The committed offset of a group in partition 0."""
        found = GroupStore(self.database).offsets(group).get((TOPIC, 0))
        return found.offset if found else None

    def read_committed(self, number: int = 0, offset: int = 0) -> list[str]:
        """What a consumer in read_committed gets, worked out as clients do: from markers and aborted transactions."""
        partition = self.partition(number)
        end = partition.last_stable_offset
        batches = read_batches(self.broker.log, partition, offset, 1 << 30, end) if offset < end else []
        waiting = sorted(
            log_transactions.aborted_transactions(self.database, partition.id, offset, end),
            key=lambda one: one.first_offset,
        )
        skipped: set[int] = set()
        found: list[str] = []
        for stored in batches:
            producer_id = stored.batch.producer_id
            if stored.batch.control:
                if stored.records[0][2] == ABORT_KEY:
                    skipped.discard(producer_id)
                continue
            while waiting and waiting[0].first_offset <= stored.batch.last_offset:
                skipped.add(waiting.pop(0).producer_id)
            if not (stored.batch.transactional and producer_id in skipped):
                found += values_of(record[3] for record in stored.records if record[0] >= offset)
        return found

    def events(self, number: int = 0) -> list[tuple[int, str]]:
        """Every row of a partition below the high watermark that is not a marker: (offset, value)."""
        partition = self.partition(number)
        batches = read_batches(self.broker.log, partition, partition.start, 1 << 30, partition.high_watermark)
        return [
            (record[0], (record[3] or b"").decode())
            for stored in batches
            if not stored.batch.control
            for record in stored.records
        ]


def values_of(values: Iterable[bytes | None]) -> list[str]:
    """Values as text."""
    return [(value or b"").decode() for value in values]
