"""Activity as one stream: from rows of batches, commits and rebalances, and from the table `activity`."""

import itertools

import pytest
from confluent_kafka import Producer

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.model.activity import ACTIVITY_MAX, KINDS, ActivityEntry, ActivityQuery, Happening
from sandbox.model.rebalance import Cause, rebalance_details
from sandbox.storage import activity
from sandbox.storage.groups.groups import GroupStore, StoredRebalance
from sandbox.web.activity import entry_text
from tests.clock import Clock


def told(box: Sandbox, **query: object) -> list[ActivityEntry]:
    return list(box.activity.read(ActivityQuery(**query)).entries)  # type: ignore[arg-type]


def kinds(box: Sandbox, **query: object) -> list[str]:
    return [entry.kind for entry in told(box, **query)]


def test_what_is_done_to_topics_and_groups_is_told_in_its_own_transaction(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", partitions=2)
    clock.pass_ms(20_000)
    box.alter_topic("orders", {"retention.ms": "1000"})
    clock.pass_ms(20_000)
    box.create_partitions("orders", 3)
    clock.pass_ms(20_000)
    box.commit("billing", "orders", 0, 0)
    clock.pass_ms(20_000)
    box.reset("billing", to="latest")
    clock.pass_ms(20_000)
    box.delete_group("billing")
    clock.pass_ms(20_000)
    with box.inject("Produce", error="NOT_ENOUGH_REPLICAS"):
        pass
    clock.pass_ms(20_000)
    box.delete_topic("orders")
    assert kinds(box, kinds=frozenset(("created", "deleted", "altered", "reset", "injected"))) == [
        *("deleted", "injected", "injected", "deleted", "reset", "altered", "altered", "created")
    ]
    details = {(entry.kind, entry.topic, entry.group): entry_text(entry) for entry in told(box)}
    assert details["reset", "orders", "billing"] == (
        "3 committed offsets set to latest: partition 0 at 0, partition 1 at 0, partition 2 at 0"
    )
    assert details["created", "orders", None] == "2 partitions"
    assert details["deleted", None, "billing"] == "the group, with its committed offsets"


def test_what_was_undone_did_not_happen(box: Sandbox) -> None:
    def half(now_ms: int) -> None:
        box._broker.create_topic("half", now_ms)
        raise RuntimeError("half done")

    with pytest.raises(RuntimeError, match="half"):
        box._runtime.call(half)
    assert told(box) == []
    with pytest.raises(BrokerError):
        box.topic("half")


def test_events_are_counted_by_topic_in_ten_seconds(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", partitions=3)
    box.create_topic("clicks")
    for _ in range(3):
        clock.pass_ms(10_000)
        for n in range(120):
            box.append("orders", "x", key=str(n))
        box.append_many("clicks", [NewEvent(b"y")] * 1_500, chunk=10)
    found = told(box, kinds=frozenset(("produced",)))
    assert [(entry.topic, entry.count) for entry in sorted(found, key=lambda one: (-one.at_ms, one.topic or ""))] == [
        *(("clicks", 1_500), ("orders", 120)) * 3
    ]
    (newest,) = {(one.partition, one.offset) for one in told(box, topic="clicks", limit=1) if one.kind == "produced"}
    assert newest == (0, 4_499)
    assert box.event("clicks", 0, 4_499).value == b"y"


def test_the_newest_event_of_a_transaction_is_no_marker(served: Sandbox, clock: Clock) -> None:
    producer = Producer({"bootstrap.servers": served.kafka_address, "transactional.id": "t"})
    producer.init_transactions(30)
    for _ in range(2):
        producer.begin_transaction()
        producer.produce("orders", "x", partition=0, timestamp=clock.now_ms)
        producer.commit_transaction(30)
    (entry,) = told(served, kinds=frozenset(("produced",)), topic="orders")
    assert (entry.count, entry.partition, entry.offset) == (2, 0, 2)
    assert served.event("orders", 0, 2).value == b"x"


def test_counting_goes_past_the_batches_that_are_read_one_by_one(
    box: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "BATCHES_READ", 4)
    box.create_topic("t")
    counts = [1, 30, 3, 17, 50]
    for count in counts:
        clock.pass_ms(10_000)
        for _ in range(count):
            box.append("t", "x")
    found = told(box, kinds=frozenset(("produced",)))
    assert [entry.count for entry in found] == counts[::-1]


def test_pages_follow_each_other_without_a_gap_while_others_write(box: Sandbox, clock: Clock) -> None:
    box.create_topic("t", partitions=2)
    for n in range(60):
        clock.pass_ms(7_000)
        box.append("t", "x", partition=n % 2)
        box.commit("g", "t", n % 2, n // 2)
    whole = told(box, limit=10_000)
    page = box.activity.read(ActivityQuery(limit=7))
    walked = list(page.entries)
    for _ in range(100):
        if page.next_ms is None:
            break
        clock.pass_ms(11_000)
        box.append("t", "new")
        page = box.activity.read(ActivityQuery(limit=7, before_ms=page.next_ms))
        assert len(page.entries) < 20
        walked += page.entries
    assert walked == whole
    assert sum(entry.count for entry in walked if entry.kind == "produced") == 60


def test_commits_are_one_line_for_a_group_in_a_topic(box: Sandbox, clock: Clock) -> None:
    box.create_topic("t", partitions=3)
    clock.now_ms = clock.now_ms // 10_000 * 10_000 + 10_000
    for offset, partition in itertools.product(range(1), range(3)):
        box.commit("g", "t", partition, offset)
    (entry,) = told(box, kinds=frozenset(("committed",)))
    assert (entry.group, entry.topic, entry.count) == ("g", "t", 3)
    assert "partitions 0, 1, 2" in entry_text(entry)


def test_one_commit_is_told_once_with_its_place(box: Sandbox) -> None:
    box.create_topic("t", partitions=3)
    box.commit("g", "t", 2, 0)
    assert [entry_text(entry) for entry in told(box, kinds=frozenset(("committed",)))] == ["partition 2 at 0"]


def test_a_reset_is_told_once_and_not_as_commits_too(box: Sandbox, clock: Clock) -> None:
    clock.now_ms = clock.now_ms // 10_000 * 10_000 + 10_000
    for name in ("a", "b"):
        box.create_topic(name, partitions=2)
        box.append(name, "x", partition=1)
        box.commit("g", name, 1, 0)
    box.commit("other", "a", 1, 0)
    clock.pass_ms(10_000)
    box.reset("g", to="latest")
    found = told(box, since_ms=clock.now_ms, limit=10_000)
    assert [(entry.kind, entry.group) for entry in found] == [("reset", "g")]
    assert "b partition 1 at 1" in entry_text(found[0])
    assert kinds(box, kinds=frozenset(("committed",)), since_ms=clock.now_ms) == ["committed", "committed"]
    clock.pass_ms(2_000)
    box.commit("g", "a", 1, 0)
    assert {entry.kind for entry in told(box, since_ms=clock.now_ms)} == {"committed"}, (
        "its separate commits are listed"
    )


def test_members_that_joined_and_left_are_listed_beside_the_rebalance(box: Sandbox, clock: Clock) -> None:
    causes = [
        Cause("joined", "c-1", "rolling restart, node-3 left"),
        Cause("left", "c-2"),
        Cause("session_timeout", "c-3", timeout_ms=6_000),
        Cause("leader_rejoined", "c-4", "c-5 joined"),
    ]
    details = rebalance_details(causes, {("join", "c-3"): 5_000})
    store = GroupStore(box._runtime.database)
    store.record_rebalance(StoredRebalance("g", 3, clock.now_ms, clock.now_ms + 40, details, 2, {}))
    box._runtime.database.commit()
    found = [(entry.kind, entry_text(entry)) for entry in told(box)]
    assert found[0][0] == "rebalanced"
    assert found[0][1] == (
        "generation 3, 2 members, took 40 ms: member c-1 joined (rolling restart, node-3 left); member c-2 left; "
        "c-3's session of 6,000 ms timed out; leader c-4 joined again (c-5 joined); waited 5 s for c-3"
    )
    assert found[1:] == [
        ("joined", "member c-1 joined (rolling restart, node-3 left)"),
        ("left", "member c-2 left"),
        ("left", "c-3's session of 6,000 ms timed out"),
    ]
    assert kinds(box, kinds=frozenset(("joined",))) == ["joined"]


@pytest.mark.parametrize(
    "details", ['{"causes": 5}', '{"causes": [7, {"cause": []}, {"cause": "joined"}]}', '{"text": ["x"]}', "{}"]
)
def test_details_that_no_sandbox_wrote_are_shown_as_they_are(box: Sandbox, details: str) -> None:
    for sql in (
        "INSERT INTO rebalances(group_id, generation, started_ms, ended_ms, details, members, assignment) "
        "VALUES('g', 1, 0, 0, ?, 1, '{}')",
        *(f"INSERT INTO activity(at_ms, kind, details) VALUES(0, '{kind}', ?)" for kind in KINDS),
    ):
        box._runtime.database.execute(sql, (details,))
    box._runtime.database.commit()
    found = told(box)
    assert {entry.kind for entry in found} >= set(KINDS)
    assert all(isinstance(entry_text(entry), str) for entry in found)


def test_the_filter_lets_through_what_is_about_a_topic_or_a_group(box: Sandbox) -> None:
    for name in ("a", "b"):
        box.create_topic(name)
        box.append(name, "x")
        box.commit(f"group-{name}", name, 0, 1)
    assert {(entry.topic, entry.group) for entry in told(box, topic="a")} == {("a", None), ("a", "group-a")}
    assert {(entry.topic, entry.group) for entry in told(box, group="group-b")} == {("b", "group-b")}
    assert told(box, topic="none") == []


def test_a_long_table_is_read_in_parts_and_nothing_is_passed_over(
    box: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "SCANNED_MAX", 8)
    monkeypatch.setattr(activity, "CHUNK", 4)
    box.create_topic("t")
    for n in range(40):
        clock.pass_ms(5_000)
        box.commit("rare" if n == 0 else "busy", "t", 0, 0)
    query = ActivityQuery(kinds=frozenset(("committed",)), group="rare")
    page = box.activity.read(query)
    for _ in range(60):
        if page.entries or page.next_ms is None:
            break
        page = box.activity.read(ActivityQuery(query.kinds, group="rare", before_ms=page.next_ms))
    assert [entry.group for entry in page.entries] == ["rare"]


def test_the_oldest_rows_leave(box: Sandbox) -> None:
    database = box._runtime.database
    activity.record(database, [Happening("created", {"partitions": n}) for n in range(ACTIVITY_MAX + 50)], 1)
    database.commit()
    with database.reader() as reader:
        assert reader.one("SELECT count(*), min(details ->> '$.partitions') FROM activity") == (ACTIVITY_MAX, 50)


def test_retention_compaction_and_deleting_records_are_told(box: Sandbox, clock: Clock) -> None:
    box.create_topic("old", settings={"retention.ms": "1000"})
    box.append("old", "x", timestamp_ms=clock.now_ms)
    box.create_topic("keyed", settings={"cleanup.policy": "compact"})
    for _ in range(3):
        box.append("keyed", "x", key="k")
    box.create_topic("cut")
    box.append("cut", "x")
    box.delete_records("cut", {0: 1})
    clock.pass_ms(60_000)
    box.apply_retention()
    assert box.compact("keyed") > 0
    found = {(entry.kind, entry.topic): entry_text(entry) for entry in told(box)}
    assert found["retention", "old"] == "partition 0: 1 offset removed from the log, which starts at 1 now"
    assert "later events have the same keys" in found["compacted", "keyed"]
    assert found["deleted", "cut"] == "partition 0: 1 offset removed from the log, which starts at 1 now"


def test_a_page_from_memory_is_the_page_that_is_read_from_the_rows(box: Sandbox, clock: Clock) -> None:
    queries = [
        ActivityQuery(),
        ActivityQuery(limit=3),
        ActivityQuery(kinds=frozenset(("produced", "created"))),
        ActivityQuery(topic="topic-1", limit=5),
        ActivityQuery(group="app"),
        ActivityQuery(since_ms=clock.now_ms + 40_000),
    ]
    for turn in range(40):
        clock.pass_ms((0, 1_000, 4_000, 11_000)[turn % 4])
        if turn % 6 == 0:
            box.create_topic(f"topic-{turn // 6}", partitions=2)
        box.append(f"topic-{turn // 6}", "x")
        if turn % 3 == 0:
            box.commit("app", f"topic-{turn // 6}", 0, 0)
        if turn == 30:
            box.delete_topic("topic-1")
        for query in queries:
            with box._database.reader() as reader:
                assert box.activity.read(query) == activity.read_activity(reader, query), (turn, query)


def test_what_is_over_is_read_once(box: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    box.create_topic("orders", partitions=1)
    for _ in range(20):
        box.commit("app", "orders", 0, 0)
        clock.pass_ms(10_000)
    taken: list[int] = []
    real = activity.Commits.take

    def counted(self: activity.Commits, from_ms: int) -> list[ActivityEntry]:
        taken.append(from_ms)
        return real(self, from_ms)

    monkeypatch.setattr(activity.Commits, "take", counted)
    box.append("orders", "now")
    first = box.activity.read()
    assert len(taken) >= 20
    taken.clear()
    clock.pass_ms(100)
    box.append("orders", "now")
    assert box.activity.read().entries[1:] == first.entries[1:]
    assert len(taken) <= 2, "the spans that are not over"
