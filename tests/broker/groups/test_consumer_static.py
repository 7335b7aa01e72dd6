"""Static members of the consumer protocol: they leave with epoch -2, and their place is kept for their session."""

from pathlib import Path

import pytest

from sandbox.kafka.errors import BrokerError
from tests.broker.groups.consumer_room import SESSION_MS, ConsumerRoom


@pytest.fixture
def room(tmp_path: Path) -> ConsumerRoom:
    found = ConsumerRoom(tmp_path / "dev.db")
    found.topic("orders", 6)
    return found


def test_a_place_is_kept_for_a_static_member_that_comes_back(room: ConsumerRoom) -> None:
    room.join("a", instance_id="i")
    room.join("b")
    room.settle()
    assert room.leave("a", -2, instance_id="i").member_epoch == -2
    assert room.heartbeat("b", 3).assigned is None
    back = room.join("a2", instance_id="i")
    assert (back.member_epoch, room.written(back.assigned)) == (3, "orders:0,1,2")
    assert room.group().generation == 3
    assert room.state() == "Stable"
    assert set(room.group().members) == {"a2", "b"}


def test_a_static_member_that_stays_away_is_put_out_after_its_session(room: ConsumerRoom) -> None:
    room.join("a", instance_id="i")
    room.leave("a", -2, instance_id="i")
    room.pass_ms(SESSION_MS - 1)
    assert room.state() == "Reconciling"
    room.pass_ms(1)
    assert room.state() == "Empty"


def test_an_instance_id_in_use_is_not_given_away(room: ConsumerRoom) -> None:
    room.join("a", instance_id="i")
    with pytest.raises(BrokerError, match="UNRELEASED_INSTANCE_ID"):
        room.join("b", instance_id="i")
    with pytest.raises(BrokerError, match="UNRELEASED_INSTANCE_ID"):
        room.join("a", instance_id="i")
    assert set(room.group().members) == {"a"}


def test_the_one_whose_place_was_taken_is_fenced(room: ConsumerRoom) -> None:
    room.join("a", instance_id="i")
    room.leave("a", -2, instance_id="i")
    assert room.refused("a", 2, instance_id="i") == "FENCED_MEMBER_EPOCH"
    room.join("b", instance_id="i")
    assert room.refused("a", 2, instance_id="i") == "FENCED_INSTANCE_ID"
    assert room.refused("a", -1, instance_id="i") == "FENCED_INSTANCE_ID"
    assert room.refused("a", -2, instance_id="i") == "FENCED_INSTANCE_ID"
    assert room.refused("a", 2) == "UNKNOWN_MEMBER_ID"
    assert room.refused("a", 2, instance_id="j") == "UNKNOWN_MEMBER_ID"


def test_a_static_member_that_leaves_for_good_leaves_at_once(room: ConsumerRoom) -> None:
    room.join("a", instance_id="i")
    room.leave("a", -1, instance_id="i")
    assert room.state() == "Empty"


def test_what_a_static_member_was_letting_go_is_free_when_it_leaves(room: ConsumerRoom) -> None:
    room.join("a", instance_id="i")
    room.join("b")
    room.heartbeat("a", 2, instance_id="i")
    assert room.heartbeat("b", 3).assigned is None
    room.leave("a", -2, instance_id="i")
    assert room.written(room.heartbeat("b", 3).assigned) == "orders:3,4,5"
    room.pass_ms(SESSION_MS - 1)
    assert "a" in room.group().members, "it is not asked to let go any more"


def test_a_static_member_comes_back_with_another_subscription(room: ConsumerRoom) -> None:
    room.topic("payments", 1)
    room.join("a", instance_id="i")
    room.leave("a", -2, instance_id="i")
    back = room.join("a2", "payments", instance_id="i")
    assert (back.member_epoch, room.written(back.assigned)) == (3, "payments:0")
