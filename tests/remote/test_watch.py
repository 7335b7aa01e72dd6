"""Differences between two polls of a cluster."""

import pytest

from sandbox.remote.watch import ClusterState, changes

BEFORE = ClusterState(shape=1, topics={"a": 1, "b": 1}, commits={"g": 1}, groups={"g": 1})


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (BEFORE, []),
        (
            ClusterState(shape=2, topics=BEFORE.topics, commits=BEFORE.commits, groups=BEFORE.groups),
            [("cluster", (), ())],
        ),
        (ClusterState(shape=1, topics={"a": 2, "b": 1}, commits={"g": 1}, groups={"g": 1}), [("events", ("a",), ())]),
        (ClusterState(shape=1, topics={"a": 1}, commits={"g": 1}, groups={"g": 1}), [("topics", ("b",), ())]),
        (ClusterState(shape=1, topics=BEFORE.topics, commits={"g": 2}, groups={"g": 1}), [("commit", (), ("g",))]),
        (
            ClusterState(shape=1, topics=BEFORE.topics, commits={"g": 1}, groups={"g": 1, "h": 1}),
            [("group", (), ("h",))],
        ),
        (ClusterState(away="gone"), [("cluster", (), ())]),
    ],
)
def test_what_is_different_is_told(
    after: ClusterState, told: list[tuple[str, tuple[str, ...], tuple[str, ...]]]
) -> None:
    found = [(one.kind, tuple(one.topics), tuple(one.groups)) for one in changes(BEFORE, after, 0)]
    assert found == told
