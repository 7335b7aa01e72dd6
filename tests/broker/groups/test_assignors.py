"""The assignors of the broker."""

from collections.abc import Mapping
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.broker.groups.assignors import ASSIGNORS, NO_PARTITIONS, Subscriber, Target, TopicSize

IDS = {name: UUID(int=index) for index, name in enumerate("pqrs", 1)}


def topics(**sizes: int) -> dict[UUID, TopicSize]:
    return {IDS[name]: TopicSize(name, size) for name, size in sizes.items()}


def member(name: str, subscribed: str = "p", had: str = "", instance: str | None = None) -> Subscriber:
    owned = frozenset((IDS[one[0]], int(one[1:])) for one in had.split())
    return Subscriber(name, instance, frozenset(IDS[one] for one in subscribed), owned)


def written(target: Target) -> dict[str, str]:
    names = {topic_id: name for name, topic_id in IDS.items()}
    return {
        who: " ".join(f"{name}{partition}" for name, partition in sorted((names[one], two) for one, two in partitions))
        for who, partitions in target.items()
    }


def test_range_gives_runs_with_static_members_first() -> None:
    members = [member("d", "pq"), member("a"), member("b", instance="z"), member("c", instance="a")]
    target = ASSIGNORS["range"](members, topics(p=6, q=3))
    assert written(target) == {"c": "p0 p1", "b": "p2 p3", "a": "p4", "d": "p5 q0 q1 q2"}


def test_range_gives_the_same_numbers_of_each_topic_to_the_same_member() -> None:
    target = ASSIGNORS["range"]([member("a", "pq"), member("b", "pq")], topics(p=3, q=3))
    assert written(target) == {"a": "p0 p1 q0 q1", "b": "p2 q2"}


def test_uniform_moves_no_more_than_a_new_member_needs() -> None:
    members = [member("a", had="p0 p1 p2"), member("b", had="p3 p4 p5"), member("c")]
    assert written(ASSIGNORS["uniform"](members, topics(p=6))) == {"a": "p0 p1", "b": "p3 p4", "c": "p2 p5"}


def test_uniform_gives_what_a_member_left_to_those_with_least() -> None:
    members = [member("a", had="p0 p1"), member("b", had="p2")]
    assert written(ASSIGNORS["uniform"](members, topics(p=5))) == {"a": "p0 p1 p4", "b": "p2 p3"}


def test_uniform_evens_out_over_a_chain_of_subscriptions() -> None:
    members = [member("a", "p", "p0 p1 p2 p3"), member("b", "pq", "p4 p5 q0"), member("c", "q", "q1 q2")]
    assert sorted(len(one) for one in ASSIGNORS["uniform"](members, topics(p=6, q=3)).values()) == [3, 3, 3]


@pytest.mark.parametrize("name", sorted(ASSIGNORS))
def test_who_subscribes_to_nothing_gets_nothing(name: str) -> None:
    assert ASSIGNORS[name]([member("a", "")], topics(p=2)) == {"a": NO_PARTITIONS}
    assert ASSIGNORS[name]([], {}) == {}


GROUPS = st.lists(st.sets(st.sampled_from("pqrs")), min_size=1, max_size=7)
SIZES = st.fixed_dictionaries({name: st.integers(0, 9) for name in "pqrs"})


@pytest.mark.parametrize("name", sorted(ASSIGNORS))
@given(subscriptions=GROUPS, sizes=SIZES, later=GROUPS)
def test_every_partition_has_one_owner_that_subscribes_to_it(
    name: str, subscriptions: list[set[str]], sizes: dict[str, int], later: list[set[str]]
) -> None:
    target: Mapping[str, frozenset[tuple[UUID, int]]] = {}
    for wanted in (subscriptions, later):
        members = [
            Subscriber(
                f"m{index}", None, frozenset(IDS[one] for one in one_member), target.get(f"m{index}", frozenset())
            )
            for index, one_member in enumerate(wanted)
        ]
        target = ASSIGNORS[name](members, topics(**sizes))
        given_out = sorted(place for partitions in target.values() for place in partitions)
        read = {topic_id for one in members for topic_id in one.topics}
        assert given_out == sorted((IDS[one], n) for one in sizes if IDS[one] in read for n in range(sizes[one]))
        assert all({place[0] for place in target[one.member_id]} <= one.topics for one in members)
        if name == "uniform":
            assert_nothing_can_be_evened_out(members, target)


def assert_nothing_can_be_evened_out(
    members: list[Subscriber], target: Target | Mapping[str, frozenset[tuple[UUID, int]]]
) -> None:
    for giver in members:
        for taker in members:
            if any(topic_id in taker.topics for topic_id, _ in target[giver.member_id]):
                assert len(target[giver.member_id]) - len(target[taker.member_id]) <= 1


@given(partitions=st.integers(0, 40), before=st.integers(1, 8), after=st.integers(1, 8))
def test_uniform_keeps_what_it_can(partitions: int, before: int, after: int) -> None:
    sizes = topics(p=partitions)
    old = ASSIGNORS["uniform"]([member(f"m{index}") for index in range(before)], sizes)
    members = [
        Subscriber(f"m{index}", None, frozenset({IDS["p"]}), old.get(f"m{index}", NO_PARTITIONS))
        for index in range(after)
    ]
    new = ASSIGNORS["uniform"](members, sizes)
    moved = sum(len(new[one] - old[one]) for one in new if one in old)
    gained = max(0, partitions // after + 1 - partitions // before) * before
    assert moved <= (gained if after < before else before)
