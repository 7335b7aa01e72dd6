"""What two looks at a cluster have different."""

import pytest

from sandbox.remote.watch import Look, changes

BEFORE = Look(shape=1, topics={"a": 1, "b": 1}, commits={"g": 1}, groups={"g": 1})


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (BEFORE, []),
        (Look(shape=2, topics=BEFORE.topics, commits=BEFORE.commits, groups=BEFORE.groups), [("cluster", (), ())]),
        (Look(shape=1, topics={"a": 2, "b": 1}, commits={"g": 1}, groups={"g": 1}), [("events", ("a",), ())]),
        (Look(shape=1, topics={"a": 1}, commits={"g": 1}, groups={"g": 1}), [("topics", ("b",), ())]),
        (Look(shape=1, topics=BEFORE.topics, commits={"g": 2}, groups={"g": 1}), [("commit", (), ("g",))]),
        (Look(shape=1, topics=BEFORE.topics, commits={"g": 1}, groups={"g": 1, "h": 1}), [("group", (), ("h",))]),
        (Look(away="gone"), [("cluster", (), ())]),
    ],
)
def test_what_is_different_is_told(after: Look, told: list[tuple[str, tuple[str, ...], tuple[str, ...]]]) -> None:
    found = [(one.kind, tuple(one.topics), tuple(one.groups)) for one in changes(BEFORE, after, 0)]
    assert found == told
