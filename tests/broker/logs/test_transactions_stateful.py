"""Any order of writes, ends, fencing, timeouts, failures and restarts, against a model of what read_committed shows."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.database import StorageFailed
from sandbox.storage.groups.groups import CommittedOffset, GroupStore
from tests.broker.logs.transaction_room import TIMEOUT_MS, TOPIC, Producer, TransactionRoom

NAMES = ("left", "right")
PARTITIONS = (0, 1)
names = st.sampled_from(NAMES)
partitions = st.sampled_from(PARTITIONS)


def failing_commit() -> None:
    raise StorageFailed("the disk is full")


class Transactions(RuleBasedStateMachine):
    """Two transactional ids and two partitions. `shown` is what each partition's readers may see, in log order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.room = TransactionRoom(Path(self.folder.name) / "dev.db")
        self.producers: dict[str, Producer] = {}
        self.zombies: list[Producer] = []
        # (value, name of the open transaction or None) of every event that is not aborted, by partition, in log order
        self.log: dict[int, list[tuple[str, str | None]]] = {number: [] for number in PARTITIONS}
        # the order in which offsets were sent counts, not that in which their transactions ended
        self.staged: dict[str, int] = {}
        self.committed: int | None = None
        self.number = 0

    @initialize()
    def begin(self) -> None:
        for name in NAMES:
            self.producers[name] = self.room.init(name)

    def value(self) -> str:
        self.number += 1
        return f"v{self.number}"

    def settle(self, name: str, committed: bool) -> None:
        for number in PARTITIONS:
            self.log[number] = [
                (value, None if owner == name else owner)
                for value, owner in self.log[number]
                if owner != name or committed
            ]
        offset = self.staged.pop(name, None)
        if committed and offset is not None:
            self.committed = max(offset, self.committed or 0)

    @rule(name=names, number=partitions, count=st.integers(1, 3), joins=st.booleans())
    def write(self, name: str, number: int, count: int, joins: bool) -> None:
        values = [self.value() for _ in range(count)]
        if not joins:
            self.room.add(self.producers[name], number)
        self.room.write(self.producers[name], *values, partition=number, joins=joins)
        self.log[number] += [(value, name) for value in values]

    @rule(number=partitions)
    def write_plainly(self, number: int) -> None:
        value = self.value()
        self.room.plain(value, partition=number)
        self.log[number].append((value, None))

    @rule(name=names)
    def stage(self, name: str) -> None:
        self.number += 1
        self.room.stage(self.producers[name], "app", self.number)
        self.staged[name] = self.number

    @rule()
    def commit_plainly(self) -> None:
        self.number += 1
        GroupStore(self.room.database).commit("app", [CommittedOffset(TOPIC, 0, self.number, -1, "", 0)], -1, "")
        self.room.broker.commit()
        self.committed = self.number

    @rule(name=names, commit=st.booleans(), version=st.sampled_from((1, 2)), fails=st.booleans())
    def end(self, name: str, commit: bool, version: int, fails: bool) -> None:
        if not self.room.broker.transactions.describe(name).ongoing:
            return
        before = self.producers[name]
        if fails:
            producer = Producer(name, before.producer_id, before.epoch)
            self.room.database.commit, whole = failing_commit, self.room.database.commit  # type: ignore[method-assign]
            self.room.end(producer, commit=commit, version=version)
            self.room.database.commit = whole  # type: ignore[method-assign]
        self.room.end(before, commit=commit, version=version)
        self.settle(name, commit)

    @rule(name=names)
    def replace(self, name: str) -> None:
        self.zombies.append(self.producers[name])
        self.producers[name] = self.room.init(name)
        self.settle(name, False)

    @rule(number=partitions)
    def write_as_a_zombie(self, number: int) -> None:
        for zombie in self.zombies[-2:]:
            with pytest.raises(BrokerError):
                self.room.write(zombie, "never", partition=number, joins=True)
            with pytest.raises(BrokerError):
                self.room.end(zombie)

    @rule()
    def run_out_of_time(self) -> None:
        self.room.now_ms += TIMEOUT_MS
        open_ones = [name for name in NAMES if self.room.broker.transactions.describe(name).ongoing]
        self.room.broker.tick(self.room.now_ms)
        self.room.broker.commit()
        for name in open_ones:
            self.settle(name, False)
            self.zombies.append(self.producers[name])
            self.producers[name] = self.room.init(name)

    @rule()
    def restart(self) -> None:
        self.room.restart()

    @invariant()
    def readers_see_what_was_committed_before_the_first_open_transaction(self) -> None:
        for number in PARTITIONS:
            shown: list[str] = []
            for value, owner in self.log[number]:
                if owner is not None:
                    break
                shown.append(value)
            assert self.room.read_committed(number) == shown

    @invariant()
    def staged_offsets_wait(self) -> None:
        assert self.room.committed("app") == self.committed

    @invariant()
    def no_row_is_lost_and_offsets_never_go_back(self) -> None:
        for number in PARTITIONS:
            offsets = [offset for offset, _ in self.room.events(number)]
            assert offsets == sorted(set(offsets))
            values = {value for _, value in self.room.events(number)}
            assert values >= {value for value, _ in self.log[number]}

    def teardown(self) -> None:
        self.room.close()
        self.folder.cleanup()


TestTransactions = Transactions.TestCase
TestTransactions.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
