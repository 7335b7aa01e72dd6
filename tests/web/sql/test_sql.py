"""SQL: the page, its fields, its result as table, chart, JSON and CSV, and what it refuses."""

import re
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from tests.web.hostile import BIG_INTEGER, SCRIPT


def ask(query: str, **more: object) -> str:
    return "/sql?" + urlencode({"q": query, **{name.replace("as_", "as"): value for name, value in more.items()}})


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=2)
    for n in range(12):
        box.append("orders", f'{{"id": {n}, "user": "u{n % 3}"}}', key=f"k{n % 4}", partition=n % 2)
    box.commit("billing", "orders", 0, 1)
    return box


def test_the_first_page_teaches_and_its_examples_run(page: FlaskClient, orders: Sandbox) -> None:
    html = page.get("/sql").text
    assert "Query the file" in html
    links = re.findall(r'<li><a class="row" href="([^"]+)"', html)
    assert len(links) == 6
    for link in links:
        answer = page.get(link.replace("&amp;", "&"))
        assert answer.status_code == 200, link
        assert 'class="refusal"' not in answer.text
        assert re.search(r"<b>\d+ rows?</b> in ", answer.text) or "Fill in" in answer.text


def test_a_file_without_topics_has_examples_that_run_too(page: FlaskClient) -> None:
    links = re.findall(r'<li><a class="row" href="([^"]+)"', page.get("/sql").text)
    assert len(links) == 3
    assert all(page.get(link.replace("&amp;", "&")).status_code == 200 for link in links)


def test_what_there_is_stands_beside_the_query(page: FlaskClient, orders: Sandbox) -> None:
    html = page.get("/sql").text
    assert 'data-insert="orders"' in html
    assert 'data-insert="user"' in html
    assert 'data-insert="messages"' in html
    assert "scram" not in html
    assert 'data-insert="user"' in page.get("/sql/columns?about=orders").text


def test_rows_link_to_their_events(page: FlaskClient, orders: Sandbox) -> None:
    html = page.get(ask("SELECT partition, offset, user FROM orders ORDER BY offset DESC LIMIT 1")).text
    (link,) = re.findall(r'href="(/topics/orders/\d/\d)" title="Open this event">5<', html)
    assert page.get(link).status_code == 200
    html = page.get(ask("SELECT topic, partition, offset FROM messages LIMIT 1")).text
    assert 'href="/topics/orders/0/0" title="Open this event">0<' in html
    assert "Open this event" not in page.get(ask("SELECT user FROM orders LIMIT 1")).text


def test_parameters_become_fields(page: FlaskClient, orders: Sandbox) -> None:
    query = "SELECT count(*) AS n FROM orders WHERE key = :key AND id >= :least"
    unfilled = page.get(ask(query)).text
    assert 'name="p_key"' in unfilled
    assert 'name="p_least"' in unfilled
    assert "Fill in" in unfilled
    assert '<td class="num"><bdi>2</bdi>' in page.get(ask(query, p_key="k1", p_least="4")).text
    assert page.get(ask("SELECT :v IS NULL AS n", p_v="").replace("/sql?", "/sql.json?")).get_json()["rows"] == [[1]]
    assert page.get("/sql.json?" + urlencode({"q": "SELECT :v"})).status_code == 400


def test_values_are_told_apart_and_exact(page: FlaskClient, box: Sandbox) -> None:
    box.append("t", BIG_INTEGER)
    query = "SELECT 9007199254740993 AS big, NULL AS n, '' AS e, x'00ff' AS b, 9e999 AS inf, value FROM t"
    html = page.get(ask(query)).text
    assert "<bdi>9007199254740993</bdi>" in html
    assert '<span class="kind">NULL</span>' in html
    assert '<span class="kind">empty</span>' in html
    assert "<code>00 ff</code> <small>2 B</small>" in html
    data = page.get(ask(query).replace("/sql?", "/sql.json?")).get_json()
    assert data["rows"] == [[9007199254740993, None, "", {"base64": "AP8="}, "inf", BIG_INTEGER.decode()]]
    csv = page.get(ask(query).replace("/sql?", "/sql.csv?")).text.splitlines()
    assert csv[0] == 'big,n,e,b,"inf",value,b_encoding'
    assert csv[1].startswith('9007199254740993,,"",AP8=,inf,')
    assert csv[1].endswith(",base64")


