"""Names and values that are markup are text on every page, and in the live part that open pages get."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from markupsafe import escape

from sandbox.api.sandbox import Sandbox
from sandbox.web.app import create_app
from sandbox.web.live import render_view
from tests.web.hostile_names import HOSTILE, SLASHLESS, SNAPSHOT, TOPIC, addresses, filled, markup

FIELDS = (
    "q",
    "id",
    "group",
    "key",
    "value",
    "said",
    "error",
    "name",
    "note",
    "template",
    "client_id",
    "about",
    "header",
)
SHOWN = (
    "/groups",
    "/cluster",
    "/activity",
    "/topics/orders/messages",
    f"/snapshots/{SNAPSHOT}",
    "/snapshots",
    "/produce/generators?topic=orders",
)
"""Pages that show such a name without being asked for it."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with Sandbox(tmp_path_factory.mktemp("names") / "dev.db") as box:
        box.serve(kafka_port=0, web_port=None)
        with filled(box):
            yield create_app(box)


def test_no_page_has_markup_of_a_name(app: Flask) -> None:
    page = app.test_client()
    found: list[str] = []
    seen = 0
    for address in addresses(app):
        path = address.replace("<group>", SLASHLESS).replace("<name>", SNAPSHOT)
        for query, headers in (
            ({"id": HOSTILE}, {}),
            (dict.fromkeys(FIELDS, HOSTILE), {"HX-Request": "true"}),
            (dict.fromkeys(FIELDS, SLASHLESS), {}),
        ):
            answer = page.get(path, query_string=query, headers=headers)
            assert answer.status_code < 500, (path, query)
            if answer.mimetype == "text/html":
                seen += 1
                found += [f"{path}: {one}" for one in markup(answer.text)]
            else:
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
            answer.close()
    assert seen > 100
    assert found == []


@pytest.mark.parametrize("address", SHOWN)
def test_the_names_are_shown_as_text(app: Flask, address: str) -> None:
    text = app.test_client().get(address).text
    assert str(escape(HOSTILE))[:40] in text or str(escape(HOSTILE[1:]))[:30] in text


def test_the_live_part_is_no_different(app: Flask) -> None:
    for address in ("/groups", f"/topics/{TOPIC}/messages", "/activity", "/cluster"):
        assert markup(render_view(app, address).html) == [], address


def test_names_in_sql_are_text(app: Flask) -> None:
    page = app.test_client()
    alias = HOSTILE.replace('"', '""')
    for columns in (f'key, 1 AS "{alias}"', f'key, value, headers, 2 AS "{alias}"'):
        for shape in ("", "chart"):
            text = page.get("/sql", query_string={"q": f"SELECT {columns} FROM orders", "as": shape}).text
            assert str(escape(HOSTILE))[:40] in text
            assert markup(text) == []


def test_what_is_downloaded_is_not_opened_as_a_page(app: Flask, tmp_path: Path) -> None:
    page = app.test_client()
    for address in (
        f"/topics/{TOPIC}/0/0/value",
        f"/topics/{TOPIC}/0/0/key",
        f"/topics/{TOPIC}/messages.csv",
        "/groups.csv",
    ):
        answer = page.get(address)
        assert answer.status_code == 200
        assert answer.mimetype != "text/html"
        assert answer.headers["Content-Disposition"].startswith("attachment"), address
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_check_itself_finds_markup() -> None:
    for bad in (HOSTILE, '<p onclick="x">', '<a href="javascript:alert(1)">', "<p style=x>", "<base href=/>"):
        assert markup(bad), bad
    assert markup('<p title="&lt;script&gt;">&lt;img src=x&gt;</p><script src="/static/app.js"></script>') == []
