"""The rows of groups."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.storage.file.database import Database
from sandbox.storage.groups.groups import CommittedOffset, GroupStore, StoredGroup, StoredMember, StoredRebalance

MEMBER = StoredMember(
    "app-1",
    "instance",
    "app",
    "/127.0.0.1",
    45_000,
    300_000,
    (("range", b"\x00\xff"), ("sticky", b"")),
    b"\x00\x01\xfe",
    {"orders": (0, 2), "größe": (1,)},
)
GROUP = StoredGroup("group", "Stable", "consumer", "range", 3, "app-1", 17, (MEMBER,))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "dev.db")
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> GroupStore:
    return GroupStore(database)


def test_a_group_is_loaded_as_it_was_saved(store: GroupStore) -> None:
    other = StoredGroup("a group", "Empty", "", "", 0, None, 1)
    store.save(GROUP)
    store.save(other)
    assert store.load() == (other, GROUP)


def test_saving_again_replaces_the_group_and_its_members(store: GroupStore) -> None:
    store.save(GROUP)
    later = replace(GROUP, generation=4, members=(replace(MEMBER, member_id="app-2", instance_id=None),))
    store.save(later)
    assert store.load() == (later,)


def test_a_member_that_is_as_it_was_is_not_written_again(database: Database, store: GroupStore) -> None:
    members = tuple(replace(MEMBER, member_id=f"app-{number}") for number in range(5))
    store.save(replace(GROUP, members=members))
    database.commit()
    (before,) = database.query("SELECT total_changes()")
    changed = (replace(members[0], assignment=b"other"), *members[2:])
    store.save(replace(GROUP, members=changed))
    (after,) = database.query("SELECT total_changes()")
    # The group's row and one member's, each with its checksum, and the row of the one that is gone.
    assert after[0] - before[0] <= 6
    assert store.load() == (replace(GROUP, members=changed),)


def test_after_an_undone_turn_the_rows_are_those_of_the_next_save(database: Database, store: GroupStore) -> None:
    store.save(GROUP)
    database.commit()
    store.save(replace(GROUP, members=()))
    database.rollback()
    store.load()
    store.save(replace(GROUP, members=()))
    assert store.load() == (replace(GROUP, members=()),)


def test_members_of_one_group_are_not_those_of_another(store: GroupStore) -> None:
    store.save(GROUP)
    store.save(replace(GROUP, group_id="other", members=()))
    assert [len(group.members) for group in store.load()] == [1, 0]


def test_people_can_read_what_a_member_has(database: Database, store: GroupStore) -> None:
    store.save(GROUP)
    ((assigned,),) = database.query("SELECT assigned FROM group_members")
    assert json.loads(assigned) == {"orders": [0, 2], "größe": [1]}


def commit(topic: str, partition: int, offset: int, metadata: str | None = "", at_ms: int = 1) -> CommittedOffset:
    return CommittedOffset(topic, partition, offset, 5, metadata, at_ms)


def test_a_commit_replaces_the_current_row_and_adds_to_the_history(database: Database, store: GroupStore) -> None:
    store.commit("group", [commit("orders", 0, 1), commit("orders", 1, 1)], 3, "app-1")
    store.commit("group", [commit("orders", 0, 9, None, 2)], 4, "app-2")
    assert store.offsets("group") == {
        ("orders", 0): commit("orders", 0, 9, None, 2),
        ("orders", 1): commit("orders", 1, 1),
    }
    history = database.query("SELECT partition, offset, metadata, committed_ms, generation, member_id FROM commits")
    assert history == [(0, 1, "", 1, 3, "app-1"), (1, 1, "", 1, 3, "app-1"), (0, 9, None, 2, 4, "app-2")]


def test_the_history_of_commits_cannot_be_changed(database: Database, store: GroupStore) -> None:
    import sqlite3

    store.commit("group", [commit("orders", 0, 1)], 3, "app-1")
    with pytest.raises(sqlite3.IntegrityError, match="history of commits is immutable"):
        database.execute("UPDATE commits SET offset = 0")


def test_deleting_a_group_leaves_others_and_its_history(database: Database, store: GroupStore) -> None:
    for group_id in ("group", "other"):
        store.save(replace(GROUP, group_id=group_id))
        store.commit(group_id, [commit("orders", 0, 1)], 3, "app-1")
    store.delete("group")
    assert [group.group_id for group in store.load()] == ["other"]
    assert (store.has_offsets("group"), store.has_offsets("other")) == (False, True)
    assert database.query("SELECT count(*) FROM group_members") == [(1,)]
    assert database.query("SELECT count(*) FROM commits") == [(2,)]


def test_only_the_named_offsets_are_deleted(store: GroupStore) -> None:
    store.commit("group", [commit("orders", 0, 1), commit("orders", 1, 1), commit("payments", 0, 1)], 1, "")
    store.delete_offsets("group", [("orders", 1), ("nowhere", 0)])
    assert list(store.offsets("group")) == [("orders", 0), ("payments", 0)]


def test_a_topic_takes_its_offsets_out_of_every_group(store: GroupStore) -> None:
    for group_id in ("b", "a"):
        store.commit(group_id, [commit("orders", 0, 1), commit("orders", 1, 1), commit("payments", 0, 1)], 1, "")
    store.commit("c", [commit("payments", 0, 1)], 1, "")
    assert store.remove_topic("orders") == ("a", "b")
    assert list(store.offsets("a")) == [("payments", 0)]
    assert store.remove_topic("orders") == ()


def test_a_rebalance_is_kept_with_who_got_what(database: Database, store: GroupStore) -> None:
    store.record_rebalance(
        StoredRebalance("group", 4, 10, 20, {"causes": []}, 1, {"app-1": ("app", ("orders-0", "orders-1"))})
    )
    ((*row, assignment),) = database.query(
        "SELECT group_id, generation, started_ms, ended_ms, details, members, assignment FROM rebalances"
    )
    assert row == ["group", 4, 10, 20, '{"causes": []}', 1]
    assert json.loads(assignment) == {"app-1": {"client_id": "app", "partitions": ["orders-0", "orders-1"]}}


def test_what_was_not_committed_is_undone(database: Database, store: GroupStore) -> None:
    store.save(GROUP)
    database.commit()
    store.delete("group")
    store.commit("group", [commit("orders", 0, 1)], 1, "")
    database.rollback()
    assert store.load() == (GROUP,)
    assert store.offsets("group") == {}