def test_a_long_value_is_cut_and_can_be_had_whole(page: FlaskClient, box: Sandbox) -> None:
    box.append("t", "x" * 5_000)
    html = page.get(ask("SELECT value FROM t")).text
    assert "x" * 401 not in html
    (link,) = re.findall(r'href="(/sql/cell[^"]+)"', html)
    whole = page.get(link.replace("&amp;", "&"))
    assert whole.text == "x" * 5_000
    assert whole.content_type.startswith("text/plain")
    assert page.get("/sql/cell?" + urlencode({"q": "SELECT 1 WHERE 0"})).status_code == 404


def test_a_mistake_is_shown_with_its_place(page: FlaskClient, orders: Sandbox) -> None:
    answer = page.get(ask("SELECT *\nFORM orders"))
    assert answer.status_code == 400
    assert "line 2, column 1: <code><mark>F</mark>ORM orders</code>" in answer.text
    assert 'data-position="9"' in answer.text
    assert page.get(ask("SELECT nix FROM orders").replace("/sql?", "/sql.json?")).get_json()["position"] == 7


@pytest.mark.parametrize("query", ["DELETE FROM events", "PRAGMA query_only=0", "SELECT * FROM scram_credentials"])
def test_nothing_can_be_changed_or_learnt_that_is_secret(page: FlaskClient, orders: Sandbox, query: str) -> None:
    for path in ("/sql", "/sql.json", "/sql.csv", "/sql/cell"):
        assert page.get(f"{path}?{urlencode({'q': query})}").status_code == 400
    assert orders.topic("orders").events == 12


def test_a_query_that_takes_long_can_be_given_more_time(page: FlaskClient) -> None:
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
    html = page.get(ask(endless, limit_s="0.1")).text
    assert "It was stopped after 0.1 s" in html
    assert re.search(r'id="extend" href="[^"]*limit_s=30', html)
    assert page.get(ask("SELECT 1", limit_s="nan")).status_code == 200


def test_an_open_tab_does_not_run_the_query_again(page: FlaskClient, orders: Sandbox) -> None:
    live = page.get(ask("SELECT nix FROM orders"), headers={"X-Live": "1"})
    assert live.status_code == 200
    assert "nix" not in live.text


def test_names_and_values_are_never_markup(page: FlaskClient, box: Sandbox) -> None:
    box.append("t", SCRIPT, key=SCRIPT)
    box.append("t", b'{"<b>x</b>": "<img src=x onerror=alert(1)>"}')
    for query in ("SELECT * FROM t", "SELECT '<b>' AS \"<i>\"", "SELECT <script>", "<b>"):
        for view in ("table", "chart"):
            html = page.get("/sql?" + urlencode({"q": query, "as": view, "about": "<u>"})).text
            assert not re.search(r"<(script>|img src|b>x|i>|u>)", html.replace("<i aria", ""))


def test_a_chart_draws_the_numbers_beside_its_table(page: FlaskClient, orders: Sandbox) -> None:
    query = "SELECT user, count(*) AS events, 'x' AS word FROM orders GROUP BY user"
    html = page.get("/sql?" + urlencode({"q": query, "as": "chart"})).text
    assert 'id="sql-chart"' in html
    assert 'data-series="1"' in html
    assert "nothing to draw" in page.get("/sql?" + urlencode({"q": "SELECT 'a'", "as": "chart"})).text


def test_no_rows_is_said_to_be_right(page: FlaskClient, orders: Sandbox) -> None:
    assert "No rows" in page.get(ask("SELECT * FROM orders WHERE id = -1")).text
