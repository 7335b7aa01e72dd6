"""A sandbox that restarts and crashes on demand, and short words for what producers, consumers and members do to it.

What is called is what the handlers of the Kafka port call: the broker and the group coordinator, turn by turn.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox import Sandbox
from sandbox.broker.broker import Broker
from sandbox.broker.groups.calls import JoinAnswer, JoinGroup, OffsetCommit
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.logs.log import ABORT_KEY, Appended, ProducedBatch, StoredBatch
from sandbox.broker.logs.topic import Partition
from sandbox.broker.reply import Reply
from sandbox.storage.log import log_transactions
from sandbox.storage.log.log import EventColumns
from tests.clock import Clock
from tests.log_reading import read_batches

ORDERS, INVOICES = "orders", "invoices"
PARTITIONS = (0, 1)
GROUP = "invoicing"
SESSION_MS = 6_000
TIMEOUT_MS = 60_000
ALL_BYTES = 1 << 30


@dataclass
class Producer:
    """A producer: what it was given, and its next sequence number in each (topic, partition)."""

    producer_id: int
    epoch: int
    name: str | None = None
    sequences: dict[tuple[str, int], int] = field(default_factory=dict)

    def batch(self, topic: str, number: int, values: Sequence[str]) -> ProducedBatch:
        """Its next batch for a partition; sending it again is a retry."""
        sequence = self.sequences.get((topic, number), 0)
        return produced(values, self, sequence)

    def sent(self, topic: str, number: int, events: int) -> None:
        """Continue after a batch that was acknowledged."""
        self.sequences[topic, number] = self.sequences.get((topic, number), 0) + events


def produced(values: Sequence[str], producer: Producer | None = None, sequence: int = -1) -> ProducedBatch:
    """A record batch."""
    records = [(index, 1_700_000_000_000 + index, None, value.encode(), ()) for index, value in enumerate(values)]
    if producer is None:
        return ProducedBatch(EventColumns.of(records), 100)
    return ProducedBatch(
        EventColumns.of(records),
        100,
        producer_id=producer.producer_id,
        producer_epoch=producer.epoch,
        base_sequence=sequence,
        transactional=producer.name is not None,
    )


@dataclass(frozen=True)
class View:
    """A read of a partition. `aborted` names transactions by (producer id, first offset), as a Fetch does."""

    batches: list[StoredBatch]
    offset: int
    last_stable_offset: int
    aborted: set[tuple[int, int]]

    @property
    def offsets(self) -> list[int]:
        """Every offset, including transaction markers."""
        return [record[0] for stored in self.batches for record in stored.records]

    @property
    def events(self) -> list[tuple[int, str]]:
        """What a consumer in read_uncommitted gets: (offset, value)."""
        return [
            (record[0], (record[3] or b"").decode())
            for stored in self.batches
            if not stored.batch.control
            for record in stored.records
            if record[0] >= self.offset
        ]

    @property
    def committed(self) -> list[tuple[int, str]]:
        """What a consumer in read_committed gets, worked out as clients do: from markers and aborted transactions."""
        waiting = sorted(self.aborted, key=lambda one: one[1])
        skipped: set[int] = set()
        hidden: set[int] = set()
        for stored in self.batches:
            producer_id = stored.batch.producer_id
            while waiting and waiting[0][1] <= stored.batch.last_offset:
                skipped.add(waiting.pop(0)[0])
            if stored.batch.control and stored.records[0][2] == ABORT_KEY:
                skipped.discard(producer_id)
            elif stored.batch.transactional and producer_id in skipped:
                hidden.update(record[0] for record in stored.records)
        return [(at, value) for at, value in self.events if at < self.last_stable_offset and at not in hidden]


class LogRoom:
    """One sandbox with two topics of two partitions."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        self._files: Iterator[Path] = (Path(self._folder.name) / f"{number}.db" for number in count())
        self._file = next(self._files)
        self.clock = Clock()
        self.box = Sandbox(self._file, clock=self.clock)
        for topic in (ORDERS, INVOICES):
            self.box.create_topic(topic, partitions=len(PARTITIONS))

    @property
    def broker(self) -> Broker:
        """The broker of the sandbox as it is now."""
        return self.box._broker

    @property
    def coordinator(self) -> GroupCoordinator:
        """The group coordinator of the sandbox as it is now."""
        return self.box._runtime.coordinator

    def restart(self) -> None:
        """Close the file and open it again."""
        self.box.close()
        self.box = Sandbox(self._file, clock=self.clock)

    def crash(self) -> None:
        """Continue with the file as it is on the disk at this moment, as after `kill -9`."""
        before, self._file = self._file, next(self._files)
        shutil.copy(before, self._file)
        log = before.with_name(before.name + "-wal")
        if log.exists():
            shutil.copy(log, self._file.with_name(self._file.name + "-wal"))
        self.broker.database.rollback()
        self.box.close()
        self.box = Sandbox(self._file, clock=self.clock)

    def close(self) -> None:
        """End it, and remove its files."""
        self.box.close()
        self._folder.cleanup()

    def pass_ms(self, duration_ms: int) -> None:
        """Let time pass, and do what is due at the end of it."""
        self.clock.pass_ms(duration_ms)
        self.box._runtime._do_due()
        self.broker.commit()

    def partition(self, topic: str, number: int) -> Partition:
        """A partition."""
        return self.broker.topics[topic].partitions[number]

    # Producers

    def idempotent(self) -> Producer:
        """A producer without transactions."""
        producer_id = self.broker.new_producer_id(self.clock.now_ms)
        self.broker.commit()
        return Producer(producer_id, 0)

    def transactional(self, name: str) -> Producer:
        """A producer comes with a transactional id."""
        given = self.broker.transactions.init_producer_id(name, TIMEOUT_MS, -1, -1, self.clock.now_ms)
        self.broker.commit()
        return Producer(*given, name)

    def append(self, topic: str, number: int, batch: ProducedBatch, *, commit: bool = True) -> Appended:
        """Append a batch; without `commit` it isn't acknowledged yet."""
        written = self.broker.log.append(self.partition(topic, number), batch, self.clock.now_ms)
        if commit:
            assert self.broker.commit() is None
        return written

    def write(self, producer: Producer, topic: str, number: int, values: Sequence[str]) -> Appended:
        """A transactional producer writes a batch, which takes its partition into the transaction."""
        assert producer.name is not None
        self.broker.transactions.check_write(
            producer.name,
            producer.producer_id,
            producer.epoch,
            (topic, number),
            self.clock.now_ms,
            joins=True,
            refusal="INVALID_TXN_STATE",
        )
        written = self.append(topic, number, producer.batch(topic, number, values))
        producer.sent(topic, number, len(values))
        return written

    def stage(self, producer: Producer, number: int, offset: int) -> None:
        """A transactional producer commits an offset of its group in a partition of orders, with its transaction."""
        assert producer.name is not None
        now_ms = self.clock.now_ms
        who = (producer.name, producer.producer_id, producer.epoch)
        self.broker.transactions.check_offsets(*who, GROUP, now_ms, joins=True, refusal="INVALID_TXN_STATE")
        self.coordinator.commit(
            GROUP,
            -1,
            "",
            None,
            [OffsetCommit(ORDERS, number, offset)],
            now_ms,
            stage=lambda accepted: self.broker.transactions.stage_offsets(
                producer.producer_id, GROUP, accepted, -1, ""
            ),
        )
        assert self.broker.commit() is None

    def end(self, producer: Producer, *, committed: bool, version: int, commit: bool = True) -> tuple[int, int]:
        """A transactional producer ends its transaction; returns its next state."""
        assert producer.name is not None
        given = self.broker.transactions.end(
            producer.name, producer.producer_id, producer.epoch, committed, self.clock.now_ms, version=version
        )
        if commit:
            assert self.broker.commit() is None
        return given

    # Consumers

    def look(self, topic: str, number: int, offset: int = 0, size_bytes: int = ALL_BYTES) -> "View":
        """What a partition has from `offset` on, in one read."""
        partition = self.partition(topic, number)
        found = read_batches(self.broker.log, partition, offset, size_bytes, partition.high_watermark)
        aborted = log_transactions.aborted_transactions(
            self.broker.database, partition.id, offset, partition.last_stable_offset
        )
        return View(
            found, offset, partition.last_stable_offset, {(one.producer_id, one.first_offset) for one in aborted}
        )

    # Groups

    def join(self, group: str, client: str, member_id: str) -> Reply[JoinAnswer]:
        """A member joins a group."""
        request = JoinGroup(
            group, member_id, None, client, "/127.0.0.1", SESSION_MS, SESSION_MS, "consumer", (("range", b""),)
        )
        return self.told(self.coordinator.join(request, self.clock.now_ms))

    def told(self, reply: Reply[JoinAnswer]) -> Reply[JoinAnswer]:
        """Commit, as before every answer."""
        assert self.broker.commit() is None
        return reply

    def commit(self, group: str, member: JoinAnswer, number: int, offset: int, *, commit: bool = True) -> str:
        """A member commits an offset of orders; gives the error."""
        found = self.coordinator.commit(
            group,
            member.generation,
            member.member_id,
            None,
            [OffsetCommit(ORDERS, number, offset)],
            self.clock.now_ms,
        )
        if commit:
            assert self.broker.commit() is None
        return found[0].error

    def committed(self, group: str, number: int) -> int:
        """The committed offset of a group in a partition of orders, 0 for none."""
        return max(0, self.coordinator.fetch_offsets(group, {ORDERS: [number]})[0].offset)
