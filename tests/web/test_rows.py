"""A list that is drawn anew takes the rows that did not change from memory. Rows and queries are counted, no clock."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.storage.file.database import Reader
from sandbox.web.app import create_app
from sandbox.web.live import render_view
from tests.clock import Clock

TOPICS = 12
QUIET_MS = 180_000
LISTS = ("/", "/topics/topic-0", "/groups", "/activity", "/cluster")
VIEWS = (*LISTS, "/topics/topic-0/messages")


@pytest.fixture
def box(clock: Clock, tmp_path: Any) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "page.db", clock=clock) as sandbox:
        for number in range(TOPICS):
            sandbox.create_topic(f"topic-{number}", partitions=2)
            sandbox.append_many(f"topic-{number}", [NewEvent(b"x")] * 10)
            sandbox.commit(f"group-{number}", f"topic-{number}", 0, 1)
        clock.pass_ms(QUIET_MS)
        yield sandbox


def drawn(app: Flask, view: str) -> int:
    """How many rows a rendering draws."""
    rows = app.extensions["rows"]
    before = rows.made
    assert render_view(app, view).html
    return int(rows.made) - int(before)


@pytest.mark.parametrize("view", VIEWS)
def test_a_list_that_did_not_change_draws_no_row(app: Flask, box: Sandbox, clock: Clock, view: str) -> None:
    assert drawn(app, view) > 0
    clock.pass_ms(50)
    assert drawn(app, view) == 0


@pytest.mark.parametrize(
    ("view", "rows"),
    [
        ("/", 1),
        ("/topics/topic-0", 3),
        ("/topics/topic-0/messages", 1),
        ("/groups", 1),
        ("/activity", 2),
        ("/cluster", 1),
    ],
)
def test_an_event_draws_no_more_rows_than_it_changes(app: Flask, box: Sandbox, view: str, rows: int) -> None:
    drawn(app, view)
    box.append("topic-0", "one more", partition=1)
    assert drawn(app, view) <= rows


def test_the_row_of_a_large_event_is_not_kept_with_it(app: Flask, box: Sandbox) -> None:
    view = "/topics/topic-0/messages"
    drawn(app, view)
    box.append("topic-0", b"v" * 900_000)
    assert drawn(app, view) == 1
    assert drawn(app, view) == 1
    box.append("topic-0", "small")
    assert drawn(app, view) == 2


def test_nothing_stands_between_the_cells_of_a_row(app: Flask, box: Sandbox) -> None:
    box.append("topic-0", "a  value", key="a key", headers=(("h", b"1"),))
    for view in VIEWS:
        row = re.findall("<tr.*?</tr>", app.test_client().get(view).text, re.S)[-1]
        assert not re.search(r"\s<(td|th|/tr)", row), row


def test_rows_from_memory_are_those_of_a_page_that_was_never_seen(app: Flask, box: Sandbox, clock: Clock) -> None:
    def rows(page: FlaskClient, view: str) -> list[str]:
        return re.findall("<tr.*?</tr>", page.get(view).text, re.S)

    changes: tuple[Callable[[], object], ...] = (
        lambda: box.append("topic-0", "one more", partition=1),
        lambda: box.commit("group-1", "topic-1", 0, 5),
        lambda: box.alter_topic("topic-2", {"retention.ms": "60000"}),
        lambda: box.delete_group("group-3"),
        lambda: box.delete_topic("topic-4"),
        lambda: box.create_partitions("topic-5", 3),
        lambda: clock.pass_ms(70_000),
    )
    for change in changes:
        change()
        clock.pass_ms(1_000)
        for view in VIEWS:
            assert rows(app.test_client(), view) == rows(create_app(box).test_client(), view), view


@pytest.mark.parametrize("view", LISTS)
def test_a_rendering_asks_no_more_for_a_longer_list(
    app: Flask, box: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    asked: Counter[str] = Counter()

    def note(name: str) -> None:
        real = getattr(Reader, name)

        def asking(self: Reader, sql: str, parameters: Any = ()) -> Any:
            asked[sql] += 1
            return real(self, sql, parameters)

        monkeypatch.setattr(Reader, name, asking)

    def queries() -> int:
        for _ in range(2):
            box.append("topic-0", "one more", partition=1)
            asked.clear()
            render_view(app, view)
        return sum(asked.values())

    for name in ("query", "rows", "one"):
        note(name)
    few = queries()
    for number in range(TOPICS, 3 * TOPICS):
        box.create_topic(f"topic-{number}", partitions=2)
        box.append(f"topic-{number}", "x")
        box.commit(f"group-{number}", f"topic-{number}", 0, 1)
    clock.pass_ms(QUIET_MS)
    assert queries() <= few, asked
