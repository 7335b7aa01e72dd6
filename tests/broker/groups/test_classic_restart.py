"""Groups in the file: what a restart finds, and what a write that failed leaves behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.storage.file.database import Database, StorageFailed
from tests.broker.groups.group_room import GROUP, SESSION_MS, Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path / "dev.db")
    yield room
    room.close()


def test_the_members_of_a_stable_group_go_on_after_a_restart(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.commit(7, one)
    before = room.coordinator.describe(GROUP)
    room.restart(after_ms=3_600_000)
    after = room.coordinator.describe(GROUP)
    assert (after.state, after.generation, after.protocol) == (before.state, before.generation, before.protocol)
    assert {member.member_id: member.assignment for member in after.members} == {
        one.member_id: b"orders:0",
        two.member_id: b"orders:1",
    }
    assert [room.heartbeat(one), room.heartbeat(two)] == ["NONE", "NONE"]
    assert room.sync(two).result().assignment == b"orders:1"
    assert room.committed() == 7
    assert room.commit(8, two) == "NONE"


def test_the_leader_leads_after_a_restart(room: Room) -> None:
    one, two = room.stable("zebra", "ape")
    room.restart()
    assert room.join("ape", two.member_id).result().leader == one.member_id
    assert not room.join("zebra", one.member_id).done


def test_sessions_begin_anew_after_a_restart(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.restart(after_ms=3_600_000)
    room.pass_ms(SESSION_MS - 1)
    assert room.heartbeat(one) == "NONE"
    room.pass_ms(1)
    assert room.heartbeat(two) == "UNKNOWN_MEMBER_ID"


def test_a_static_member_comes_back_after_a_restart(room: Room) -> None:
    _, two = room.stable("one", "two", instances=("i-1", "i-2"))
    room.restart()
    back = room.join("two", instance="i-2").result()
    assert (back.generation, back.error) == (2, "NONE")
    assert room.heartbeat(two, instance="i-2") == "FENCED_INSTANCE_ID"
    assert room.sync(back, instance="i-2").result().assignment == b"orders:1"


def test_a_restart_during_a_rebalance_asks_all_members_to_join_again(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.join("one", one.member_id)
    room.restart()
    assert room.heartbeat(two) == "REBALANCE_IN_PROGRESS"
    held = room.join("one", one.member_id)
    assert room.join("two", two.member_id).result().generation == held.result().generation == 3
    room.sync(held.result(), {})
    assert room.rebalances()[-1][1] == "the sandbox restarted during a rebalance"


def test_a_restart_between_join_and_assignment_asks_all_members_to_join_again(room: Room) -> None:
    one, two = room.stable("one", "two")
    room.join("one", one.member_id)
    joined = room.join("two", two.member_id).result()
    room.restart()
    assert room.sync(joined).result().error == "REBALANCE_IN_PROGRESS"
    held = room.join("two", two.member_id)
    assert room.join("one", one.member_id).result().generation == held.result().generation == 4


def test_a_member_that_never_had_an_answer_is_not_awaited_after_a_restart(room: Room) -> None:
    (one,) = room.stable("one")
    room.join("two")
    room.restart()
    again = room.join("one", one.member_id).result()
    assert [member.member_id for member in again.members] == [one.member_id]


def test_a_first_rebalance_that_a_restart_cut_off_leaves_an_empty_group(room: Room) -> None:
    room.join("ghost", require_id=True)
    room.join("one", room.join("one", require_id=True).result().member_id, require_id=True)
    assert room.state() == "PreparingRebalance"
    room.restart()
    assert room.state() == "Empty"
    assert room.join("one").result().error == "NONE"


def test_an_empty_group_and_its_generation_survive_a_restart(room: Room) -> None:
    (one,) = room.stable("one")
    room.commit(7, one)
    room.leave(one)
    room.restart()
    assert room.state() == "Empty"
    assert room.join("two").result().generation == 3


def test_retention_counts_from_when_the_group_became_empty_across_a_restart(room: Room) -> None:
    (one,) = room.stable("one")
    room.commit(7, one)
    room.leave(one)
    room.restart(after_ms=7 * 86_400_000)
    room.pass_ms(600_000)
    assert room.coordinator.list() == ()


def test_commits_that_were_undone_are_gone_and_their_new_group_too(room: Room) -> None:
    room.database.commit()
    room.commit(7)
    room.database.rollback()
    room.coordinator.reload()
    assert room.committed() == -1
    assert room.coordinator.list() == ()


def test_commits_before_the_write_that_was_undone_stay(room: Room) -> None:
    (one,) = room.stable("one")
    room.commit(7, one)
    room.database.commit()
    room.commit(8, one)
    room.database.rollback()
    room.coordinator.reload()
    assert room.committed() == 7


def test_members_stay_when_a_write_was_undone_and_are_written_a_second_later(room: Room) -> None:
    room.database.commit()
    (one,) = room.stable("one")
    room.database.rollback()
    room.coordinator.reload()
    assert room.heartbeat(one) == "NONE"
    assert room.database.query("SELECT * FROM groups") == []
    room.pass_ms(1_000)
    room.database.commit()
    assert room.database.query("SELECT state FROM groups") == [("Stable",)]
    room.restart()
    assert room.heartbeat(one) == "NONE"


def test_a_group_whose_deletion_was_undone_is_back(room: Room) -> None:
    room.commit(7)
    room.database.commit()
    room.coordinator.delete(GROUP, room.now_ms)
    room.database.rollback()
    room.coordinator.reload()
    assert room.state() == "Empty"
    assert room.committed() == 7


def test_a_write_that_fails_still_answers_whoever_waits(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = room.stable("one")
    held = room.join("two")
    room.database.commit()

    def disk_full(self: Database, sql: str, parameters: object = ()) -> None:
        raise StorageFailed("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "execute", disk_full)
        with pytest.raises(StorageFailed, match="disk full"):
            room.join("one", one.member_id)
        room.database.rollback()
        room.coordinator.reload()
    assert held.result().generation == 2
    room.pass_ms(1_000)
    assert room.database.query("SELECT state, generation FROM groups") == [("CompletingRebalance", 2)]


def test_a_session_that_ends_while_the_disk_is_full_is_noticed_all_the_same(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = room.stable("one", "two")
    room.database.commit()

    def disk_full(self: Database, sql: str, parameters: object = ()) -> None:
        raise StorageFailed("disk full")

    room.pass_ms(SESSION_MS - 1)
    room.heartbeat(one)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "execute", disk_full)
        with pytest.raises(StorageFailed, match="disk full"):
            room.pass_ms(1)
        room.database.rollback()
        room.coordinator.reload()
    assert room.heartbeat(two) == "UNKNOWN_MEMBER_ID"
    room.pass_ms(SESSION_MS)
    assert room.state() == "Empty"
