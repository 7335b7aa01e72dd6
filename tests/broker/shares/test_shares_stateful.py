"""Members of a share group that fetch, acknowledge, release, reject, die and wait, through restarts and undone turns.

A model beside the windows counts deliveries. What must hold: no record has two owners, no accepted or rejected record
is delivered again, none is lost, and every delivery count is exact.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sandbox.broker.logs.topic import Partition
from sandbox.broker.shares.shares import ArchivedRecord, Shares
from sandbox.broker.shares.window import DONE, AcknowledgedRange, AcknowledgeType, ReadRange, RecordState
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.storage.file.database import Database
from sandbox.storage.groups.shares import ShareStore

GROUP = "work"
MEMBERS = st.sampled_from(["a", "b", "c"])
LIMIT, LOCK_MS = 3, 30_000
BATCH = 4


class SharesMachine(RuleBasedStateMachine):
    """One partition, whose records are batches of four offsets; every seventh offset is a gap."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.partition = Partition(1, None, 0)  # type: ignore[arg-type]
        self.now_ms, self.written = 1_000, 0
        self.deliveries: dict[int, int] = {}
        self.owner: dict[int, tuple[str, int]] = {}
        self.done: set[int] = set()
        self.letters: list[ArchivedRecord] = []
        self.open()
        self.shares.begin(GROUP, self.partition, 0)
        self.database.commit()

    def open(self) -> None:
        self.database = Database(self.folder / "dev.db")
        config = BrokerConfig({"group.share.delivery.count.limit": str(LIMIT)})
        self.shares = Shares(ShareStore(self.database), config, lambda group_id: None)
        self.shares.on_archived = self.letters.extend
        self.shares.load(self.now_ms)
        self.database.commit()

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            shutil.rmtree(self.folder)

    def records(self) -> list[int]:
        return [offset for offset in range(self.written) if offset % 7 != 6]

    def freed(self, offsets: list[int]) -> None:
        """The model's release: archived at the limit, else available."""
        for offset in offsets:
            del self.owner[offset]
            if self.deliveries[offset] >= LIMIT:
                self.done.add(offset)

    @rule(batches=st.integers(1, 3))
    def append(self, batches: int) -> None:
        self.written += batches * BATCH
        self.partition.next = self.partition.high_watermark = self.written

    @rule(member=MEMBERS, most=st.integers(1, 6), exact=st.booleans(), loses=st.booleans())
    def fetch(self, member: str, most: int, exact: bool, loses: bool) -> None:
        window = self.shares.fetchable(GROUP, self.partition)
        assert window is not None
        first = window.next_fetch_offset()
        offsets = [one for one in self.records() if one >= first]
        batches = [(start, start + BATCH - 1) for start in range(first // BATCH * BATCH, self.written, BATCH)]
        read = ReadRange(first, self.written, offsets, batches)
        taken = self.shares.acquire(GROUP, self.partition, member, read, most, exact, self.now_ms)
        if loses:
            # The turn could not be committed: nothing was delivered.
            self.database.rollback()
            self.shares.reload()
            return
        self.database.commit()
        assert not exact or len(taken) <= most
        for offset in taken:
            assert offset not in self.owner, "two owners at once"
            assert offset not in self.done, "a done record was delivered again"
            self.owner[offset] = member, self.now_ms + LOCK_MS
            self.deliveries[offset] = self.deliveries.get(offset, 0) + 1
            assert window.records[offset].deliveries == self.deliveries[offset]

    @rule(member=MEMBERS, kind=st.sampled_from(list(AcknowledgeType)[1:]), count=st.integers(1, 4))
    def acknowledge(self, member: str, kind: AcknowledgeType, count: int) -> None:
        held = sorted(offset for offset, (owner, _) in self.owner.items() if owner == member)[:count]
        ranges = [AcknowledgedRange(one, one, (kind,)) for one in held]
        self.shares.acknowledge(GROUP, self.partition, member, ranges, self.now_ms)
        self.database.commit()
        if kind is AcknowledgeType.RENEW:
            self.owner.update((one, (member, self.now_ms + LOCK_MS)) for one in held)
        elif kind is AcknowledgeType.RELEASE:
            self.freed(held)
        else:
            for offset in held:
                del self.owner[offset]
                self.done.add(offset)

    @rule(member=MEMBERS)
    def disconnect(self, member: str) -> None:
        self.shares.release_member(GROUP, [1], member)
        self.database.commit()
        self.freed([offset for offset, (owner, _) in self.owner.items() if owner == member])

    @rule(ms=st.integers(1, LOCK_MS))
    def wait(self, ms: int) -> None:
        self.now_ms += ms
        due_ms = self.shares.next_deadline_ms()
        if due_ms is not None and due_ms <= self.now_ms:
            self.shares.tick(self.now_ms)
            self.database.commit()
        self.freed([offset for offset, (_, until_ms) in self.owner.items() if until_ms <= self.now_ms])

    @rule()
    def restart(self) -> None:
        self.database.close()
        self.open()
        self.freed(list(self.owner))

    @invariant()
    def agrees_with_the_model(self) -> None:
        if not hasattr(self, "shares"):
            return
        window = self.shares.window(GROUP, 1)
        assert window is not None
        acquired = {one for one, record in window.records.items() if record.state is RecordState.ACQUIRED}
        assert acquired == set(self.owner)
        for offset in self.records():
            if offset < window.start:
                assert offset in self.done, "lost: below the start offset, and not done"
            elif offset < window.end:
                record = window.records[offset]
                assert (record.state in DONE) == (offset in self.done)
                assert record.deliveries == self.deliveries[offset]
        rows = self.database.query("SELECT offset, state, deliveries FROM share_records ORDER BY offset")
        assert rows == [(one, found.state.value, found.deliveries) for one, found in window.records.items()]
        assert all(self.deliveries[one.offset] == one.deliveries for one in self.letters)


TestShares = SharesMachine.TestCase
TestShares.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
