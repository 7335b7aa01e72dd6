"""Snapshots from Python: a restore brings back the same content, and running clients reconnect."""

import errno
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from sandbox import BrokerError, FileRefused, Sandbox
from sandbox.kafka.event import Event
from sandbox.model.activity import ActivityQuery
from sandbox.model.registry import SchemaRequest, Subject
from sandbox.snapshots.description import Ends
from sandbox.storage.check import check
from sandbox.storage.file import ofd_locks
from sandbox.storage.file.database import Database
from sandbox.storage.file.guard import SHARED_BYTES, FileGuard
from sandbox.storage.file.lock import read_owner
from tests.clock import Clock
from tests.waiting import eventually
from tests.wire.raw_client import RawClient, rows

linux = pytest.mark.skipif(not ofd_locks.AVAILABLE, reason="this system has no locks of open file descriptions")

QUICK = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 50, "log_level": 0}


@pytest.fixture(params=["log", "pages"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a restore replaces the content: by another log, or page by page as on systems without such locks."""
    if request.param == "pages":
        monkeypatch.setattr(ofd_locks, "AVAILABLE", False)
    return str(request.param)


def contents(box: Sandbox) -> list[tuple[object, ...]]:
    """Everything that an event is, of every topic."""
    found: list[Event] = [event for topic in box.topics() for event in box.read(topic.topic, offset=0, limit=10_000)]
    return [(one.topic, one.partition, one.offset, one.timestamp_ms, one.key, one.value, one.headers) for one in found]


def committed(box: Sandbox, group: str) -> dict[tuple[str, int], int | None]:
    return {(lag.topic, lag.partition): lag.committed for lag in box.lag(group) if lag.committed is not None}


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    """Ten events in two partitions, and a group that has read some."""
    box.create_topic("orders", partitions=2, settings={"retention.ms": "-1"})
    for number in range(10):
        box.append("orders", f"v{number}", key=f"k{number}", headers={"n": str(number)}, partition=number % 2)
    box.commit("billing", "orders", 0, 3)
    return box


def test_a_restored_snapshot_gives_back_events_offsets_and_settings(orders: Sandbox, way: str) -> None:
    before = contents(orders), orders.topic("orders").settings
    taken = orders.snapshots.take("before the test", "a note")
    assert (taken.name, taken.note, taken.kind, taken.topics, taken.events, taken.groups) == (
        "before the test",
        "a note",
        "taken",
        1,
        10,
        1,
    )
    orders.append("orders", "later", partition=0)
    orders.commit("billing", "orders", 0, 5)
    orders.commit("new", "orders", 1, 1)
    orders.alter_topic("orders", {"retention.ms": "5"})
    orders.create_topic("other")
    orders.snapshots.restore("before the test")
    assert (contents(orders), orders.topic("orders").settings) == before
    assert [group.group for group in orders.groups()] == ["billing"]
    assert committed(orders, "billing") == {("orders", 0): 3}
    assert orders.append("orders", "next", partition=0).offset == 5


def test_a_restored_file_is_the_same_after_it_was_opened_again(
    orders: Sandbox, file: Path, clock: Clock, way: str
) -> None:
    orders.snapshots.take("s")
    before = contents(orders)
    cluster_id = orders.overview().cluster_id
    orders.delete_topic("orders")
    orders.snapshots.restore("s")
    orders.close()
    with Sandbox(file, clock=clock) as again:
        assert contents(again) == before
        assert committed(again, "billing") == {("orders", 0): 3}
        assert again.overview().cluster_id == cluster_id


def test_a_deleted_topic_comes_back_and_the_undo_can_be_undone(orders: Sandbox) -> None:
    before = contents(orders)
    point = orders.snapshots.before("delete topic orders")
    assert point.name is not None
    orders.delete_topic("orders")
    undone = orders.snapshots.restore(point.name)
    assert contents(orders) == before
    assert undone.undo.name is not None
    assert orders.snapshots.get(undone.undo.name).action == "undo delete topic orders"
    orders.snapshots.restore(undone.undo.name)
    assert orders.topics() == ()


def test_the_newest_ten_automatic_snapshots_are_kept_and_all_others_too(orders: Sandbox, clock: Clock) -> None:
    orders.snapshots.take("mine")
    for number in range(12):
        clock.now_ms += 1_000
        assert orders.snapshots.before(f"number {number}").name
    found = orders.snapshots.list()
    assert [one.action for one in found if one.kind == "automatic"] == [f"number {n}" for n in range(11, 1, -1)]
    assert [one.name for one in found if one.kind == "taken"] == ["mine"]


def test_a_large_file_has_no_automatic_snapshot_and_says_why(orders: Sandbox) -> None:
    orders.snapshots.automatic_bytes_max = 1000
    point = orders.snapshots.before("delete topic orders")
    assert point.name is None
    assert point.skipped is not None
    assert "above 0 MB none is taken" in point.skipped
    assert orders.snapshots.preview_restore(orders.snapshots.take().name).no_undo == point.skipped


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "a\\b", ".hidden", "x.", "x ", "a\0b", "now", "x" * 200, "-r"]
)
def test_a_name_cannot_lead_out_of_the_folder(orders: Sandbox, name: str) -> None:
    for call in (orders.snapshots.take, orders.snapshots.restore, orders.snapshots.delete, orders.snapshots.get):
        with pytest.raises(BrokerError) as refused:
            call(name)
        assert refused.value.error.name == "INVALID_REQUEST"


def test_a_snapshot_is_renamed_described_and_deleted(orders: Sandbox) -> None:
    taken = orders.snapshots.take("one", "note")
    with pytest.raises(BrokerError, match="DUPLICATE_RESOURCE"):
        orders.snapshots.take("One")
    renamed = orders.snapshots.rename("one", "two")
    assert (renamed.note, renamed.taken_ms, renamed.events) == ("note", taken.taken_ms, 10)
    assert orders.snapshots.note("two", "other").note == "other"
    assert [one.name for one in orders.snapshots.list()] == ["two"]
    orders.snapshots.delete("two")
    assert orders.snapshots.list() == ()
    assert list(Path(taken.file).parent.iterdir()) == []
    with pytest.raises(BrokerError, match="RESOURCE_NOT_FOUND"):
        orders.snapshots.restore("two")


def test_a_snapshot_that_lost_what_is_told_of_it_is_looked_into_again(orders: Sandbox) -> None:
    taken = orders.snapshots.take("one")
    Path(taken.file).with_suffix(".json").write_text("{")
    found = orders.snapshots.get("one")
    assert (found.kind, found.events, found.groups) == ("found", 10, 1)
    (Path(taken.file).parent / "broken.db").write_bytes(b"not a database")
    assert [one.name for one in orders.snapshots.list()] == ["one"]


def test_a_comparison_names_what_differs_and_only_that(orders: Sandbox) -> None:
    orders.snapshots.take("a")
    assert orders.snapshots.compare("a").same
    orders.append("orders", "x", partition=1)
    orders.commit("billing", "orders", 0, 4)
    orders.alter_topic("orders", {"retention.ms": "5"})
    orders.create_topic("other")
    orders.snapshots.take("b")
    for found in (orders.snapshots.compare("a", "b"), orders.snapshots.compare("a")):
        assert [(one.topic, one.partition, one.left, one.right) for one in found.partitions] == [
            ("orders", 1, Ends(0, 5, 5), Ends(0, 6, 6)),
            ("other", 0, None, Ends(0, 0, 0)),
        ]
        assert [(one.group, one.partition, one.left, one.right) for one in found.offsets] == [("billing", 0, 3, 4)]
        assert [(one.resource, one.name, one.left, one.right) for one in found.settings] == [
            ("orders", "retention.ms", "-1", "5")
        ]
        assert (found.topics_left, found.topics_right, found.same_partitions) == ((), ("other",), 1)
        assert (found.events_lost(), found.events_back()) == ({"orders": 1}, {})
    back = orders.snapshots.compare("b", "a")
    assert (back.events_lost(), back.events_back()) == ({}, {"orders": 1})


def test_other_events_at_the_same_offsets_are_told_apart(orders: Sandbox, clock: Clock) -> None:
    orders.snapshots.take("a")
    orders.append("orders", "mine", partition=0)
    orders.snapshots.take("b")
    orders.snapshots.restore("a")
    clock.now_ms += 1
    orders.append("orders", "theirs", partition=0)
    (one,) = orders.snapshots.compare("b").partitions
    assert (one.left, one.right, one.other_events) == (Ends(0, 6, 6), Ends(0, 6, 6), True)


def test_a_damaged_snapshot_is_refused_and_nothing_is_changed(orders: Sandbox) -> None:
    path = Path(orders.snapshots.take("s").file)
    data = bytearray(path.read_bytes())
    data[8192:40_000] = b"\xff" * (40_000 - 8192)
    path.write_bytes(data)
    before = contents(orders)
    with pytest.raises(FileRefused):
        orders.snapshots.restore("s")
    assert contents(orders) == before


def test_a_producer_id_is_never_given_twice(box: Sandbox) -> None:
    runtime = box._runtime
    box.snapshots.take("s")
    given = [runtime.call(runtime.broker.new_producer_id) for _ in range(3)]
    box.snapshots.restore("s")
    assert runtime.call(runtime.broker.new_producer_id) > max(given)


def restore_and_meanwhile(box: Sandbox, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Restore the snapshot "s", and act when its content is prepared, but has not replaced the file's yet."""
    before = box.snapshots.before
    with monkeypatch.context() as patched:
        patched.setattr(box.snapshots, "before", lambda action: (act(), before(action))[1])
        box.snapshots.restore("s")


def test_a_schema_id_that_is_assigned_during_a_restore_is_not_assigned_again(
    orders: Sandbox, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def register(name: str) -> int:
        schema = json.dumps({"type": "record", "name": name, "fields": []})
        return orders.schemas.register(Subject("", "orders-value"), SchemaRequest(schema)).schema_id

    orders.snapshots.take("s")
    ids: list[int] = []
    restore_and_meanwhile(orders, monkeypatch, lambda: ids.append(register("A")))
    assert register("B") > ids[0]


def test_a_producer_id_that_is_assigned_during_a_restore_is_not_assigned_again(
    orders: Sandbox, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    runtime = orders._runtime
    ids: list[int] = []
    orders.snapshots.take("s")
    restore_and_meanwhile(
        orders,
        monkeypatch,
        lambda: ids.extend(runtime.call(lambda now_ms: [runtime.broker.new_producer_id(now_ms) for _ in range(1_500)])),
    )
    assert runtime.call(runtime.broker.new_producer_id) > max(ids)


def test_leader_epochs_rise_over_those_of_elections_during_a_restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with Sandbox(tmp_path / "dev.db", brokers=3) as box:
        box.create_topic("orders", replication_factor=3)

        epochs: list[int] = []

        def elect() -> None:
            for _ in range(4):
                box.brokers.move_leader("orders", 0, box.topic("orders").partitions[0].leader % 3 + 1)
            epochs.append(box.topic("orders").partitions[0].leader_epoch)

        box.snapshots.take("s")
        restore_and_meanwhile(box, monkeypatch, elect)
        assert box.topic("orders").partitions[0].leader_epoch > epochs[0]


@linux
def test_a_restore_is_done_even_if_its_log_cannot_be_written_back(
    orders: Sandbox, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(database: Database) -> None:
        raise BrokerError("KAFKA_STORAGE_ERROR", "too many open files")

    before = contents(orders)
    orders.snapshots.take("s")
    orders.append("orders", "later")
    monkeypatch.setattr(Database, "write_back", fail)
    restored = orders.snapshots.restore("s")
    assert restored.undo.name is not None
    assert contents(orders) == before
    orders.append("orders", "next")
    # The next commit writes the log into the file.
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as reading:
        assert reading.execute("SELECT count(*) FROM events").fetchone() == (len(before) + 1,)


@linux
def test_a_disk_that_fills_during_a_restore_is_not_taken_for_a_damaged_snapshot(
    orders: Sandbox, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(source: str, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    orders.snapshots.take("s")
    orders.append("orders", "later")
    before = contents(orders)
    monkeypatch.setattr("shutil.copyfile", no_room)
    with pytest.raises(BrokerError, match=r"No space left on device\. Make room on the disk") as refused:
        orders.snapshots.restore("s")
    assert refused.value.error.name == "KAFKA_STORAGE_ERROR"
    assert contents(orders) == before
    assert not list(file.parent.rglob("*.part*"))
    orders.append("orders", "next")


@linux
def test_events_stored_while_the_file_shrinks_after_a_restore_do_not_look_like_a_damage(
    orders: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_back, before_commit = Database.write_back, FileGuard.before_commit
    database = orders._runtime.database

    def written_back_during_the_commit(guard: FileGuard) -> None:
        before_commit(guard)
        monkeypatch.setattr(FileGuard, "before_commit", before_commit)
        write_back(database)

    def store_meanwhile(database: Database) -> None:
        monkeypatch.setattr(FileGuard, "before_commit", written_back_during_the_commit)
        orders.append("orders", "meanwhile" * 10_000, partition=0)
        orders.append("orders", "at once", partition=0)

    orders.snapshots.take("s")
    orders.append("orders", "later" * 200_000, partition=0)
    monkeypatch.setattr(Database, "write_back", store_meanwhile)
    orders.snapshots.restore("s")
    assert orders.append("orders", "next", partition=0).offset == 7
    assert check(database.path).findings == []


class Demo:
    """A writer inside the process, which may fail."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.calls: list[str] = []

    def rest(self) -> None:
        self._called("rest")

    def go_on(self) -> None:
        self._called("go on")

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise BrokerError("KAFKA_STORAGE_ERROR", "disk full")


def test_a_restore_is_done_even_if_a_paused_writer_cannot_continue(orders: Sandbox) -> None:
    before = contents(orders)
    orders.snapshots.take("s")
    orders.append("orders", "later")
    orders.snapshots.bystanders = first, second = Demo("go on"), Demo()
    assert orders.snapshots.restore("s").snapshot.name == "s"
    assert contents(orders) == before
    assert first.calls == second.calls == ["rest", "go on"]


def test_every_writer_continues_if_one_cannot_pause_for_a_restore(orders: Sandbox) -> None:
    orders.snapshots.take("s")
    orders.append("orders", "later")
    before = contents(orders)
    orders.snapshots.bystanders = first, second = Demo(), Demo("rest")
    with pytest.raises(BrokerError, match="disk full"):
        orders.snapshots.restore("s")
    assert contents(orders) == before
    assert (first.calls[-1], second.calls[-1]) == ("go on", "go on")


def test_a_restore_is_done_even_if_the_activity_cannot_be_recorded(
    orders: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BrokerError("KAFKA_STORAGE_ERROR", "disk full")

    before = contents(orders)
    orders.snapshots.take("s")
    orders.append("orders", "later")
    monkeypatch.setattr(orders.snapshots, "_note_activity", fail)
    assert orders.snapshots.restore("s").snapshot.name == "s"
    assert contents(orders) == before


def test_a_restore_uses_the_connection_that_writes_on_the_thread_that_writes(
    at_work: Sandbox, file: Path, way: str
) -> None:
    threads: set[str] = set()
    runtime = at_work._runtime

    def trace(now_ms: int) -> None:
        runtime.database.connection.set_trace_callback(lambda sql: threads.add(threading.current_thread().name))

    at_work.snapshots.take("s")
    runtime.call(trace)
    at_work.snapshots.restore("s")
    runtime.call(trace)
    at_work.append("orders", "v20")
    assert threads == {"sandbox"}


@linux
def test_a_restore_replaces_the_log_of_the_same_file_and_leaves_nothing_beside_it(orders: Sandbox, file: Path) -> None:
    inode, writer = file.stat().st_ino, orders._runtime.database.connection
    os.link(file, file.with_name("link.db"))
    before = contents(orders)
    orders.snapshots.take("s")
    orders.append("orders", "later")
    orders.snapshots.restore("s")
    assert contents(orders) == before
    assert orders._runtime.database.connection is not writer, "the pages were copied instead"
    assert file.stat().st_ino == inode
    assert not list(Path(orders.snapshots.get("s").file).parent.glob(".part*"))
    # What is in the file itself, without its log: the restored content was written back.
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as reading:
        assert reading.execute("SELECT count(*) FROM events").fetchone() == (len(before),)
    orders.append("orders", "next")
    orders.close()
    assert not file.with_name(f"{file.name}-wal").exists()
    assert check(file.with_name("link.db")).findings == []
    with Sandbox(file) as again:
        assert [event[5] for event in contents(again)][-1] == b"next"


@linux
def test_a_restore_beside_a_program_that_has_the_file_open_copies_the_pages(orders: Sandbox, file: Path) -> None:
    before = contents(orders)
    orders.snapshots.take("s")
    orders.append("orders", "later")
    with closing(sqlite3.connect(file, isolation_level=None)) as program:
        program.execute("BEGIN")
        count = "SELECT count(*) FROM events"
        assert program.execute(count).fetchone() == (11,)
        orders.snapshots.restore("s")
        assert program.execute(count).fetchone() == (11,), "a read transaction keeps its state"
        program.execute("COMMIT")
        assert program.execute(count).fetchone() == (10,)
    assert contents(orders) == before
    orders.append("orders", "next")
    assert orders.check().findings == []


def test_a_page_that_reads_during_a_restore_sees_the_old_or_the_new_content(at_work: Sandbox) -> None:
    at_work.snapshots.take("s")
    at_work.append("orders", "later")
    ended, counts, failures = threading.Event(), set[int](), list[Exception]()

    def read() -> None:
        while not ended.is_set():
            try:
                counts.add(len(at_work.read("orders", limit=100)))
            except Exception as error:
                failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for one in readers:
        one.start()
    for _ in range(3):
        at_work.snapshots.restore("s")
    ended.set()
    for one in readers:
        one.join(10)
    assert failures == []
    assert counts <= {20, 21}
    assert len(at_work.read("orders", limit=100)) == 20


@contextmanager
def consumer(box: Sandbox, group: str, **more: object) -> Iterator[Consumer]:
    settings = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False, **QUICK, **more}
    made = Consumer({"bootstrap.servers": box.kafka_address, **settings})
    made.subscribe(["orders"])
    try:
        yield made
    finally:
        made.close()


def read(made: Consumer, count: int) -> list[bytes]:
    """Exactly this number of values, within a bound."""
    found: list[bytes] = []

    def enough() -> bool:
        messages: list[Message] = made.consume(count - len(found), timeout=0.1)
        found.extend(one.value() or b"" for one in messages if one.error() is None)
        return len(found) >= count

    eventually(enough, 20, f"{count} events")
    return found


@pytest.fixture
def at_work(file: Path) -> Iterator[Sandbox]:
    """Served, with the real clock, and twenty events."""
    with Sandbox(file) as box:
        box.serve(kafka_port=0, web_port=None)
        box.create_topic("orders")
        for number in range(20):
            box.append("orders", f"v{number}")
        yield box


def fail_to_open(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Make the next `times` openings of a file to write fail. Returns a list of how many of them are left."""
    left, real = [times], Database._open_writer

    def opened(database: Database, current: bool) -> sqlite3.Connection:
        if left[0]:
            left[0] -= 1
            raise sqlite3.OperationalError("unable to open database file")
        return real(database, current)

    monkeypatch.setattr(Database, "_open_writer", opened)
    return left


@linux
def test_a_file_that_opens_at_the_second_try_is_restored(at_work: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work.snapshots.take("s")
    at_work.create_topic("later")
    fail_to_open(monkeypatch, 1)
    at_work.snapshots.restore("s")
    assert [one.topic for one in at_work.topics()] == ["orders"]
    assert at_work.append("orders", "next").offset == 20


@linux
def test_a_restored_file_that_cannot_be_opened_refuses_clients_until_it_can(
    at_work: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work.snapshots.take("s")
    at_work.append("orders", "later")
    at_work.create_topic("later")
    left = fail_to_open(monkeypatch, 1_000_000)
    with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR: The snapshot was restored, but"):
        at_work.snapshots.restore("s")
    client = RawClient(at_work.kafka_address or "")
    for topic in ("orders", "later"):
        assert client.produce(topic, rows(b"x")).error_code == 56, "KAFKA_STORAGE_ERROR"
    with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR: The file cannot be used: unable to open"):
        at_work.read("orders", offset=0)
    left[0] = 0
    # The file is tried again every two seconds, without a request.
    eventually(lambda: "later" not in at_work._runtime.broker.topics, 20, "the file is open again")
    assert [one.topic for one in at_work.topics()] == ["orders"]
    client.close()
    client = RawClient(at_work.kafka_address or "")
    assert client.produce("orders", rows(b"next")).base_offset == 20
    client.close()
    assert at_work.check().findings == []


@linux
def test_a_sandbox_closes_while_its_restored_file_cannot_be_opened(
    orders: Sandbox, file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(orders)
    orders.snapshots.take("s")
    orders.append("orders", "later")
    left = fail_to_open(monkeypatch, 1_000_000)
    with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
        orders.snapshots.restore("s")
    with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
        orders.append("orders", "refused")
    orders.close()
    left[0] = 0
    with Sandbox(file, clock=clock) as again:
        assert contents(again) == before


@linux
@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EIO])
def test_a_restore_survives_a_lock_that_cannot_be_shared_again(
    orders: Sandbox, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    before, real, kinds = contents(orders), ofd_locks.lock, list[bool]()

    def lock(descriptor: int, start: int, length: int, *, exclusive: bool) -> bool:
        if (start, length) == SHARED_BYTES:
            kinds.append(exclusive)
            if kinds[-2:] == [True, False]:
                raise OSError(error, os.strerror(error))
        return real(descriptor, start, length, exclusive=exclusive)

    orders.snapshots.take("s")
    orders.append("orders", "later")
    monkeypatch.setattr(ofd_locks, "lock", lock)
    orders.snapshots.restore("s")
    assert True in kinds
    assert contents(orders) == before
    assert orders.append("orders", "next", partition=0).offset == 5


def test_a_restore_that_a_lock_prevents_disconnects_nobody(at_work: Sandbox, file: Path) -> None:
    at_work.snapshots.take("s")
    client = RawClient(at_work.kafka_address or "")
    assert client.produce("orders", rows(b"before")).error_code == 0
    with closing(sqlite3.connect(file, isolation_level=None)) as program:
        program.execute("BEGIN IMMEDIATE")
        with pytest.raises(BrokerError, match="KAFKA_STORAGE_ERROR"):
            at_work.snapshots.restore("s")
        program.execute("ROLLBACK")
    assert client.produce("orders", rows(b"after")).error_code == 0
    client.close()
    assert at_work.end_offsets("orders") == {0: 22}


@pytest.mark.clients
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_consumer_at_work_goes_on_at_the_offset_of_the_snapshot(at_work: Sandbox, protocol: str) -> None:
    more = {"heartbeat.interval.ms": 300} if protocol == "classic" else {"group.protocol": "consumer"}
    address = at_work.kafka_address
    with consumer(at_work, "billing", **more) as made:
        assert read(made, 8) == [b"v%d" % number for number in range(8)]
        made.commit(offsets=[TopicPartition("orders", 0, 8)], asynchronous=False)
        at_work.snapshots.take("s")
        read(made, 12)
        made.commit(offsets=[TopicPartition("orders", 0, 20)], asynchronous=False)
        assert committed(at_work, "billing") == {("orders", 0): 20}
        at_work.snapshots.restore("s")
        assert committed(at_work, "billing") == {("orders", 0): 8}
        assert at_work.kafka_address == address
        assert read(made, 12) == [b"v%d" % number for number in range(8, 20)]


@pytest.mark.clients
def test_a_producer_at_work_writes_on_where_the_snapshot_ended(at_work: Sandbox) -> None:
    producer = Producer({"bootstrap.servers": at_work.kafka_address, "linger.ms": 0, **QUICK})
    producer.produce("orders", b"first")
    assert producer.flush(10) == 0
    at_work.snapshots.take("s")
    producer.produce("orders", b"lost")
    assert producer.flush(10) == 0
    at_work.snapshots.restore("s")
    producer.produce("orders", b"second")
    assert producer.flush(10) == 0
    assert [event.value for event in at_work.read("orders", offset=19)] == [b"v19", b"first", b"second"]
    assert at_work.end_offsets("orders") == {0: 22}


@pytest.mark.clients
def test_a_transactional_producer_that_wrote_since_is_fenced(at_work: Sandbox) -> None:
    def begin() -> Producer:
        made = Producer({"bootstrap.servers": at_work.kafka_address, "transactional.id": "t", **QUICK})
        made.init_transactions(10)
        return made

    at_work.snapshots.take("s")
    producer = begin()
    producer.begin_transaction()
    producer.produce("orders", b"x")
    producer.commit_transaction(10)
    at_work.snapshots.restore("s")
    producer.begin_transaction()
    producer.produce("orders", b"y")
    with pytest.raises(KafkaException, match=r"_FENCED|INVALID_PRODUCER|Producer"):
        producer.commit_transaction(10)
    again = begin()
    again.begin_transaction()
    again.produce("orders", b"z")
    again.commit_transaction(10)
    assert [event.value for event in at_work.read("orders", offset=20) if event.value] == [b"z"]


@pytest.mark.clients
@pytest.mark.parametrize("taken_during_it", [False, True], ids=["before the transaction", "in its middle"])
def test_a_transaction_that_the_snapshot_has_not_or_in_part_cannot_be_committed(
    at_work: Sandbox, taken_during_it: bool
) -> None:
    producer = Producer({"bootstrap.servers": at_work.kafka_address, "transactional.id": "t", **QUICK})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce("orders", b"whole")
    producer.commit_transaction(10)
    if not taken_during_it:
        at_work.snapshots.take("s")
    producer.begin_transaction()
    producer.produce("orders", b"first half")
    assert producer.flush(10) == 0
    if taken_during_it:
        at_work.snapshots.take("s")
    producer.produce("orders", b"second half")
    assert producer.flush(10) == 0
    at_work.snapshots.restore("s")
    with pytest.raises(KafkaException, match="fenced"):
        producer.commit_transaction(10)
    with consumer(at_work, "reader") as reader:
        # The part that the snapshot has is aborted by now: it blocks no reader.
        at_work.append("orders", "after it")
        assert read(reader, 22) == [b"v%d" % number for number in range(20)] + [b"whole", b"after it"]


@pytest.mark.clients
def test_a_producer_that_was_replaced_after_the_snapshot_stays_fenced(at_work: Sandbox) -> None:
    def begin() -> Producer:
        made = Producer({"bootstrap.servers": at_work.kafka_address, "transactional.id": "t", **QUICK})
        made.init_transactions(10)
        return made

    first = begin()
    at_work.snapshots.take("s")
    second = begin()
    at_work.snapshots.restore("s")
    third = begin()
    for replaced in (first, second):
        replaced.begin_transaction()
        replaced.produce("orders", b"of a zombie")
        with pytest.raises(KafkaException, match=r"fenced|Producer"):
            replaced.commit_transaction(10)
    third.begin_transaction()
    third.produce("orders", b"of the newest")
    third.commit_transaction(10)
    values = [event.value for event in at_work.read("orders", offset=20)]
    assert b"of the newest" in values
    assert b"of a zombie" not in values


@pytest.mark.clients
def test_a_snapshot_taken_while_clients_produce_is_one_state(at_work: Sandbox) -> None:
    producer = Producer({"bootstrap.servers": at_work.kafka_address, "linger.ms": 1, **QUICK})
    ended = threading.Event()

    def produce() -> None:
        number = 0
        while not ended.is_set():
            producer.produce("orders", b"%d" % number, partition=0, on_delivery=lambda error, message: None)
            producer.poll(0.0002)
            number += 1

    worker = threading.Thread(target=produce)
    worker.start()
    try:
        eventually(lambda: at_work.end_offsets("orders")[0] > 200, 10, "events come")
        lowest = at_work.end_offsets("orders")[0]
        at_work.snapshots.take("s")
        highest = at_work.end_offsets("orders")[0]
    finally:
        ended.set()
        worker.join(10)
        producer.flush(10)
    at_work.snapshots.restore("s")
    end = at_work.end_offsets("orders")[0]
    assert lowest <= end <= highest
    values = [int(event.value or b"") for event in at_work.read("orders", offset=20, limit=100_000)]
    assert values == list(range(end - 20))


def test_a_fork_is_a_sandbox_of_its_own_and_ends_when_told(orders: Sandbox) -> None:
    orders.snapshots.take("s")
    orders.append("orders", "only here")
    made = orders.snapshots.fork("s")
    try:
        opener = build_opener(ProxyHandler({}))
        page = opener.open(f"{made.web}/topics/orders.json", timeout=10).read().decode()
        assert '"events": 10' in page
        producer = Producer({"bootstrap.servers": made.kafka, **QUICK})
        producer.produce("orders", b"only there")
        assert producer.flush(10) == 0
        assert orders.topic("orders").events == 11
        assert [(one.source, one.running) for one in orders.snapshots.forks()] == [("s", True)]
    finally:
        orders.snapshots.stop_fork(made.id)
    assert orders.snapshots.forks() == ()
    assert read_owner(made.file) is None
    with Sandbox(made.file) as fork:
        assert fork.topic("orders").events == 11
        assert fork.overview().cluster_id != orders.overview().cluster_id


def test_what_is_done_with_snapshots_is_written_down(orders: Sandbox) -> None:
    orders.snapshots.take("s")
    orders.snapshots.restore("s")
    query = ActivityQuery(kinds=frozenset({"snapshot"}))
    (restored,) = [one.details for one in orders.activity.read(query).entries]
    assert (restored["action"], restored["name"]) == ("restored", "s")
    assert restored["undo"].startswith("auto-")


def test_a_fork_has_the_broker_settings_of_its_sandbox(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "set.db", settings={"num.partitions": "3"}) as sandbox:
        sandbox.snapshots.take("s")
        made = sandbox.snapshots.fork("s")
        opener = build_opener(ProxyHandler({}))
        told = json.loads(opener.open(f"{made.web}/cluster.json", timeout=20).read())
        assert [(one["name"], one["value"]) for one in told["settings"]] == [("num.partitions", "3")]
