"""A broker with its file and a clock that the test sets, and short words for what is in a log."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.broker.broker import Broker
from sandbox.broker.logs.log import ProducedBatch
from sandbox.broker.logs.topic import Partition
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.model.topics import PartitionDescription
from sandbox.storage.file.database import Database
from sandbox.storage.file.schema import OFFSET_BITS
from sandbox.storage.log.log import EventColumns
from sandbox.storage.log.topic_descriptions import describe_topics
from tests.log_reading import read_batches

START_MS = 1_700_000_000_000
TOPIC = "orders"
EVENT_BYTES = 100
"""What one event of `append` counts in the size of its batch."""

Written = tuple[str | None, str | None]
"""Key and value."""


@dataclass
class LogRoom:
    """One topic with one partition."""

    path: Path
    topic_settings: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    now_ms: int = START_MS

    def __post_init__(self) -> None:
        self.open()
        self.broker.create_topic(TOPIC, self.now_ms, settings=self.topic_settings)
        self.broker.commit()

    def open(self) -> None:
        """Open the file, as the sandbox does when it starts."""
        self.database = Database(self.path)
        self.broker = Broker(self.database, BrokerConfig(dict(self.settings)), self.now_ms)

    def restart(self) -> None:
        """Stop the sandbox and start it again."""
        self.database.close()
        self.open()

    @property
    def partition(self) -> Partition:
        """The partition, as the broker has it now."""
        return self.broker.topics[TOPIC].partitions[0]

    def append(self, *events: Written, timestamp_ms: int | None = None, **batch: Any) -> int:
        """Append one batch of events with this timestamp (now where None); its base offset."""
        stamp = self.now_ms if timestamp_ms is None else timestamp_ms
        records = [
            (delta, stamp, key.encode() if key is not None else None, value.encode() if value is not None else None, ())
            for delta, (key, value) in enumerate(events)
        ]
        produced = ProducedBatch(EventColumns.of(records), 61 + EVENT_BYTES * len(events), **batch)
        place = self.broker.log.append(self.partition, produced, self.now_ms)
        self.broker.commit()
        return place.base_offset

    def pass_ms(self, duration_ms: int) -> None:
        """Let time pass, and tick at every deadline on the way, as the sandbox's loop does."""
        until_ms = self.now_ms + duration_ms
        while (due_ms := self.broker.next_deadline_ms()) <= until_ms:
            self.now_ms = max(due_ms, self.now_ms)
            self.broker.tick(self.now_ms)
            self.broker.commit()
        self.now_ms = until_ms

    def compact(self) -> int:
        """Compact as far as the settings allow; how many events went."""
        removed = 0
        while (work := self.broker.compaction.begin(self.partition, self.now_ms, forced=True)) is not None:
            while self.broker.compaction.step(work, self.now_ms):
                self.broker.commit()
            self.broker.commit()
            removed += work.removed
            if not work.advanced:
                break
        return removed

    def offsets(self) -> list[int]:
        """The offsets that a reader from the log start offset is given."""
        end, found = self.partition.high_watermark, []
        position = self.partition.start
        while position < end:
            batches = read_batches(self.broker.log, self.partition, position, 1, end)
            if not batches:
                break
            found += [record[0] for stored in batches for record in stored.records if record[0] >= position]
            position = batches[-1].batch.last_offset + 1
        return found

    def values(self) -> list[str | None]:
        """The values that are left, in offset order."""
        return [None if value is None else str(value) for (value,) in self.rows("value")]

    def rows(self, columns: str) -> list[Any]:
        """The rows of events that are left, whether or not they are below the log start offset."""
        base = self.partition.id << OFFSET_BITS
        return self.database.query(
            f"SELECT {columns} FROM events WHERE id BETWEEN ? AND ? ORDER BY id", (base, base + (1 << OFFSET_BITS) - 1)
        )

    def described(self) -> PartitionDescription:
        """The partition's description."""
        with self.database.reader() as reader:
            return describe_topics(reader)[0].partitions[0]

    def batch_sizes(self) -> int:
        """The sum of the sizes of the batches in the log, counted one by one."""
        return int(
            self.database.query(
                "SELECT coalesce(sum(size_bytes), 0) FROM batches WHERE partition_id = ? AND last_offset >= ?",
                (self.partition.id, self.partition.start),
            )[0][0]
        )

    def close(self) -> None:
        """Close the file."""
        self.database.close()
