"""Any order of writes, retries, transactions, reads, members and crashes, against a small model of what must be there.

What is promised: no acknowledged event is lost, through restarts and crashes; none is there twice, however often a
producer repeats itself; no gap and no other order within a partition; what is read, turned into other events and
committed in one transaction is there once for readers in read_committed; no partition has two owners in a generation.
"""

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sandbox.broker.groups.calls import JoinAnswer, LeavingMember, SyncAnswer
from sandbox.broker.logs.log import ProducedBatch
from sandbox.kafka.errors import BrokerError
from tests.properties.log_room import (
    GROUP,
    INVOICES,
    ORDERS,
    PARTITIONS,
    SESSION_MS,
    TIMEOUT_MS,
    LogRoom,
    Producer,
    produced,
)

pytestmark = pytest.mark.timeout(300)

CLIENTS = ("one", "two", "three")
READERS = "readers"
numbers = st.sampled_from(PARTITIONS)
counts = st.integers(1, 3)
clients = st.sampled_from(CLIENTS)
fates = st.sampled_from(("answered", "answer lost", "crash before the commit", "crash after the commit"))


@dataclass
class Entry:
    """An acknowledged event: `state` is "committed", "aborted" or "open"."""

    offset: int
    value: str
    state: str


@dataclass
class Worker:
    """Reads orders and writes invoices, in transactions. `positions` is how far the open one has read."""

    producer: Producer
    positions: dict[int, int] = field(default_factory=dict)


@dataclass
class Member:
    """A client of the group of readers, as it sees itself."""

    member_id: str = ""
    joined: JoinAnswer | None = None


class LogMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.room = LogRoom()
        self.log: dict[tuple[str, int], list[Entry]] = {(t, n): [] for t in (ORDERS, INVOICES) for n in PARTITIONS}
        self.plain = self.room.idempotent()
        self.sent: dict[int, deque[tuple[ProducedBatch, int]]] = {number: deque(maxlen=5) for number in PARTITIONS}
        self.teller = self.room.transactional("teller")
        self.worker = Worker(self.room.transactional("worker"))
        self.done = dict.fromkeys(PARTITIONS, 0)
        self.members = {client: Member() for client in CLIENTS}
        self.owners: dict[tuple[int, int], str] = {}
        self.committed = dict.fromkeys(PARTITIONS, 0)
        self.number = 0

    def teardown(self) -> None:
        self.room.close()

    def values(self, count: int) -> list[str]:
        self.number += count
        return [f"v{self.number - left}" for left in range(count)]

    def note(self, topic: str, number: int, base_offset: int, values: list[str], state: str) -> None:
        self.log[topic, number] += [Entry(base_offset + at, value, state) for at, value in enumerate(values)]

    def settle(self, topic: str, outcome: str) -> None:
        for number in PARTITIONS:
            for entry in self.log[topic, number]:
                if entry.state == "open":
                    entry.state = outcome

    def shown(self, topic: str, number: int) -> list[tuple[int, str]]:
        """What readers in read_committed must see."""
        found = []
        for entry in self.log[topic, number]:
            if entry.state == "open":
                break
            if entry.state == "committed":
                found.append((entry.offset, entry.value))
        return found

    # Producers

    @rule(number=numbers, count=counts)
    def somebody_writes_without_a_producer_id(self, number: int, count: int) -> None:
        values = self.values(count)
        written = self.room.append(ORDERS, number, produced(values))
        self.note(ORDERS, number, written.base_offset, values, "committed")

    @rule(number=numbers, count=counts, fate=fates)
    def an_idempotent_producer_writes_until_it_is_answered(self, number: int, count: int, fate: str) -> None:
        values = self.values(count)
        batch = self.plain.batch(ORDERS, number, values)
        first = self.room.append(ORDERS, number, batch, commit=fate != "crash before the commit")
        assert not first.duplicate
        if fate.startswith("crash"):
            self.crash()
        if fate != "answered":
            again = self.room.append(ORDERS, number, batch)
            assert again.duplicate == (fate != "crash before the commit")
            assert again.base_offset == first.base_offset
        self.plain.sent(ORDERS, number, count)
        self.sent[number].append((batch, first.base_offset))
        self.note(ORDERS, number, first.base_offset, values, "committed")

    @rule(number=numbers, back=st.integers(0, 4))
    def an_idempotent_producer_repeats_one_of_its_last_five_batches(self, number: int, back: int) -> None:
        if back < len(self.sent[number]):
            batch, base_offset = self.sent[number][back]
            again = self.room.append(ORDERS, number, batch)
            assert (again.duplicate, again.base_offset) == (True, base_offset)

    @rule(number=numbers, ahead=st.integers(1, 3))
    def an_idempotent_producer_leaves_out_a_batch(self, number: int, ahead: int) -> None:
        sequence = self.plain.sequences.get((ORDERS, number))
        if sequence:
            with pytest.raises(BrokerError):
                self.room.append(ORDERS, number, produced(["never"], self.plain, sequence + ahead))

    # Transactions

    @rule(number=numbers, count=counts)
    def the_teller_writes_orders(self, number: int, count: int) -> None:
        values = self.values(count)
        written = self.room.write(self.teller, ORDERS, number, values)
        self.note(ORDERS, number, written.base_offset, values, "open")

    @rule(number=numbers, count=counts)
    def the_worker_turns_orders_into_invoices(self, number: int, count: int) -> None:
        start = self.worker.positions.get(number, self.room.committed(GROUP, number))
        orders = self.room.look(ORDERS, number, start).committed[:count]
        if not orders:
            return
        values = [f"invoice of {value}" for _, value in orders]
        written = self.room.write(self.worker.producer, INVOICES, number, values)
        self.note(INVOICES, number, written.base_offset, values, "open")
        self.worker.positions[number] = orders[-1][0] + 1
        self.room.stage(self.worker.producer, number, self.worker.positions[number])

    @rule(commit=st.booleans(), version=st.sampled_from((1, 2)), fate=fates)
    def the_teller_ends(self, commit: bool, version: int, fate: str) -> None:
        if self._ends(self.teller, commit, version, fate):
            self.settle(ORDERS, "committed" if commit else "aborted")

    @rule(commit=st.booleans(), version=st.sampled_from((1, 2)), fate=fates)
    def the_worker_ends(self, commit: bool, version: int, fate: str) -> None:
        if self._ends(self.worker.producer, commit, version, fate):
            self._worker_ended(commit)

    def _ends(self, producer: Producer, commit: bool, version: int, fate: str) -> bool:
        if not self.room.broker.transactions.describe(producer.name or "").ongoing:
            return False
        given = self.room.end(producer, committed=commit, version=version, commit=fate != "crash before the commit")
        if fate.startswith("crash"):
            self.crash()
        if fate != "answered":
            assert self.room.end(producer, committed=commit, version=version) == given
        if given != (producer.producer_id, producer.epoch):
            producer.producer_id, producer.epoch = given
            producer.sequences.clear()
        return True

    def _worker_ended(self, commit: bool) -> None:
        self.settle(INVOICES, "committed" if commit else "aborted")
        if commit:
            self.done.update(self.worker.positions)
        self.worker.positions.clear()

    @rule()
    def another_worker_takes_over(self) -> None:
        zombie = self.worker.producer
        self.worker.producer = self.room.transactional("worker")
        self._worker_ended(False)
        self._is_fenced(zombie)

    def _is_fenced(self, zombie: Producer) -> None:
        for number in PARTITIONS:
            with pytest.raises(BrokerError):
                self.room.write(zombie, INVOICES, number, ["never"])
        with pytest.raises(BrokerError):
            self.room.end(zombie, committed=True, version=1)

    @rule()
    def transactions_run_out_of_time(self) -> None:
        late = [
            each
            for each in (self.teller, self.worker.producer)
            if self.room.broker.transactions.describe(each.name or "").ongoing
        ]
        self.room.pass_ms(TIMEOUT_MS)
        for producer in late:
            self._is_fenced(producer)
        if self.teller in late:
            self.teller = self.room.transactional("teller")
            self.settle(ORDERS, "aborted")
        if self.worker.producer in late:
            self.worker.producer = self.room.transactional("worker")
            self._worker_ended(False)

    # Members of a group

    @rule(client=clients)
    def a_member_joins(self, client: str) -> None:
        member = self.members[client]
        reply = self.room.join(READERS, client, member.member_id)
        reply.on_done(lambda answer: self._joined(member, answer))

    def _joined(self, member: Member, answer: JoinAnswer) -> None:
        if answer.error == "NONE":
            member.member_id, member.joined = answer.member_id, answer
        elif answer.error == "UNKNOWN_MEMBER_ID":
            member.member_id, member.joined = "", None

    @rule(client=clients)
    def a_member_asks_for_its_partitions(self, client: str) -> None:
        joined = self.members[client].joined
        if joined is None:
            return
        shares: dict[str, bytes] = {one.member_id: b"" for one in joined.members}
        for number, one in zip(PARTITIONS, joined.members * len(PARTITIONS), strict=False):
            shares[one.member_id] += b"%d" % number
        reply = self.room.coordinator.sync(
            READERS, joined.generation, joined.member_id, None, None, None, shares, self.room.clock.now_ms
        )
        self.room.broker.commit()
        reply.on_done(lambda answer: self._synced(joined, answer))

    def _synced(self, joined: JoinAnswer, answer: SyncAnswer) -> None:
        for digit in answer.assignment.decode():
            owner = self.owners.setdefault((joined.generation, int(digit)), joined.member_id)
            assert owner == joined.member_id, "a partition with two owners in one generation"

    @rule(client=clients, number=numbers, fate=fates)
    def a_member_commits_what_it_has_read(self, client: str, number: int, fate: str) -> None:
        joined = self.members[client].joined
        if joined is None:
            return
        found = self.room.look(ORDERS, number, self.committed[number]).committed
        offset = found[0][0] + 1 if found else self.committed[number]
        error = self.room.commit(READERS, joined, number, offset, commit=fate != "crash before the commit")
        if fate.startswith("crash"):
            self.crash()
        if error == "NONE" and fate != "crash before the commit":
            self.committed[number] = offset

    @rule(client=clients)
    def a_member_leaves(self, client: str) -> None:
        member = self.members[client]
        leaving = [LeavingMember(member.member_id)]
        self.room.coordinator.leave(READERS, leaving, self.room.clock.now_ms)
        self.room.broker.commit()
        self.members[client] = Member()

    @rule(duration_ms=st.sampled_from((1, SESSION_MS // 2, SESSION_MS)))
    def time_passes(self, duration_ms: int) -> None:
        self.room.pass_ms(duration_ms)
        self._look_for_timeouts()

    def _look_for_timeouts(self) -> None:
        describe = self.room.broker.transactions.describe
        if not describe("teller").ongoing and any(
            entry.state == "open" for number in PARTITIONS for entry in self.log[ORDERS, number]
        ):
            self.settle(ORDERS, "aborted")
            self.teller = self.room.transactional("teller")
        if not describe("worker").ongoing and self.worker.positions:
            self._worker_ended(False)
            self.worker.producer = self.room.transactional("worker")

    # The sandbox itself

    @rule()
    def restart(self) -> None:
        self.room.restart()

    @rule()
    def crash(self) -> None:
        self.room.crash()

    @rule(number=numbers, size_bytes=st.sampled_from((1, 150, 1000)))
    def a_consumer_reads_bit_by_bit(self, number: int, size_bytes: int) -> None:
        end, offset = self.room.partition(ORDERS, number).high_watermark, 0
        found: list[tuple[int, str]] = []
        while offset < end:
            part = self.room.look(ORDERS, number, offset, size_bytes).events
            found += part
            offset = part[-1][0] + 1 if part else offset + 1
        assert found == [(entry.offset, entry.value) for entry in self.log[ORDERS, number]]

    @invariant()
    def every_acknowledged_event_is_there_once_and_in_order(self) -> None:
        for (topic, number), entries in self.log.items():
            view = self.room.look(topic, number)
            assert view.events == [(entry.offset, entry.value) for entry in entries]
            assert view.offsets == list(range(self.room.partition(topic, number).high_watermark)), "a gap"
            assert view.committed == self.shown(topic, number)

    @invariant()
    def every_order_that_was_read_has_one_invoice(self) -> None:
        for number in PARTITIONS:
            assert self.room.committed(GROUP, number) == self.done[number]
            read = [value for offset, value in self.shown(ORDERS, number) if offset < self.done[number]]
            invoices = [value for _, value in self.shown(INVOICES, number)]
            assert invoices == [f"invoice of {value}" for value in read]

    @invariant()
    def what_a_group_committed_stays(self) -> None:
        for number in PARTITIONS:
            assert self.room.committed(READERS, number) == self.committed[number]


TestLog = LogMachine.TestCase
TestLog.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
