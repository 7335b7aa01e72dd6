"""Help: the project's documents, settings, diagnostics; and the search that finds them."""

import re

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.web.help.views import DOCUMENTS, document


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_document_is_a_page_whose_links_lead_somewhere(page: FlaskClient, name: str) -> None:
    html = page.get(f"/help/{name}").text
    body = html.partition('<div class="document">')[2]
    anchors = set(re.findall(r'id="([^"]+)"', body))
    links = re.findall(r'href="([^"]+)"', body.partition("</main>")[0])
    for link in links:
        path, _, anchor = link.partition("#")
        assert path.startswith("https://") or (path == "" and anchor in anchors) or page.get(path).status_code == 200, (
            link
        )


def test_the_differences_are_told_in_full(page: FlaskClient) -> None:
    html = page.get("/help/differences").text
    assert "First rebalance of an empty group" in html
    assert html.count("<tr>") > 20
    assert document("protocol").headings[0].anchor == "apis"


def test_help_shows_both_sides_of_the_move_to_a_real_cluster(page: FlaskClient) -> None:
    html = page.get("/help").text
    assert "dev.db" in html
    assert "SASL_SSL" in html
    assert 'href="/help/differences"' in html


def test_every_setting_in_effect_is_listed(page: FlaskClient) -> None:
    html = page.get("/help/settings").text
    assert 'id="topic-retention.ms"' in html
    assert 'id="broker-num.partitions"' in html


def test_the_diagnostics_have_counts_and_no_names(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("secret-topic")
    box.append("secret-topic", "secret value")
    found = page.get("/help/diagnostics.json").get_json()
    assert (found["topics"], found["events"]) == (1, 1)
    assert found["file"] == "page.db"
    assert "secret-topic" not in page.get("/help").text


def test_there_is_no_other_document(page: FlaskClient) -> None:
    for name in ("design", "..%2Fsecurity", "x"):
        assert page.get(f"/help/{name}").status_code == 404


def test_search_finds_whatever_has_a_name(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=3)
    box.commit("order-service", "orders", 0, 0)

    def kinds(wanted: str) -> set[str]:
        return {one["kind"] for one in page.get("/search.json", query_string={"q": wanted}).get_json()["found"]}

    assert {"topic", "group"} <= kinds("order")
    assert "broker" in kinds("broker 1")
    assert "setting" in kinds("retention.ms")
    assert "help" in kinds("OffsetCommit")
    assert "page" in kinds("activity")
    assert "page" in kinds("dead letter")
    assert "page" in kinds("partitioner")
    found = page.get("/search.json?q=retention.ms").get_json()["found"]
    assert page.get(found[0]["address"].partition("#")[0]).status_code == 200


@pytest.mark.parametrize("wanted", ["orders/2/41", "orders:2:41", "orders 2 41", " orders/2/41 "])
def test_the_address_of_an_event_leads_to_it(page: FlaskClient, box: Sandbox, wanted: str) -> None:
    box.create_topic("orders", partitions=3)
    assert page.get("/search", query_string={"q": wanted}).location == "/topics/orders/2/41"
    part = page.get("/search", query_string={"q": wanted}, headers={"HX-Request": "true"}).text
    assert 'href="/topics/orders/2/41"' in part
    assert page.get("/search", query_string={"q": wanted.replace("orders", "other")}).status_code == 200
