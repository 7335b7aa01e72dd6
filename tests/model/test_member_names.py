"""Names of members: the same on every page and in every log."""

import pytest

from sandbox.model.groups import member_name, member_names

UUID_ONE, UUID_TWO = "a27b16c0-feb1-4a88-a81b-b3a218cc5433", "3a699b4f-0aa5-4c22-9d55-29f2ba1389bd"


@pytest.mark.parametrize(
    ("member_id", "client_id", "instance_id", "alone", "name"),
    [
        (f"app-{UUID_ONE}", "app", None, True, "app"),
        (f"app-{UUID_ONE}", "app", None, False, "app-a27b16c0"),
        (f"app-{UUID_ONE}", "app", "worker-1", False, "worker-1"),
        (f"worker-1-{UUID_ONE}", "app", None, False, "worker-1"),
        ("Zt5bYl8wQ9iX0f1CnmVTLA", "app", None, False, "app-Zt5bYl8w"),
        ("Zt5bYl8wQ9iX0f1CnmVTLA", "app", None, True, "app"),
        ("Zt5bYl8wQ9iX0f1CnmVTLA", "", None, True, "Zt5bYl8wQ9iX0f1CnmVTLA"),
        ("app", "app", None, False, "app-app"),
    ],
)
def test_a_member_has_the_shortest_name_that_is_found_in_its_log(
    member_id: str, client_id: str, instance_id: str | None, alone: bool, name: str
) -> None:
    assert member_name(member_id, client_id, instance_id, alone=alone) == name


def test_members_with_one_client_id_are_told_apart_and_others_keep_theirs() -> None:
    ids = f"app-{UUID_ONE}", f"app-{UUID_TWO}", f"other-{UUID_ONE}"
    members = [(ids[0], "app", None), (ids[1], "app", None), (ids[2], "other", None)]
    assert list(member_names(members).values()) == ["app-a27b16c0", "app-3a699b4f", "other"]
    assert member_names([members[2]], {"other": 1}) == {ids[2]: f"other-{UUID_ONE[:8]}"}
    assert member_names([(ids[0], "app", "i-1"), members[1]])[ids[0]] == "i-1"
