"""Resetting groups: the preview, what is done, and what is refused."""

from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.calls import JoinGroup
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from tests.clock import START_MS


def filled(box: Sandbox) -> None:
    """Ten events in each of two partitions, one second apart; the group is at 4 and 6."""
    box.create_topic("orders", partitions=2)
    for partition in (0, 1):
        stamps = [START_MS + 1_000 * number for number in range(10)]
        box.append_many("orders", [NewEvent(b"x", None, (), stamp, partition) for stamp in stamps])
    box.commit("app", "orders", 0, 4)
    box.commit("app", "orders", 1, 6)


@pytest.mark.parametrize(
    ("to", "after"),
    [
        ("earliest", [0, 0]),
        ("latest", [10, 10]),
        ("offset:3", [3, 3]),
        ("offset:99", [10, 10]),
        (f"time:{START_MS + 7_500}", [8, 8]),
        (f"time:{START_MS + 99_999}", [10, 10]),
        ("shift:+2", [6, 8]),
        ("shift:-5", [0, 1]),
        ("shift:+99", [10, 10]),
        ("group:other", [9, None]),
    ],
)
def test_a_reset_does_what_its_preview_says(box: Sandbox, to: str, after: list[int | None]) -> None:
    filled(box)
    box.commit("other", "orders", 0, 9)
    preview = box.preview_reset("app", to=to)
    assert [one.committed for one in box.lag("app")] == [4, 6]
    assert box.reset("app", to=to) == preview
    wanted = [new if new is not None else old for new, old in zip(after, (4, 6), strict=True)]
    assert [one.committed for one in box.lag("app")] == wanted
    for line in preview:
        before = (4, 6)[line.partition]
        assert (line.before, line.after, line.lag_after) == (before, wanted[line.partition], 10 - line.after)
        assert line.skipped - line.repeated == line.after - before
        assert min(line.skipped, line.repeated) == 0


def test_a_reset_of_one_partition_leaves_the_others(box: Sandbox) -> None:
    filled(box)
    box.reset("app", topic="orders", partition=1, to="earliest")
    assert [one.committed for one in box.lag("app")] == [4, 0]


def test_a_reset_makes_a_group_where_a_topic_is_named(box: Sandbox) -> None:
    filled(box)
    box.reset("new", topic="orders", to="latest")
    assert [one.committed for one in box.lag("new")] == [10, 10]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"to": "nowhere"}, "INVALID_REQUEST"),
        ({"to": "offset:-1"}, "INVALID_REQUEST"),
        ({"to": "offset:x"}, "INVALID_REQUEST"),
        ({"to": "earliest:1"}, "INVALID_REQUEST"),
        ({"to": "shift:"}, "INVALID_REQUEST"),
        ({"to": f"time:{2**70}"}, "INVALID_REQUEST"),
        ({"to": "group:nobody"}, "GROUP_ID_NOT_FOUND"),
        ({"to": "earliest", "topic": "nowhere"}, "UNKNOWN_TOPIC_OR_PARTITION"),
        ({"to": "earliest", "topic": "orders", "partition": 7}, "UNKNOWN_TOPIC_OR_PARTITION"),
    ],
)
def test_a_reset_that_makes_no_sense_is_refused(box: Sandbox, arguments: dict[str, Any], error: str) -> None:
    filled(box)
    for call in (box.preview_reset, box.reset):
        with pytest.raises(BrokerError) as refused:
            call("app", **arguments)
        assert refused.value.error.name == error
    assert [one.committed for one in box.lag("app")] == [4, 6]


def test_a_group_with_members_is_not_reset(box: Sandbox) -> None:
    filled(box)
    protocols = (("range", b"\0\0\0\0\0\1\0\6orders\xff\xff\xff\xff"),)
    request = JoinGroup("app", "", None, "one", "/127.0.0.1", 6_000, 60_000, "consumer", protocols, None, False, False)
    box._runtime.call(lambda now_ms: box._runtime.coordinator.join(request, now_ms))
    for call in (lambda: box.reset("app", to="earliest"), lambda: box.commit("app", "orders", 0, 1)):
        with pytest.raises(BrokerError, match="has members") as refused:
            call()
        assert refused.value.error.name == "NON_EMPTY_GROUP"
    with pytest.raises(BrokerError) as refused:
        box.delete_group("app")
    assert refused.value.error.name == "NON_EMPTY_GROUP"


def test_a_deleted_group_is_gone_with_its_offsets(box: Sandbox) -> None:
    filled(box)
    box.delete_group("app")
    assert box.groups() == ()
    assert box.topic("orders").groups == ()


def test_offsets_committed_in_a_deleted_topic_are_gone(box: Sandbox) -> None:
    filled(box)
    box.delete_topic("orders")
    box.create_topic("orders", partitions=2)
    assert all(group.partitions == () for group in box.groups())


def test_a_reset_is_taken_back_in_one_go(box: Sandbox) -> None:
    filled(box)
    box.commit("app", "orders", 0, 5)
    box.reset("app", to="latest")
    assert [line.after for line in box.preview_reset("app", to="back")] == [5, 6]
    box.reset("app", to="back")
    assert [one.committed for one in box.lag("app")] == [5, 6]
    box.reset("app", to="back")
    assert [one.committed for one in box.lag("app")] == [10, 10]


def test_a_group_that_was_never_reset_has_nothing_to_go_back_to(box: Sandbox) -> None:
    filled(box)
    for call in (box.preview_reset, box.reset):
        with pytest.raises(BrokerError, match="no reset to go back from"):
            call("app", to="back")


def test_a_copy_of_another_group_takes_its_topics_too(box: Sandbox) -> None:
    filled(box)
    box.append("payments", "x", partition=0)
    box.commit("other", "payments", 0, 1)
    box.commit("other", "orders", 1, 9)
    box.reset("app", to="group:other")
    assert {(one.topic, one.partition): one.committed for one in box.lag("app")} == {
        ("orders", 0): 4,
        ("orders", 1): 9,
        ("payments", 0): 1,
    }


def test_the_offsets_of_one_topic_are_forgotten_and_the_others_stay(box: Sandbox) -> None:
    filled(box)
    box.append("payments", "x", partition=0)
    box.commit("app", "payments", 0, 1)
    assert box.delete_offsets("app", "orders") == 2
    assert [(one.topic, one.committed) for one in box.lag("app")] == [("payments", 1)]
    assert box.delete_offsets("app", "nowhere") == 0


def test_offsets_in_a_topic_that_a_member_reads_are_kept(box: Sandbox) -> None:
    filled(box)
    protocols = (("range", b"\0\0\0\0\0\1\0\6orders\xff\xff\xff\xff"),)
    request = JoinGroup("app", "", None, "one", "/127.0.0.1", 6_000, 60_000, "consumer", protocols, None, False, False)
    box._runtime.call(lambda now_ms: box._runtime.coordinator.join(request, now_ms))
    with pytest.raises(BrokerError) as refused:
        box.delete_offsets("app", "orders")
    assert refused.value.error.name == "GROUP_SUBSCRIBED_TO_TOPIC"
    assert [one.committed for one in box.lag("app")] == [4, 6]
