"""Every name has a page and data: no fixed page has an address that a name could have."""

from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.broker.logs.topic import check_name
from sandbox.kafka.errors import BrokerError

TOPICS = (
    "new", "orders", "orders.json", "orders.csv", "orders.json.json", "0", "...", "a..b", "-", "_", "messages",
    "produce", "clean", "delete", "settings", "partitions", "topics", "group", "static", "live", "index.html",
    "a" * 249,
)  # fmt: skip
GROUPS = (
    "new", "billing", "billing.json", "billing.csv", "", ".", "..", "a/b", "a/reset", "/", "//x", "a%2Fb", "%2e%2e",
    "a\\b",
    "~new", "history.json", "a b", "ü", "a?b", "a#b", "a;b", "a\tb", "a&format=csv", "0",
)  # fmt: skip
SNAPSHOTS = ("s1", "s1.json", "s1.csv", "compare", "upload", "forks", "compare.json", "upload.json", "now.json")


def test_a_topic_of_any_name_has_its_page_and_its_data(page: FlaskClient, box: Sandbox) -> None:
    for name in TOPICS:
        box.create_topic(name, partitions=1)
    for name in TOPICS:
        shown = page.get(f"/topics/{name}")
        assert (shown.status_code, shown.mimetype) == (200, "text/html"), name
        assert f"<h1>{name}" in shown.text or f">{name}<" in shown.text, name
        assert f'href="/topics/{name}?format=json"' in shown.text, name
        assert page.get(f"/topics/{name}?format=json").get_json()["topic"] == name
        assert page.get(f"/topics/{name}?format=csv").mimetype == "text/csv", name
        for part in ("messages", "produce", "settings?name=retention.ms", "delete", "clean/empty"):
            assert page.get(f"/topics/{name}/{part}").status_code == 200, (name, part)
        assert page.get(f"/topics/{name}/messages.json").get_json()["topic"] == name
        data = page.get(f"/topics/{name}.json")
        if f"{name}.json" not in TOPICS:
            assert data.get_json()["topic"] == name
        else:
            assert data.mimetype == "text/html", name


def test_a_topic_list_says_the_same_at_each_of_its_addresses(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    table = page.get("/topics/orders.csv")
    assert (table.status_code, table.mimetype) == (200, "text/csv")
    assert len(table.text.splitlines()) == 3
    for address in ("/", "/topics", "/groups", "/topics/orders/messages", "/activity"):
        assert page.get(f"{address}?format=json").is_json, address
        assert page.get(f"{address}?format=csv").mimetype == "text/csv", address
    assert page.get("/topics/orders/clean/empty?format=json").get_json()["operation"] == "empty"
    box.append("orders", b"1", partition=0)
    assert page.get("/topics/orders/0/0?format=json").get_json()["offset"] == 0
    assert page.get("/topics/none?format=json").get_json()["error"] == "UNKNOWN_TOPIC_OR_PARTITION"
    assert page.get("/topics/none.csv").get_json()["error"] == "UNKNOWN_TOPIC_OR_PARTITION"


def test_a_group_of_any_name_has_its_page_and_its_data(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    for name in GROUPS:
        box.commit(name, "orders", 0, 0)
    addresses = page.get("/groups").text.split('<a class="row" href="')[1:]
    assert len(addresses) == len(GROUPS)
    seen = set()
    for address in (one.partition('"')[0].replace("&amp;", "&") for one in addresses):
        assert page.get(address).mimetype == "text/html"
        data = page.get(address + ("&" if "?" in address else "?") + "format=json").get_json()
        seen.add(data["group"])
        assert page.get(address + ("&" if "?" in address else "?") + "format=csv").mimetype == "text/csv"
        path, mark, query = address.partition("?")
        assert page.get(f"{path}/delete{mark}{query}").status_code == 200
        assert page.get(f"{path}/history.json{mark}{query}").get_json()["group"] == data["group"]
    assert seen == set(GROUPS)


def test_a_snapshot_of_any_name_has_its_page_and_its_data(page: FlaskClient, box: Sandbox) -> None:
    for name in SNAPSHOTS:
        assert page.post("/snapshots", data={"name": name}).status_code == 303, name
    for name in SNAPSHOTS:
        assert page.get(f"/snapshots/{quote(name)}").mimetype == "text/html"
        assert page.get(f"/snapshots/{quote(name)}?format=json").get_json()["snapshot"]["name"] == name
        assert page.get(f"/snapshots/{quote(name)}?format=csv").text.splitlines()[1].strip('"').startswith(name)
        assert page.get(f"/snapshots/{quote(name)}/restore").status_code == 200
    assert page.get("/snapshots/compare.csv").mimetype == "text/csv"
    assert page.get("/snapshots/s1.csv").mimetype == "text/html", "a name wins"
    assert page.post("/snapshots", data={"name": "now"}).status_code == 400


def test_no_page_has_an_address_that_a_name_could_have(app: Flask) -> None:
    """A part of a path beside `<topic>`, `<group>` or `<name>` begins with what no name begins with."""
    rules = [rule.rule.split("/") for rule in app.url_map.iter_rules()]
    named = {
        tuple(parts[:at])
        for parts in rules
        for at, part in enumerate(parts)
        if part in ("<topic>", "<group>", "<name>")
    }
    named -= {("", "help"), ("", "playground", "scenarios")}  # The names of these are the program's own.
    assert ("", "topics") in named
    assert ("", "snapshots") in named
    beside = {
        parts[len(before)]
        for parts in rules
        for before in named
        if tuple(parts[: len(before)]) == before != tuple(parts)
    } - {"<topic>", "<group>", "<name>"}
    assert beside
    assert all(part.startswith("~") for part in beside), beside


@pytest.mark.parametrize("name", ["~new", "~", "a/b", ".", "..", "", "a b", "a~b"])
def test_kafka_refuses_the_names_that_the_pages_have(name: str) -> None:
    with pytest.raises(BrokerError):
        check_name(name)


def test_an_unknown_name_that_was_a_page_before_is_not_found(page: FlaskClient) -> None:
    assert page.get("/topics/new").status_code == 404
    assert page.get("/topics/~new").status_code == 200
