"""The table of states."""

from itertools import product

import pytest

from sandbox.broker.groups.classic_group import MOVES, Group, GroupEvent, ImpossibleMove, Member, State

IMPOSSIBLE = [pair for pair in product(State, GroupEvent) if pair not in MOVES]


@pytest.mark.parametrize(("state", "move"), IMPOSSIBLE)
def test_a_move_that_is_not_in_the_table_is_an_error(state: State, move: GroupEvent) -> None:
    group = Group("app", 0, state=state)
    with pytest.raises(ImpossibleMove, match=f"app is {state}"):
        group.move(move, 1)
    assert (group.state, group.since_ms, group.changed) == (state, 0, False)


@pytest.mark.parametrize(("state", "move"), list(MOVES))
def test_a_move_of_the_table_changes_the_state_and_the_moment(state: State, move: GroupEvent) -> None:
    group = Group("app", 0, state=state)
    group.move(move, 7)
    assert (group.state, group.since_ms, group.changed) == (MOVES[state, move], 7, True)


def test_every_state_but_dead_can_be_left_and_every_state_can_be_reached() -> None:
    assert {state for state, _ in MOVES} == set(State) - {State.DEAD}
    assert set(MOVES.values()) == set(State)


def member(member_id: str, client_id: str = "app", instance_id: str | None = None, speaks: str = "range") -> Member:
    protocols = tuple((name, b"") for name in speaks.split())
    return Member(member_id, instance_id, client_id, "/127.0.0.1", 6_000, 60_000, protocols, expires_ms=6_000)


def test_members_vote_for_the_first_of_their_protocols_that_all_speak() -> None:
    group = Group("app", 0)
    for name, speaks in (("a", "sticky range roundrobin"), ("b", "roundrobin range"), ("c", "roundrobin range")):
        group.add(member(name, speaks=speaks), "consumer")
    assert group.shared_protocols() == {"range", "roundrobin"}
    assert group.vote() == "roundrobin"


def test_the_first_member_leads_and_the_next_one_follows_it() -> None:
    group = Group("app", 0)
    for name in ("a", "b", "c"):
        group.add(member(name), "consumer")
    assert group.leader == "a"
    group.remove("a")
    assert group.leader == "b"
    group.remove("b")
    group.remove("c")
    assert group.leader is None


def test_a_member_is_called_by_the_shortest_name_that_tells_it_apart() -> None:
    group = Group("app", 0)
    alone, twin, static = member("web-1234567890", "web"), member("app-abcdefghijkl", "app"), member("x", "y", "i-1")
    for one in (alone, twin, static, member("app-zzzzzzzzzzzz", "app")):
        group.add(one, "consumer")
    assert [group.name_of(one) for one in (alone, twin, static)] == ["web", "app-abcdefgh", "i-1"]
