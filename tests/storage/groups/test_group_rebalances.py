"""The rebalance log: who came and left, and which partitions changed hands."""

import json

from sandbox.api.sandbox import Sandbox
from sandbox.model.group_history import Handover, RebalanceStep
from sandbox.storage.groups.group_history import list_rebalances


def rebalanced(box: Sandbox, **members: str) -> None:
    """One more rebalance; a member "m1" that has "orders-0 orders-1". Its client id is "app", or what "m1__x" names."""
    assignment = {
        name.partition("__")[0]: {"client_id": name.partition("__")[2] or "app", "partitions": partitions.split()}
        for name, partitions in members.items()
    }
    (generation,) = box._database.query("SELECT count(*) + 1 FROM rebalances")[0]
    box._database.execute(
        "INSERT INTO rebalances(group_id, generation, started_ms, ended_ms, details, members, assignment) "
        "VALUES('g', ?, ?, ?, '{}', ?, ?)",
        (generation, 1_000 * generation, 1_000 * generation + 40, len(members), json.dumps(assignment)),
    )
    box._database.commit()


def newest(box: Sandbox) -> RebalanceStep:
    return box.group_history.rebalances("g").steps[0]


def test_a_member_that_joins_takes_partitions_from_another(box: Sandbox) -> None:
    rebalanced(box, m1__a="orders-0 orders-1 orders-2")
    rebalanced(box, m1__a="orders-0 orders-1", m2__b="orders-2")
    step = newest(box)
    assert (step.joined, step.left, step.kept, step.members) == (("b",), (), 2, 2)
    assert step.moves == (Handover("orders-2", "a", "b"),)
    assert step.ended_ms - step.started_ms == 40


def test_a_member_that_leaves_gives_up_what_others_get(box: Sandbox) -> None:
    rebalanced(box, m1__a="orders-0", m2__b="orders-10 orders-9")
    rebalanced(box, m1__a="orders-0 orders-9 orders-10")
    step = newest(box)
    assert (step.joined, step.left) == ((), ("b",))
    assert step.moves == (Handover("orders-9", "b", "a"), Handover("orders-10", "b", "a"))


def test_what_the_last_member_had_is_nobodys(box: Sandbox) -> None:
    rebalanced(box, m1__a="orders-0")
    rebalanced(box)
    assert newest(box).moves == (Handover("orders-0", "a", None),)


def test_the_first_rebalance_is_compared_with_nothing(box: Sandbox) -> None:
    rebalanced(box, m1__a="orders-0")
    step = newest(box)
    assert (step.compared, step.joined, step.moves) == (False, ("a",), (Handover("orders-0", None, "a"),))


def test_members_with_one_client_id_are_told_apart(box: Sandbox) -> None:
    rebalanced(box, first_member_111111="orders-0", other_member_222222="orders-1")
    rebalanced(box, first_member_111111="orders-0 orders-1")
    assert newest(box).left == ("app-other_me",)
    with box._database.reader() as reader:
        names = [set(one.assignment) for one in list_rebalances(reader, "g", 5)]
    assert names == [{"app"}, {"app-first_me", "app-other_me"}]


def test_rebalances_are_paged_newest_first_and_each_knows_the_one_before_its_page(box: Sandbox) -> None:
    for number in range(5):
        rebalanced(box, **{f"m{number}__c{number}": "orders-0"})
    first = box.group_history.rebalances("g", limit=2)
    assert [step.generation for step in first.steps] == [5, 4]
    assert first.steps[1].moves == (Handover("orders-0", "c2", "c3"),)
    second = box.group_history.rebalances("g", before=first.older, limit=2)
    third = box.group_history.rebalances("g", before=second.older, limit=2)
    assert [step.generation for step in (*second.steps, *third.steps)] == [3, 2, 1]
    assert third.older is None
